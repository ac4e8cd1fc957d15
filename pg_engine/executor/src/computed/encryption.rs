//! How connections are encrypted.

use alloc::vec::Vec;

use pg_catalog::{CatalogReader, roles::predefined};
use pg_types::{Oid, Result, Value, numeric::Numeric};

use crate::context::ExecContext;

/// Rows of `pg_stat_ssl`: of sessions of other roles only the number.
pub(super) fn rows(cx: &ExecContext<'_>) -> Result<Vec<Vec<Value>>> {
    let text = |s: &str| Value::text(s);
    let may_see = visible(cx)?;
    let row = |a: &crate::ActivityRow| {
        let mut row = alloc::vec![Value::Int4(a.pid)];
        match a.secured.as_ref() {
            _ if !may_see(a.user) => {}
            None => row.push(Value::Bool(false)),
            Some(s) => {
                row.extend([Value::Bool(true), text(s.version), text(s.cipher), Value::Int4(s.bits)]);
                if let Some(client) = &s.client {
                    let serial = Numeric::parse(&client.serial).map_or(Value::Null, Value::Numeric);
                    row.extend([text(&client.subject), serial, text(&client.issuer)]);
                }
            }
        }
        row.resize(8, Value::Null);
        row
    };
    Ok(cx.session.activity().iter().map(row).collect())
}

/// Rows of `pg_stat_gssapi`: nobody comes that way.
pub(super) fn kerberos(cx: &ExecContext<'_>) -> Result<Vec<Vec<Value>>> {
    let may_see = visible(cx)?;
    let row = |a: &crate::ActivityRow| {
        let no = if may_see(a.user) { Value::Bool(false) } else { Value::Null };
        alloc::vec![Value::Int4(a.pid), no.clone(), Value::Null, no]
    };
    Ok(cx.session.activity().iter().map(row).collect())
}

/// Whose sessions the user may see.
fn visible(cx: &ExecContext<'_>) -> Result<impl Fn(Oid) -> bool> {
    let (user, roles) = (cx.session.user(), CatalogReader::roles(&cx.reader()?)?);
    let all = roles.has_rights_of(user, predefined::PG_READ_ALL_STATS);
    Ok(move |other: Oid| all || roles.has_rights_of(user, other))
}
