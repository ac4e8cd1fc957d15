//! Extended statistics: CREATE, ALTER, DROP and COMMENT ON STATISTICS.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, Relation, RelationKind,
    access::not_owner,
    builtin::{
        PG_CLASS, PG_DEPEND, PG_NAMESPACE, PG_STATISTIC, PG_STATISTIC_EXT, PG_STATISTIC_EXT_DATA,
        rows::EXPRESSION_SEPARATOR,
    },
    extended::{MAX_COLUMNS, expressions_of},
    table::{Row, array, int2_vector},
};
use pg_functions::registry;
use pg_plan::{
    definition::{AlterStatistics, Statistics, StatisticsKey},
    statement::SYSTEM_COLUMN_NAMES,
    utility::ObjectName,
};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, oid};

use super::{Address, Ddl, Dependency, like::same_columns};

/// The kinds by name, with the letters of `pg_statistic_ext.stxkind`.
pub(crate) const KINDS: [(&str, u8); 3] = [("ndistinct", b'd'), ("dependencies", b'f'), ("mcv", b'm')];
/// The letter of statistics of the expressions themselves.
const OF_EXPRESSIONS: u8 = b'e';
/// Greatest statistics target.
const MAX_TARGET: i64 = 10_000;

/// What a statistics object is of.
struct StatisticsParts {
    /// Ascending.
    columns: Vec<i16>,
    /// Canonical texts.
    expressions: Vec<String>,
    letters: Vec<u8>,
}

/// A statistics object of a table, as ANALYZE needs it.
pub(crate) struct StatisticsObject {
    pub(crate) oid: Oid,
    pub(crate) columns: Vec<i16>,
    pub(crate) expressions: Vec<String>,
    /// Letters of the kinds.
    pub(crate) kinds: Vec<u8>,
    /// As fine as this; negative: as its columns.
    pub(crate) target: i64,
}

fn letters_of(row: &Row) -> Vec<u8> {
    let letters = row.array("stxkind").iter();
    letters.filter_map(|v| if let Value::Char(c) = v { Some(*c) } else { None }).collect()
}

fn missing(name: &ObjectName) -> String {
    let name = super::types::shown(name);
    format!("statistics object \"{name}\" does not exist")
}

impl Ddl<'_, '_> {
    /// Any of these statements.
    pub(super) fn statistics(&self, s: &Statistics) -> Result<()> {
        match s {
            Statistics::Create { name, if_not_exists, kinds, keys, from } => {
                self.create_statistics(name, *if_not_exists, kinds, keys, from)
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
        keys: &[StatisticsKey],
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
        let parts = self.statistics_parts(&table, keys, kinds)?;
        self.insert_statistics(&table, schema, &name.name, &parts)?;
        self.step();
        Ok(())
    }

    /// What statistics of these keys are, which must be some that can be gathered.
    fn statistics_parts(
        &self,
        table: &Relation,
        keys: &[StatisticsKey],
        kinds: &[String],
    ) -> Result<StatisticsParts> {
        if keys.len() > MAX_COLUMNS {
            let text = format!("cannot have more than {MAX_COLUMNS} columns in statistics");
            return Err(SqlError::new(SqlState(*b"54011"), text));
        }
        let (mut columns, mut expressions) = (Vec::new(), Vec::new());
        for key in keys {
            match key {
                StatisticsKey::Column(name) => columns.push(self.statistics_column(table, name)?),
                StatisticsKey::Expression(text, ty) => {
                    if keys.len() > 1 {
                        self.statistics_type(*ty, "expression", "multivariate statistics")?;
                    }
                    expressions.push(text.clone());
                }
            }
        }
        // Of one expression, there is only what there is of a column.
        let single = columns.is_empty() && expressions.len() == 1;
        if single && !kinds.is_empty() {
            let text =
                "when building statistics on a single expression, statistics kinds may not be specified";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        let wanted = |k: &&(&str, u8)| !single && (kinds.is_empty() || kinds.iter().any(|w| w == k.0));
        let mut letters: Vec<u8> = KINDS.iter().filter(wanted).map(|k| k.1).collect();
        if let Some(odd) = kinds.iter().find(|w| KINDS.iter().all(|k| k.0 != w.as_str())) {
            return Err(SqlError::syntax(format!("unrecognized statistics kind \"{odd}\"")));
        }
        if !expressions.is_empty() {
            letters.push(OF_EXPRESSIONS);
        }
        if keys.len() < 2 && !single {
            let text = "extended statistics require at least 2 columns";
            return Err(SqlError::new(SqlState(*b"42P17"), text));
        }
        columns.sort_unstable();
        if columns.windows(2).any(|w| w.first() == w.last()) {
            let text = "duplicate column name in statistics definition";
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, text));
        }
        if expressions.iter().enumerate().any(|(n, e)| expressions.iter().skip(n + 1).any(|o| o == e)) {
            let text = "duplicate expression in statistics definition";
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, text));
        }
        Ok(StatisticsParts { columns, expressions, letters })
    }

    fn statistics_column(&self, table: &Relation, name: &str) -> Result<i16> {
        let Some(a) = table.live().find(|a| a.name == name) else {
            if SYSTEM_COLUMN_NAMES.contains(&name) {
                let text = "statistics creation on system columns is not supported";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
            }
            let text = format!("column \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, text));
        };
        self.statistics_type(a.ty, &format!("column \"{name}\""), "statistics")?;
        Ok(a.attnum)
    }

    /// Values must have an order.
    fn statistics_type(&self, ty: SqlType, what: &str, statistics: &str) -> Result<()> {
        let plain = self.reader()?.plain_type(ty)?;
        if registry().less_than_operator(plain.oid).is_some() {
            return Ok(());
        }
        let shown = crate::text::type_name(&self.reader()?, ty.oid, None)?;
        let text = format!(
            "{what} cannot be used in {statistics} because its type {shown} has no default btree operator class"
        );
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text))
    }

    fn insert_statistics(
        &self,
        table: &Relation,
        schema: Oid,
        name: &str,
        parts: &StatisticsParts,
    ) -> Result<Oid> {
        let object = self.oid()?;
        let kinds = array(oid::CHAR, parts.letters.iter().map(|k| Value::Char(*k)).collect());
        let row = self
            .row(PG_STATISTIC_EXT)?
            .set("oid", object)
            .set("stxrelid", table.oid)
            .set("stxname", name)
            .set("stxnamespace", schema)
            .set("stxowner", self.user())
            .set("stxstattarget", -1i32)
            .set("stxkeys", int2_vector(&parts.columns))
            .set("stxkind", kinds);
        let row = match parts.expressions.is_empty() {
            true => row,
            false => row.set("stxexprs", parts.expressions.join(EXPRESSION_SEPARATOR)),
        };
        self.insert(PG_STATISTIC_EXT, &row)?;
        let address = Address::new(PG_STATISTIC_EXT, object);
        let mut columns = parts.columns.clone();
        for text in &parts.expressions {
            self.depend_on_references(address, text)?;
            columns.extend(self.columns_in(table, text)?);
        }
        columns.sort_unstable();
        columns.dedup();
        for column in &columns {
            self.depend(address, Address::column(table.oid, *column), Dependency::Auto)?;
        }
        if columns.is_empty() {
            self.depend(address, Address::new(PG_CLASS, table.oid), Dependency::Auto)?;
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
        self.delete(PG_STATISTIC, &["starelid"], &[Value::Oid(object)])?;
        self.delete(PG_STATISTIC_EXT, &["oid"], &[Value::Oid(object)])?;
        Ok(())
    }

    /// A column has other values now: what was known of it and others, or of expressions, is not true any more.
    pub(super) fn forget_statistics(&self, table: &Relation, column: i16) -> Result<()> {
        for index in table.indexes.iter().filter(|i| i.keys.iter().any(|k| k.expression.is_some())) {
            self.delete(PG_STATISTIC, &["starelid"], &[Value::Oid(index.oid)])?;
        }
        for (_, row) in self.find(PG_STATISTIC_EXT, &["stxrelid"], &[Value::Oid(table.oid)])? {
            let object = row.oid("oid");
            let key = [Value::Oid(PG_STATISTIC_EXT), Value::Oid(object)];
            let depends = self.find(PG_DEPEND, &["classid", "objid"], &key)?;
            let of_column =
                |d: &Row| d.oid("refobjid") == table.oid && d.int("refobjsubid") == i64::from(column);
            if depends.iter().any(|d| of_column(&d.1)) {
                self.delete(PG_STATISTIC_EXT_DATA, &["stxoid"], &[Value::Oid(object)])?;
                self.delete(PG_STATISTIC, &["starelid"], &[Value::Oid(object)])?;
            }
        }
        Ok(())
    }

    /// Expressions over a column that has another type now may not mean anything any more.
    pub(super) fn rebind_statistics(&self, table: &Relation) -> Result<()> {
        let table = self.current(table.oid)?;
        for object in self.statistics_of(&table)? {
            for text in &object.expressions {
                self.cx.session.bind_expression(&self.reader()?, &table, text)?;
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
            let expressions = expressions_of(&row);
            let mut names: Vec<&str> =
                table.live().filter(|a| keys.contains(&a.attnum)).map(|a| a.name.as_str()).collect();
            names.extend(expressions.iter().map(|_| "expr"));
            let name = self.statistics_name(table.schema, &table.name, &names.join("_"))?;
            let parts = StatisticsParts { columns: keys, expressions, letters: letters_of(&row) };
            let copy = self.insert_statistics(&table, table.schema, &name, &parts)?;
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

    /// Statistics objects of a table as ANALYZE needs them.
    pub(crate) fn statistics_of(&self, table: &Relation) -> Result<Vec<StatisticsObject>> {
        let rows = self.find(PG_STATISTIC_EXT, &["stxrelid"], &[Value::Oid(table.oid)])?;
        let one = |row: &Row| StatisticsObject {
            oid: row.oid("oid"),
            columns: row.int2s("stxkeys"),
            expressions: expressions_of(row),
            kinds: letters_of(row),
            target: row.int("stxstattarget"),
        };
        Ok(rows.iter().map(|r| one(&r.1)).collect())
    }
}
