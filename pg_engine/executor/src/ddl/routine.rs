//! Functions and procedures: rows of `pg_proc`.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, RoutineKind,
    access::{denied, not_owner, rights_of},
    acl::{Acl, Class, right},
    builtin::{
        FIRST_NORMAL_OID, PG_CLASS, PG_COLLATION, PG_DESCRIPTION, PG_LANGUAGE, PG_NAMESPACE, PG_PROC,
        PG_TYPE, rows::EXPRESSION_SEPARATOR,
    },
    routine::{SQL_LANGUAGE, referenced},
    table::{Row, array, oid_vector},
};
use pg_plan::{
    access::{RoleName, SettingChange},
    routine::{AlterRoutine, CreateRoutine, RoutineName, RoutineOptions, RoutineStatement, RoutineWord},
};
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid, user};

use super::{Address, Ddl, Dependency, access::refused};

/// What a statement about routines answers.
pub(crate) fn tag(s: &RoutineStatement) -> &'static str {
    let of = |word: RoutineWord, drop: bool| match (word, drop) {
        (RoutineWord::Function, true) => "DROP FUNCTION",
        (RoutineWord::Procedure, true) => "DROP PROCEDURE",
        (RoutineWord::Routine, true) => "DROP ROUTINE",
        (RoutineWord::Aggregate, true) => "DROP AGGREGATE",
        (RoutineWord::Function, false) => "ALTER FUNCTION",
        (RoutineWord::Procedure, false) => "ALTER PROCEDURE",
        (RoutineWord::Routine, false) => "ALTER ROUTINE",
        (RoutineWord::Aggregate, false) => "ALTER AGGREGATE",
    };
    match s {
        RoutineStatement::Create(c) if c.kind == RoutineKind::Procedure => "CREATE PROCEDURE",
        RoutineStatement::Create(_) => "CREATE FUNCTION",
        RoutineStatement::Alter(name, _) => of(name.word, false),
        RoutineStatement::Drop { names, .. } => {
            of(names.first().map_or(RoutineWord::Function, |n| n.word), true)
        }
        RoutineStatement::Comment(..) => "COMMENT",
    }
}

/// Settings that a routine may have of its own: what is looked at while it runs.
fn may_set(name: &str) -> bool {
    matches!(
        name,
        "search_path" | "row_security" | "check_function_bodies" | "work_mem" | "maintenance_work_mem"
    ) || name.contains('.')
}

fn invalid(text: String) -> SqlError {
    SqlError::new(SqlState(*b"42P13"), text)
}

fn kind_of(row: &Row) -> &'static str {
    match row.char("prokind") {
        b'p' => "procedure",
        b'a' => "aggregate function",
        b'w' => "window function",
        _ => "function",
    }
}

/// As [`kind_of`], for who does not own it.
fn owned(row: &Row) -> &'static str {
    if row.char("prokind") == b'a' { "aggregate" } else { kind_of(row) }
}

fn inputs(row: &Row) -> Vec<Oid> {
    let oid = |v: &Value| if let Value::Oid(o) = v { Some(*o) } else { None };
    row.array("proargtypes").iter().filter_map(oid).collect()
}

fn texts(row: &Row, column: &str) -> Vec<String> {
    let text = |v: &Value| if let Value::Text(t) = v { t.to_string() } else { String::new() };
    row.array(column).iter().map(text).collect()
}

impl Ddl<'_, '_> {
    /// Any statement about routines.
    pub(crate) fn routine_statement(&self, s: &RoutineStatement) -> Result<()> {
        match s {
            RoutineStatement::Create(c) => self.create_routine(c)?,
            RoutineStatement::Alter(name, change) => self.alter_routine(name, change)?,
            RoutineStatement::Drop { names, if_exists, cascade } => {
                let mut targets = Vec::new();
                for name in names {
                    let Some(row) = self.named_routine(name, *if_exists)? else { continue };
                    if name.word != RoutineWord::Aggregate && row.char("prokind") == b'a' {
                        let text = format!("\"{}\" is an aggregate function", row.text("proname"));
                        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text)
                            .hint("Use DROP AGGREGATE to drop aggregate functions."));
                    }
                    let oid = row.oid("oid");
                    if oid < FIRST_NORMAL_OID {
                        let text = format!(
                            "cannot drop {} {} because it is required by the database system",
                            kind_of(&row),
                            self.routine_text(&row)?
                        );
                        return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text));
                    }
                    let schema = self.reader()?.schema_row(row.oid("pronamespace"))?;
                    if !self.owns(row.oid("proowner"))?
                        && !schema.map_or(Ok(false), |s| self.owns(s.owner))?
                    {
                        return Err(not_owner(owned(&row), row.text("proname")));
                    }
                    targets.push(Address::new(PG_PROC, oid));
                }
                self.drop_objects(&targets, *cascade)?;
            }
            RoutineStatement::Comment(name, text) => {
                let Some(row) = self.named_routine(name, false)? else { return Ok(()) };
                self.must_own_routine(&row)?;
                let oid = row.oid("oid");
                let key = [Value::Oid(oid), Value::Oid(PG_PROC)];
                self.delete(PG_DESCRIPTION, &["objoid", "classoid"], &key)?;
                if let Some(text) = text.as_deref().filter(|t| !t.is_empty()) {
                    let row = self.row(PG_DESCRIPTION)?.set("objoid", oid).set("classoid", PG_PROC);
                    self.insert(PG_DESCRIPTION, &row.set("objsubid", 0i32).set("description", text))?;
                }
            }
        }
        self.step();
        Ok(())
    }

    pub(super) fn must_own_routine(&self, row: &Row) -> Result<()> {
        if self.owns(row.oid("proowner"))? {
            return Ok(());
        }
        Err(not_owner(owned(row), row.text("proname")))
    }

    /// `name(types)`, with the schema where it is needed.
    pub(crate) fn routine_text(&self, row: &Row) -> Result<String> {
        crate::text::routine_signature(&self.reader()?, row)
    }

    /// The row of a routine that a statement names; `None`: there is none, which IF EXISTS allows.
    pub(super) fn named_routine(&self, name: &RoutineName, if_exists: bool) -> Result<Option<Row>> {
        let reader = self.reader()?;
        let word = name.word.word();
        let skip = |text: String| {
            self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{text}, skipping"));
            Ok(None)
        };
        if let Some(missing) = &name.missing {
            return skip(missing.clone());
        }
        let shown = match &name.name.schema {
            Some(s) => format!("{s}.{}", name.name.name),
            None => name.name.name.clone(),
        };
        let schemas: Vec<Oid> = match &name.name.schema {
            Some(s) => match reader.schema(s)? {
                Some(oid) => Vec::from([oid]),
                None if if_exists => return skip(format!("schema \"{s}\" does not exist")),
                None => {
                    let text = format!("schema \"{s}\" does not exist");
                    return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, text));
                }
            },
            None => reader.searched(),
        };
        let all: Vec<Row> = self
            .find(PG_PROC, &["proname"], &[Value::text(&name.name.name)])?
            .into_iter()
            .map(|r| r.1)
            .collect();
        let fits = |r: &Row| match name.word {
            RoutineWord::Routine => true,
            RoutineWord::Procedure => r.char("prokind") == b'p',
            RoutineWord::Aggregate => r.char("prokind") == b'a',
            RoutineWord::Function => r.char("prokind") != b'p',
        };
        let mut found: Vec<&Row> = Vec::new();
        for schema in schemas {
            let here: Vec<&Row> = all.iter().filter(|r| r.oid("pronamespace") == schema).collect();
            match &name.args {
                Some(args) => {
                    let same = |r: &&&Row| inputs(r) == *args;
                    let wide = |r: &&&Row| {
                        r.char("prokind") == b'p'
                            && name.all.as_ref().is_some_and(|all| {
                                let list = r.array("proallargtypes");
                                !list.is_empty()
                                    && list.iter().cloned().eq(all.iter().map(|o| Value::Oid(*o)))
                            })
                    };
                    let hit = here.iter().find(same).or_else(|| here.iter().find(wide));
                    if let Some(hit) = hit {
                        found.push(hit);
                        break;
                    }
                }
                None => found.extend(here.into_iter().filter(|r| fits(r))),
            }
        }
        let Some(args) = &name.args else {
            return match found.as_slice() {
                [one] => Ok(Some((*one).clone())),
                [] if if_exists => skip(format!("{word} {shown}() does not exist")),
                [] => {
                    let text = format!("could not find a {word} named \"{shown}\"");
                    Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, text))
                }
                _ => {
                    let text = format!("{word} name \"{shown}\" is not unique");
                    let hint = format!("Specify the argument list to select the {word} unambiguously.");
                    Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, text).hint(hint))
                }
            };
        };
        let Some(row) = found.first() else {
            if if_exists {
                return skip(format!("{word} {shown}({}) does not exist", name.written.join(",")));
            }
            let types =
                args.iter().map(|a| crate::text::type_name(&reader, *a, None)).collect::<Result<Vec<_>>>()?;
            let text = format!("{word} {shown}({}) does not exist", types.join(", "));
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, text));
        };
        if !fits(row) {
            let text = if name.word == RoutineWord::Aggregate {
                let types = inputs(row)
                    .iter()
                    .map(|a| crate::text::type_name(&reader, *a, None))
                    .collect::<Result<Vec<_>>>()?;
                format!("function {shown}({}) is not an aggregate", types.join(", "))
            } else {
                format!("{} is not a {word}", self.routine_text(row)?)
            };
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
        }
        Ok(Some((*row).clone()))
    }

    /// May the user make functions in SQL?
    fn may_use_sql(&self) -> Result<()> {
        let rows = self.find(PG_LANGUAGE, &["oid"], &[Value::Oid(SQL_LANGUAGE)])?;
        let Some((_, row)) = rows.first() else { return Ok(()) };
        let (acl, owner, roles) = (Acl::of_value(row.get("lanacl")), row.oid("lanowner"), self.roles()?);
        match rights_of(acl.as_ref(), Class::Language, owner, self.user(), right::USAGE, &roles) {
            0 => Err(denied("language", row.text("lanname"))),
            _ => Ok(()),
        }
    }

    fn create_routine(&self, c: &CreateRoutine) -> Result<()> {
        let (schema, _) = self.creation_schema(&c.name)?;
        self.may_use_sql()?;
        let types: Vec<Oid> = c.arguments.iter().filter(|a| a.is_input()).map(|a| a.ty).collect();
        let key = [Value::text(&c.name.name), oid_vector(&types), Value::Oid(schema)];
        let rows = self.find(PG_PROC, &["proname", "proargtypes", "pronamespace"], &key)?;
        let old = rows.into_iter().next().map(|r| r.1);
        if let Some(old) = &old {
            if !c.or_replace {
                let word = kind_of(old);
                let text = format!("{word} \"{}\" already exists with same argument types", c.name.name);
                return Err(SqlError::new(SqlState::DUPLICATE_FUNCTION, text));
            }
            self.must_own_routine(old)?;
            self.may_replace(old, c)?;
        }
        let o = &c.options;
        if o.leakproof == Some(true) && !self.is_superuser()? {
            return Err(refused("only superuser can define a leakproof function"));
        }
        for ty in c.arguments.iter().map(|a| a.ty).chain([c.result]) {
            self.may_use_type(ty)?;
            if user::is_user(ty) {
                self.hold(ty)?;
            }
        }
        let owner = self.user();
        let oid = match &old {
            Some(old) => old.oid("oid"),
            None => self.oid()?,
        };
        let outputs = c.arguments.iter().any(|a| a.mode != b'i');
        let named = c.arguments.iter().any(|a| !a.name.is_empty());
        let mut row = self
            .row(PG_PROC)?
            .set("oid", oid)
            .set("proname", c.name.name.as_str())
            .set("pronamespace", schema)
            .set("proowner", owner)
            .set("prolang", SQL_LANGUAGE)
            .set("procost", o.cost.unwrap_or(100.0))
            .set("prorows", o.rows.unwrap_or(if c.set { 1000.0 } else { 0.0 }))
            .set("provariadic", c.variadic)
            .set("prokind", if c.kind == RoutineKind::Procedure { b'p' } else { b'f' })
            .set("prosecdef", o.definer == Some(true))
            .set("proleakproof", o.leakproof == Some(true))
            .set("proisstrict", o.strict == Some(true))
            .set("proretset", c.set)
            .set("provolatile", o.volatility.unwrap_or(b'v'))
            .set("proparallel", o.parallel.unwrap_or(b'u'))
            .set("pronargs", types.len() as i16)
            .set("pronargdefaults", c.defaults.len() as i16)
            .set("prorettype", c.result)
            .set("proargtypes", oid_vector(&types))
            .set("prosrc", c.source.as_str());
        if outputs {
            row.put(
                "proallargtypes",
                array(oid::OID, c.arguments.iter().map(|a| Value::Oid(a.ty)).collect()),
            );
            row.put(
                "proargmodes",
                array(oid::CHAR, c.arguments.iter().map(|a| Value::Char(a.mode)).collect()),
            );
        }
        if named {
            let names = c.arguments.iter().map(|a| Value::text(&a.name)).collect();
            row.put("proargnames", array(oid::TEXT, names));
        }
        if !c.defaults.is_empty() {
            row.put("proargdefaults", c.defaults.join(EXPRESSION_SEPARATOR));
        }
        if let Some(body) = &c.body {
            row.put("prosqlbody", body.as_str());
        }
        let settings = self.routine_settings(Vec::new(), &o.settings)?;
        put_settings(&mut row, &settings);
        let address = Address::new(PG_PROC, oid);
        match &old {
            Some(old) => {
                row.put("proowner", old.oid("proowner"));
                row.put("proacl", old.get("proacl").clone());
                let new = row.clone();
                self.update(PG_PROC, &["oid"], &[Value::Oid(oid)], |r| *r = new.clone())?;
                let key = [Value::Oid(PG_PROC), Value::Oid(oid)];
                self.delete(pg_catalog::builtin::PG_DEPEND, &["classid", "objid"], &key)?;
            }
            None => {
                row.put("proacl", self.initial_acl(Class::Function, owner, schema)?);
                self.insert(PG_PROC, &row)?;
            }
        }
        self.depend(address, Address::new(PG_NAMESPACE, schema), Dependency::Normal)?;
        let mut seen: Vec<Oid> = Vec::new();
        for ty in c.arguments.iter().map(|a| a.ty).chain([c.result]) {
            self.may_use_type(ty)?;
            if user::is_user(ty) && !seen.contains(&ty) {
                seen.push(ty);
                self.depend(address, Address::new(PG_TYPE, ty), Dependency::Normal)?;
            }
        }
        for (relation, column) in &c.reads {
            let on = match column {
                0 => Address::new(PG_CLASS, *relation),
                n => Address::column(*relation, *n),
            };
            self.depend(address, on, Dependency::Normal)?;
        }
        for text in c.defaults.iter().chain(&c.body) {
            self.depend_on_references(address, text)?;
        }
        self.step();
        self.check_body(oid, c)
    }

    /// Does the body do what is said of it?
    fn check_body(&self, oid: Oid, c: &CreateRoutine) -> Result<()> {
        if c.body.is_none() && !self.cx.session.checks_bodies() {
            return Ok(());
        }
        let reader = self.reader()?;
        let Some(routine) = reader.routine(oid)? else { return Ok(()) };
        let checked = self.cx.session.check_body(&reader, &routine);
        checked.map_err(|mut e| {
            let position = core::mem::take(&mut e.fields_mut().position);
            match c.origin {
                Some((before, doubled)) if position > 0 => {
                    let inside = c.source.chars().take(position as usize - 1);
                    let quotes = if doubled { inside.filter(|c| *c == '\'').count() as u32 } else { 0 };
                    e.at(before + position + quotes)
                }
                Some(_) => {
                    e.fields_mut().context = Some(format!("SQL function \"{}\"", c.name.name));
                    e
                }
                None => e,
            }
        })
    }

    fn hold(&self, ty: Oid) -> Result<()> {
        let element = if user::is_array(ty) { ty - 1 } else { ty };
        if self.find(PG_TYPE, &["oid"], &[Value::Oid(element)])?.is_empty() {
            let text = format!("type with OID {element} does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text));
        }
        self.lock(element, pg_storage::LockMode::AccessShare)
    }

    /// An object depends on the routines that a stored text of it names.
    pub(crate) fn depend_on_references(&self, dependent: Address, text: &str) -> Result<()> {
        for routine in referenced(text) {
            self.depend(dependent, Address::new(PG_PROC, routine), Dependency::Normal)?;
        }
        let mut objects: Vec<Address> = Vec::new();
        for (_, ty, object) in pg_types::user::objects(text) {
            let catalog = match ty {
                oid::REGCLASS => PG_CLASS,
                oid::REGTYPE => PG_TYPE,
                oid::REGPROC | oid::REGPROCEDURE => PG_PROC,
                oid::REGNAMESPACE => PG_NAMESPACE,
                _ => continue,
            };
            let address = Address::new(catalog, object);
            if object >= FIRST_NORMAL_OID && !objects.contains(&address) {
                objects.push(address);
            }
        }
        for collation in pg_types::user::collations(text) {
            let address = Address::new(PG_COLLATION, collation);
            if !objects.contains(&address) {
                objects.push(address);
            }
        }
        objects.into_iter().try_for_each(|o| self.depend(dependent, o, Dependency::Normal))
    }

    /// OR REPLACE leaves as it is what callers rely on.
    fn may_replace(&self, old: &Row, c: &CreateRoutine) -> Result<()> {
        let kind = if c.kind == RoutineKind::Procedure { b'p' } else { b'f' };
        if old.char("prokind") != kind {
            let detail = format!("\"{}\" is a {}.", c.name.name, kind_of(old));
            return Err(
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, "cannot change routine kind").detail(detail)
            );
        }
        let word = if kind == b'p' { "PROCEDURE" } else { "FUNCTION" };
        let hint = format!("Use DROP {word} {} first.", self.routine_text(old)?);
        let outputs = |list: &[(u8, Oid, String)]| -> Vec<(Oid, String)> {
            list.iter().filter(|a| matches!(a.0, b'o' | b'b' | b't')).map(|a| (a.1, a.2.clone())).collect()
        };
        let new: Vec<(u8, Oid, String)> =
            c.arguments.iter().map(|a| (a.mode, a.ty, a.name.clone())).collect();
        let was = arguments(old);
        let procedure = kind == b'p';
        if old.oid("prorettype") != c.result || old.bool("proretset") != c.set {
            let text = match procedure {
                true => "cannot change whether a procedure has output parameters",
                false => "cannot change return type of existing function",
            };
            return Err(invalid(text.to_string()).hint(hint));
        }
        if c.result == oid::RECORD && outputs(&was) != outputs(&new) {
            return Err(invalid("cannot change return type of existing function".to_string())
                .detail("Row type defined by OUT parameters is different.")
                .hint(hint));
        }
        let names = |list: &[(u8, Oid, String)]| -> Vec<String> {
            list.iter().filter(|a| matches!(a.0, b'i' | b'b' | b'v')).map(|a| a.2.clone()).collect()
        };
        for (a, b) in names(&was).iter().zip(names(&new)) {
            if !a.is_empty() && *a != b {
                return Err(invalid(format!("cannot change name of input parameter \"{a}\"")).hint(hint));
            }
        }
        if old.int("pronargdefaults") > c.defaults.len() as i64 {
            let text = "cannot remove parameter defaults from existing function";
            return Err(invalid(text.to_string()).hint(hint));
        }
        Ok(())
    }

    /// `proconfig` after changes.
    fn routine_settings(&self, mut list: Vec<String>, changes: &[SettingChange]) -> Result<Vec<String>> {
        let remove = |list: &mut Vec<String>, name: &str| {
            list.retain(|e| e.split_once('=').is_none_or(|(n, _)| !n.eq_ignore_ascii_case(name)));
        };
        for change in changes {
            let (name, value) = match change {
                SettingChange::ResetAll => {
                    list.clear();
                    continue;
                }
                SettingChange::Reset(name) => (name, None),
                SettingChange::Set(set) if set.values.is_empty() => (&set.name, None),
                SettingChange::FromCurrent(name) => {
                    let value = self.cx.session.setting(name).ok_or_else(|| {
                        let text = format!("unrecognized configuration parameter \"{name}\"");
                        SqlError::new(SqlState::UNDEFINED_OBJECT, text)
                    })?;
                    (name, Some(value))
                }
                SettingChange::Set(set) => {
                    let value = self.cx.session.checked_setting(&set.name, &set.values)?;
                    (&set.name, Some(value))
                }
            };
            if let Some(value) = value {
                if !may_set(name) {
                    return Err(SqlError::unsupported(format!("SET {name} for a function")));
                }
                remove(&mut list, name);
                list.push(format!("{name}={value}"));
            } else {
                remove(&mut list, name);
            }
        }
        Ok(list)
    }

    fn alter_routine(&self, name: &RoutineName, change: &AlterRoutine) -> Result<()> {
        let Some(row) = self.named_routine(name, false)? else { return Ok(()) };
        self.must_own_routine(&row)?;
        let oid = row.oid("oid");
        let key = [Value::Oid(oid)];
        if oid < FIRST_NORMAL_OID {
            return Err(SqlError::unsupported("ALTER of a built-in function"));
        }
        match change {
            AlterRoutine::Rename(new) => {
                let schema = row.oid("pronamespace");
                self.refuse_same(&row, new, schema)?;
                self.update(PG_PROC, &["oid"], &key, |r| r.put("proname", new.as_str()))?;
            }
            AlterRoutine::SetSchema(new) => {
                let Some(to) = self.reader()?.schema(new)? else {
                    let text = format!("schema \"{new}\" does not exist");
                    return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, text));
                };
                if to == row.oid("pronamespace") {
                    return Ok(());
                }
                self.may_create_in(to, new)?;
                self.refuse_same(&row, row.text("proname"), to)?;
                self.update(PG_PROC, &["oid"], &key, |r| r.put("pronamespace", to))?;
                let from = Address::new(PG_NAMESPACE, row.oid("pronamespace"));
                self.redepend(Address::new(PG_PROC, oid), from, Address::new(PG_NAMESPACE, to))?;
            }
            AlterRoutine::Owner(role) => self.own_routine(&row, role)?,
            AlterRoutine::Options(o) => self.routine_options(&row, o)?,
        }
        Ok(())
    }

    fn own_routine(&self, row: &Row, role: &RoleName) -> Result<()> {
        let new = self.role(role)?;
        let old = row.oid("proowner");
        if old == new {
            return Ok(());
        }
        let schema = row.oid("pronamespace");
        let name = self.reader()?.schema_row(schema)?.map_or_else(String::new, |s| s.name.clone());
        self.may_own_in(new, schema, &name)?;
        self.update(PG_PROC, &["oid"], &[row.get("oid").clone()], |r| {
            r.put("proowner", new);
            if let Some(mut acl) = Acl::of_value(r.get("proacl")) {
                acl.change_owner(old, new);
                r.put("proacl", acl.to_value());
            }
        })?;
        Ok(())
    }

    fn refuse_same(&self, row: &Row, name: &str, schema: Oid) -> Result<()> {
        let key = [Value::text(name), row.get("proargtypes").clone(), Value::Oid(schema)];
        if self.find(PG_PROC, &["proname", "proargtypes", "pronamespace"], &key)?.is_empty() {
            return Ok(());
        }
        let reader = self.reader()?;
        let types = inputs(row)
            .iter()
            .map(|t| crate::text::type_name(&reader, *t, None))
            .collect::<Result<Vec<_>>>()?;
        let schema = reader.schema_row(schema)?.map_or_else(String::new, |s| s.name.clone());
        let text =
            format!("{} {name}({}) already exists in schema \"{schema}\"", kind_of(row), types.join(", "));
        Err(SqlError::new(SqlState::DUPLICATE_FUNCTION, text))
    }

    fn routine_options(&self, row: &Row, o: &RoutineOptions) -> Result<()> {
        if o.leakproof == Some(true) && !self.is_superuser()? {
            return Err(refused("only superuser can define a leakproof function"));
        }
        if o.rows.is_some() && !row.bool("proretset") {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "ROWS is not applicable when function does not return a set",
            ));
        }
        if row.char("prokind") == b'p'
            && (o.volatility.is_some()
                || o.strict.is_some()
                || o.leakproof.is_some()
                || o.parallel.is_some()
                || o.cost.is_some())
        {
            return Err(invalid("invalid attribute in procedure definition".to_string()));
        }
        let settings = self.routine_settings(texts(row, "proconfig"), &o.settings)?;
        self.update(PG_PROC, &["oid"], &[row.get("oid").clone()], |r| {
            if let Some(v) = o.volatility {
                r.put("provolatile", v);
            }
            if let Some(v) = o.strict {
                r.put("proisstrict", v);
            }
            if let Some(v) = o.leakproof {
                r.put("proleakproof", v);
            }
            if let Some(v) = o.definer {
                r.put("prosecdef", v);
            }
            if let Some(v) = o.parallel {
                r.put("proparallel", v);
            }
            if let Some(v) = o.cost {
                r.put("procost", v);
            }
            if let Some(v) = o.rows {
                r.put("prorows", v);
            }
            put_settings(r, &settings);
        })?;
        Ok(())
    }
}

fn put_settings(row: &mut Row, settings: &[String]) {
    let list: Vec<Value> = settings.iter().map(|s| Value::text(s)).collect();
    row.put("proconfig", if list.is_empty() { Value::Null } else { array(oid::TEXT, list) });
}

/// Mode, type and name of all arguments.
pub(crate) fn arguments(row: &Row) -> Vec<(u8, Oid, String)> {
    let names = texts(row, "proargnames");
    let types: Vec<Oid> = match row.array("proallargtypes") {
        [] => inputs(row),
        list => list.iter().filter_map(|v| if let Value::Oid(o) = v { Some(*o) } else { None }).collect(),
    };
    let modes = row.array("proargmodes");
    types
        .into_iter()
        .enumerate()
        .map(|(n, ty)| {
            let mode = match modes.get(n) {
                Some(Value::Char(c)) => *c,
                _ => b'i',
            };
            (mode, ty, names.get(n).cloned().unwrap_or_default())
        })
        .collect()
}
