//! CREATE, ALTER, DROP EXTENSION. What a script makes is noted in `pg_depend` as it is made (`Ddl::insert`): it cannot go
//! without the extension, and goes with it.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader,
    acl::right,
    builtin::{
        FIRST_ROLE, PG_CAST, PG_CLASS, PG_DESCRIPTION, PG_EXTENSION, PG_NAMESPACE, PG_OPERATOR, PG_PROC,
        PG_STATISTIC_EXT, PG_TYPE,
    },
    table::Row,
};
use pg_plan::extension::ExtensionStatement;
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Address, Ddl, Dependency, access::refused};
use crate::{
    context::ExecContext,
    extension::{Extension, find},
};

/// What remains to be done for CREATE EXTENSION: its script is to be run by the session.
#[derive(Debug)]
pub struct Script {
    /// `pg_extension.oid`.
    pub extension: Oid,
    /// The schema that its objects go to.
    pub schema: String,
    /// In whose name: the first superuser's for an extension that others may install.
    pub role: Option<Oid>,
    /// Statements of SQL.
    pub text: &'static str,
}

impl Script {
    /// Makes the extension's own row. `None`: it is there, which IF NOT EXISTS allows.
    pub fn of(statement: &ExtensionStatement, cx: &ExecContext<'_>) -> Result<Option<Self>> {
        Ddl::new(cx, statement.tag())?.create_extension(statement)
    }
}

/// Is a new row of a catalog an object of its own, which belongs to the extension that is being made?
pub(super) fn is_member(catalog: Oid, row: &Row) -> bool {
    match catalog {
        PG_CLASS => matches!(row.char("relkind"), b'r' | b'v' | b'm' | b'S'),
        PG_TYPE => row.oid("typrelid") == 0 && row.char("typcategory") != b'A' || row.char("typtype") == b'd',
        PG_PROC | PG_NAMESPACE | PG_OPERATOR | PG_CAST | PG_STATISTIC_EXT => true,
        _ => false,
    }
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("extension \"{name}\" does not exist"))
}

impl Ddl<'_, '_> {
    fn extension_row(&self, name: &str) -> Result<Option<Row>> {
        let rows = self.find(PG_EXTENSION, &["extname"], &[Value::text(name)])?;
        Ok(rows.into_iter().next().map(|r| r.1))
    }

    pub(super) fn must_own_extension(&self, name: &str) -> Result<()> {
        let row = self.extension_row(name)?.ok_or_else(|| unknown(name))?;
        if self.owns(row.oid("extowner"))? {
            return Ok(());
        }
        Err(refused(format!("must be owner of extension {name}")))
    }

    /// ALTER and DROP EXTENSION.
    pub(crate) fn extension_statement(&self, statement: &ExtensionStatement) -> Result<()> {
        match statement {
            // The session runs its script.
            ExtensionStatement::Create { .. } => Err(SqlError::unsupported("CREATE EXTENSION in a function")),
            ExtensionStatement::Update { name, version } => self.update_extension(name, version.as_deref()),
            ExtensionStatement::Drop { names, if_exists, cascade } => {
                let mut targets = Vec::with_capacity(names.len());
                for name in names {
                    match self.extension_row(name)? {
                        Some(row) => {
                            self.must_own_extension(name)?;
                            targets.push(Address::new(PG_EXTENSION, row.oid("oid")));
                        }
                        None if *if_exists => {
                            let message = format!("extension \"{name}\" does not exist, skipping");
                            self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
                        }
                        None => return Err(unknown(name)),
                    }
                }
                self.drop_objects(&targets, *cascade)
            }
        }
    }

    fn update_extension(&self, name: &str, version: Option<&str>) -> Result<()> {
        let row = self.extension_row(name)?.ok_or_else(|| unknown(name))?;
        self.must_own_extension(name)?;
        let installed = row.text("extversion").to_string();
        let wanted = version.or_else(|| find(name).map(|e| e.version)).unwrap_or(&installed);
        if wanted != installed {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!(
                    "extension \"{name}\" has no update path from version \"{installed}\" to version \"{wanted}\""
                ),
            ));
        }
        let message = format!("version \"{installed}\" of extension \"{name}\" is already installed");
        self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
        Ok(())
    }

    fn may_create_extension(&self, extension: &Extension) -> Result<()> {
        let name = extension.name;
        let refuse = |hint: &'static str| {
            Err(refused(format!("permission denied to create extension \"{name}\"")).hint(hint))
        };
        if self.is_superuser()? {
            return Ok(());
        }
        if !extension.trusted {
            return refuse("Must be superuser to create this extension.");
        }
        if self.database_rights(right::CREATE)? == 0 {
            return refuse("Must have CREATE privilege on current database to create this extension.");
        }
        Ok(())
    }

    fn create_extension(&self, statement: &ExtensionStatement) -> Result<Option<Script>> {
        let ExtensionStatement::Create { name, if_not_exists, schema, version } = statement else {
            return Err(SqlError::internal("not CREATE EXTENSION"));
        };
        if self.extension_row(name)?.is_some() {
            let message = format!("extension \"{name}\" already exists");
            if *if_not_exists {
                self.notice(SqlState::DUPLICATE_OBJECT, format!("{message}, skipping"));
                return Ok(None);
            }
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        let Some(extension) = find(name) else {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("extension \"{name}\" is not available"),
            )
            .hint("The extensions that are built in are listed in pg_available_extensions."));
        };
        if let Some(wanted) = version.as_deref().filter(|v| *v != extension.version) {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!(
                    "extension \"{name}\" has no installation script nor update path for version \"{wanted}\""
                ),
            ));
        }
        self.may_create_extension(extension)?;
        let reader = self.reader()?;
        let schema = match schema.clone().or_else(|| reader.creation_schema()) {
            Some(schema) => schema,
            None => {
                let message = "no schema has been selected to create in";
                return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
            }
        };
        let namespace = reader.schema(&schema)?.ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist"))
        })?;
        let oid = self.oid()?;
        let row = self
            .row(PG_EXTENSION)?
            .set("oid", oid)
            .set("extname", name.as_str())
            .set("extowner", self.cx.session.user())
            .set("extnamespace", namespace)
            .set("extrelocatable", false)
            .set("extversion", extension.version);
        self.insert(PG_EXTENSION, &row)?;
        self.depend(
            Address::new(PG_EXTENSION, oid),
            Address::new(PG_NAMESPACE, namespace),
            Dependency::Normal,
        )?;
        let comment = self
            .row(PG_DESCRIPTION)?
            .set("objoid", oid)
            .set("classoid", PG_EXTENSION)
            .set("objsubid", 0i32)
            .set("description", extension.comment);
        self.insert(PG_DESCRIPTION, &comment)?;
        self.step();
        let role = (extension.trusted && !self.is_superuser()?).then_some(FIRST_ROLE);
        Ok(Some(Script { extension: oid, schema, role, text: extension.script }))
    }
}
