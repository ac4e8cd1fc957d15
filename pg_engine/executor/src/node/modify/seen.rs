//! What errors show of rows: nothing that the user could not read or did not give.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, Index, Relation, Roles,
    access::{column_rights, rights_on},
    acl::right,
};
use pg_types::{Oid, Value};

use crate::context::ExecContext;

/// Longest value that is shown of a row.
const MAX_SHOWN: usize = 64;

/// What the user may read of a table.
enum Readable {
    All,
    /// These columns at least; and others, as their own lists say.
    Columns,
    /// Policies decide which rows.
    Nothing,
}

/// Would policies restrict what a role sees of the table?
pub(crate) fn is_restricted(r: &Relation, user: Oid, roles: &Roles) -> bool {
    let exempt = roles.is_superuser(user)
        || roles.get(user).is_some_and(|r| r.bypass_rls)
        || roles.has_rights_of(user, r.owner) && !r.security.forced;
    r.security.row_security && !exempt
}

fn readable(relation: &Relation, user: Oid, roles: &Roles) -> Readable {
    if is_restricted(relation, user, roles) {
        Readable::Nothing
    } else if rights_on(relation, user, right::SELECT, roles) != 0 {
        Readable::All
    } else {
        Readable::Columns
    }
}

/// The user and all roles; `None`: they cannot be read, so that nothing is shown.
fn asking(cx: &ExecContext<'_>) -> Option<(Oid, alloc::sync::Arc<Roles>)> {
    let roles = CatalogReader::roles(&cx.reader().ok()?).ok()?;
    Some((cx.session.user(), roles))
}

/// May the user see values of all these columns?
pub(crate) fn may_see(
    relation: &Relation,
    mut attnums: impl Iterator<Item = i16>,
    cx: &ExecContext<'_>,
) -> bool {
    let Some((user, roles)) = asking(cx) else { return false };
    match readable(relation, user, &roles) {
        Readable::All => true,
        Readable::Columns => attnums.all(|n| column_rights(relation, n, user, right::SELECT, &roles) != 0),
        Readable::Nothing => false,
    }
}

/// May the user see the values of an index's key?
pub(crate) fn may_see_key(relation: &Relation, index: &Index, cx: &ExecContext<'_>) -> bool {
    may_see(relation, index.keys.iter().take(index.key_count).map(|k| k.attnum), cx)
}

/// A row that was refused, `live` being the places of its values' attributes; columns that the user may not read only if
/// they were `given`.
pub(super) fn failing_row(
    relation: &Relation,
    (row, live): (&[Value], &[usize]),
    given: &[i16],
    cx: &ExecContext<'_>,
) -> Option<String> {
    let (user, roles) = asking(cx)?;
    let all = match readable(relation, user, &roles) {
        Readable::All => true,
        Readable::Columns => false,
        Readable::Nothing => return None,
    };
    let (mut names, mut values): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    for (v, &a) in row.iter().zip(live) {
        let Some(attribute) = relation.attributes.get(a) else { continue };
        let seen = all
            || given.contains(&attribute.attnum)
            || column_rights(relation, attribute.attnum, user, right::SELECT, &roles) != 0;
        if seen {
            names.push(&attribute.name);
            values.push(if v.is_null() { "null".into() } else { shown(v, attribute.ty.oid, cx) });
        }
    }
    let values = values.join(", ");
    match (all, names.is_empty()) {
        (true, _) => Some(alloc::format!("Failing row contains ({values}).")),
        (false, true) => None,
        (false, false) => Some(alloc::format!("Failing row contains ({}) = ({values}).", names.join(", "))),
    }
}

/// A value as error details show it: cut when long.
fn shown(v: &Value, ty: u32, cx: &ExecContext<'_>) -> String {
    let text = crate::text::output(v, ty, cx).unwrap_or_default();
    if text.len() <= MAX_SHOWN {
        return text;
    }
    let cut = (0..=MAX_SHOWN).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    let mut out = text.get(..cut).unwrap_or("").to_string();
    out.push_str("...");
    out
}
