//! What ANALYZE finds out about expressions: those that indexes are on, or statistics objects.

use alloc::vec::Vec;

use pg_catalog::{CatalogReader, Relation, builtin::PG_ATTRIBUTE};
use pg_types::{Oid, Result, Value, typeinfo};

use super::{Sampled, TARGET, column, narrow, store, target};
use crate::{
    context::Rt,
    ddl::{Ddl, statistics::StatisticsObject},
    expr::{Compiled, RowRef},
    node::Compiler,
};

/// One expression.
struct Part {
    /// Under which relation and column its statistics are kept.
    place: (Oid, i16),
    ty: Oid,
    collation: Oid,
    value: Compiled,
    /// Only rows for which this is true count.
    predicate: Option<Compiled>,
    /// How fine the statistics are to be: as the attribute of the place says, or a statistics object.
    target: Option<i64>,
}

/// The expressions of a table.
pub(super) struct Computed(Vec<Part>);

impl Computed {
    /// Those of a table's indexes, none if only some columns are asked for, and those of statistics objects.
    pub(super) fn of(
        ddl: &Ddl<'_, '_>,
        relation: &Relation,
        objects: &[StatisticsObject],
        asked: &[i16],
    ) -> Result<Self> {
        let mut parts = Vec::new();
        for object in objects {
            for (text, n) in object.expressions.iter().zip(1..) {
                let e = ddl.cx.session.bind_expression(&ddl.reader()?, relation, text)?;
                let ty = ddl.reader()?.plain_type(e.ty())?.oid;
                parts.push(Part {
                    place: (object.oid, n),
                    ty,
                    collation: typeinfo::collation_of(ty),
                    value: Compiled::new(&e, &mut Compiler::new(0))?,
                    predicate: None,
                    target: Some(object.target),
                });
            }
        }
        for index in relation.indexes.iter().filter(|_| asked.is_empty()) {
            for (key, attnum) in index.keys.iter().zip(1..) {
                let Some(text) = &key.expression else { continue };
                let compile = |text| ddl.expression(relation, text);
                parts.push(Part {
                    place: (index.oid, attnum),
                    ty: key.ty.oid,
                    collation: key.collation,
                    value: compile(text)?,
                    predicate: index.predicate.as_deref().map(compile).transpose()?,
                    target: None,
                });
            }
        }
        Ok(Self(parts))
    }

    /// The place of a statistics object's expression among the values, and its type.
    pub(super) fn find(&self, object: Oid, n: i16) -> Option<(usize, Oid)> {
        let at = self.0.iter().position(|p| p.place == (object, n))?;
        self.0.get(at).map(|p| (at, p.ty))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their values for a row; `None`: the row does not count.
    pub(super) fn values(&mut self, row: &[Value], rt: &Rt<'_, '_>) -> Result<Vec<Option<Value>>> {
        let row = RowRef::Values(row);
        let one = |part: &mut Part| {
            if let Some(predicate) = &mut part.predicate
                && !predicate.is_true(row, rt)?
            {
                return Ok(None);
            }
            let mut value = part.value.row(row, rt)?;
            narrow(&mut value);
            Ok(Some(value))
        };
        self.0.iter_mut().map(one).collect()
    }

    /// Writes down what the sampled values say. `rows`: how many the table has.
    pub(super) fn store(&self, ddl: &Ddl<'_, '_>, sample: &[Sampled], rows: u64) -> Result<()> {
        for (n, part) in self.0.iter().enumerate() {
            let values: Vec<&Value> =
                sample.iter().filter_map(|s| s.2.get(n).and_then(Option::as_ref)).collect();
            let share = values.len() as f64 / sample.len().max(1) as f64;
            let (index, attnum) = part.place;
            let target = match part.target {
                Some(0) => None,
                Some(n) => Some(usize::try_from(n).unwrap_or(TARGET)),
                None => {
                    let key = [Value::Oid(index), Value::Int2(attnum)];
                    let attribute = ddl.find(PG_ATTRIBUTE, &["attrelid", "attnum"], &key)?;
                    target(attribute.first().map(|a| &a.1))
                }
            };
            let Some(target) = target else { continue };
            if let Some(s) = column(&values, part.ty, (rows as f64 * share) as u64, target) {
                store(ddl, part.place, (part.ty, part.collation), &s)?;
            }
        }
        Ok(())
    }
}
