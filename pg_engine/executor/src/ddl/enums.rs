//! Enums: their labels, in `pg_enum`.
//!
//! A label's place is what rows and index keys hold (`pg_types::user`); it never changes. `enumsortorder` is for clients: where
//! float4 has no number left between two neighbours, all are numbered anew, as PostgreSQL does.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{builtin::PG_ENUM, table::Row};
use pg_plan::utility::ObjectName;
use pg_types::{Oid, Result, SqlError, SqlState, Value, user};

use super::{Ddl, MAX_NAME};

fn check_label(label: &str) -> Result<()> {
    if label.len() <= MAX_NAME && !label.is_empty() {
        return Ok(());
    }
    Err(SqlError::new(SqlState::INVALID_NAME, format!("invalid enum label \"{label}\""))
        .detail(format!("Labels must be {MAX_NAME} bytes or less.")))
}

fn no_label(label: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("\"{label}\" is not an existing enum label"))
}

fn label_taken(label: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, format!("enum label \"{label}\" already exists"))
}

impl Ddl<'_, '_> {
    pub(super) fn create_enum(&self, name: &ObjectName, labels: &[String]) -> Result<()> {
        let (schema, _) = self.creation_schema(name)?;
        labels.iter().try_for_each(|l| check_label(l))?;
        let oid = self.new_type(user::Class::Enum, schema, &name.name, |_| {})?;
        for (n, label) in labels.iter().enumerate() {
            let place = (n as i64).checked_mul(user::LABEL_STEP).ok_or_else(crowded)?;
            self.insert_label(oid, label, n as f32 + 1.0, place)?;
        }
        Ok(())
    }

    fn insert_label(&self, ty: Oid, label: &str, order: f32, place: i64) -> Result<()> {
        let row = self
            .row(PG_ENUM)?
            .set("oid", self.oid()?)
            .set("enumtypid", ty)
            .set("enumsortorder", order)
            .set("enumlabel", label)
            .set("enumplace", place);
        self.insert(PG_ENUM, &row).map_err(|e| match e.state() {
            SqlState::UNIQUE_VIOLATION => {
                e.detail(format!("Key (enumtypid, enumlabel)=({ty}, {label}) already exists."))
            }
            _ => e,
        })
    }

    /// The labels of an enum in order.
    fn labels(&self, ty: &Row) -> Result<Vec<Row>> {
        let oid = ty.oid("oid");
        if !user::is_enum(oid) {
            let shown = crate::text::type_name(&self.reader()?, oid, None)?;
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("{shown} is not an enum")));
        }
        let rows = self.find(PG_ENUM, &["enumtypid"], &[Value::Oid(oid)])?;
        let mut rows: Vec<Row> = rows.into_iter().map(|r| r.1).collect();
        rows.sort_by_key(|r| r.int("enumplace"));
        Ok(rows)
    }

    pub(super) fn add_label(
        &self,
        ty: &Row,
        label: &str,
        if_not_exists: bool,
        beside: Option<&(String, bool)>,
    ) -> Result<()> {
        let mut labels = self.labels(ty)?;
        check_label(label)?;
        if labels.iter().any(|r| r.text("enumlabel") == label) {
            if !if_not_exists {
                return Err(label_taken(label));
            }
            self.notice(
                SqlState::DUPLICATE_OBJECT,
                format!("enum label \"{label}\" already exists, skipping"),
            );
            return Ok(());
        }
        let at = match beside {
            None => labels.len(),
            Some((neighbour, after)) => {
                let found = labels.iter().position(|r| r.text("enumlabel") == neighbour);
                found.ok_or_else(|| no_label(neighbour))? + usize::from(*after)
            }
        };
        let place = {
            let (before, after) = neighbours(&labels, at);
            match (before.map(|r| r.int("enumplace")), after.map(|r| r.int("enumplace"))) {
                (None, None) => Some(0),
                (Some(b), None) => b.checked_add(user::LABEL_STEP),
                (None, Some(a)) => a.checked_sub(user::LABEL_STEP),
                (Some(b), Some(a)) => Some(b + (a - b) / 2).filter(|p| *p > b),
            }
        };
        // Places of labels that a type is made with are multiples of the step; this is none.
        let place = place.map(|p| if p % user::LABEL_STEP == 0 { p.saturating_add(1) } else { p });
        let place = place.ok_or_else(crowded)?;
        let order = match order_between(&labels, at) {
            Some(order) => order,
            None => {
                labels = self.renumber(&labels)?;
                order_between(&labels, at).ok_or_else(crowded)?
            }
        };
        self.insert_label(ty.oid("oid"), label, order, place)
    }

    /// Numbers the labels 1, 2, 3...
    fn renumber(&self, labels: &[Row]) -> Result<Vec<Row>> {
        // From behind, so that no number is there twice on the way: they only grow.
        let mut out = Vec::with_capacity(labels.len());
        for pass in 0..2 {
            for (n, row) in labels.iter().enumerate() {
                // First out of the way of all, then to where they belong.
                let order = if pass == 0 { -1.0e9 - n as f32 * 1024.0 } else { n as f32 + 1.0 };
                self.update(PG_ENUM, &["oid"], &[Value::Oid(row.oid("oid"))], |r| {
                    r.put("enumsortorder", order);
                })?;
                if pass == 1 {
                    out.push(row.clone().set("enumsortorder", order));
                }
            }
        }
        Ok(out)
    }

    pub(super) fn rename_label(&self, ty: &Row, from: &str, to: &str) -> Result<()> {
        let labels = self.labels(ty)?;
        check_label(to)?;
        let found = labels.iter().find(|r| r.text("enumlabel") == from).ok_or_else(|| no_label(from))?;
        if labels.iter().any(|r| r.text("enumlabel") == to) {
            return Err(label_taken(to));
        }
        self.update(PG_ENUM, &["oid"], &[Value::Oid(found.oid("oid"))], |r| r.put("enumlabel", to))?;
        Ok(())
    }
}

fn neighbours(labels: &[Row], at: usize) -> (Option<&Row>, Option<&Row>) {
    (at.checked_sub(1).and_then(|i| labels.get(i)), labels.get(at))
}

/// A sort order between two neighbours; `None`: float4 has none.
fn order_between(labels: &[Row], at: usize) -> Option<f32> {
    let (before, after) = neighbours(labels, at);
    let order = |r: &Row| r.float("enumsortorder");
    match (before.map(order), after.map(order)) {
        (None, None) => Some(1.0),
        (Some(b), None) => Some(b + 1.0).filter(|o| *o > b),
        (None, Some(a)) => Some(a - 1.0).filter(|o| *o < a),
        (Some(b), Some(a)) => Some((b + a) / 2.0).filter(|o| *o > b && *o < a),
    }
}

#[cold]
fn crowded() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "too many enum labels were added at one place of the order",
    )
}
