//! Extended statistics: CREATE, ALTER, DROP and COMMENT ON STATISTICS.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, Relation, RelationKind,
    access::not_owner,
    builtin::{PG_NAMESPACE, PG_STATISTIC, PG_STATISTIC_EXT, PG_STATISTIC_EXT_DATA},
    extended::MAX_COLUMNS,
    table::{Row, array, int2_vector},
};
use pg_functions::registry;
use pg_plan::{
    definition::{AlterStatistics, Statistics},
    utility::ObjectName,
};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid};

use super::{Address, Ddl, Dependency, like::same_columns};

/// The kinds by name, with the letters of `pg_statistic_ext.stxkind`.
pub(crate) const KINDS: [(&str, u8); 3] = [("ndistinct", b'd'), ("dependencies", b'f'), ("mcv", b'm')];
/// Greatest statistics target.
const MAX_TARGET: i64 = 10_000;

fn missing(name: &ObjectName) -> String {
    let name = super::types::shown(name);
    format!("statistics object \"{name}\" does not exist")
}

impl Ddl<'_, '_> {
    /// Any of these statements.
    pub(super) fn statistics(&self, s: &Statistics) -> Result<()> {
        match s {
            Statistics::Create { name, if_not_exists, kinds, columns, from } => {
                self.create_statistics(name, *if_not_exists, kinds, columns, from)
            }
            Statistics::Alter { name, if_exists, change } => self.alter_statistics(name, *if_exists, change),
            Statistics::Drop { names, if_exists, cascade } => {
                let mut targets = Vec::new();
                for name in names {
                    let Some(row) = self.named_statistics(name, *if_exists)? else { continue };
                    self.must_own_statistics(&row)?;
                    targets.push(Address::new(PG_STATISTIC_EXT, row.oid("oid")));
                }
                self.drop_objects(&targets, *cascade)
            }
            Statistics::Comment(name, text) => {
                let Some(row) = self.named_statistics(name, false)? else { return Ok(()) };
                self.must_own_statistics(&row)?;
                self.describe_object(Address::new(PG_STATISTIC_EXT, row.oid("oid")), text.as_deref())
            }
        }
    }

    fn statistics_in(&self, schema: Oid, name: &str) -> Result<Option<Row>> {
        let key = [Value::text(name), Value::Oid(schema)];
        let rows = self.find(PG_STATISTIC_EXT, &["stxname", "stxnamespace"], &key)?;
        Ok(rows.into_iter().next().map(|r| r.1))
    }

    /// The object that a statement names; `None`: there is none, which IF EXISTS allows.
    fn named_statistics(&self, name: &ObjectName, if_exists: bool) -> Result<Option<Row>> {
        let reader = self.reader()?;
        let found = match &name.schema {
            Some(schema) => match reader.schema(schema)? {
                Some(oid) => self.statistics_in(oid, &name.name)?,
                None => {
                    let text = format!("schema \"{schema}\" does not exist");
                    if if_exists {
                        self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{text}, skipping"));
                        return Ok(None);
                    }
                    return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, text));
                }
            },
            None => {
                let mut found = None;
                for (schema, _) in reader.search_path() {
                    found = self.statistics_in(*schema, &name.name)?;
                    if found.is_some() {
                        break;
                    }
                }
                found
            }
        };
        match found {
            None if if_exists => {
                self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{}, skipping", missing(name)));
                Ok(None)
            }
            None => Err(SqlError::new(SqlState::UNDEFINED_OBJECT, missing(name))),
            found => Ok(found),
        }
    }

    fn must_own_statistics(&self, row: &Row) -> Result<()> {
        if self.owns(row.oid("stxowner"))? {
            return Ok(());
        }
        Err(not_owner("statistics object", row.text("stxname")))
    }

    fn create_statistics(
        &self,
        name: &ObjectName,
        if_not_exists: bool,
        kinds: &[String],
        columns: &[String],
        from: &ObjectName,
    ) -> Result<()> {
        let reader = self.reader()?;
        let Some(table) = reader.relation(from.schema.as_deref(), &from.name)? else {
            let text = format!("relation \"{}\" does not exist", super::types::shown(from));
            return Err(SqlError::new(SqlState::UNDEFINED_TABLE, text));
        };
        drop(reader);
        let table = self.relock(&table, LockMode::ShareUpdateExclusive)?;
        if !matches!(table.kind, RelationKind::Table | RelationKind::MaterializedView) {
            let text = format!("cannot define statistics for relation \"{}\"", table.name);
            let kind = super::kind_word(table.kind);
            let plural = if kind == "index" { "indexes".into() } else { format!("{kind}s") };
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text)
                .detail(format!("This operation is not supported for {plural}.")));
        }
        self.must_own(&table)?;
        let (schema, _) = self.creation_schema(name)?;
        if self.statistics_in(schema, &name.name)?.is_some() {
            let text = format!("statistics object \"{}\" already exists", name.name);
            if if_not_exists {
                self.notice(SqlState::DUPLICATE_OBJECT, format!("{text}, skipping"));
                return Ok(());
            }
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text));
        }
        if columns.len() > MAX_COLUMNS {
            let text = format!("cannot have more than {MAX_COLUMNS} columns in statistics");
            return Err(SqlError::new(SqlState(*b"54011"), text));
        }
        let mut keys = Vec::new();
        for column in columns {
            keys.push(self.statistics_column(&table, column)?);
        }
        let mut letters = Vec::new();
        for (_, letter) in KINDS.iter().filter(|k| kinds.is_empty() || kinds.iter().any(|w| w == k.0)) {
            letters.push(*letter);
        }
        if let Some(odd) = kinds.iter().find(|w| KINDS.iter().all(|k| k.0 != w.as_str())) {
            return Err(SqlError::syntax(format!("unrecognized statistics kind \"{odd}\"")));
        }
        if keys.len() < 2 {
            let text = "extended statistics require at least 2 columns";
            return Err(SqlError::new(SqlState(*b"42P17"), text));
        }
        keys.sort_unstable();
        if keys.windows(2).any(|w| w.first() == w.last()) {
            let text = "duplicate column name in statistics definition";
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, text));
        }
        self.insert_statistics(&table, schema, &name.name, &keys, &letters)?;
        self.step();
        Ok(())
    }

    fn statistics_column(&self, table: &Relation, name: &str) -> Result<i16> {
        let Some(a) = table.live().find(|a| a.name == name) else {
            if ["tableoid", "ctid", "xmin", "cmin", "xmax", "cmax"].contains(&name) {
                let text = "statistics creation on system columns is not supported";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
            }
            let text = format!("column \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, text));
        };
        let plain = self.reader()?.plain_type(a.ty)?;
        if registry().less_than_operator(plain.oid).is_none() {
            let shown = crate::text::type_name(&self.reader()?, a.ty.oid, None)?;
            let text = format!(
                "column \"{name}\" cannot be used in statistics because its type {shown} has no default btree operator \
                 class"
            );
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        Ok(a.attnum)
    }

    fn insert_statistics(
        &self,
        table: &Relation,
        schema: Oid,
        name: &str,
        keys: &[i16],
        kinds: &[u8],
    ) -> Result<Oid> {
        let object = self.oid()?;
        let kinds = array(oid::CHAR, kinds.iter().map(|k| Value::Char(*k)).collect());
        let row = self
            .row(PG_STATISTIC_EXT)?
            .set("oid", object)
            .set("stxrelid", table.oid)
            .set("stxname", name)
            .set("stxnamespace", schema)
            .set("stxowner", self.user())
            .set("stxstattarget", -1i32)
            .set("stxkeys", int2_vector(keys))
            .set("stxkind", kinds);
        self.insert(PG_STATISTIC_EXT, &row)?;
        let address = Address::new(PG_STATISTIC_EXT, object);
        for key in keys {
            self.depend(address, Address::column(table.oid, *key), Dependency::Auto)?;
        }
        self.depend(address, Address::new(PG_NAMESPACE, schema), Dependency::Normal)?;
        Ok(object)
    }

    fn alter_statistics(&self, name: &ObjectName, if_exists: bool, change: &AlterStatistics) -> Result<()> {
        if let AlterStatistics::Target(n) = change {
            if *n < -1 {
                let text = format!("statistics target {n} is too low");
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
            }
            if *n > MAX_TARGET {
                let text = format!("lowering statistics target to {MAX_TARGET}");
                let report = SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text);
                self.cx.session.notice("WARNING", report);
            }
        }
        let Some(row) = self.named_statistics(name, if_exists)? else { return Ok(()) };
        self.must_own_statistics(&row)?;
        let (object, schema, own) =
            (row.oid("oid"), row.oid("stxnamespace"), row.text("stxname").to_string());
        let key = [Value::Oid(object)];
        let taken = |schema: Oid, name: &str| -> Result<()> {
            if self.statistics_in(schema, name)?.is_none() {
                return Ok(());
            }
            let shown = self.reader()?.schema_row(schema)?.map_or_else(String::new, |s| s.name.clone());
            let text = format!("statistics object \"{name}\" already exists in schema \"{shown}\"");
            Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text))
        };
        match change {
            AlterStatistics::Target(n) => {
                let target = (*n).min(MAX_TARGET) as i32;
                self.update(PG_STATISTIC_EXT, &["oid"], &key, |r| r.put("stxstattarget", target))?;
            }
            AlterStatistics::Rename(new) => {
                taken(schema, new)?;
                self.update(PG_STATISTIC_EXT, &["oid"], &key, |r| r.put("stxname", new.as_str()))?;
            }
            AlterStatistics::SetSchema(new) => {
                let Some(to) = self.reader()?.schema(new)? else {
                    let text = format!("schema \"{new}\" does not exist");
                    return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, text));
                };
                self.may_create_in(to, new)?;
                if to != schema {
                    taken(to, &own)?;
                    self.update(PG_STATISTIC_EXT, &["oid"], &key, |r| r.put("stxnamespace", to))?;
                    let (from, to) = (Address::new(PG_NAMESPACE, schema), Address::new(PG_NAMESPACE, to));
                    self.redepend(Address::new(PG_STATISTIC_EXT, object), from, to)?;
                }
            }
            AlterStatistics::Owner(role) => {
                let new = self.role(role)?;
                if new != row.oid("stxowner") {
                    let shown =
                        self.reader()?.schema_row(schema)?.map_or_else(String::new, |s| s.name.clone());
                    self.may_own_in(new, schema, &shown)?;
                    self.update(PG_STATISTIC_EXT, &["oid"], &key, |r| r.put("stxowner", new))?;
                }
            }
        }
        self.step();
        Ok(())
    }

    /// Removes the object's own rows.
    pub(super) fn delete_statistics(&self, object: Oid) -> Result<()> {
        self.delete(PG_STATISTIC_EXT_DATA, &["stxoid"], &[Value::Oid(object)])?;
        self.delete(PG_STATISTIC_EXT, &["oid"], &[Value::Oid(object)])?;
        Ok(())
    }

    /// A column has other values now: what was known of it and others, or of expressions, is not true any more.
    pub(super) fn forget_statistics(&self, table: &Relation, column: i16) -> Result<()> {
        for index in table.indexes.iter().filter(|i| i.keys.iter().any(|k| k.expression.is_some())) {
            self.delete(PG_STATISTIC, &["starelid"], &[Value::Oid(index.oid)])?;
        }
        for (_, row) in self.find(PG_STATISTIC_EXT, &["stxrelid"], &[Value::Oid(table.oid)])? {
            if row.int2s("stxkeys").contains(&column) {
                self.delete(PG_STATISTIC_EXT_DATA, &["stxoid"], &[row.get("oid").clone()])?;
            }
        }
        Ok(())
    }

    /// CREATE TABLE (LIKE ... INCLUDING STATISTICS).
    pub(super) fn like_statistics(&self, new: Oid, model: &Relation, comments: bool) -> Result<()> {
        for (_, row) in self.find(PG_STATISTIC_EXT, &["stxrelid"], &[Value::Oid(model.oid)])? {
            let table = self.current(new)?;
            let Some(mut keys) = same_columns(model, &table, &row.int2s("stxkeys")) else { continue };
            keys.sort_unstable();
            let names: Vec<&str> =
                table.live().filter(|a| keys.contains(&a.attnum)).map(|a| a.name.as_str()).collect();
            let name = self.statistics_name(table.schema, &table.name, &names.join("_"))?;
            let kinds: Vec<u8> = row
                .array("stxkind")
                .iter()
                .filter_map(|v| if let Value::Char(c) = v { Some(*c) } else { None })
                .collect();
            let copy = self.insert_statistics(&table, table.schema, &name, &keys, &kinds)?;
            if comments {
                let from = Address::new(PG_STATISTIC_EXT, row.oid("oid"));
                self.copy_comment(from, Address::new(PG_STATISTIC_EXT, copy))?;
            }
            self.step();
        }
        Ok(())
    }

    fn statistics_name(&self, schema: Oid, table: &str, columns: &str) -> Result<String> {
        for n in 0..10_000u32 {
            let label = if n == 0 { "stat".to_string() } else { format!("stat{n}") };
            let name = super::object_name(table, columns, &label);
            if self.statistics_in(schema, &name)?.is_none() {
                return Ok(name);
            }
        }
        Err(SqlError::internal("no free name was found"))
    }

    /// Statistics objects of a table as ANALYZE needs them: oid, columns, kinds, target.
    pub(crate) fn statistics_of(&self, table: &Relation) -> Result<Vec<(Oid, Vec<i16>, Vec<u8>, i64)>> {
        let rows = self.find(PG_STATISTIC_EXT, &["stxrelid"], &[Value::Oid(table.oid)])?;
        let one = |row: &Row| {
            let kinds = row.array("stxkind").iter();
            let kinds = kinds.filter_map(|v| if let Value::Char(c) = v { Some(*c) } else { None }).collect();
            (row.oid("oid"), row.int2s("stxkeys"), kinds, row.int("stxstattarget"))
        };
        Ok(rows.iter().map(|r| one(&r.1)).collect())
    }
}
