//! Functions that make rows of a type which their call says: the shape that such a call carries, and the constraints of
//! domains inside what comes out.

use alloc::{boxed::Box, string::String, vec, vec::Vec};

use pg_functions::Function;
use pg_plan::{
    expr::{Call, Case, ColumnId, Domain, Expr},
    logical::{Column, Logical},
    routine::Callee,
};
use pg_types::{
    Oid, Result, SqlError, SqlState, SqlType, Value, oid, typeinfo, user,
    value::{ArrayValue, RecordValue},
};

use super::Binder;

/// A column that an alias defines.
pub(super) struct Defined {
    pub(super) name: String,
    /// Where.
    pub(super) at: u32,
    /// As it was written.
    pub(super) declared: SqlType,
    /// What its values are.
    pub(super) plain: SqlType,
}

impl Binder<'_> {
    /// The arguments that a call carries besides those of its declaration.
    pub(super) fn hidden_arguments(
        &self,
        function: &Function,
        args: &[Expr],
        result: SqlType,
        defined: Option<&[Defined]>,
    ) -> Result<Option<Expr>> {
        if function.described {
            let types = args.iter().map(|a| Value::Oid(a.ty().oid)).collect::<Vec<_>>();
            let dims = vec![(types.len() as i32, 1)];
            let types = ArrayValue { element: oid::OID, dims, values: types };
            return Ok(Some(Expr::Const(Value::Array(types.into()), SqlType::new(oid::OID_ARRAY))));
        }
        if !function.shaped {
            return Ok(None);
        }
        let fields: Vec<(String, SqlType)> = match defined {
            Some(defined) => defined.iter().map(|d| (d.name.clone(), d.plain)).collect(),
            None if user::is_composite(result.oid) => {
                let described = self.user_type(result.oid)?;
                described.fields().iter().map(|f| (f.name.clone(), f.plain)).collect()
            }
            None => return Ok(Some(Expr::Const(Value::Bool(false), SqlType::new(oid::BOOL)))),
        };
        let shape = RecordValue {
            types: fields.iter().map(|f| f.1.oid).collect(),
            values: fields.iter().map(|f| Value::Int4(f.1.typmod)).collect(),
            names: Some(fields.into_iter().map(|f| f.0.into()).collect()),
        };
        Ok(Some(Expr::Const(Value::Record(shape.into()), SqlType::new(oid::RECORD))))
    }

    /// 42804 unless a function that makes rows of its first argument's type has a row type there.
    pub(super) fn check_row_type(&self, function: &Function, result: SqlType) -> Result<()> {
        let row = result.oid == oid::RECORD || user::is_composite(result.oid);
        if !function.shaped || row {
            return Ok(());
        }
        let text = alloc::format!("first argument of {} must be a row type", function.name);
        Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text))
    }

    /// A value of a declared type whose domains, also those inside rows and arrays, were not checked yet; `None`: nothing is to
    /// be checked.
    pub(super) fn inspected(&mut self, value: Expr, declared: Oid) -> Result<Option<Expr>> {
        let plain = value.ty();
        if user::is_array(declared) {
            let element = SqlType::with_typmod(typeinfo::element_of(plain.oid), plain.typmod);
            let inner = self.inspected(Expr::Column(0, element), declared - 1)?;
            return Ok(inner.map(|e| Expr::ArrayCoerce(Box::new(value), Box::new(e), plain)));
        }
        if user::is_domain(declared) {
            let inside = self.inspected(value.clone(), plain.oid)?;
            let changed = inside.is_some();
            let checked = self.constrained(inside.unwrap_or(value), declared)?;
            let is = changed || matches!(checked, Expr::Domain(_));
            return Ok(is.then_some(checked));
        }
        if !user::is_composite(declared) {
            return Ok(None);
        }
        let described = self.user_type(declared)?;
        let mut checks = Vec::new();
        for (n, field) in described.fields().iter().enumerate() {
            let inside = Expr::Field(Box::new(Expr::Column(0, plain)), n as u32, field.plain);
            if let Some(inside) = self.inspected(inside, field.ty.oid)? {
                checks.push((String::new(), refuses_nothing(inside)));
            }
        }
        if checks.is_empty() {
            return Ok(None);
        }
        Ok(Some(Expr::Domain(Box::new(Domain { value, oid: declared, not_null: false, checks }))))
    }

    /// The domain that a base value is of, if it is of one.
    pub(super) fn base_type(args: &[Expr], result: SqlType) -> Oid {
        match args.first() {
            Some(Expr::Domain(d)) if d.value.ty() == result => d.oid,
            _ => result.oid,
        }
    }

    /// A call in FROM of a function that makes rows.
    pub(super) fn row_plan(
        &mut self,
        function: &'static Function,
        (mut args, ty): (Vec<Expr>, SqlType),
        (ordinality, alias): (bool, &str),
        defined: Option<&[Defined]>,
        at: u32,
    ) -> Result<(Logical, Vec<Column>, bool)> {
        self.check_row_type(function, ty)?;
        let mut declared = Vec::new();
        let mut columns = Vec::new();
        match defined {
            Some(defined) if ty.oid != oid::RECORD => {
                let at = defined.first().map_or(at, |d| d.at);
                let text =
                    "a column definition list is redundant for a function returning a named composite type";
                return Err(SqlError::syntax(text).at(at));
            }
            Some(defined) => {
                for d in defined {
                    declared.push(d.declared.oid);
                    columns.push(self.column(&d.name, d.plain));
                }
            }
            None if ty.oid == oid::RECORD => {
                let text = "a column definition list is required for functions returning \"record\"";
                return Err(SqlError::syntax(text).at(at));
            }
            None => {
                for field in self.user_type(ty.oid)?.fields() {
                    declared.push(field.ty.oid);
                    columns.push(self.column(&field.name, field.plain));
                }
            }
        }
        let base = Self::base_type(&args, ty);
        if user::is_domain(base) && function.shaped {
            let name = super::types::show(SqlType::new(base));
            return Err(SqlError::unsupported(alloc::format!("a row of domain {name} in FROM")).at(at));
        }
        let hidden = self.hidden_arguments(function, &args, ty, defined)?;
        args.extend(hidden);
        if ordinality {
            columns.push(self.column("ordinality", SqlType::new(oid::INT8)));
        }
        self.accesses.builtin(function);
        let scan = Logical::FunctionScan {
            function: Callee::Builtin(function),
            args,
            columns: columns.clone(),
            ordinality,
            alias: alias.into(),
        };
        if !function.shaped {
            return Ok((scan, columns, false));
        }
        let mut shown = Vec::with_capacity(columns.len());
        let mut outputs = Vec::with_capacity(columns.len());
        let mut changed = false;
        for (n, column) in columns.iter().enumerate() {
            let value = Expr::Column(column.id, column.ty);
            let checked = match declared.get(n) {
                Some(ty) => self.inspected(value.clone(), *ty)?,
                None => None,
            };
            changed |= checked.is_some();
            let output = self.column(&column.name, column.ty);
            outputs.push((output.clone(), checked.unwrap_or(value)));
            shown.push(output);
        }
        if !changed {
            return Ok((scan, columns, false));
        }
        if defined.is_some() && self.recording() {
            return Err(SqlError::unsupported("a column of a domain in a definition list of a view").at(at));
        }
        Ok((Logical::Project(Box::new(scan), outputs), shown, false))
    }

    /// Names and types of the fields of a row that has no type of its own, where they are known.
    pub(super) fn shape(&self, row: &Expr) -> Option<Vec<(String, SqlType)>> {
        match row {
            Expr::Call(call) => {
                let fields = call.function.columns.iter();
                let fields = fields.map(|(name, ty)| (String::from(*name), SqlType::new(*ty)));
                Some(fields.collect()).filter(|f: &Vec<_>| !f.is_empty())
            }
            Expr::Routine(call) => Some(call.target.columns.clone()).filter(|c| !c.is_empty()),
            Expr::Column(id, _) => self.shapes.iter().find(|(c, _)| c == id).map(|(_, s)| s.clone()),
            _ => None,
        }
    }

    /// Columns that stand for others, as those of a WITH query where it is named.
    pub(super) fn alias_columns(&mut self, columns: &[Column]) -> Vec<Column> {
        let mut fresh = Vec::with_capacity(columns.len());
        for c in columns {
            let column = self.column(&c.name, c.ty);
            self.keep_shape(column.id, &Expr::Column(c.id, c.ty));
            self.copy_collation(c.id, column.id);
            fresh.push(column);
        }
        fresh
    }

    /// A new column has an expression's value: remembers the fields of that.
    pub(super) fn keep_shape(&mut self, column: ColumnId, value: &Expr) {
        if matches!(value.ty().oid, oid::RECORD)
            && let Some(shape) = self.shape(value)
        {
            self.shapes.push((column, shape));
        }
    }

    /// A call in an expression, with what it carries and what its result is held against.
    pub(super) fn row_call(
        &mut self,
        function: &'static Function,
        args: Vec<Expr>,
        ty: SqlType,
        at: u32,
    ) -> Result<Expr> {
        self.check_row_type(function, ty)?;
        let declared = Self::base_type(&args, ty);
        let hidden = self.hidden_arguments(function, &args, ty, None)?;
        let args = args.into_iter().chain(hidden).collect();
        let call = Expr::Call(Box::new(Call { function, args, ty }));
        let value = match function.kind {
            pg_functions::FunctionKind::Set => self.set_call(function.name, call, at)?,
            _ => call,
        };
        Ok(self.inspected(value.clone(), declared)?.unwrap_or(value))
    }
}

/// A condition that asks for the value and holds whatever it is.
fn refuses_nothing(value: Expr) -> Expr {
    let unknown = || Expr::Const(Value::Null, SqlType::new(oid::BOOL));
    Expr::Case(Box::new(Case {
        whens: vec![(Expr::IsNull(Box::new(value), true), unknown())],
        otherwise: unknown(),
        ty: SqlType::new(oid::BOOL),
    }))
}
