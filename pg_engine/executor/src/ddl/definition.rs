//! Aggregates, operators and casts of users: rows of `pg_aggregate`, `pg_operator` and `pg_cast`.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    acl::{Acl, Class},
    builtin::{
        FIRST_NORMAL_OID, PG_AGGREGATE, PG_CAST, PG_DESCRIPTION, PG_LARGEOBJECT, PG_LARGEOBJECT_METADATA,
        PG_NAMESPACE, PG_OPERATOR, PG_PROC, PG_TYPE,
    },
    table::{Row, array, oid_vector},
};
use pg_functions::{CastContext, registry};
use pg_plan::{
    definition::{AlterOperator, CreateAggregate, CreateCast, CreateOperator, Definition, OperatorRef},
    utility::ObjectName,
};
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid, user};

use super::{Address, Ddl, Dependency};

/// `pg_language.oid` of built-in functions.
const INTERNAL_LANGUAGE: Oid = 12;

/// What a statement answers.
pub(crate) fn tag(d: &Definition) -> &'static str {
    match d {
        Definition::CreateAggregate(_) => "CREATE AGGREGATE",
        Definition::CreateOperator(_) => "CREATE OPERATOR",
        Definition::AlterOperator(..) => "ALTER OPERATOR",
        Definition::DropOperators { .. } => "DROP OPERATOR",
        Definition::CreateCast(_) => "CREATE CAST",
        Definition::DropCast { .. } => "DROP CAST",
        Definition::OwnLargeObject(..) => "ALTER LARGE OBJECT",
        Definition::Statistics(s) => s.tag(),
        Definition::Collation(s) => s.tag(),
        Definition::CommentOperator(..)
        | Definition::CommentCast(..)
        | Definition::CommentLargeObject(..) => "COMMENT",
    }
}

fn invalid(text: &'static str) -> SqlError {
    SqlError::new(SqlState(*b"42P13"), text)
}

impl Ddl<'_, '_> {
    /// Any of these statements.
    pub(crate) fn definition(&self, d: &Definition) -> Result<()> {
        match d {
            Definition::CreateAggregate(c) => self.create_aggregate(c)?,
            Definition::CreateOperator(c) => self.create_operator(c)?,
            Definition::AlterOperator(name, change) => self.alter_operator(name, change)?,
            Definition::DropOperators { names, if_exists, cascade } => {
                let mut targets = Vec::new();
                for name in names {
                    let Some(row) = self.named_operator(name, *if_exists)? else { continue };
                    self.must_own_operator(&row)?;
                    targets.push(Address::new(PG_OPERATOR, row.oid("oid")));
                }
                self.drop_objects(&targets, *cascade)?;
            }
            Definition::CommentOperator(name, text) => {
                if let Some(row) = self.named_operator(name, false)? {
                    self.must_own_operator(&row)?;
                    self.describe_object(Address::new(PG_OPERATOR, row.oid("oid")), text.as_deref())?;
                }
            }
            Definition::CreateCast(c) => self.create_cast(c)?,
            Definition::DropCast { types, if_exists, cascade } => {
                let types = match types {
                    Ok(types) => *types,
                    Err(missing) => {
                        self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{missing}, skipping"));
                        return Ok(());
                    }
                };
                if let Some(row) = self.named_cast(types, *if_exists)? {
                    self.must_own_either(types)?;
                    self.drop_objects(&[Address::new(PG_CAST, row.oid("oid"))], *cascade)?;
                }
            }
            Definition::Statistics(s) => self.statistics(s)?,
            Definition::Collation(s) => self.collation_statement(s)?,
            Definition::CommentLargeObject(oid, text) => {
                self.large_object(*oid)?;
                self.describe_object(Address::new(PG_LARGEOBJECT, *oid), text.as_deref())?;
            }
            Definition::OwnLargeObject(oid, role) => {
                self.large_object(*oid)?;
                let new = self.role(role)?;
                if !self.is_superuser()? && new != self.user() {
                    self.may_become(new)?;
                }
                self.update(PG_LARGEOBJECT_METADATA, &["oid"], &[Value::Oid(*oid)], |r| {
                    let old = r.oid("lomowner");
                    r.put("lomowner", new);
                    if let Some(mut acl) = Acl::of_value(r.get("lomacl")) {
                        acl.change_owner(old, new);
                        r.put("lomacl", acl.to_value());
                    }
                })?;
            }
            Definition::CommentCast(types, text) => {
                if let Some(row) = self.named_cast(*types, false)? {
                    self.must_own_either(*types)?;
                    self.describe_object(Address::new(PG_CAST, row.oid("oid")), text.as_deref())?;
                }
            }
        }
        self.step();
        Ok(())
    }

    fn warn(&self, warnings: &[String]) {
        for text in warnings {
            self.cx.session.notice("WARNING", SqlError::new(SqlState::SYNTAX_ERROR, text.clone()));
        }
    }

    /// COMMENT on an object of a database.
    pub(super) fn describe_object(&self, a: Address, text: Option<&str>) -> Result<()> {
        self.delete(PG_DESCRIPTION, &["objoid", "classoid"], &[Value::Oid(a.object), Value::Oid(a.class)])?;
        if let Some(text) = text.filter(|t| !t.is_empty()) {
            let row = self.row(PG_DESCRIPTION)?.set("objoid", a.object).set("classoid", a.class);
            self.insert(PG_DESCRIPTION, &row.set("objsubid", 0i32).set("description", text))?;
        }
        Ok(())
    }

    /// A large object, which must be the user's.
    fn large_object(&self, oid: Oid) -> Result<()> {
        let rows = self.find(PG_LARGEOBJECT_METADATA, &["oid"], &[Value::Oid(oid)])?;
        let Some((_, row)) = rows.first() else {
            let text = format!("large object {oid} does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text));
        };
        if self.owns(row.oid("lomowner"))? {
            return Ok(());
        }
        let text = format!("must be owner of large object {oid}");
        Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text))
    }

    /// Forgets the comment on an object.
    pub(crate) fn forget_comment(&self, class: Oid, object: Oid) -> Result<()> {
        self.describe_object(Address::new(class, object), None)
    }

    fn shown_type(&self, ty: Oid) -> Result<String> {
        crate::text::type_name(&self.reader()?, ty, None)
    }

    /// An object depends on these types and functions.
    fn depend_on_parts(&self, a: Address, types: &[Oid], functions: &[Oid]) -> Result<()> {
        let mut seen: Vec<Address> = Vec::new();
        let types = types.iter().map(|t| if user::is_array(*t) { *t - 1 } else { *t });
        let types = types.filter(|t| user::is_user(*t)).map(|t| Address::new(PG_TYPE, t));
        for on in types.chain(functions.iter().map(|f| Address::new(PG_PROC, *f))) {
            if !seen.contains(&on) {
                seen.push(on);
                self.depend(a, on, Dependency::Normal)?;
            }
        }
        Ok(())
    }

    fn create_aggregate(&self, c: &CreateAggregate) -> Result<()> {
        self.warn(&c.warnings);
        let (schema, _) = self.creation_schema(&c.name)?;
        let types: Vec<Oid> = c.arguments.iter().map(|a| a.ty).collect();
        for ty in types.iter().chain([&c.state, &c.moving_state, &c.result]) {
            self.may_use_type(*ty)?;
        }
        let key = [Value::text(&c.name.name), oid_vector(&types), Value::Oid(schema)];
        let rows = self.find(PG_PROC, &["proname", "proargtypes", "pronamespace"], &key)?;
        let old = rows.into_iter().next().map(|r| r.1);
        if let Some(old) = &old {
            let name = &c.name.name;
            if !c.or_replace {
                let text = format!("function \"{name}\" already exists with same argument types");
                return Err(SqlError::new(SqlState::DUPLICATE_FUNCTION, text));
            }
            self.must_own_routine(old)?;
            if old.char("prokind") != b'a' {
                let kind = if old.char("prokind") == b'p' { "procedure" } else { "function" };
                let error = SqlError::new(SqlState::WRONG_OBJECT_TYPE, "cannot change routine kind");
                return Err(error.detail(format!("\"{name}\" is a {kind}.")));
            }
            if old.oid("prorettype") != c.result {
                let hint = format!("Use DROP AGGREGATE {} first.", self.routine_text(old)?);
                return Err(invalid("cannot change return type of existing function").hint(hint));
            }
        }
        let oid = match &old {
            Some(old) => old.oid("oid"),
            None => self.oid()?,
        };
        let owner = self.user();
        let mut row = self
            .row(PG_PROC)?
            .set("oid", oid)
            .set("proname", c.name.name.as_str())
            .set("pronamespace", schema)
            .set("proowner", owner)
            .set("prolang", INTERNAL_LANGUAGE)
            .set("procost", 1.0f32)
            .set("provariadic", c.variadic)
            .set("prokind", b'a')
            .set("provolatile", b'i')
            .set("proparallel", c.parallel)
            .set("pronargs", types.len() as i16)
            .set("prorettype", c.result)
            .set("proargtypes", oid_vector(&types))
            .set("prosrc", "aggregate_dummy");
        if c.variadic != 0 {
            row.put("proallargtypes", array(oid::OID, types.iter().map(|t| Value::Oid(*t)).collect()));
            row.put(
                "proargmodes",
                array(oid::CHAR, c.arguments.iter().map(|a| Value::Char(a.mode)).collect()),
            );
        }
        if c.arguments.iter().any(|a| !a.name.is_empty()) {
            let names = c.arguments.iter().map(|a| Value::text(&a.name)).collect();
            row.put("proargnames", array(oid::TEXT, names));
        }
        let address = Address::new(PG_PROC, oid);
        match &old {
            Some(old) => {
                row.put("proowner", old.oid("proowner"));
                row.put("proacl", old.get("proacl").clone());
                self.update(PG_PROC, &["oid"], &[Value::Oid(oid)], |r| *r = row.clone())?;
                self.delete(PG_AGGREGATE, &["aggfnoid"], &[Value::Oid(oid)])?;
                let key = [Value::Oid(PG_PROC), Value::Oid(oid)];
                self.delete(pg_catalog::builtin::PG_DEPEND, &["classid", "objid"], &key)?;
            }
            None => {
                row.put("proacl", self.initial_acl(Class::Function, owner, schema)?);
                self.insert(PG_PROC, &row)?;
            }
        }
        self.insert(PG_AGGREGATE, &self.aggregate_row(oid, c)?)?;
        self.depend(address, Address::new(PG_NAMESPACE, schema), Dependency::Normal)?;
        let all = [types.as_slice(), &[c.state, c.moving_state, c.result]].concat();
        let functions = [
            c.transition,
            c.finish,
            c.combine,
            c.serialize,
            c.deserialize,
            c.moving,
            c.inverse,
            c.moving_finish,
        ];
        self.depend_on_parts(address, &all, &functions)?;
        self.depend(address, Address::new(PG_OPERATOR, c.sort_operator), Dependency::Normal)
    }

    fn aggregate_row(&self, oid: Oid, c: &CreateAggregate) -> Result<Row> {
        let text = |t: &Option<String>| t.as_deref().map_or(Value::Null, Value::text);
        Ok(self
            .row(PG_AGGREGATE)?
            .set("aggfnoid", oid)
            .set("aggkind", b'n')
            .set("aggtransfn", c.transition)
            .set("aggfinalfn", c.finish)
            .set("aggcombinefn", c.combine)
            .set("aggserialfn", c.serialize)
            .set("aggdeserialfn", c.deserialize)
            .set("aggmtransfn", c.moving)
            .set("aggminvtransfn", c.inverse)
            .set("aggmfinalfn", c.moving_finish)
            .set("aggfinalextra", c.extra)
            .set("aggmfinalextra", c.moving_extra)
            .set("aggfinalmodify", c.modify)
            .set("aggmfinalmodify", c.moving_modify)
            .set("aggsortop", c.sort_operator)
            .set("aggtranstype", c.state)
            .set("aggtransspace", c.space)
            .set("aggmtranstype", c.moving_state)
            .set("aggmtransspace", c.moving_space)
            .set("agginitval", text(&c.initial))
            .set("aggminitval", text(&c.moving_initial)))
    }

    fn operator_rows(&self, name: &str, left: Oid, right: Oid) -> Result<Vec<Row>> {
        let key = [Value::text(name), Value::Oid(left), Value::Oid(right)];
        let rows = self.find(PG_OPERATOR, &["oprname", "oprleft", "oprright"], &key)?;
        Ok(rows.into_iter().map(|r| r.1).collect())
    }

    /// The operator that a name means, shells among them.
    fn operator_row(&self, name: &ObjectName, left: Oid, right: Oid) -> Result<Option<Row>> {
        let rows = self.operator_rows(&name.name, left, right)?;
        let schemas: Vec<Oid> = match &name.schema {
            Some(s) => {
                let found = self.reader()?.schema(s)?;
                Vec::from([found.ok_or_else(|| {
                    SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{s}\" does not exist"))
                })?])
            }
            None => pg_catalog::CatalogReader::searched(&self.reader()?),
        };
        Ok(schemas.iter().find_map(|s| rows.iter().find(|r| r.oid("oprnamespace") == *s).cloned()))
    }

    fn create_operator(&self, c: &CreateOperator) -> Result<()> {
        self.warn(&c.warnings);
        let (schema, _) = self.creation_schema(&c.name)?;
        for ty in [c.left, c.right] {
            self.may_use_type(ty)?;
        }
        let here = |rows: Vec<Row>| rows.into_iter().find(|r| r.oid("oprnamespace") == schema);
        let old = here(self.operator_rows(&c.name.name, c.left, c.right)?);
        if let Some(old) = &old {
            if old.oid("oprcode") != 0 {
                let text = format!("operator {} already exists", c.name.name);
                return Err(SqlError::new(SqlState::DUPLICATE_FUNCTION, text));
            }
            self.must_own_operator(old)?;
        }
        let oid = match &old {
            Some(old) => old.oid("oid"),
            None => self.oid()?,
        };
        let commutator = self.other_operator(c, c.commutator.as_ref(), (c.right, c.left), oid, schema)?;
        let negator = self.other_operator(c, c.negator.as_ref(), (c.left, c.right), oid, schema)?;
        if negator == oid {
            return Err(invalid("operator cannot be its own negator or sort operator"));
        }
        let row = self
            .row(PG_OPERATOR)?
            .set("oid", oid)
            .set("oprname", c.name.name.as_str())
            .set("oprnamespace", schema)
            .set("oprowner", self.user())
            .set("oprkind", if c.left == 0 { b'l' } else { b'b' })
            .set("oprcanmerge", c.merges)
            .set("oprcanhash", c.hashes)
            .set("oprleft", c.left)
            .set("oprright", c.right)
            .set("oprresult", c.result)
            .set("oprcom", commutator)
            .set("oprnegate", negator)
            .set("oprcode", c.function)
            .set("oprrest", c.restrict)
            .set("oprjoin", c.join);
        if old.is_some() {
            self.update(PG_OPERATOR, &["oid"], &[Value::Oid(oid)], |r| *r = row.clone())?;
            let key = [Value::Oid(PG_OPERATOR), Value::Oid(oid)];
            self.delete(pg_catalog::builtin::PG_DEPEND, &["classid", "objid"], &key)?;
        } else {
            self.insert(PG_OPERATOR, &row)?;
        }
        for (other, column) in [(commutator, "oprcom"), (negator, "oprnegate")] {
            if other >= FIRST_NORMAL_OID && other != oid {
                self.update(PG_OPERATOR, &["oid"], &[Value::Oid(other)], |r| {
                    if r.oid(column) == 0 {
                        r.put(column, oid);
                    }
                })?;
            }
        }
        let address = Address::new(PG_OPERATOR, oid);
        self.depend(address, Address::new(PG_NAMESPACE, schema), Dependency::Normal)?;
        self.depend_on_parts(address, &[c.left, c.right, c.result], &[c.function, c.restrict, c.join])
    }

    /// A commutator or negator, made as a name only if it is not there.
    fn other_operator(
        &self,
        c: &CreateOperator,
        name: Option<&ObjectName>,
        (left, right): (Oid, Oid),
        own: Oid,
        schema: Oid,
    ) -> Result<Oid> {
        let Some(name) = name else { return Ok(0) };
        if let Some(row) = self.operator_row(name, left, right)? {
            return Ok(row.oid("oid"));
        }
        let target = match &name.schema {
            Some(_) => self.creation_schema(name)?.0,
            None => schema,
        };
        if name.name == c.name.name && target == schema && (left, right) == (c.left, c.right) {
            return Ok(own);
        }
        let oid = self.oid()?;
        let row = self
            .row(PG_OPERATOR)?
            .set("oid", oid)
            .set("oprname", name.name.as_str())
            .set("oprnamespace", target)
            .set("oprowner", self.user())
            .set("oprkind", if left == 0 { b'l' } else { b'b' })
            .set("oprleft", left)
            .set("oprright", right);
        self.insert(PG_OPERATOR, &row)?;
        let address = Address::new(PG_OPERATOR, oid);
        self.depend(address, Address::new(PG_NAMESPACE, target), Dependency::Normal)?;
        self.depend_on_parts(address, &[left, right], &[])?;
        Ok(oid)
    }

    fn must_own_operator(&self, row: &Row) -> Result<()> {
        if row.oid("oid") < FIRST_NORMAL_OID {
            let text = format!(
                "cannot drop operator {} because it is required by the database system",
                self.operator_text(row)?
            );
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text));
        }
        if self.owns(row.oid("oprowner"))? {
            return Ok(());
        }
        Err(pg_catalog::access::not_owner("operator", row.text("oprname")))
    }

    /// `name(type,type)`, with the schema where it is needed.
    pub(crate) fn operator_text(&self, row: &Row) -> Result<String> {
        let operand = |ty: Oid| if ty == 0 { Ok("NONE".to_string()) } else { self.shown_type(ty) };
        let reader = self.reader()?;
        let schema = row.oid("oprnamespace");
        let prefix = if pg_catalog::CatalogReader::searched(&reader).contains(&schema) {
            String::new()
        } else {
            reader.schema_row(schema)?.map_or_else(String::new, |s| format!("{}.", s.name))
        };
        let (left, right) = (operand(row.oid("oprleft"))?, operand(row.oid("oprright"))?);
        Ok(format!("{prefix}{}({left},{right})", row.text("oprname")))
    }

    /// The operator that a statement names; `None`: there is none, which IF EXISTS allows.
    fn named_operator(&self, o: &OperatorRef, if_exists: bool) -> Result<Option<Row>> {
        let skip = |text: String| {
            self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{text}, skipping"));
            Ok(None)
        };
        if let Some(missing) = &o.missing {
            return skip(missing.clone());
        }
        let name = match &o.name.schema {
            Some(s) => format!("{s}.{}", o.name.name),
            None => o.name.name.clone(),
        };
        if if_exists
            && let Some(s) = &o.name.schema
            && self.reader()?.schema(s)?.is_none()
        {
            return skip(format!("schema \"{s}\" does not exist"));
        }
        if let Some(row) = self.operator_row(&o.name, o.left, o.right)? {
            return Ok(Some(row));
        }
        if if_exists {
            return skip(format!("operator {name} does not exist"));
        }
        let right = self.shown_type(o.right)?;
        let shown = match o.left {
            0 => format!("{name} {right}"),
            left => format!("{} {name} {right}", self.shown_type(left)?),
        };
        Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {shown}")))
    }

    fn alter_operator(&self, o: &OperatorRef, change: &AlterOperator) -> Result<()> {
        let Some(row) = self.named_operator(o, false)? else { return Ok(()) };
        let oid = row.oid("oid");
        if oid < FIRST_NORMAL_OID {
            return Err(SqlError::unsupported("ALTER of a built-in operator"));
        }
        self.must_own_operator(&row)?;
        let key = [Value::Oid(oid)];
        match change {
            AlterOperator::Owner(role) => {
                let new = self.role(role)?;
                let schema = row.oid("oprnamespace");
                if new != row.oid("oprowner") {
                    let name =
                        self.reader()?.schema_row(schema)?.map_or_else(String::new, |s| s.name.clone());
                    self.may_own_in(new, schema, &name)?;
                    self.update(PG_OPERATOR, &["oid"], &key, |r| r.put("oprowner", new))?;
                }
            }
            AlterOperator::SetSchema(new) => {
                let Some(to) = self.reader()?.schema(new)? else {
                    let text = format!("schema \"{new}\" does not exist");
                    return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, text));
                };
                self.may_create_in(to, new)?;
                let taken =
                    self.operator_rows(row.text("oprname"), row.oid("oprleft"), row.oid("oprright"))?;
                if to != row.oid("oprnamespace") && taken.iter().any(|r| r.oid("oprnamespace") == to) {
                    let text = format!("operator {} already exists in schema \"{new}\"", row.text("oprname"));
                    return Err(SqlError::new(SqlState::DUPLICATE_FUNCTION, text));
                }
                self.update(PG_OPERATOR, &["oid"], &key, |r| r.put("oprnamespace", to))?;
                let from = Address::new(PG_NAMESPACE, row.oid("oprnamespace"));
                self.redepend(Address::new(PG_OPERATOR, oid), from, Address::new(PG_NAMESPACE, to))?;
            }
            AlterOperator::Estimators { restrict, join } => {
                if join.is_some_and(|j| j != 0) && row.oid("oprleft") == 0 {
                    return Err(invalid("only binary operators can have join selectivity"));
                }
                if row.oid("oprresult") != oid::BOOL {
                    for (set, text) in [
                        (restrict, "only boolean operators can have restriction selectivity"),
                        (join, "only boolean operators can have join selectivity"),
                    ] {
                        if set.is_some_and(|f| f != 0) {
                            return Err(invalid(text));
                        }
                    }
                }
                self.update(PG_OPERATOR, &["oid"], &key, |r| {
                    if let Some(f) = restrict {
                        r.put("oprrest", *f);
                    }
                    if let Some(f) = join {
                        r.put("oprjoin", *f);
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Nobody names an operator that is gone.
    pub(super) fn delete_operator(&self, oid: Oid) -> Result<()> {
        let rows = self.find(PG_OPERATOR, &["oid"], &[Value::Oid(oid)])?;
        if let Some((_, row)) = rows.first() {
            for (column, other) in [("oprcom", row.oid("oprcom")), ("oprnegate", row.oid("oprnegate"))] {
                if other >= FIRST_NORMAL_OID && other != oid {
                    self.update(PG_OPERATOR, &["oid"], &[Value::Oid(other)], |r| {
                        if r.oid(column) == oid {
                            r.put(column, 0u32);
                        }
                    })?;
                }
            }
        }
        self.delete(PG_OPERATOR, &["oid"], &[Value::Oid(oid)])?;
        Ok(())
    }

    fn owner_of_type(&self, ty: Oid) -> Result<Oid> {
        let rows = self.find(pg_catalog::builtin::PG_TYPE, &["oid"], &[Value::Oid(ty)])?;
        Ok(rows.first().map_or(0, |r| r.1.oid("typowner")))
    }

    fn must_own_either(&self, (source, target): (Oid, Oid)) -> Result<()> {
        if self.owns(self.owner_of_type(source)?)? || self.owns(self.owner_of_type(target)?)? {
            return Ok(());
        }
        let text = format!(
            "must be owner of type {} or type {}",
            self.shown_type(source)?,
            self.shown_type(target)?
        );
        Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text))
    }

    fn cast_row(&self, (source, target): (Oid, Oid)) -> Result<Option<Row>> {
        let key = [Value::Oid(source), Value::Oid(target)];
        Ok(self.find(PG_CAST, &["castsource", "casttarget"], &key)?.into_iter().next().map(|r| r.1))
    }

    fn named_cast(&self, types: (Oid, Oid), if_exists: bool) -> Result<Option<Row>> {
        if let Some(row) = self.cast_row(types)? {
            if row.oid("oid") < FIRST_NORMAL_OID {
                let (from, to) = (self.shown_type(types.0)?, self.shown_type(types.1)?);
                let text = format!(
                    "cannot drop cast from {from} to {to} because it is required by the database system"
                );
                return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text));
            }
            return Ok(Some(row));
        }
        let (from, to) = (self.shown_type(types.0)?, self.shown_type(types.1)?);
        let text = format!("cast from type {from} to type {to} does not exist");
        if if_exists {
            self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{text}, skipping"));
            return Ok(None);
        }
        Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text))
    }

    fn create_cast(&self, c: &CreateCast) -> Result<()> {
        self.must_own_either((c.source, c.target))?;
        for ty in [c.source, c.target] {
            self.may_use_type(ty)?;
        }
        for text in &c.warnings {
            self.cx.session.notice("WARNING", SqlError::new(SqlState::WRONG_OBJECT_TYPE, text.clone()));
        }
        if self.cast_row((c.source, c.target))?.is_some() || registry().cast(c.source, c.target).is_some() {
            let (from, to) = (self.shown_type(c.source)?, self.shown_type(c.target)?);
            let text = format!("cast from type {from} to type {to} already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text));
        }
        let oid = self.oid()?;
        let row = self
            .row(PG_CAST)?
            .set("oid", oid)
            .set("castsource", c.source)
            .set("casttarget", c.target)
            .set("castfunc", c.function)
            .set(
                "castcontext",
                match c.context {
                    CastContext::Implicit => b'i',
                    CastContext::Assignment => b'a',
                    CastContext::Explicit => b'e',
                },
            )
            .set(
                "castmethod",
                match (c.function, c.through_text) {
                    (_, true) => b'i',
                    (0, _) => b'b',
                    _ => b'f',
                },
            );
        self.insert(PG_CAST, &row)?;
        self.depend_on_parts(Address::new(PG_CAST, oid), &[c.source, c.target], &[c.function])
    }
}
