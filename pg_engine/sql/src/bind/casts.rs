//! The users' casts, loaded when the first question comes that no built-in cast answers.

use alloc::sync::Arc;
use core::cell::OnceCell;

use pg_catalog::{CatalogReader, UserCast};
use pg_types::{Oid, user};

/// See the module.
pub(crate) struct Casts<'a> {
    catalog: &'a dyn CatalogReader,
    list: OnceCell<Arc<[UserCast]>>,
}

impl<'a> Casts<'a> {
    pub(crate) fn new(catalog: &'a dyn CatalogReader) -> Self {
        Self { catalog, list: OnceCell::new() }
    }

    /// Is the first the row type of a table of the second?
    pub(crate) fn is_of(&self, source: Oid, target: Oid) -> bool {
        user::is_composite(source)
            && user::is_composite(target)
            && self.catalog.user_type(source).is_ok_and(|t| t.is_some_and(|t| t.of == target))
    }

    /// The cast from one type to another. Catalogs that cannot be read have none: what names a relation says so.
    pub(crate) fn find(&self, source: Oid, target: Oid) -> Option<UserCast> {
        let list = self.list.get_or_init(|| self.catalog.casts().unwrap_or_else(|_| Arc::from([])));
        list.iter().find(|c| c.source == source && c.target == target).copied()
    }
}
