//! Operators and casts of users, as the catalogs describe them.
//!
//! Owns: the descriptions of rows of `pg_operator` and `pg_cast` that are not built in. Built-in ones are the registry's.

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_functions::CastContext;
use pg_storage::Snapshot;
use pg_types::{Oid, Result, Value};

use crate::{
    builtin::{FIRST_NORMAL_OID, PG_CAST, PG_NAMESPACE, PG_OPERATOR},
    cache::Catalog,
};

/// An operator of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserOperator {
    /// `pg_operator.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Schema's oid.
    pub schema: Oid,
    /// Schema's name.
    pub schema_name: String,
    /// Left type; 0: a prefix operator.
    pub left: Oid,
    /// Right type.
    pub right: Oid,
    /// The function that computes it; 0: another operator names this one, and nobody has made it yet.
    pub function: Oid,
}

/// A cast of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserCast {
    /// From.
    pub source: Oid,
    /// To.
    pub target: Oid,
    /// When it applies by itself.
    pub context: CastContext,
    /// The function; 0: none.
    pub function: Oid,
    /// Through text.
    pub through_text: bool,
}

impl Catalog {
    /// The users' operators of a name, in all schemas.
    pub(crate) fn load_operators(&self, snapshot: &Snapshot, name: &str) -> Result<Arc<[UserOperator]>> {
        let mut found = Vec::new();
        for row in self.find(snapshot, PG_OPERATOR, &["oprname"], &[Value::text(name)])? {
            if row.oid("oid") < FIRST_NORMAL_OID {
                continue;
            }
            let schema = row.oid("oprnamespace");
            let named = self.find_one(snapshot, PG_NAMESPACE, &["oid"], &[Value::Oid(schema)])?;
            found.push(UserOperator {
                oid: row.oid("oid"),
                name: name.to_string(),
                schema,
                schema_name: named.map_or_else(String::new, |r| r.text("nspname").to_string()),
                left: row.oid("oprleft"),
                right: row.oid("oprright"),
                function: row.oid("oprcode"),
            });
        }
        Ok(found.into())
    }

    /// The users' casts.
    pub(crate) fn load_casts(&self, snapshot: &Snapshot) -> Result<Arc<[UserCast]>> {
        let rows = self.table(PG_CAST)?.scan(self.storage(), snapshot)?;
        let own = rows.iter().map(|r| &r.1).filter(|r| r.oid("oid") >= FIRST_NORMAL_OID);
        Ok(own
            .map(|r| UserCast {
                source: r.oid("castsource"),
                target: r.oid("casttarget"),
                context: match r.char("castcontext") {
                    b'i' => CastContext::Implicit,
                    b'a' => CastContext::Assignment,
                    _ => CastContext::Explicit,
                },
                function: r.oid("castfunc"),
                through_text: r.char("castmethod") == b'i',
            })
            .collect())
    }
}
