//! FROM items that the grammar knows as expressions: CURRENT_DATE and its like, COALESCE.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{Column, Logical},
};
use pg_types::{Result, SqlType, Value, oid};
use sqlparser::ast as sq;

use super::{
    Binder,
    from::{Item, call_of, entry_of},
    part,
    scope::{Frame, Place},
};

/// Words that stand for values, without parentheses.
const VALUES: [&str; 11] = [
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
];

/// Those that take a precision, and constructs that look like calls.
const CALLS: [&str; 8] = [
    "coalesce",
    "current_time",
    "current_timestamp",
    "greatest",
    "least",
    "localtime",
    "localtimestamp",
    "nullif",
];

/// The expression that a FROM item is, with its name.
pub(super) fn value(
    name: &sq::ObjectName,
    args: Option<&[sq::FunctionArg]>,
) -> Result<Option<(String, sq::Expr)>> {
    let [only] = name.0.as_slice() else { return Ok(None) };
    let ident = part(only)?;
    let word = ident.value.as_str();
    let known = if args.is_some() { CALLS.contains(&word) } else { VALUES.contains(&word) };
    if !known || ident.quote_style.is_some() {
        return Ok(None);
    }
    let text = match args {
        None => String::from(word),
        Some(args) => {
            let args: Vec<String> = args.iter().map(|a| format!("{a}")).collect();
            format!("{word}({})", args.join(", "))
        }
    };
    Ok(Some((String::from(word), crate::grammar::expression(&text)?)))
}

impl Binder<'_> {
    /// Such an item: one row of one column.
    pub(super) fn value_in_from(
        &mut self,
        (name, value): (String, sq::Expr),
        ordinality: bool,
        alias: Option<&sq::TableAlias>,
    ) -> Result<Item> {
        let shown = alias.map(|a| a.name.value.clone()).filter(|a| !a.is_empty()).unwrap_or(name);
        let ((plan, columns), outer) = self.enclosed(|b| {
            b.frames.last_mut().into_iter().for_each(|f: &mut Frame| f.place = Some(Place::From));
            let mark = b.collation_mark();
            let value = b.settled(&value)?;
            let derived = b.taken_collation(mark);
            let column = b.column(&shown, value.ty());
            b.keep_collation(column.id, column.ty, derived);
            let mut made = Vec::from([(column, value)]);
            if ordinality {
                let one = Expr::Const(Value::Int8(1), SqlType::new(oid::INT8));
                made.push((b.column("ordinality", one.ty()), one));
            }
            let columns: Vec<Column> = made.iter().map(|m| m.0.clone()).collect();
            Ok((Logical::Project(Box::new(Logical::OneRow), made), columns))
        })?;
        let mut entry = entry_of(shown, &columns, &[]);
        entry.scalar = !ordinality;
        self.record_kind(!outer.is_empty(), |_| call_of(&plan, ordinality));
        self.enter(entry, alias)?;
        Ok((plan, outer))
    }
}
