//! Row-level security policies and the switches of tables.

use alloc::{format, vec::Vec};

use pg_catalog::{
    Relation,
    builtin::{PG_CLASS, PG_DEPEND, PG_POLICY},
    table::array,
};
use pg_plan::access::{AlterPolicy, CreatePolicy, DropPolicy, RenamePolicy, RoleName};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid};

use super::{Address, Ddl, Dependency};

impl Ddl<'_, '_> {
    fn policy_row(&self, relation: &Relation, name: &str) -> Result<Option<pg_catalog::table::Row>> {
        let key = [Value::Oid(relation.oid), Value::text(name)];
        Ok(self.find(PG_POLICY, &["polrelid", "polname"], &key)?.into_iter().next().map(|r| r.1))
    }
    fn existing_policy(&self, relation: &Relation, name: &str) -> Result<Oid> {
        self.policy_row(relation, name)?.map(|r| r.oid("oid")).ok_or_else(|| {
            let text = format!("policy \"{name}\" for table \"{}\" does not exist", relation.name);
            SqlError::new(SqlState::UNDEFINED_OBJECT, text)
        })
    }
    fn refuse_policy_name(&self, relation: &Relation, name: &str) -> Result<()> {
        if self.policy_row(relation, name)?.is_some() {
            let text = format!("policy \"{name}\" for table \"{}\" already exists", relation.name);
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text));
        }
        Ok(())
    }
    fn policy_roles(&self, names: &[RoleName]) -> Result<Value> {
        let mut roles = Vec::new();
        for name in names {
            roles.push(self.grantee(name)?);
        }
        if roles.contains(&0) && roles.len() > 1 {
            let report = SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "ignoring specified roles other than PUBLIC",
            )
            .hint("All roles are members of the PUBLIC role.");
            self.cx.session.notice("WARNING", report);
            roles.retain(|r| *r == 0);
        }
        if roles.is_empty() {
            roles.push(0);
        }
        Ok(array(oid::OID, roles.into_iter().map(Value::Oid).collect()))
    }
    fn policy_table(&self, relation: &Relation) -> Result<()> {
        self.must_own(relation)?;
        if relation.oid < pg_catalog::builtin::FIRST_NORMAL_OID {
            return Err(super::access::refused(format!(
                "permission denied: \"{}\" is a system catalog",
                relation.name
            )));
        }
        self.relock(relation, LockMode::AccessExclusive)?;
        Ok(())
    }
    fn policy_depends(&self, policy: Oid, relation: &Relation, texts: [Option<&str>; 2]) -> Result<()> {
        let address = Address::new(PG_POLICY, policy);
        self.depend(address, Address::new(PG_CLASS, relation.oid), Dependency::Auto)?;
        let reader = self.reader()?;
        let (mut relations, mut columns) = (Vec::new(), Vec::new());
        for text in texts.into_iter().flatten() {
            let condition = self.cx.session.stored_condition(&reader, relation, text)?;
            let (r, c) = condition.reads(&reader)?;
            relations.extend(r);
            columns.extend(c);
            self.depend_on_references(address, text)?;
        }
        columns.sort_unstable();
        columns.dedup();
        for &(table, column) in &columns {
            self.depend(address, Address::column(table, column), Dependency::Normal)?;
        }
        relations.retain(|r| *r != relation.oid && !columns.iter().any(|c| c.0 == *r));
        relations.sort_unstable();
        relations.dedup();
        for other in relations {
            self.depend(address, Address::new(PG_CLASS, other), Dependency::Normal)?;
        }
        Ok(())
    }

    /// CREATE POLICY.
    pub(crate) fn create_policy(&self, p: &CreatePolicy) -> Result<()> {
        self.policy_table(&p.relation)?;
        self.refuse_policy_name(&p.relation, &p.name)?;
        let text = |t: &Option<alloc::string::String>| t.as_deref().map_or(Value::Null, Value::text);
        let oid = self.oid()?;
        let row = self
            .row(PG_POLICY)?
            .set("oid", oid)
            .set("polname", p.name.as_str())
            .set("polrelid", p.relation.oid)
            .set("polcmd", p.command)
            .set("polpermissive", p.permissive)
            .set("polroles", self.policy_roles(&p.roles)?)
            .set("polqual", text(&p.using))
            .set("polwithcheck", text(&p.check));
        self.insert(PG_POLICY, &row)?;
        self.policy_depends(oid, &p.relation, [p.using.as_deref(), p.check.as_deref()])?;
        self.step();
        Ok(())
    }

    /// ALTER POLICY.
    pub(crate) fn alter_policy(&self, p: &AlterPolicy) -> Result<()> {
        self.policy_table(&p.relation)?;
        let oid = self.existing_policy(&p.relation, &p.name)?;
        let old = self.policy_row(&p.relation, &p.name)?;
        let command = old.as_ref().map_or(b'*', |r| r.char("polcmd"));
        if matches!(command, b'r' | b'd') && p.check.is_some() {
            return Err(SqlError::syntax("only USING expression allowed for SELECT, DELETE"));
        }
        if command == b'a' && p.using.is_some() {
            return Err(SqlError::syntax("only WITH CHECK expression allowed for INSERT"));
        }
        let roles = p.roles.as_ref().map(|r| self.policy_roles(r)).transpose()?;
        self.update(PG_POLICY, &["oid"], &[Value::Oid(oid)], |r| {
            if let Some(roles) = &roles {
                r.put("polroles", roles.clone());
            }
            if let Some(t) = &p.using {
                r.put("polqual", t.as_str());
            }
            if let Some(t) = &p.check {
                r.put("polwithcheck", t.as_str());
            }
        })?;
        self.step();
        let new = self.policy_row(&p.relation, &p.name)?;
        let text = |column: &str| new.as_ref().and_then(|r| r.text_option(column));
        let (using, check) = (text("polqual"), text("polwithcheck"));
        if p.using.is_some() || p.check.is_some() {
            self.delete(PG_DEPEND, &["classid", "objid"], &[Value::Oid(PG_POLICY), Value::Oid(oid)])?;
            self.policy_depends(oid, &p.relation, [using.as_deref(), check.as_deref()])?;
        }
        self.step();
        Ok(())
    }

    /// ALTER POLICY ... RENAME TO.
    pub(crate) fn rename_policy(&self, p: &RenamePolicy) -> Result<()> {
        self.policy_table(&p.relation)?;
        self.refuse_policy_name(&p.relation, &p.new_name)?;
        let oid = self.existing_policy(&p.relation, &p.name)?;
        let name = p.new_name.as_str();
        self.update(PG_POLICY, &["oid"], &[Value::Oid(oid)], |r| r.put("polname", name))?;
        self.step();
        Ok(())
    }

    /// DROP POLICY.
    pub(crate) fn drop_policy(&self, p: &DropPolicy) -> Result<()> {
        let Some(relation) = &p.relation else {
            let text = format!("relation \"{}\" does not exist, skipping", p.table);
            self.notice(SqlState::SUCCESSFUL_COMPLETION, text);
            return Ok(());
        };
        if p.if_exists && self.policy_row(relation, &p.name)?.is_none() {
            let text = format!("policy \"{}\" for relation \"{}\" does not exist, skipping", p.name, p.table);
            self.notice(SqlState::SUCCESSFUL_COMPLETION, text);
            return Ok(());
        }
        let oid = self.existing_policy(relation, &p.name)?;
        self.policy_table(relation)?;
        self.drop_objects(&[Address::new(PG_POLICY, oid)], false)
    }

    /// ENABLE, DISABLE, FORCE, NO FORCE ROW LEVEL SECURITY.
    pub(crate) fn row_security(&self, relation: &Relation, column: &str, on: bool) -> Result<()> {
        self.update(PG_CLASS, &["oid"], &[Value::Oid(relation.oid)], |r| r.put(column, on))?;
        Ok(())
    }
}
