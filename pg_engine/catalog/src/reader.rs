//! What binder and planner ask of the catalogs.

use alloc::{string::String, sync::Arc, vec::Vec};

use pg_types::{Oid, Result, SqlType, Value, user::UserType};

use crate::{
    acl::Acl,
    builtin::FIRST_ROLE,
    desc::Relation,
    extended::ExtendedStatistics,
    operator::{UserCast, UserOperator},
    roles::Roles,
    routine::Routine,
};

/// Statistics of a column, as ANALYZE leaves them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnStatistics {
    /// Fraction of NULLs.
    pub null_fraction: f64,
    /// Average width of the values in bytes.
    pub width: u32,
    /// As `pg_statistic.stadistinct`: positive a count, negative minus a fraction of the rows, 0 unknown.
    pub distinct: f64,
    /// Most common values with their frequencies, most frequent first.
    pub common: Vec<(Value, f64)>,
    /// Histogram bounds of the other values, ascending; equal shares between neighbours.
    pub histogram: Vec<Value>,
    /// Correlation of value order with physical order, −1 to 1.
    pub correlation: f64,
}

/// A view of the catalogs for one statement: one snapshot, one search path.
pub trait CatalogReader {
    /// A relation by name; without schema through the search path (`pg_catalog` first).
    fn relation(&self, schema: Option<&str>, name: &str) -> Result<Option<Arc<Relation>>>;
    /// A relation by oid.
    fn relation_by_oid(&self, oid: Oid) -> Result<Option<Arc<Relation>>>;
    /// True when the schema exists.
    fn schema_exists(&self, name: &str) -> Result<bool>;
    /// Oid of a schema.
    fn schema_oid(&self, _name: &str) -> Result<Option<Oid>> {
        Ok(None)
    }
    /// Is this the session's schema of temporary relations?
    fn is_own_temporary(&self, _schema: Oid) -> bool {
        true
    }
    /// Oid of a type that is not built in (row types of tables); built-in ones are known to the binder.
    fn type_by_name(&self, schema: Option<&str>, name: &str) -> Result<Option<Oid>>;
    /// A user type by oid.
    fn user_type(&self, _oid: Oid) -> Result<Option<Arc<UserType>>> {
        Ok(None)
    }
    /// The users' functions and procedures of a name, in all schemas.
    fn routines(&self, _name: &str) -> Result<Arc<[Arc<Routine>]>> {
        Ok(Arc::from([]))
    }
    /// One of them by oid.
    fn routine(&self, _oid: Oid) -> Result<Option<Arc<Routine>>> {
        Ok(None)
    }
    /// The list of a built-in function, unless it has the usual privileges.
    fn builtin_acl(&self, _function: Oid) -> Result<Option<Arc<Acl>>> {
        Ok(None)
    }
    /// The users' operators of a name, in all schemas.
    fn operators(&self, _name: &str) -> Result<Arc<[UserOperator]>> {
        Ok(Arc::from([]))
    }
    /// The users' casts.
    fn casts(&self) -> Result<Arc<[UserCast]>> {
        Ok(Arc::from([]))
    }
    /// A collation by name; without schema through the search path.
    fn collation(&self, _schema: Option<&str>, name: &str) -> Result<Option<Oid>> {
        Ok(crate::builtin::rows::builtin_collation(name))
    }
    /// The name of a collation.
    fn collation_name(&self, oid: Oid) -> Option<String> {
        crate::builtin::rows::collation_name(oid).map(String::from)
    }
    /// The setting `check_function_bodies`.
    fn checks_bodies(&self) -> bool {
        true
    }
    /// The schemas that names without one are looked for in, in order.
    fn searched(&self) -> Vec<Oid> {
        Vec::new()
    }
    /// The type that values of a type are of: a domain's base type, for an array over a domain an array over that.
    fn plain_type(&self, ty: SqlType) -> Result<SqlType> {
        Ok(ty)
    }
    /// A type as messages name it.
    fn type_name(&self, ty: Oid) -> Option<String> {
        self.user_type(ty).ok().flatten().map(|t| t.name.clone())
    }
    /// Statistics of a column; `None`: never analysed.
    fn column_statistics(&self, relation: Oid, attnum: i16) -> Result<Option<Arc<ColumnStatistics>>>;
    /// What is known of columns of a table together.
    fn extended_statistics(&self, _relation: Oid) -> Result<Arc<[ExtendedStatistics]>> {
        Ok(Arc::from([]))
    }
    /// Live size of a table now: (pages, rows if counted). `None`: take the relation's own estimates.
    fn relation_size(&self, relation: &Relation) -> Option<(u64, Option<f64>)>;
    /// The share of a table's pages that everyone sees all of.
    fn visible_share(&self, _relation: &Relation) -> f64 {
        0.0
    }
    /// What evaluates the current graph, by name; `None`: nobody knows of one.
    fn graph_backend(&self) -> Option<String> {
        None
    }
    /// In whose name the statement runs.
    fn user(&self) -> Oid {
        FIRST_ROLE
    }
    /// The roles there are.
    fn roles(&self) -> Result<Arc<Roles>> {
        Ok(Arc::new(Roles::only_superuser()))
    }
    /// The setting `row_security`.
    fn row_security(&self) -> bool {
        true
    }
    /// The error if the user may not look into a schema that a name mentions.
    fn check_schema(&self, _name: &str) -> Result<()> {
        Ok(())
    }
    /// Schema that `CREATE` without a schema uses (`current_schema()`); `None` when there is none.
    fn creation_schema(&self) -> Option<String>;
}
