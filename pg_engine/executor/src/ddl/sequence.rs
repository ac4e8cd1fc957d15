//! CREATE and ALTER SEQUENCE.

use alloc::{format, string::String, sync::Arc};

use pg_catalog::{
    CatalogReader, Relation, RelationKind,
    builtin::{PG_CLASS, PG_DEPEND, PG_SEQUENCE},
    storage_error,
    table::Row,
};
use pg_plan::utility::{AlterSequence, ColumnDef, CreateSequence, ObjectName, SequenceOptions};
use pg_storage::{LockMode, RelationKind as StorageKind, SequenceOptions as StoredOptions};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, oid};

use super::{Address, Ddl, Dependency, table::NewRelation};

/// A sequence's definition, checked.
struct Definition {
    ty: Oid,
    options: StoredOptions,
    cache: i64,
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn type_range(ty: Oid) -> Result<(i64, i64)> {
    Ok(match ty {
        oid::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        oid::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        oid::INT8 => (i64::MIN, i64::MAX),
        _ => return Err(invalid(String::from("sequence type must be smallint, integer, or bigint"))),
    })
}

impl Definition {
    /// From options over an earlier definition (ALTER) or none (CREATE).
    fn new(o: &SequenceOptions, old: Option<&Self>, default_type: Option<Oid>) -> Result<Self> {
        let ty = o.ty.or(old.map(|d| d.ty)).or(default_type).unwrap_or(oid::INT8);
        let (least, greatest) = type_range(ty)?;
        let increment = o.increment.or(old.map(|d| d.options.increment)).unwrap_or(1);
        if increment == 0 {
            return Err(invalid(String::from("INCREMENT must not be zero")));
        }
        // Bounds that were those of the old type become those of the new one.
        let (mut at_least, mut at_greatest) = (false, false);
        if let Some(old) = old.filter(|d| d.ty != ty) {
            let (least, greatest) = type_range(old.ty)?;
            (at_least, at_greatest) = (old.options.min == least, old.options.max == greatest);
        }
        let default_min = if increment < 0 || at_least { least } else { 1 };
        let default_max = if increment > 0 || at_greatest { greatest } else { -1 };
        let min = match o.min {
            Some(Some(n)) => n,
            Some(None) => default_min,
            None => old.filter(|_| !at_least).map_or(default_min, |d| d.options.min),
        };
        let max = match o.max {
            Some(Some(n)) => n,
            Some(None) => default_max,
            None => old.filter(|_| !at_greatest).map_or(default_max, |d| d.options.max),
        };
        for (word, n) in [("MAXVALUE", max), ("MINVALUE", min)] {
            if n < least || n > greatest {
                let shown = pg_types::typeinfo::format_type(ty, None).unwrap_or_default();
                return Err(invalid(format!("{word} ({n}) is out of range for sequence data type {shown}")));
            }
        }
        if min >= max {
            return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
        }
        let start = o.start.or(old.map(|d| d.options.start)).unwrap_or(if increment > 0 { min } else { max });
        if start < min {
            return Err(invalid(format!("START value ({start}) cannot be less than MINVALUE ({min})")));
        }
        if start > max {
            return Err(invalid(format!("START value ({start}) cannot be greater than MAXVALUE ({max})")));
        }
        let cache = o.cache.or(old.map(|d| d.cache)).unwrap_or(1);
        if cache <= 0 {
            return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
        }
        let cycle = o.cycle.or(old.map(|d| d.options.cycle)).unwrap_or(false);
        Ok(Self { ty, options: StoredOptions { start, increment, min, max, cycle }, cache })
    }

    fn fill(&self, row: &mut Row) {
        row.put("seqtypid", self.ty);
        row.put("seqstart", self.options.start);
        row.put("seqincrement", self.options.increment);
        row.put("seqmax", self.options.max);
        row.put("seqmin", self.options.min);
        row.put("seqcache", self.cache);
        row.put("seqcycle", self.options.cycle);
    }
}

fn columns() -> [ColumnDef; 3] {
    [("last_value", oid::INT8), ("log_cnt", oid::INT8), ("is_called", oid::BOOL)].map(|(name, ty)| {
        ColumnDef {
            name: name.into(),
            ty: SqlType::new(ty),
            not_null: true,
            default: None,
            generated: 0,
            sequence: None,
            collation: 0,
            compression: 0,
        }
    })
}

impl Ddl<'_, '_> {
    /// CREATE SEQUENCE.
    pub(crate) fn create_sequence(&self, s: &CreateSequence) -> Result<()> {
        let (schema, _) = self.creation_schema(&s.name)?;
        if self.name_taken(schema, &s.name.name, s.if_not_exists)? {
            return Ok(());
        }
        let oid = self.create_sequence_relation(&s.name.name, schema, &s.options, None)?;
        self.step();
        self.own_sequence(oid, &s.options)
    }

    /// Makes a sequence.
    pub(crate) fn create_sequence_relation(
        &self,
        name: &str,
        schema: Oid,
        options: &SequenceOptions,
        default_type: Option<Oid>,
    ) -> Result<Oid> {
        let definition = Definition::new(options, None, default_type)?;
        let storage = {
            let mut txn = self.cx.txn.borrow_mut();
            let s = self.cx.engine.storage();
            let rel = s.create_relation(txn.storage(), StorageKind::Sequence).map_err(storage_error)?;
            let start = definition.options.start;
            s.sequence_set(txn.storage(), rel, &definition.options, start, false).map_err(storage_error)?;
            rel
        };
        let oid = self.create_relation(&NewRelation {
            name,
            schema,
            kind: b'S',
            columns: &columns(),
            storage: storage.0,
            options: alloc::vec::Vec::new(),
            persistence: b'p',
        })?;
        let mut row = self.row(PG_SEQUENCE)?.set("seqrelid", oid);
        definition.fill(&mut row);
        self.insert(PG_SEQUENCE, &row)?;
        Ok(oid)
    }

    /// Gives a sequence storage of its own with this state, so that the old state is there again should the transaction be rolled
    /// back. Nobody else takes values meanwhile: who does so has locked the sequence.
    pub(super) fn renew_sequence(
        &self,
        sequence: &Relation,
        options: &pg_storage::SequenceOptions,
        last: i64,
        called: bool,
    ) -> Result<()> {
        let rel = {
            let mut txn = self.cx.txn.borrow_mut();
            let s = self.cx.engine.storage();
            let rel = s.create_relation(txn.storage(), StorageKind::Sequence).map_err(storage_error)?;
            s.sequence_set(txn.storage(), rel, options, last, called).map_err(storage_error)?;
            rel
        };
        self.point_to(sequence.oid, rel)?;
        self.drop_storage(sequence.storage)
    }

    /// OWNED BY.
    fn own_sequence(&self, sequence: Oid, options: &SequenceOptions) -> Result<()> {
        let Some(owner) = &options.owned_by else { return Ok(()) };
        let address = Address::new(PG_CLASS, sequence);
        let key = [Value::Oid(PG_CLASS), Value::Oid(sequence)];
        for (tid, row) in self.find(PG_DEPEND, &["classid", "objid"], &key)? {
            if row.char("deptype") == b'i' {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot change ownership of identity sequence",
                ));
            }
            if row.char("deptype") == b'a' {
                let mut txn = self.cx.txn.borrow_mut();
                self.catalog(PG_DEPEND)?.delete(self.cx.engine.storage(), txn.storage(), tid)?;
            }
        }
        if let Some((table, column)) = owner {
            let relation = self.named(table, false)?.ok_or_else(|| SqlError::internal("no such table"))?;
            let plural = match relation.kind {
                RelationKind::Index => Some("indexes"),
                RelationKind::Sequence => Some("sequences"),
                RelationKind::MaterializedView => Some("materialized views"),
                _ => None,
            };
            if let Some(plural) = plural {
                let text = format!("sequence cannot be owned by relation \"{}\"", relation.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text)
                    .detail(format!("This operation is not supported for {plural}.")));
            }
            let own = self.current(sequence)?;
            let linked = |what: &str| {
                let text = format!("sequence must {what} as table it is linked to");
                Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text))
            };
            if own.owner != relation.owner {
                return linked("have same owner");
            }
            if own.schema != relation.schema {
                return linked("be in same schema");
            }
            let a = super::table::column_key(&relation, column).map_err(|_| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{column}\" of relation \"{}\" does not exist", relation.name),
                )
            })?;
            self.depend(address, Address::column(relation.oid, a.attnum), Dependency::Auto)?;
        }
        self.step();
        Ok(())
    }

    /// A relation by name; `None` when missing is fine and it is (a notice has been sent).
    pub(crate) fn named(&self, name: &ObjectName, if_exists: bool) -> Result<Option<Arc<Relation>>> {
        if let Some(s) = &name.schema {
            self.reader()?.check_schema(s)?;
        }
        let found = self.reader()?.relation(name.schema.as_deref(), &name.name)?;
        if found.is_some() {
            return Ok(found);
        }
        let shown = match &name.schema {
            Some(s) => format!("{s}.{}", name.name),
            None => name.name.clone(),
        };
        let message = format!("relation \"{shown}\" does not exist");
        if if_exists {
            self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
            return Ok(None);
        }
        Err(SqlError::new(SqlState::UNDEFINED_TABLE, message))
    }

    /// ALTER SEQUENCE.
    pub(crate) fn alter_sequence(&self, s: &AlterSequence) -> Result<()> {
        let Some(relation) = self.named(&s.name, s.if_exists)? else { return Ok(()) };
        if relation.kind != RelationKind::Sequence {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a sequence", relation.name),
            ));
        }
        self.must_own(&relation)?;
        self.change_sequence(&relation, &s.options)
    }

    pub(super) fn change_sequence(&self, relation: &Relation, options: &SequenceOptions) -> Result<()> {
        let relation = self.relock(relation, LockMode::ShareRowExclusive)?;
        let key = [Value::Oid(relation.oid)];
        let rows = self.find(PG_SEQUENCE, &["seqrelid"], &key)?;
        let Some((_, row)) = rows.first() else {
            return Err(SqlError::internal("sequence without definition"));
        };
        let storage = self.cx.engine.storage();
        let (stored, mut last, mut called) = storage.sequence_get(relation.storage).map_err(storage_error)?;
        let old = Definition { ty: row.oid("seqtypid"), options: stored, cache: row.int("seqcache") };
        let new = Definition::new(options, Some(&old), None)?;
        match options.restart {
            None => {}
            Some(to) => {
                last = to.unwrap_or(new.options.start);
                called = false;
            }
        }
        for (word, bad) in [
            ("less than MINVALUE", last < new.options.min),
            ("greater than MAXVALUE", last > new.options.max),
        ] {
            if bad {
                let limit = if word.starts_with("less") { new.options.min } else { new.options.max };
                return Err(invalid(format!("RESTART value ({last}) cannot be {word} ({limit})")));
            }
        }
        if options.restart.is_some() || new.options != old.options {
            self.renew_sequence(&relation, &new.options, last, called)?;
        }
        self.update(PG_SEQUENCE, &["seqrelid"], &key, |r| new.fill(r))?;
        self.step();
        self.own_sequence(relation.oid, options)
    }
}
