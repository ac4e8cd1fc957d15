//! DROP: what depends on an object is found through `pg_depend` and goes with it, or stands in the way.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use hashbrown::HashMap;
use pg_catalog::{CatalogReader, RelationKind, builtin::*, storage_error};
use pg_plan::utility::{Drop, ObjectKind, ObjectName};
use pg_storage::{LockMode, RelId};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Address, Ddl, kind_word};

/// Most cascaded objects that an error or notice lists.
const MAX_LISTED: usize = 100;

/// What becomes of objects that depend on what is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dependents {
    Refused,
    /// They go, and the client is told.
    Announced,
    Silent,
}

/// An object that a DROP removes.
struct Gone {
    object: Address,
    /// What it depends on, through which it was found; `None`: it is named.
    of: Option<Address>,
    /// It goes without a word, with CASCADE or not.
    silent: bool,
}

/// Where an object is while dependents are gathered.
enum Found {
    /// On the way to the one looked at.
    Above(usize),
    Done(usize),
}

impl Ddl<'_, '_> {
    /// DROP of any kind.
    pub(crate) fn drop_statement(&self, d: &Drop) -> Result<()> {
        let mut targets = Vec::new();
        for name in &d.names {
            if let Some(a) = self.drop_target(d, name)? {
                targets.push(a);
            }
        }
        self.drop_objects(&targets, d.cascade)
    }

    pub(super) fn drop_target(&self, d: &Drop, name: &ObjectName) -> Result<Option<Address>> {
        if d.kind == ObjectKind::Schema {
            return match self.reader()?.schema(&name.name)? {
                Some(oid) if oid < FIRST_NORMAL_OID && oid != PUBLIC => Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("cannot drop schema {} because it is required by the database system", name.name),
                )),
                Some(oid) => {
                    self.must_own_schema(oid, &name.name)?;
                    Ok(Some(Address::new(PG_NAMESPACE, oid)))
                }
                None => self.missing(d, "schema", &name.name, SqlState::INVALID_SCHEMA_NAME),
            };
        }
        if matches!(d.kind, ObjectKind::Type | ObjectKind::Domain) {
            return self.dropped_type(d, name);
        }
        let word = match d.kind {
            ObjectKind::Table => "table",
            ObjectKind::Index => "index",
            ObjectKind::Sequence => "sequence",
            ObjectKind::View => "view",
            ObjectKind::MaterializedView => "materialized view",
            _ => return Err(SqlError::unsupported("DROP of this kind of object")),
        };
        let shown = match &name.schema {
            Some(s) => format!("{s}.{}", name.name),
            None => name.name.clone(),
        };
        if let Some(s) = &name.schema
            && self.reader()?.schema(s)?.is_none()
        {
            return self.missing(d, "schema", s, SqlState::INVALID_SCHEMA_NAME);
        }
        let Some(r) = self.reader()?.relation(name.schema.as_deref(), &name.name)? else {
            let state = if d.kind == ObjectKind::Index {
                SqlState::UNDEFINED_OBJECT
            } else {
                SqlState::UNDEFINED_TABLE
            };
            return self.missing(d, word, &shown, state);
        };
        if kind_word(r.kind) != word {
            let article = if word == "index" { "an" } else { "a" };
            let error =
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not {article} {word}", r.name));
            if r.kind == RelationKind::Toast {
                return Err(error);
            }
            return Err(error.hint(format!(
                "Use DROP {} to remove {} {}.",
                kind_word(r.kind).to_uppercase(),
                match r.kind {
                    RelationKind::Index => "an",
                    _ => "a",
                },
                kind_word(r.kind)
            )));
        }
        if r.oid < FIRST_NORMAL_OID {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: \"{}\" is a system catalog", r.name),
            ));
        }
        self.may_drop(&r)?;
        Ok(Some(Address::new(PG_CLASS, r.oid)))
    }

    /// The type that DROP TYPE or DROP DOMAIN names.
    fn dropped_type(&self, d: &Drop, name: &ObjectName) -> Result<Option<Address>> {
        if let Some(s) = &name.schema
            && self.reader()?.schema(s)?.is_none()
        {
            return self.missing(d, "schema", s, SqlState::INVALID_SCHEMA_NAME);
        }
        let Some(row) = self.type_row(name)? else {
            return self.missing(d, "type", &super::types::shown(name), SqlState::UNDEFINED_OBJECT);
        };
        let oid = row.oid("oid");
        if d.kind == ObjectKind::Domain && row.char("typtype") != b'd' {
            let shown = crate::text::type_name(&self.reader()?, oid, None)?;
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{shown}\" is not a domain")));
        }
        if oid < FIRST_NORMAL_OID {
            let shown = crate::text::type_name(&self.reader()?, oid, None)?;
            return Err(SqlError::new(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!("cannot drop type {shown} because it is required by the database system"),
            ));
        }
        self.lock(oid, LockMode::AccessExclusive)?;
        Ok(Some(Address::new(PG_TYPE, oid)))
    }

    fn missing(&self, d: &Drop, word: &str, name: &str, state: SqlState) -> Result<Option<Address>> {
        let message = format!("{word} \"{name}\" does not exist");
        if d.if_exists {
            self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
            return Ok(None);
        }
        Err(SqlError::new(state, message))
    }

    /// Drops objects; what depends on them stands in the way, or with `cascade` goes too.
    pub(crate) fn drop_objects(&self, targets: &[Address], cascade: bool) -> Result<()> {
        self.drop_with(targets, if cascade { Dependents::Announced } else { Dependents::Refused })
    }

    /// Drops objects and what depends on them, without a word.
    pub(crate) fn drop_quietly(&self, targets: &[Address]) -> Result<()> {
        self.drop_with(targets, Dependents::Silent)
    }

    /// Drops what a schema holds and what depends on that, without a word.
    pub(crate) fn drop_contents(&self, schema: Oid) -> Result<()> {
        let schema = Address::new(PG_NAMESPACE, schema);
        let mut gone = self.gathered(&[schema])?;
        gone.retain(|g| g.object != schema);
        self.delete_all(&gone)
    }

    fn drop_with(&self, targets: &[Address], dependents: Dependents) -> Result<()> {
        if targets.is_empty() {
            return Ok(());
        }
        for &t in targets {
            self.refuse_part(t, targets)?;
        }
        let gone = self.gathered(targets)?;
        // (dependent, what it depends on) of those that stand in the way: the one found last is told of first.
        let told = gone.iter().rev().filter(|g| !g.silent).filter_map(|g| Some((g.object, g.of?)));
        let blocking: Vec<(Address, Address)> = told.collect();
        // Objects that go because of their parts' dependents are announced.
        if !blocking.is_empty() {
            match dependents {
                Dependents::Refused => return Err(self.blocked(targets, &blocking)?),
                Dependents::Announced => self.announce(&blocking)?,
                Dependents::Silent => {}
            }
        }
        self.delete_all(&gone)
    }

    fn delete_all(&self, gone: &[Gone]) -> Result<()> {
        for g in gone {
            self.delete_object(g.object)?;
            // The next object may be described by a row that this one's removal changed (a table's count of checks).
            self.step();
        }
        self.step();
        Ok(())
    }

    /// The targets and all that depends on them, dependents first; those made last are looked at first, so that clients are told
    /// of them in the same order as PostgreSQL's.
    fn gathered(&self, targets: &[Address]) -> Result<Vec<Gone>> {
        let mut gone: Vec<Gone> = Vec::new();
        let mut places: HashMap<Address, Found> = HashMap::new();
        for &target in targets {
            if let Some(Found::Done(at)) = places.get(&target) {
                if let Some(g) = gone.get_mut(*at) {
                    g.silent = true;
                }
                continue;
            }
            let mut path: Vec<Gone> = Vec::new();
            let mut pending: Vec<Vec<(Address, u8)>> = Vec::new();
            let mut next = Some(Gone { object: target, of: None, silent: true });
            loop {
                if let Some(entered) = next.take() {
                    pending.push(self.entered(entered.object)?);
                    places.insert(entered.object, Found::Above(path.len()));
                    path.push(entered);
                }
                let Some(list) = pending.last_mut() else { break };
                let Some((dependent, kind)) = list.pop() else {
                    pending.pop();
                    if let Some(done) = path.pop() {
                        places.insert(done.object, Found::Done(gone.len()));
                        gone.push(done);
                    }
                    continue;
                };
                let Some(of) = path.last().map(|g| g.object) else { break };
                let object = self.owner(dependent, of)?;
                let silent = kind != b'n';
                let whole = Address { sub: 0, ..object };
                let place = places.get(&object).or_else(|| places.get(&whole));
                let known = match place {
                    Some(Found::Above(at)) => path.get_mut(*at),
                    Some(Found::Done(at)) => gone.get_mut(*at),
                    None => None,
                };
                match known {
                    // What goes with one of the others anyway stands in nobody's way.
                    Some(known) => known.silent |= silent,
                    None => next = Some(Gone { object, of: Some(of), silent }),
                }
            }
        }
        // Columns of what goes as a whole go with it.
        gone.retain(|g| g.object.sub == 0 || !places.contains_key(&Address { sub: 0, ..g.object }));
        Ok(gone)
    }

    /// The dependents of an object that is to go, the first to be looked at last.
    fn entered(&self, object: Address) -> Result<Vec<(Address, u8)>> {
        self.cx.checkpoint()?;
        // Who makes something in a schema holds it.
        if matches!(object.class, PG_CLASS | PG_NAMESPACE) {
            self.lock(object.object, LockMode::AccessExclusive)?;
        }
        let mut found = self.dependents(object)?;
        found.sort_by(|(a, _), (b, _)| {
            // Numbers of types say what they are, not when they were made: in general before what is made of them.
            let old = |a: &Address| (a.class != PG_TYPE, a.object);
            old(a).cmp(&old(b)).then(b.class.cmp(&a.class)).then((b.sub as u32).cmp(&(a.sub as u32)))
        });
        Ok(found)
    }

    /// A part of another object (the index of a constraint, the sequence of an identity column) cannot go alone.
    pub(crate) fn refuse_part(&self, a: Address, targets: &[Address]) -> Result<()> {
        let key = [Value::Oid(a.class), Value::Oid(a.object)];
        for (_, row) in self.find(PG_DEPEND, &["classid", "objid"], &key)? {
            if !matches!(row.char("deptype"), b'i' | b'e') || row.int("objsubid") != i64::from(a.sub) {
                continue;
            }
            let whole = referenced(&row);
            if targets.contains(&whole) {
                continue;
            }
            let (part, whole) = (self.describe(a)?, self.describe(whole)?);
            return Err(SqlError::new(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!("cannot drop {part} because {whole} requires it"),
            )
            .hint(format!("You can drop {whole} instead.")));
        }
        Ok(())
    }

    /// Objects that refer to this one, with the kind of dependency.
    fn dependents(&self, a: Address) -> Result<Vec<(Address, u8)>> {
        let key = [Value::Oid(a.class), Value::Oid(a.object)];
        let mut out = Vec::new();
        for (_, row) in self.find(PG_DEPEND, &["refclassid", "refobjid"], &key)? {
            // Dropping a column concerns only what depends on that column; dropping the whole, everything.
            if a.sub != 0 && row.int("refobjsubid") != i64::from(a.sub) {
                continue;
            }
            let dependent = Address {
                class: row.oid("classid"),
                object: row.oid("objid"),
                sub: row.int("objsubid") as i32,
            };
            out.push((dependent, row.char("deptype")));
        }
        out.sort_by_key(|(d, kind)| (*kind == b'n', d.object, d.sub));
        Ok(out)
    }

    /// The object that `a` is a part of, unless that is `of`.
    fn owner(&self, a: Address, of: Address) -> Result<Address> {
        let key = [Value::Oid(a.class), Value::Oid(a.object)];
        for (_, row) in self.find(PG_DEPEND, &["classid", "objid"], &key)? {
            let whole = referenced(&row);
            if row.char("deptype") == b'i' && whole.object != of.object && whole.sub == 0 {
                return Ok(whole);
            }
        }
        Ok(a)
    }

    /// An object that others depend on cannot go.
    pub(super) fn refuse_needed(&self, a: Address) -> Result<()> {
        let needed = self.dependents(a)?.into_iter().filter(|d| d.1 == b'n');
        let blocking: Vec<(Address, Address)> = needed.map(|d| (d.0, a)).collect();
        if blocking.is_empty() { Ok(()) } else { Err(self.blocked(&[a], &blocking)?) }
    }

    fn blocked(&self, targets: &[Address], blocking: &[(Address, Address)]) -> Result<SqlError> {
        let mut lines = Vec::new();
        for (dependent, object) in blocking.iter().take(MAX_LISTED) {
            lines.push(format!("{} depends on {}", self.describe(*dependent)?, self.describe(*object)?));
        }
        let message = match targets {
            [one] => format!("cannot drop {} because other objects depend on it", self.describe(*one)?),
            _ => "cannot drop desired object(s) because other objects depend on them".to_string(),
        };
        Ok(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .detail(lines.join("\n"))
            .hint("Use DROP ... CASCADE to drop the dependent objects too."))
    }

    fn announce(&self, blocking: &[(Address, Address)]) -> Result<()> {
        let mut names = Vec::new();
        for (dependent, _) in blocking.iter().take(MAX_LISTED) {
            names.push(self.describe(*dependent)?);
        }
        let report = match names.as_slice() {
            [one] => SqlError::new(SqlState::SUCCESSFUL_COMPLETION, format!("drop cascades to {one}")),
            _ => {
                let lines: Vec<String> = names.iter().map(|n| format!("drop cascades to {n}")).collect();
                let message = format!("drop cascades to {} other objects", blocking.len());
                SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message).detail(lines.join("\n"))
            }
        };
        self.cx.session.notice("NOTICE", report);
        Ok(())
    }

    /// An object as messages name it.
    pub(crate) fn describe(&self, a: Address) -> Result<String> {
        let reader = self.reader()?;
        let relation = |oid: Oid| -> Result<(String, String)> {
            let Some(r) = reader.relation_by_oid(oid)? else {
                return Ok(("relation".into(), oid.to_string()));
            };
            let name = crate::text::relation_name(&reader, oid)?.unwrap_or_default();
            Ok((kind_word(r.kind).to_string(), name))
        };
        let row = |catalog: Oid| -> Result<Option<pg_catalog::table::Row>> {
            Ok(self.find(catalog, &["oid"], &[Value::Oid(a.object)])?.into_iter().next().map(|r| r.1))
        };
        let column = |oid: Oid, attnum: i64| -> Result<String> {
            let Some(r) = reader.relation_by_oid(oid)? else { return Ok(String::new()) };
            Ok(r.attributes
                .iter()
                .find(|c| i64::from(c.attnum) == attnum)
                .map_or(String::new(), |c| c.name.clone()))
        };
        Ok(match a.class {
            PG_CLASS if a.sub != 0 => {
                let (word, name) = relation(a.object)?;
                format!("column {} of {word} {name}", column(a.object, i64::from(a.sub))?)
            }
            PG_CLASS => {
                let (word, name) = relation(a.object)?;
                format!("{word} {name}")
            }
            PG_CONSTRAINT => match row(PG_CONSTRAINT)? {
                Some(c) if c.oid("contypid") != 0 => format!("constraint {}", c.text("conname")),
                Some(c) => {
                    let (word, name) = relation(c.oid("conrelid"))?;
                    format!("constraint {} on {word} {name}", c.text("conname"))
                }
                None => format!("constraint {}", a.object),
            },
            PG_ATTRDEF => match row(PG_ATTRDEF)? {
                Some(d) => {
                    let (word, name) = relation(d.oid("adrelid"))?;
                    format!(
                        "default value for column {} of {word} {name}",
                        column(d.oid("adrelid"), d.int("adnum"))?
                    )
                }
                None => format!("default value {}", a.object),
            },
            PG_POLICY => match row(PG_POLICY)? {
                Some(p) => {
                    let (word, name) = relation(p.oid("polrelid"))?;
                    format!("policy {} on {word} {name}", p.text("polname"))
                }
                None => format!("policy {}", a.object),
            },
            PG_NAMESPACE => {
                format!(
                    "schema {}",
                    row(PG_NAMESPACE)?.map_or(String::new(), |r| r.text("nspname").to_string())
                )
            }
            PG_PROC => match row(PG_PROC)? {
                // Procedures, too.
                Some(r) => format!("function {}", self.routine_text(&r)?),
                None => format!("function {}", a.object),
            },
            PG_EXTENSION => match row(PG_EXTENSION)? {
                Some(r) => format!("extension {}", r.text("extname")),
                None => format!("extension {}", a.object),
            },
            PG_OPERATOR => match row(PG_OPERATOR)? {
                Some(r) => format!("operator {}", self.operator_text(&r)?),
                None => format!("operator {}", a.object),
            },
            PG_STATISTIC_EXT => match row(PG_STATISTIC_EXT)? {
                Some(r) => {
                    let schema = r.oid("stxnamespace");
                    let name = crate::text::quote_identifier(r.text("stxname"));
                    match reader
                        .schema_row(schema)?
                        .filter(|_| reader.search_path().iter().all(|s| s.0 != schema))
                    {
                        Some(s) => {
                            format!("statistics object {}.{name}", crate::text::quote_identifier(&s.name))
                        }
                        None => format!("statistics object {name}"),
                    }
                }
                None => format!("statistics object {}", a.object),
            },
            PG_COLLATION => match row(PG_COLLATION)? {
                Some(r) => format!("collation {}", crate::text::collation_text(&reader, &r)?),
                None => format!("collation {}", a.object),
            },
            PG_CAST => match row(PG_CAST)? {
                Some(r) => {
                    let shown = |ty: &str| crate::text::type_name(&reader, r.oid(ty), None);
                    format!("cast from {} to {}", shown("castsource")?, shown("casttarget")?)
                }
                None => format!("cast {}", a.object),
            },
            PG_TYPE => format!("type {}", crate::text::type_name(&reader, a.object, None)?),
            PG_REWRITE => match row(PG_REWRITE)? {
                Some(r) => {
                    let (word, name) = relation(r.oid("ev_class"))?;
                    format!("rule {} on {word} {name}", r.text("rulename"))
                }
                None => format!("rule {}", a.object),
            },
            PG_LARGEOBJECT => format!("large object {}", a.object),
            PG_DEFAULT_ACL => self.describe_default_acl(a.object)?,
            PG_DATABASE | PG_TABLESPACE | PG_LANGUAGE | PG_PARAMETER_ACL => {
                let (column, word) = match a.class {
                    PG_DATABASE => ("datname", "database"),
                    PG_TABLESPACE => ("spcname", "tablespace"),
                    PG_PARAMETER_ACL => ("parname", "parameter"),
                    _ => ("lanname", "language"),
                };
                format!("{word} {}", row(a.class)?.map_or(String::new(), |r| r.text(column).to_string()))
            }
            _ => format!("object {}", a.object),
        })
    }

    fn describe_default_acl(&self, oid: Oid) -> Result<String> {
        let rows = self.find(PG_DEFAULT_ACL, &["oid"], &[Value::Oid(oid)])?;
        let Some((_, row)) = rows.first() else { return Ok(format!("default privileges {oid}")) };
        let what = match row.char("defaclobjtype") {
            b'r' => "relations",
            b'S' => "sequences",
            b'f' => "functions",
            b'T' => "types",
            _ => "schemas",
        };
        let schema = self.reader()?.schema_row(row.oid("defaclnamespace"))?;
        let schema = schema.map_or_else(String::new, |s| format!(" in schema {}", s.name));
        let roles = self.roles()?;
        let role = roles.name(row.oid("defaclrole")).unwrap_or("");
        Ok(format!("default privileges on new {what} belonging to role {role}{schema}"))
    }

    /// Removes an object's own rows and storage.
    fn delete_object(&self, a: Address) -> Result<()> {
        let key = [Value::Oid(a.object)];
        match a.class {
            PG_CLASS if a.sub != 0 => {
                self.drop_column_rows(a.object, a.sub as i16)?;
                return self.forget(a);
            }
            PG_CLASS => self.delete_relation(a.object)?,
            PG_CONSTRAINT => {
                let rows = self.find(PG_CONSTRAINT, &["oid"], &key)?;
                if let Some((_, r)) =
                    rows.first().filter(|r| r.1.char("contype") == b'c' && r.1.oid("conrelid") != 0)
                {
                    self.update(PG_CLASS, &["oid"], &[Value::Oid(r.oid("conrelid"))], |c| {
                        let n = (c.int("relchecks") as i16 - 1).max(0);
                        c.put("relchecks", n);
                    })?;
                }
                self.delete(PG_CONSTRAINT, &["oid"], &key)?;
            }
            PG_POLICY => {
                self.delete(PG_POLICY, &["oid"], &key)?;
            }
            PG_ATTRDEF => {
                if let Some((_, r)) = self.find(PG_ATTRDEF, &["oid"], &key)?.first() {
                    let column = [r.get("adrelid").clone(), r.get("adnum").clone()];
                    self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &column, |r| {
                        r.put("atthasdef", false);
                    })?;
                }
                self.delete(PG_ATTRDEF, &["oid"], &key)?;
            }
            PG_TYPE => {
                self.delete(PG_ENUM, &["enumtypid"], &key)?;
                self.delete(PG_TYPE, &["oid"], &key)?;
            }
            PG_NAMESPACE => {
                self.delete(PG_DEFAULT_ACL, &["defaclnamespace"], &key)?;
                self.delete(a.class, &["oid"], &key)?;
            }
            PG_LARGEOBJECT => {
                self.delete(PG_LARGEOBJECT_METADATA, &["oid"], &key)?;
                self.delete(PG_LARGEOBJECT, &["loid"], &key)?;
            }
            PG_REWRITE | PG_CAST | PG_EXTENSION | PG_COLLATION | PG_DEFAULT_ACL => {
                self.delete(a.class, &["oid"], &key)?;
            }
            PG_PROC => {
                self.delete(PG_AGGREGATE, &["aggfnoid"], &key)?;
                self.delete(PG_PROC, &["oid"], &key)?;
            }
            PG_OPERATOR => self.delete_operator(a.object)?,
            PG_STATISTIC_EXT => self.delete_statistics(a.object)?,
            _ => return Err(SqlError::internal("an object of unknown kind depends on what is dropped")),
        }
        self.forget(a)
    }

    /// Removes an object's dependencies and comments.
    fn forget(&self, a: Address) -> Result<()> {
        let key = [Value::Oid(a.class), Value::Oid(a.object)];
        let rows = self.find(PG_DEPEND, &["classid", "objid"], &key)?;
        {
            let table = self.catalog(PG_DEPEND)?;
            let mut txn = self.cx.txn.borrow_mut();
            for (tid, row) in rows {
                if a.sub == 0 || row.int("objsubid") == i64::from(a.sub) {
                    table.delete(self.cx.engine.storage(), txn.storage(), tid)?;
                }
            }
        }
        let key = [Value::Oid(a.object), Value::Oid(a.class)];
        let rows = self.find(PG_DESCRIPTION, &["objoid", "classoid"], &key)?;
        let table = self.catalog(PG_DESCRIPTION)?;
        let mut txn = self.cx.txn.borrow_mut();
        for (tid, row) in rows {
            if a.sub == 0 || row.int("objsubid") == i64::from(a.sub) {
                table.delete(self.cx.engine.storage(), txn.storage(), tid)?;
            }
        }
        Ok(())
    }

    fn delete_relation(&self, oid: Oid) -> Result<()> {
        let key = [Value::Oid(oid)];
        let Some((_, class)) = self.find(PG_CLASS, &["oid"], &key)?.into_iter().next() else { return Ok(()) };
        self.delete(PG_ATTRIBUTE, &["attrelid"], &key)?;
        match class.char("relkind") {
            b'i' => {
                self.delete(PG_INDEX, &["indexrelid"], &key)?;
                self.delete(PG_STATISTIC, &["starelid"], &key)?;
            }
            b'S' => {
                self.delete(PG_SEQUENCE, &["seqrelid"], &key)?;
            }
            _ => {
                self.delete(PG_STATISTIC, &["starelid"], &key)?;
                self.delete(PG_INHERITS, &["inhrelid"], &key)?;
            }
        }
        self.delete(PG_CLASS, &["oid"], &key)?;
        let storage = class.oid("relfilenode");
        if storage != 0 {
            let mut txn = self.cx.txn.borrow_mut();
            self.cx.engine.storage().drop_relation(txn.storage(), RelId(storage)).map_err(storage_error)?;
        }
        Ok(())
    }

    /// Marks a column dropped; its values stay in the rows until those are rewritten.
    fn drop_column_rows(&self, relation: Oid, attnum: i16) -> Result<()> {
        let key = [Value::Oid(relation), Value::Int2(attnum)];
        // How its values are stored must be known when the domain is gone.
        let plain = self.current(relation)?.attributes.get(attnum as usize - 1).map(|a| a.ty);
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| {
            if let Some(ty) = plain {
                r.put("atttypid", ty.oid);
                r.put("atttypmod", ty.typmod);
            }
            r.put("attname", format!("........pg.dropped.{attnum}........"));
            r.put("attisdropped", true);
            r.put("attnotnull", false);
            r.put("atthasdef", false);
            r.put("attgenerated", 0u8);
            r.put("attidentity", 0u8);
            r.put("attacl", Value::Null);
        })?;
        self.delete(PG_STATISTIC, &["starelid", "staattnum"], &key)?;
        Ok(())
    }
}

fn referenced(row: &pg_catalog::table::Row) -> Address {
    Address { class: row.oid("refclassid"), object: row.oid("refobjid"), sub: row.int("refobjsubid") as i32 }
}
