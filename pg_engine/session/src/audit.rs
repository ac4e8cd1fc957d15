//! What of a session's statements goes to the audit log.
//!
//! Classes and settings are those of PostgreSQL's extension pgaudit: `pgaudit.log` names the classes, `pgaudit.log_parameter`
//! has parameters kept, `pgaudit.log_catalog` off leaves out queries of nothing but system catalogs. A record is on the device
//! before its statement begins. Statements within functions written in SQL are not recorded by themselves.
//!
//! `log_connections` and `log_disconnections` have the beginnings and ends of sessions recorded too, under the class CONNECTION; set for
//! all roles, the first also those who were not let in.
//!
//! Removing records is recorded whatever the settings say.

use alloc::{borrow::Cow, format, string::String};

use pg_catalog::builtin::INTRALITH_AUDIT_LOG;
use pg_executor::AuditRecord;
use pg_plan::statement::Command;
use pg_types::{Result, SqlError, SqlType, Value, io::parse_boolean, oid};

use crate::{registry::Handle, rows, server::Shared, session::Session, statement::Plan};

/// Objects of users are numbered from here.
const FIRST_USER_OID: u32 = 16384;

/// A set of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u8);

/// Names and bits. `MISC` has `MISC_SET` with it, as in pgaudit.
const CLASSES: [(&str, u8); 8] = [
    ("read", 1),
    ("write", 2),
    ("function", 4),
    ("role", 8),
    ("ddl", 16),
    ("misc", 32 | 64),
    ("misc_set", 64),
    ("all", 127),
];

impl Classes {
    const READ: Self = Self(1);
    const WRITE: Self = Self(2);
    const FUNCTION: Self = Self(4);
    const ROLE: Self = Self(8);
    const DDL: Self = Self(16);
    const MISC: Self = Self(32);
    const MISC_SET: Self = Self(64);
    /// Not pgaudit's: `log_connections` and `log_disconnections` say whether.
    const CONNECTION: Self = Self(128);

    /// From the setting's text: names apart by commas, each taken in, or with a minus sign taken out. `None`: one is unknown.
    pub fn parse(text: &str) -> Option<Self> {
        let mut set = 0;
        for word in text.split(',').map(|w| w.trim().to_ascii_lowercase()) {
            let (out, name) = match word.strip_prefix('-') {
                Some(name) => (true, name),
                None => (false, word.as_str()),
            };
            if name.is_empty() || name == "none" {
                continue;
            }
            let (_, bits) = CLASSES.iter().find(|(n, _)| *n == name)?;
            if out {
                set &= !bits;
            } else {
                set |= bits;
            }
        }
        Some(Self(set))
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn name(self) -> &'static str {
        match self {
            Self::READ => "READ",
            Self::WRITE => "WRITE",
            Self::FUNCTION => "FUNCTION",
            Self::ROLE => "ROLE",
            Self::DDL => "DDL",
            Self::MISC_SET => "MISC_SET",
            Self::CONNECTION => "CONNECTION",
            _ => "MISC",
        }
    }

    /// The class of a statement that is no query, by its tag.
    fn of_tag(tag: &str) -> Self {
        let first = tag.split(' ').next().unwrap_or_default();
        match tag {
            "SET" | "RESET" | "SET CONSTRAINTS" => Self::MISC_SET,
            "GRANT" | "REVOKE" | "GRANT ROLE" | "REVOKE ROLE" => Self::ROLE,
            "CREATE ROLE" | "ALTER ROLE" | "DROP ROLE" | "REASSIGN OWNED" | "DROP OWNED" => Self::ROLE,
            "ALTER DEFAULT PRIVILEGES" => Self::ROLE,
            "CALL" | "DO" => Self::FUNCTION,
            "TRUNCATE TABLE" => Self::WRITE,
            _ => match first {
                "CREATE" | "ALTER" | "DROP" | "COMMENT" | "SECURITY" | "IMPORT" | "SELECT" | "REINDEX"
                | "REFRESH" | "CLUSTER" => Self::DDL,
                _ => Self::MISC,
            },
        }
    }
}

/// What a session records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Statements of these.
    pub classes: Classes,
    /// With their parameters.
    pub parameters: bool,
    /// Also those that look at nothing but catalogs.
    pub catalogs: bool,
    /// That the session began.
    pub connections: bool,
    /// That it ended.
    pub disconnections: bool,
}

/// A role's password does not belong into a log.
fn without_password(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    match lower.find("password") {
        Some(at) => match text.get(..at + "password".len()) {
            Some(kept) => Cow::Owned(format!("{kept} <REDACTED>")),
            None => Cow::Borrowed(text),
        },
        None => Cow::Borrowed(text),
    }
}

/// A client was not let in: recorded if `log_connections` is on for the whole server.
pub(crate) fn failed_login(shared: &Shared, handle: &Handle, user: &str, database: &str, error: &SqlError) {
    let everywhere = match shared.engine.role_settings(0, 0) {
        Ok(set) => set.into_iter().chain(shared.config.settings.iter().cloned()),
        Err(_) => return,
    };
    let on = everywhere.filter(|s| s.0 == "log_connections").any(|s| parse_boolean(&s.1) == Some(true));
    if !on {
        return;
    }
    let record = AuditRecord {
        pid: i32::try_from(handle.pid).unwrap_or(0),
        login: user,
        role: user,
        database,
        address: (handle.peer.port() != 0).then(|| handle.peer.ip().to_canonical()),
        application: "",
        class: Classes::CONNECTION.name(),
        command: "CONNECT FAILED",
        statement: error.message(),
        parameters: None,
    };
    // The client is refused whatever comes of it.
    if let Err(e) = shared.engine.audit(&shared.audit_numbers, &record) {
        log::error!("a failed login was not recorded: {e}");
    }
}

impl Session {
    /// Are any statements recorded?
    pub(crate) fn is_audited(&self) -> bool {
        self.env.derived().audit.classes != Classes::default()
    }

    /// Before a query or change begins.
    pub(crate) fn audit_query(&self, plan: &Plan, params: &[Value]) -> Result<()> {
        let settings = self.env.derived().audit;
        let planned = &plan.planned;
        // Also by a WITH of another statement.
        let trimmed = !planned.read_only && planned.relations.contains(&INTRALITH_AUDIT_LOG);
        if settings.classes == Classes::default() && !trimmed {
            return Ok(());
        }
        let class = match planned.command {
            Command::Call => Classes::FUNCTION,
            Command::Select if planned.read_only => Classes::READ,
            _ => Classes::WRITE,
        };
        let catalogs =
            || !planned.relations.is_empty() && planned.relations.iter().all(|r| *r < FIRST_USER_OID);
        if !trimmed && (!settings.classes.has(class) || !settings.catalogs && catalogs()) {
            return Ok(());
        }
        self.write_audit(class, plan.tag(), plan.text(), params, &planned.params)
    }

    /// Before a statement of another kind.
    pub(crate) fn audit_utility(&self, tag: &str, text: &str) -> Result<()> {
        let settings = self.env.derived().audit;
        if settings.classes == Classes::default() {
            return Ok(());
        }
        let class = Classes::of_tag(tag);
        if !settings.classes.has(class) {
            return Ok(());
        }
        let text = if class == Classes::ROLE { without_password(text) } else { Cow::Borrowed(text) };
        self.write_audit(class, tag, &text, &[], &[])
    }

    /// When the client is let in: before it is told so.
    pub(crate) fn audit_connection(&self) -> Result<()> {
        if !self.env.derived().audit.connections {
            return Ok(());
        }
        let identity = self.env.identity();
        let secured = self.env.handle().secured.get().map_or("", |_| " SSL enabled");
        let text = format!(
            "connection authorized: user={} database={}{secured}",
            identity.session.name, identity.database
        );
        self.write_audit(Classes::CONNECTION, "CONNECT", &text, &[], &[])
    }

    /// When the session ends. Nobody is left who could be told that it cannot be recorded.
    pub(crate) fn audit_disconnection(&self) {
        if !self.env.derived().audit.disconnections {
            return;
        }
        let identity = self.env.identity();
        let text = format!("disconnection: user={} database={}", identity.session.name, identity.database);
        if let Err(e) = self.write_audit(Classes::CONNECTION, "DISCONNECT", &text, &[], &[]) {
            log::error!("a disconnection was not recorded: {e}");
        }
    }

    /// Before a COPY.
    pub(crate) fn audit_copy(&self, from: bool, text: &str) -> Result<()> {
        let class = if from { Classes::WRITE } else { Classes::READ };
        if self.env.derived().audit.classes.has(class) {
            return self.write_audit(class, "COPY", text, &[], &[]);
        }
        Ok(())
    }

    fn write_audit(
        &self,
        class: Classes,
        tag: &str,
        text: &str,
        params: &[Value],
        types: &[SqlType],
    ) -> Result<()> {
        let identity = self.env.identity();
        let handle = self.env.handle();
        let shown = self.env.derived().audit.parameters && !params.is_empty();
        let parameters = shown.then(|| self.shown(params, types));
        let application = handle.activity.lock().application_name.clone();
        let record = AuditRecord {
            pid: i32::try_from(handle.pid).unwrap_or(0),
            login: &identity.session.name,
            role: &identity.user_name,
            database: &identity.database,
            address: (handle.peer.port() != 0).then(|| handle.peer.ip().to_canonical()),
            application: &application,
            class: class.name(),
            command: tag,
            statement: text,
            parameters: parameters.as_deref(),
        };
        self.shared.engine.audit(&self.shared.audit_numbers, &record)
    }

    /// Parameters as CSV, as pgaudit has them.
    fn shown(&self, params: &[Value], types: &[SqlType]) -> String {
        let mut text = String::new();
        for (n, value) in params.iter().enumerate() {
            if n > 0 {
                text.push(',');
            }
            let ty = types.get(n).copied().unwrap_or(SqlType::new(oid::TEXT));
            let Some(shown) = rows::shown(value, ty, &self.env.derived().format) else { continue };
            if shown.contains([',', '"', '\n', '\r']) || shown.is_empty() {
                text.push_str(&format!("\"{}\"", shown.replace('"', "\"\"")));
            } else {
                text.push_str(&shown);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let parse = |s| Classes::parse(s).map(|c| c.0);
        assert_eq!(parse("none"), Some(0));
        assert_eq!(parse("READ, write"), Some(3));
        assert_eq!(parse("all, -misc"), Some(31));
        assert_eq!(parse("reads"), None);
        assert_eq!(Classes::of_tag("CREATE TABLE"), Classes::DDL);
        assert_eq!(Classes::of_tag("ALTER ROLE"), Classes::ROLE);
        assert_eq!(Classes::of_tag("BEGIN"), Classes::MISC);
    }

    #[test]
    fn passwords_are_left_out() {
        assert_eq!(without_password("ALTER ROLE a PassWord 'x' LOGIN"), "ALTER ROLE a PassWord <REDACTED>");
        assert_eq!(without_password("ALTER ROLE a LOGIN"), "ALTER ROLE a LOGIN");
    }
}
