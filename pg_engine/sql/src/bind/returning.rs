//! RETURNING.

use alloc::{string::ToString, vec::Vec};

use pg_plan::{expr::Expr, logical::Column};
use pg_types::{Oid, Result};
use sqlparser::ast as sq;

use super::{
    Binder,
    scope::{Entry, Place, Visible},
};

/// The expressions, result columns and their origins.
pub(super) type Returned = (Option<Vec<Expr>>, Vec<Column>, Vec<(Oid, i16)>);

impl Binder<'_> {
    /// Binds RETURNING over these FROM items, which replace the frame's.
    pub(super) fn returning(
        &mut self,
        items: Option<&[sq::SelectItem]>,
        entries: Vec<Entry>,
    ) -> Result<Returned> {
        let Some(items) = items else { return Ok((None, Vec::new(), Vec::new())) };
        let frame = self.frame()?;
        frame.visible = entries
            .iter()
            .flat_map(|e| &e.columns)
            .map(|c| Visible { name: c.name.clone(), expr: c.expr.clone(), origin: c.origin })
            .collect();
        frame.entries = entries;
        let mut targets = self.at_place(Place::Returning, |b| b.targets(items))?;
        self.settle_targets(&mut targets)?;
        let (mut exprs, mut columns, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        for target in targets {
            columns.push(self.column(&target.name.to_string(), target.expr.ty()));
            origins.push(target.origin);
            exprs.push(target.expr);
        }
        Ok((Some(exprs), columns, origins))
    }
}
