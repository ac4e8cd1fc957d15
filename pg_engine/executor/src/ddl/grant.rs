//! GRANT and REVOKE on objects.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, Relation, RelationKind,
    access::{class_of, denied, word},
    acl::{Acl, AclItem, Class, RIGHTS, Rights, right, right_named},
    builtin::*,
    table::Row,
};
use pg_plan::{
    access::{Grant, GrantTarget, Privilege, RoleName},
    routine::RoutineWord,
    utility::ObjectName,
};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::Ddl;

/// `typsubscript` of arrays.
const ARRAY_SUBSCRIPT: Oid = 6179;

/// An object whose list changes.
struct Object {
    class: Class,
    catalog: Oid,
    oid: Oid,
    /// Column of its list.
    column: &'static str,
    /// As messages name it.
    word: &'static str,
    name: String,
    owner: Oid,
    acl: Option<Acl>,
}

/// What is granted or revoked, to and from whom.
pub(super) struct Change<'g> {
    pub(super) grant: bool,
    pub(super) option: bool,
    pub(super) cascade: bool,
    /// ALL PRIVILEGES.
    pub(super) all: bool,
    pub(super) grantees: &'g [Oid],
}

impl Change<'_> {
    /// The list after it, in the name of `grantor`.
    pub(super) fn apply(&self, acl: &mut Acl, rights: Rights, grantor: Oid, owner: Oid) -> Result<()> {
        for &grantee in self.grantees {
            let item = AclItem {
                grantee,
                grantor,
                rights: if self.grant || !self.option { rights } else { 0 },
                options: if !self.grant || self.option { rights } else { 0 },
            };
            if self.grant {
                acl.grant(item, owner)?;
            } else {
                acl.revoke(item, owner, self.cascade)?;
            }
        }
        Ok(())
    }
}

fn invalid_grant(text: String) -> SqlError {
    SqlError::new(SqlState(*b"0LP01"), text)
}

/// The privileges named; ALL: every one there is.
pub(super) fn rights_named(list: &[Privilege], valid: Rights, what: &str) -> Result<(Rights, bool)> {
    if list.is_empty() {
        return Ok((valid, true));
    }
    let mut rights = 0;
    for p in list.iter().filter(|p| p.columns.is_empty()) {
        rights |= one_right(p, valid, what)?;
    }
    Ok((rights, false))
}

fn one_right(p: &Privilege, valid: Rights, what: &str) -> Result<Rights> {
    let Some(name) = &p.name else { return Ok(valid) };
    let right = right_named(name)
        .ok_or_else(|| SqlError::syntax(format!("unrecognized privilege type \"{name}\"")))?;
    if right & !valid != 0 {
        let shown = RIGHTS.iter().enumerate().find(|(i, _)| right == 1 << i).map_or("", |(_, r)| r.1);
        return Err(invalid_grant(format!("invalid privilege type {shown} for {what}")));
    }
    Ok(right)
}

impl Ddl<'_, '_> {
    /// GRANT, REVOKE.
    pub(crate) fn grant(&self, g: &Grant) -> Result<()> {
        if let Some(by) = &g.granted_by
            && self.role(by)? != self.user()
        {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "grantor must be current user"));
        }
        let grantees = self.grantees(&g.grantees)?;
        let change = Change {
            grant: g.grant,
            option: g.option,
            cascade: g.cascade,
            all: g.privileges.is_empty(),
            grantees: &grantees,
        };
        let relations = matches!(
            g.target,
            GrantTarget::Tables(_)
                | GrantTarget::Sequences(_)
                | GrantTarget::AllTables(_)
                | GrantTarget::AllSequences(_)
        );
        if relations {
            return self.grant_on_relations(g, &change);
        }
        if g.privileges.iter().any(|p| !p.columns.is_empty()) {
            return Err(invalid_grant("column privileges are only valid for relations".to_string()));
        }
        let objects = match &g.target {
            GrantTarget::Parameters(names) => self.parameters(names, g.grant)?,
            target => self.objects(target)?,
        };
        for o in objects {
            let (rights, _) = rights_named(&g.privileges, o.class.all(), o.word)?;
            self.change_object(&o, rights, &change)?;
        }
        Ok(())
    }

    pub(super) fn grantees(&self, names: &[RoleName]) -> Result<Vec<Oid>> {
        names.iter().map(|n| self.grantee(n)).collect()
    }

    fn objects(&self, target: &GrantTarget) -> Result<Vec<Object>> {
        type Kind = (Oid, Class, &'static str, &'static str, &'static str, &'static str, SqlState);
        let by_name = |names: &[String], kind: Kind| -> Result<Vec<Object>> {
            let (catalog, class, word, name_column, owner, column, state) = kind;
            let mut list = Vec::with_capacity(names.len());
            for name in names {
                let rows = self.find(catalog, &[name_column], &[Value::text(name)])?;
                let Some((_, row)) = rows.first() else {
                    return Err(SqlError::new(state, format!("{word} \"{name}\" does not exist")));
                };
                if class == Class::Language && !row.bool("lanpltrusted") {
                    let text = format!("language \"{name}\" is not trusted");
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text).detail(
                        "GRANT and REVOKE are not allowed on untrusted languages, because only superusers \
                         can use untrusted languages.",
                    ));
                }
                list.push(Object {
                    class,
                    catalog,
                    oid: row.oid("oid"),
                    column,
                    word,
                    name: name.clone(),
                    owner: row.oid(owner),
                    acl: Acl::of_value(row.get(column)),
                });
            }
            Ok(list)
        };
        let undefined = SqlState::UNDEFINED_OBJECT;
        match target {
            GrantTarget::Databases(names) => by_name(
                names,
                (
                    PG_DATABASE,
                    Class::Database,
                    "database",
                    "datname",
                    "datdba",
                    "datacl",
                    SqlState::INVALID_CATALOG_NAME,
                ),
            ),
            GrantTarget::Schemas(names) => by_name(
                names,
                (
                    PG_NAMESPACE,
                    Class::Schema,
                    "schema",
                    "nspname",
                    "nspowner",
                    "nspacl",
                    SqlState::INVALID_SCHEMA_NAME,
                ),
            ),
            GrantTarget::Languages(names) => by_name(
                names,
                (PG_LANGUAGE, Class::Language, "language", "lanname", "lanowner", "lanacl", undefined),
            ),
            GrantTarget::Tablespaces(names) => by_name(
                names,
                (PG_TABLESPACE, Class::Tablespace, "tablespace", "spcname", "spcowner", "spcacl", undefined),
            ),
            GrantTarget::Wrappers(names) => by_name(
                names,
                (2328, Class::Wrapper, "foreign-data wrapper", "fdwname", "fdwowner", "fdwacl", undefined),
            ),
            GrantTarget::Servers(names) => {
                by_name(names, (1417, Class::Server, "server", "srvname", "srvowner", "srvacl", undefined))
            }
            GrantTarget::Types(names, domains) => {
                names.iter().map(|n| self.type_object(n, *domains)).collect()
            }
            GrantTarget::LargeObjects(list) => list
                .iter()
                .map(|oid| {
                    let rows = self.find(PG_LARGEOBJECT_METADATA, &["oid"], &[Value::Oid(*oid)])?;
                    let Some((_, row)) = rows.first() else {
                        return Err(SqlError::new(undefined, format!("large object {oid} does not exist")));
                    };
                    Ok(Object {
                        class: Class::LargeObject,
                        catalog: PG_LARGEOBJECT_METADATA,
                        oid: *oid,
                        column: "lomacl",
                        word: "large object",
                        name: oid.to_string(),
                        owner: row.oid("lomowner"),
                        acl: Acl::of_value(row.get("lomacl")),
                    })
                })
                .collect(),
            GrantTarget::Routines(names) => {
                let mut list = Vec::with_capacity(names.len());
                for name in names {
                    if let Some(row) = self.named_routine(name, false)? {
                        list.push(self.routine_object(&row)?);
                    }
                }
                Ok(list)
            }
            GrantTarget::AllRoutines(word, schemas) => {
                let mut list = Vec::new();
                for name in schemas {
                    let schema = self.reader()?.schema(name)?.ok_or_else(|| {
                        let text = format!("schema \"{name}\" does not exist");
                        SqlError::new(SqlState::INVALID_SCHEMA_NAME, text)
                    })?;
                    for (_, row) in self.find(PG_PROC, &["pronamespace"], &[Value::Oid(schema)])? {
                        let procedure = row.char("prokind") == b'p';
                        let meant = match word {
                            RoutineWord::Function => !procedure,
                            RoutineWord::Procedure => procedure,
                            _ => true,
                        };
                        if meant {
                            list.push(self.routine_object(&row)?);
                        }
                    }
                }
                Ok(list)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn routine_object(&self, row: &Row) -> Result<Object> {
        Ok(Object {
            class: Class::Function,
            catalog: PG_PROC,
            oid: row.oid("oid"),
            column: "proacl",
            word: if row.char("prokind") == b'p' { "procedure" } else { "function" },
            name: row.text("proname").to_string(),
            owner: row.oid("proowner"),
            acl: Acl::of_value(row.get("proacl")),
        })
    }

    fn type_object(&self, name: &ObjectName, domain: bool) -> Result<Object> {
        let shown = match &name.schema {
            Some(s) => format!("{s}.{}", name.name),
            None => name.name.clone(),
        };
        let oid = self.reader()?.type_by_name(name.schema.as_deref(), &name.name)?;
        let rows = match oid {
            Some(oid) => self.find(PG_TYPE, &["oid"], &[Value::Oid(oid)])?,
            None => Vec::new(),
        };
        let Some((_, row)) = rows.first() else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("type \"{shown}\" does not exist"),
            ));
        };
        if row.oid("typelem") != 0 && row.oid("typsubscript") == ARRAY_SUBSCRIPT {
            return Err(invalid_grant("cannot set privileges of array types".to_string())
                .hint("Set the privileges of the element type instead."));
        }
        if domain && row.char("typtype") != b'd' {
            let text = format!("\"{}\" is not a domain", name.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
        }
        Ok(Object {
            class: Class::Type,
            catalog: PG_TYPE,
            oid: row.oid("oid"),
            column: "typacl",
            word: "type",
            name: name.name.clone(),
            owner: row.oid("typowner"),
            acl: Acl::of_value(row.get("typacl")),
        })
    }

    /// What of the privileges may be granted or revoked, and by whom; warns about the rest.
    fn grantable(
        &self,
        acl: &Acl,
        (owner, all_rights): (Oid, Rights),
        rights: Rights,
        change: &Change<'_>,
        (refusal, shown): (&dyn Fn() -> SqlError, &str),
    ) -> Result<(Oid, Rights)> {
        let (user, roles) = (self.user(), self.roles()?);
        let (grantor, options) = acl.best_grantor(user, owner, rights, &roles);
        if options == 0
            && !roles.is_superuser(user)
            && acl.rights_of(grantor, all_rights, &roles) == 0
            && acl.options_of(grantor, owner, all_rights, &roles) == 0
        {
            return Err(refusal());
        }
        let may = rights & options;
        let (state, none, some) = match change.grant {
            true => (*b"01007", "no privileges were granted", "not all privileges were granted"),
            false => (*b"01006", "no privileges could be revoked", "not all privileges could be revoked"),
        };
        let text = match may {
            0 => Some(none),
            m if !change.all && m != rights => Some(some),
            _ => None,
        };
        if let Some(text) = text {
            let report = SqlError::new(SqlState(state), format!("{text} for {shown}"));
            self.cx.session.notice("WARNING", report);
        }
        Ok((grantor, may))
    }

    fn change_object(&self, o: &Object, rights: Rights, change: &Change<'_>) -> Result<()> {
        let mut acl = o.acl.clone().unwrap_or_else(|| Acl::default_of(o.class, o.owner));
        let refusal = || denied(o.word, &o.name);
        let shown = format!("\"{}\"", o.name);
        let all = (o.owner, o.class.all());
        let (grantor, may) = self.grantable(&acl, all, rights, change, (&refusal, &shown))?;
        change.apply(&mut acl, may, grantor, o.owner)?;
        let key = [Value::Oid(o.oid)];
        if o.class == Class::Parameter && acl == Acl::default_of(o.class, o.owner) {
            self.delete(o.catalog, &["oid"], &key)?;
        } else {
            self.update(o.catalog, &["oid"], &key, |r| r.put(o.column, acl.to_value()))?;
        }
        self.step();
        Ok(())
    }

    /// Settings have rows only where something was granted on them.
    fn parameters(&self, names: &[String], grant: bool) -> Result<Vec<Object>> {
        let mut list = Vec::with_capacity(names.len());
        for name in names {
            let lower = name.to_ascii_lowercase();
            let key = [Value::text(&lower)];
            let found = self.find(PG_PARAMETER_ACL, &["parname"], &key)?.into_iter().next();
            let row = match found {
                Some((_, row)) => row,
                None if !grant => continue,
                None => {
                    self.cx.session.check_parameter(name)?;
                    let usual = Acl::default_of(Class::Parameter, FIRST_ROLE).to_value();
                    let row = self.row(PG_PARAMETER_ACL)?.set("oid", self.oid()?);
                    let row = row.set("parname", lower.as_str()).set("paracl", usual);
                    self.insert(PG_PARAMETER_ACL, &row)?;
                    row
                }
            };
            list.push(Object {
                class: Class::Parameter,
                catalog: PG_PARAMETER_ACL,
                oid: row.oid("oid"),
                column: "paracl",
                word: "parameter",
                name: lower,
                owner: FIRST_ROLE,
                acl: Acl::of_value(row.get("paracl")),
            });
        }
        Ok(list)
    }

    fn grant_on_relations(&self, g: &Grant, change: &Change<'_>) -> Result<()> {
        let sequences = matches!(g.target, GrantTarget::Sequences(_) | GrantTarget::AllSequences(_));
        let valid = match sequences {
            true => Class::Sequence.all(),
            false => Class::Table.all() | Class::Sequence.all(),
        };
        let what = if sequences { "sequence" } else { "relation" };
        let (rights, all) = rights_named(&g.privileges, valid, what)?;
        let mut columns: Vec<(&str, Rights)> = Vec::new();
        for p in &g.privileges {
            for c in &p.columns {
                if sequences {
                    return Err(invalid_grant("column privileges are only valid for relations".to_string()));
                }
                columns.push((c, one_right(p, Class::Column.all(), "column")?));
            }
        }
        for relation in self.granted_relations(&g.target)? {
            let relation = self.relock(&relation, LockMode::ShareUpdateExclusive)?;
            if relation.kind == RelationKind::Index {
                let text = format!("\"{}\" is an index", relation.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
            }
            if sequences && relation.kind != RelationKind::Sequence {
                let text = format!("\"{}\" is not a sequence", relation.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
            }
            let own = class_of(relation.kind).all();
            let rights = match (all, relation.kind) {
                (true, _) => own,
                (false, RelationKind::Sequence) if rights & !own != 0 => {
                    let text = format!(
                        "sequence \"{}\" only supports USAGE, SELECT, and UPDATE privileges",
                        relation.name
                    );
                    self.cx.session.notice("WARNING", invalid_grant(text));
                    rights & own
                }
                (false, RelationKind::Sequence) => rights,
                (false, _) if rights & !own != 0 => {
                    return Err(invalid_grant("invalid privilege type USAGE for table".to_string()));
                }
                _ => rights,
            };
            self.change_relation(&relation, rights, &columns, change)?;
        }
        Ok(())
    }

    fn granted_relations(&self, target: &GrantTarget) -> Result<Vec<alloc::sync::Arc<Relation>>> {
        let mut list = Vec::new();
        let reader = self.reader()?;
        match target {
            GrantTarget::Tables(names) | GrantTarget::Sequences(names) => {
                for name in names {
                    list.extend(self.named(name, false)?);
                }
            }
            GrantTarget::AllTables(schemas) | GrantTarget::AllSequences(schemas) => {
                let kinds: &[u8] = if matches!(target, GrantTarget::AllTables(_)) { b"rvmfp" } else { b"S" };
                for schema in schemas {
                    let Some(oid) = reader.schema(schema)? else {
                        return Err(SqlError::new(
                            SqlState::INVALID_SCHEMA_NAME,
                            format!("schema \"{schema}\" does not exist"),
                        ));
                    };
                    for (_, row) in self.find(PG_CLASS, &["relnamespace"], &[Value::Oid(oid)])? {
                        if kinds.contains(&row.char("relkind")) {
                            list.extend(reader.relation_by_oid(row.oid("oid"))?);
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(list)
    }

    fn change_relation(
        &self,
        relation: &Relation,
        rights: Rights,
        columns: &[(&str, Rights)],
        change: &Change<'_>,
    ) -> Result<()> {
        let class = class_of(relation.kind);
        let old = relation.security.acl.clone().unwrap_or_else(|| Acl::default_of(class, relation.owner));
        let mut by_column: Vec<(i16, Rights)> = Vec::new();
        for (name, rights) in columns {
            let Some(a) = relation.live().find(|a| a.name == **name) else {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{name}\" of relation \"{}\" does not exist", relation.name),
                ));
            };
            match by_column.iter_mut().find(|c| c.0 == a.attnum) {
                Some(c) => c.1 |= rights,
                None => by_column.push((a.attnum, *rights)),
            }
        }
        // What is revoked from the table is revoked from each column that it was granted on.
        let also = rights & Class::Column.all();
        if !change.grant && also != 0 && relation.kind != RelationKind::Sequence {
            for a in relation.live().filter(|a| a.acl.is_some()) {
                match by_column.iter_mut().find(|c| c.0 == a.attnum) {
                    Some(c) => c.1 |= also,
                    None => by_column.push((a.attnum, also)),
                }
            }
        }
        if rights != 0 || columns.is_empty() {
            let mut acl = old.clone();
            let refusal = || denied(word(relation.kind), &relation.name);
            let shown = format!("\"{}\"", relation.name);
            let all = (relation.owner, class.all());
            let (grantor, may) = self.grantable(&acl, all, rights, change, (&refusal, &shown))?;
            change.apply(&mut acl, may, grantor, relation.owner)?;
            let key = [Value::Oid(relation.oid)];
            self.update(PG_CLASS, &["oid"], &key, |r| r.put("relacl", acl.to_value()))?;
        }
        for (attnum, rights) in by_column {
            self.change_column(relation, attnum, rights, &old, change)?;
        }
        self.step();
        Ok(())
    }

    fn change_column(
        &self,
        relation: &Relation,
        attnum: i16,
        rights: Rights,
        table: &Acl,
        change: &Change<'_>,
    ) -> Result<()> {
        let Some(a) = relation.live().find(|a| a.attnum == attnum) else { return Ok(()) };
        let mut acl = a.acl.clone().unwrap_or_default();
        // Who may grant on the table may grant on its columns.
        let mut both = table.clone();
        both.0.extend(acl.0.iter().copied());
        let refusal = || {
            super::access::refused(format!(
                "permission denied for column \"{}\" of relation \"{}\"",
                a.name, relation.name
            ))
        };
        let shown = format!("column \"{}\" of relation \"{}\"", a.name, relation.name);
        let all = (relation.owner, Class::Column.all());
        let (grantor, may) = self.grantable(&both, all, rights, change, (&refusal, &shown))?;
        change.apply(&mut acl, may, grantor, relation.owner)?;
        let value = if acl.0.is_empty() { Value::Null } else { acl.to_value() };
        let key = [Value::Oid(relation.oid), Value::Int2(attnum)];
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| r.put("attacl", value.clone()))?;
        Ok(())
    }

    /// The privileges that a new object starts with, if its owner has said anything of that; NULL otherwise.
    pub(crate) fn initial_acl(&self, class: Class, owner: Oid, schema: Oid) -> Result<Value> {
        let letter = match class {
            Class::Table => b'r',
            Class::Sequence => b'S',
            Class::Function => b'f',
            Class::Type => b'T',
            _ => b'n',
        };
        let entry = |schema: Oid| -> Result<Option<Acl>> {
            let key = [Value::Oid(owner), Value::Oid(schema), Value::Char(letter)];
            let columns = ["defaclrole", "defaclnamespace", "defaclobjtype"];
            let rows = self.find(PG_DEFAULT_ACL, &columns, &key)?;
            Ok(rows.first().and_then(|r| Acl::of_value(r.1.get("defaclacl"))))
        };
        let global = entry(0)?;
        let local = if schema == 0 { None } else { entry(schema)? };
        if global.is_none() && local.is_none() {
            return Ok(Value::Null);
        }
        let usual = Acl::default_of(class, owner);
        let mut acl = global.unwrap_or_else(|| usual.clone());
        for item in local.into_iter().flat_map(|l| l.0) {
            acl.grant(item, owner)?;
        }
        Ok(if acl == usual { Value::Null } else { acl.to_value() })
    }

    /// Checks a privilege on a whole relation.
    pub(crate) fn need(&self, relation: &Relation, rights: Rights) -> Result<()> {
        let roles = self.roles()?;
        if pg_catalog::access::rights_on(relation, self.user(), rights, &roles) & rights != 0 {
            return Ok(());
        }
        Err(denied(word(relation.kind), &relation.name))
    }

    /// Checks REFERENCES on a table or on all of these columns.
    pub(crate) fn need_references(&self, relation: &Relation, columns: &[i16]) -> Result<()> {
        let (user, roles) = (self.user(), self.roles()?);
        let may =
            |c: &i16| pg_catalog::access::column_rights(relation, *c, user, right::REFERENCES, &roles) != 0;
        if !columns.is_empty() && columns.iter().all(may) {
            return Ok(());
        }
        self.need(relation, right::REFERENCES)
    }
}
