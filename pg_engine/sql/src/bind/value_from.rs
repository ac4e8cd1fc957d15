//! FROM items that the grammar knows as expressions: CURRENT_DATE and its like, COALESCE.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_plan::logical::Logical;
use pg_types::{Result, SqlError};
use sqlparser::ast::{self as sq, Spanned};

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
        if ordinality {
            let at = crate::grammar::position(value.span().start);
            return Err(SqlError::unsupported(format!("{name} WITH ORDINALITY")).at(at));
        }
        let shown = alias.map(|a| a.name.value.clone()).filter(|a| !a.is_empty()).unwrap_or(name);
        let ((plan, column), outer) = self.enclosed(|b| {
            b.frames.last_mut().into_iter().for_each(|f: &mut Frame| f.place = Some(Place::From));
            let mark = b.collation_mark();
            let value = b.settled(&value)?;
            let derived = b.taken_collation(mark);
            let column = b.column(&shown, value.ty());
            b.keep_collation(column.id, column.ty, derived);
            let made = Vec::from([(column.clone(), value)]);
            Ok((Logical::Project(Box::new(Logical::OneRow), made), column))
        })?;
        let mut entry = entry_of(shown, &[column], &[]);
        entry.scalar = true;
        self.record_kind(!outer.is_empty(), |_| call_of(&plan, false));
        self.enter(entry, alias)?;
        Ok((plan, outer))
    }
}
