//! `ROWS FROM (f(...), g(...))` and `unnest` of several arrays: functions side by side, each as long as the longest.

use alloc::{boxed::Box, format, vec, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{Column, JoinKind, Logical, SortKey},
};
use pg_types::{Result, SqlError, SqlType, oid};
use sqlparser::ast as sq;

use super::{
    Binder,
    call::Arguments,
    from::{Item, call_of, entry_of},
    scope::{Frame, Place},
};
use crate::{
    ast::NameAt,
    grammar,
    ruleutils::{DefinedCall, TableKind},
};

/// A function of the list.
pub(super) struct Listed {
    name: sq::ObjectName,
    args: Vec<sq::FunctionArg>,
    /// With the columns that it is said to have.
    defined: Option<sq::TableAlias>,
}

/// Is this call ROWS FROM, or `unnest` of several arrays?
pub(super) fn is(name: &sq::ObjectName, args: &[sq::FunctionArg]) -> bool {
    grammar::is_rows_from(name) || args.len() > 1 && is_unnest(name)
}

fn is_unnest(name: &sq::ObjectName) -> bool {
    matches!(name.0.as_slice(), [sq::ObjectNamePart::Identifier(i)] if i.value == "unnest")
}

/// The functions that stand as arguments of the name which ROWS FROM became; of `unnest` one for each array.
pub(super) fn listed(name: &sq::ObjectName, args: &[sq::FunctionArg]) -> Result<Vec<Listed>> {
    if is_unnest(name) {
        let one =
            |arg: &sq::FunctionArg| Listed { name: name.clone(), args: vec![arg.clone()], defined: None };
        return Ok(args.iter().map(one).collect());
    }
    let function = |arg: &sq::FunctionArg| match arg {
        sq::FunctionArg::Unnamed(sq::FunctionArgExpr::Expr(sq::Expr::Function(f))) => match &f.args {
            sq::FunctionArguments::List(list) if f.over.is_none() && f.filter.is_none() => {
                if is(&f.name, &list.args) {
                    return listed(&f.name, &list.args);
                }
                Ok(vec![Listed { name: f.name.clone(), args: list.args.clone(), defined: None }])
            }
            sq::FunctionArguments::None => {
                Ok(vec![Listed { name: f.name.clone(), args: Vec::new(), defined: None }])
            }
            _ => Err(SqlError::unsupported("this call in ROWS FROM")),
        },
        sq::FunctionArg::Unnamed(sq::FunctionArgExpr::Expr(sq::Expr::Subquery(query))) => {
            defined_call(query).map(|listed| vec![listed])
        }
        _ => Err(no_call()),
    };
    let lists: Vec<Vec<Listed>> = args.iter().map(function).collect::<Result<_>>()?;
    Ok(lists.into_iter().flatten().collect())
}

fn no_call() -> SqlError {
    SqlError::unsupported("an expression that is no function call in ROWS FROM")
}

/// A call with a column definition list, which is a subquery by now.
fn defined_call(query: &sq::Query) -> Result<Listed> {
    let sq::SetExpr::Select(select) = &*query.body else { return Err(no_call()) };
    let [item] = select.from.as_slice() else { return Err(no_call()) };
    let (name, args, alias) = match &item.relation {
        sq::TableFactor::Table { name, args: Some(args), alias: Some(alias), .. } => {
            (name, &args.args, alias)
        }
        sq::TableFactor::Function { name, args, alias: Some(alias), .. } => (name, args, alias),
        _ => return Err(no_call()),
    };
    if alias.name.value != grammar::DEFINED {
        return Err(no_call());
    }
    Ok(Listed { name: name.clone(), args: args.clone(), defined: Some(alias.clone()) })
}

impl Binder<'_> {
    pub(super) fn rows_from(
        &mut self,
        list: &[Listed],
        ordinality: bool,
        alias: Option<&sq::TableAlias>,
    ) -> Result<Item> {
        let (first, rest) = match list {
            [one] if one.defined.is_none() => {
                return self.table_function(&one.name, &one.args, ordinality, alias);
            }
            [first, rest @ ..] => (first, rest),
            [] => return Err(SqlError::syntax("syntax error at or near \")\"")),
        };
        let shown = match alias {
            Some(a) if !a.name.value.is_empty() => a.name.value.clone(),
            _ => grammar::name_of(&first.name)?.name.name,
        };
        let mut calls = Vec::with_capacity(list.len());
        let ((plan, columns), outer) = self.enclosed(|b| {
            b.frames.last_mut().into_iter().for_each(|f: &mut Frame| f.place = Some(Place::From));
            let (mut plan, mut columns, mut number) = b.numbered(first, &mut calls)?;
            for next in rest {
                let (right, more, other) = b.numbered(next, &mut calls)?;
                let on = b.operator("=", number.clone(), other.clone(), 0)?;
                let (left, right) = (Box::new(plan), Box::new(right));
                plan = Logical::Join { kind: JoinKind::Full, left, right, on: Some(on), lateral: vec![] };
                number = Expr::Coalesce(vec![number, other], SqlType::new(oid::INT8));
                columns.extend(more);
            }
            let key = SortKey { expr: number.clone(), descending: false, nulls_first: false };
            let sorted = Logical::Sort(Box::new(plan), vec![key]);
            let mut outputs: Vec<(Column, Expr)> =
                columns.iter().map(|c| (b.column(&c.name, c.ty), Expr::Column(c.id, c.ty))).collect();
            if ordinality {
                outputs.push((b.column("ordinality", SqlType::new(oid::INT8)), number));
            }
            let columns: Vec<Column> = outputs.iter().map(|o| o.0.clone()).collect();
            Ok((Logical::Project(Box::new(sorted), outputs), columns))
        })?;
        let lateral = outer.iter().any(|(_, e)| e.any(&mut |e| matches!(e, Expr::Column(..))));
        self.record_kind(lateral, |_| Some(TableKind::Functions { calls, ordinality }));
        self.enter(entry_of(shown, &columns, &[]), alias)?;
        Ok((plan, outer))
    }

    /// A function's rows and columns with the number of each row.
    fn numbered(
        &mut self,
        listed: &Listed,
        calls: &mut Vec<DefinedCall>,
    ) -> Result<(Logical, Vec<Column>, Expr)> {
        let name: NameAt = grammar::name_of(&listed.name)?;
        let mut given = Arguments::none();
        for arg in &listed.args {
            super::call::argument(arg, &mut given)?;
        }
        let defined = self.defined_columns(listed.defined.as_ref())?;
        let routines = self.routines_named(name.name.schema.as_deref(), &name.name.name)?;
        let function = match (routines.as_slice(), name.name.schema.as_deref()) {
            ([first, ..], _) => first.name.clone(),
            (_, None | Some("pg_catalog")) => name.name.name.clone(),
            (_, Some(schema)) => format!("{schema}.{}", name.name.name),
        };
        let (plan, mut columns, _) = if routines.is_empty() {
            self.function_plan(&function, &given, (true, &function), defined.as_deref(), name.at)?
        } else {
            self.users_plan(&routines, &name, &given, (true, &function), defined.as_deref())?
        };
        if let Some(TableKind::Function { call, .. }) = call_of(&plan, true) {
            let columns = defined.iter().flatten().map(|d| (d.name.clone(), d.declared)).collect();
            calls.push((call, columns));
        }
        let number = columns.pop().ok_or_else(|| SqlError::internal("a function without its ordinality"))?;
        Ok((plan, columns, Expr::Column(number.id, number.ty)))
    }
}
