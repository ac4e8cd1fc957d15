//! Functions about lists of privileges. An entry is text with role numbers, the same for equal entries; who reads names
//! asks the session.

use alloc::boxed::Box;

use pg_types::{Oid, Result, SqlError, SqlState, Value, oid::*};

use crate::{
    call::next,
    def::{EvalContext, Function, Implementation, SetReturning},
    table::def,
};

/// `pg_proc.oid` of `aclexplode`.
pub const ACLEXPLODE: Oid = 1689;

fn equal(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let mut rest = args.iter();
    let (a, b): (&str, &str) = (next(&mut rest)?, next(&mut rest)?);
    Ok(Value::Bool(a == b))
}

/// Grantee, letters and grantor of an entry.
fn parts(item: &str) -> Option<(&str, &str, &str)> {
    let (grantee, rest) = item.split_once('=')?;
    let (letters, grantor) = rest.split_once('/')?;
    Some((grantee, letters, grantor))
}

/// Does the list have an entry of the same roles with at least these privileges?
fn contains(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let mut rest = args.iter();
    let list: &pg_types::value::ArrayValue = next(&mut rest)?;
    let item: &str = next(&mut rest)?;
    let Some((grantee, letters, grantor)) = parts(item) else { return Ok(Value::Bool(false)) };
    let granted = |theirs: &str| {
        letters.char_indices().all(|(at, c)| {
            c == '*'
                || theirs.find(c).is_some_and(|i| {
                    let star = |s: &str, i: usize| s.get(i + 1..).is_some_and(|s| s.starts_with('*'));
                    !star(letters, at) || star(theirs, i)
                })
        })
    };
    let found = list.values.iter().any(|v| match v {
        Value::Text(t) => parts(t).is_some_and(|(g, l, r)| g == grantee && r == grantor && granted(l)),
        _ => false,
    });
    Ok(Value::Bool(found))
}

fn no_longer(name: &'static str) -> Result<Value> {
    let text = alloc::format!("{name} is no longer supported");
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text))
}

fn insert(_ctx: &EvalContext<'_>, _args: &[Value]) -> Result<Value> {
    no_longer("aclinsert")
}

fn remove(_ctx: &EvalContext<'_>, _args: &[Value]) -> Result<Value> {
    no_longer("aclremove")
}

fn explode(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    ctx.host.rows(ACLEXPLODE, args)
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1062, "aclitemeq", &[ACLITEM, ACLITEM], BOOL).imp(Implementation::Row(equal)),
    def(1037, "aclcontains", &[ACLITEM_ARRAY, ACLITEM], BOOL).imp(Implementation::Row(contains)),
    def(1035, "aclinsert", &[ACLITEM_ARRAY, ACLITEM], ACLITEM_ARRAY).imp(Implementation::Row(insert)),
    def(1036, "aclremove", &[ACLITEM_ARRAY, ACLITEM], ACLITEM_ARRAY).imp(Implementation::Row(remove)),
    def(1365, "makeaclitem", &[OID, OID, TEXT, BOOL], ACLITEM),
    def(3943, "acldefault", &[CHAR, OID], ACLITEM_ARRAY),
    def(ACLEXPLODE, "aclexplode", &[ACLITEM_ARRAY], RECORD)
        .stable()
        .columns(&[("grantor", OID), ("grantee", OID), ("privilege_type", TEXT), ("is_grantable", BOOL)])
        .imp(Implementation::Set(explode)),
];
