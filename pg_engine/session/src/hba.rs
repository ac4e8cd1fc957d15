//! Who may connect and how they prove who they are: the rules in the database, read again when the catalogs change.

use alloc::{format, sync::Arc};

use pg_executor::{ClientCertificate, HbaClient, HbaMethod, HbaRules};
use pg_types::{Result, SqlError, SqlState};
use platform::sync::Mutex;

use crate::{config::Authentication, registry::Handle, server::Shared};

/// The rules as of a version of the catalogs.
#[derive(Default)]
pub struct Access(Mutex<Option<(u64, Arc<HbaRules>)>>);

/// How a client has to prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The method.
    pub method: HbaMethod,
    /// What is asked of its certificate besides.
    pub certificate: ClientCertificate,
}

impl Access {
    fn rules(&self, shared: &Shared) -> Result<Arc<HbaRules>> {
        // Read first: a change meanwhile is seen the next time.
        let version = shared.engine.catalog_version();
        let mut known = self.0.lock();
        if let Some((as_of, rules)) = &*known
            && *as_of == version
        {
            return Ok(rules.clone());
        }
        let rules = Arc::new(shared.engine.hba_rules()?);
        *known = Some((version, rules.clone()));
        Ok(rules)
    }

    /// What the rules ask of a client, or why it is refused.
    pub fn demand(
        &self,
        shared: &Shared,
        handle: &Handle,
        user: &str,
        database: &str,
        replication: bool,
    ) -> Result<Demand> {
        let rules = if shared.config.hba { self.rules(shared)? } else { Arc::default() };
        if rules.is_empty() {
            let method = match shared.config.authentication {
                Authentication::Trust => HbaMethod::Trust,
                Authentication::Scram => HbaMethod::Scram,
            };
            return Ok(Demand { method, certificate: ClientCertificate::Any });
        }
        let address = handle.peer.ip().to_canonical();
        let secured = handle.secured.get();
        let client = HbaClient { address, encrypted: secured.is_some(), user, database, replication };
        let found = rules.find(&client, &*shared.engine.catalog().roles()?);
        let encryption = if client.encrypted { "SSL encryption" } else { "no encryption" };
        let place = match replication {
            true => format!("host \"{address}\", user \"{user}\", {encryption}"),
            false => format!("host \"{address}\", user \"{user}\", database \"{database}\", {encryption}"),
        };
        let refused = |text| SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, text);
        let Some((method, certificate)) = found else {
            let what = if replication { " for replication connection from" } else { " for" };
            return Err(refused(format!("no pg_hba.conf entry{what} {place}")));
        };
        if certificate != ClientCertificate::Any && secured.is_none_or(|s| s.client.is_none()) {
            return Err(refused("connection requires a valid client certificate".into()));
        }
        if method == HbaMethod::Reject {
            let what = if replication { "replication connection" } else { "connection" };
            return Err(refused(format!("pg_hba.conf rejects {what} for {place}")));
        }
        Ok(Demand { method, certificate })
    }
}

impl Demand {
    /// The client has proved the rest: is its certificate the role's?
    pub fn certified(self, handle: &Handle, user: &str) -> Result<()> {
        if self.certificate != ClientCertificate::VerifyFull {
            return Ok(());
        }
        let client = handle.secured.get().and_then(|s| s.client.as_ref());
        if client.is_some_and(|c| c.common_name.as_deref() == Some(user)) {
            return Ok(());
        }
        Err(match self.method {
            HbaMethod::Certificate => failed("certificate", user),
            HbaMethod::Trust => failed("\"trust\"", user),
            HbaMethod::Scram | HbaMethod::Reject => password_failed(user),
        })
    }
}

fn failed(method: &str, user: &str) -> SqlError {
    let text = format!("{method} authentication failed for user \"{user}\"");
    SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, text)
}

/// The password was wrong, or something that is not told apart from it.
pub fn password_failed(user: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
}
