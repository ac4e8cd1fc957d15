//! Certificates for encrypted connections: rows of `intralith_certificates`, one a certificate, changed by functions that
//! superusers call and read by whoever accepts connections.
//!
//! The server's private key stands in a column that no query sees, in the row of the certificate it belongs to.

use alloc::{string::String, vec::Vec};

use pg_catalog::{
    Txn,
    builtin::{INTRALITH_CERTIFICATES, PG_AUTHID},
    table::{CatalogTable, Row},
};
use pg_storage::Isolation;
use pg_tls::{Identity, TlsError};
use pg_types::{Result, SqlError, SqlState, Value};

use crate::{context::ExecContext, ddl::Ddl, engine::Engine};

/// Microseconds from 1970 to 2000.
const EPOCH: i64 = 946_684_800_000_000;
/// Rows of the server's own certificate and those that lead from it to a root.
const SERVER: &str = "server";
/// Rows of authorities that sign certificates of clients.
const CLIENT_AUTHORITIES: &str = "client authorities";

/// What is stored for encrypted connections.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCertificates {
    /// The server's certificate and those that lead to a root, as PEM.
    pub certificate: String,
    /// Its private key, as PEM.
    pub private_key: String,
    /// Authorities whose signature on a client's certificate counts, as PEM.
    pub client_authorities: Option<String>,
}

fn invalid(e: &TlsError) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, alloc::format!("{e}"))
}

/// Rows of a text of certificates; the first one's has the key.
fn rows(table: &CatalogTable, purpose: &str, pem: &str, key: Option<&str>) -> Result<Vec<Row>> {
    let time = |seconds: u64| {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Value::TimestampTz(micros.saturating_sub(EPOCH))
    };
    let split = pg_tls::split(pem).map_err(|e| invalid(&e))?;
    let row = |(position, (pem, says)): (i32, (String, pg_tls::certificate::Described))| {
        let mut row = table
            .row()
            .set("purpose", purpose)
            .set("position", position)
            .set("subject", says.subject)
            .set("issuer", says.issuer)
            .set("serial", says.serial)
            .set("not_before", time(says.not_before))
            .set("not_after", time(says.not_after))
            .set("certificate", pem);
        if let Some(key) = key.filter(|_| position == 1) {
            row.put("private_key", key);
        }
        row
    };
    Ok((1..).zip(split).map(row).collect())
}

impl Engine {
    /// What is stored, as committed. `None`: the server has no certificate.
    pub fn certificates(&self) -> Result<Option<StoredCertificates>> {
        let table = self.catalog().table(INTRALITH_CERTIFICATES)?;
        let mut rows = table.scan(self.storage(), &self.catalog().latest())?;
        rows.sort_by_key(|(_, r)| r.int("position"));
        let text = |purpose: &str| {
            let mut texts = rows.iter().filter(|(_, r)| r.text("purpose") == purpose).peekable();
            texts.peek().is_some().then(|| texts.map(|(_, r)| r.text("certificate")).collect::<String>())
        };
        let private_key = rows.iter().find_map(|(_, r)| r.text_option("private_key"));
        Ok(text(SERVER).zip(private_key).map(|(certificate, private_key)| StoredCertificates {
            certificate,
            private_key,
            client_authorities: text(CLIENT_AUTHORITIES),
        }))
    }

    /// Makes a certificate for these names if the server has none. When it returns the certificate is durable.
    pub fn ensure_certificate(&self, names: &[&str]) -> Result<()> {
        if self.certificates()?.is_some() {
            return Ok(());
        }
        let identity = Identity::generate(names).map_err(|e| invalid(&e))?;
        let table = self.catalog().table(INTRALITH_CERTIFICATES)?;
        let now = platform::time::wall_clock_micros() - EPOCH;
        let mut txn: Txn = self.begin(Isolation::ReadCommitted, false, now);
        for row in rows(table, SERVER, identity.certificate(), Some(identity.private_key()))? {
            table.insert(self.storage(), txn.storage(), &row)?;
        }
        txn.catalogs_changed();
        self.commit(txn)
    }
}

/// Puts rows in the place of those that there are for a purpose.
fn replace(cx: &ExecContext<'_>, purpose: &str, pem: Option<&str>, key: Option<&str>) -> Result<()> {
    let ddl = Ddl::new(cx, "a change of certificates")?;
    let rows = match pem {
        Some(pem) => rows(ddl.catalog(INTRALITH_CERTIFICATES)?, purpose, pem, key)?,
        None => Vec::new(),
    };
    ddl.delete(INTRALITH_CERTIFICATES, &["purpose"], &[Value::text(purpose)])?;
    rows.iter().try_for_each(|row| ddl.insert(INTRALITH_CERTIFICATES, row))?;
    ddl.step();
    Ok(())
}

pub(crate) fn call(cx: &ExecContext<'_>, function: &str, args: &[Value]) -> Result<Option<Value>> {
    let text = |n: usize| match args.get(n) {
        Some(Value::Text(s)) => Some(s.as_ref()),
        _ => None,
    };
    match function {
        "intralith_install_certificate"
        | "intralith_make_certificate"
        | "intralith_install_client_authorities" => {}
        _ => return Ok(None),
    }
    superuser(cx, function)?;
    match function {
        "intralith_install_certificate" => {
            let identity = Identity::from_pem(text(0).unwrap_or(""), text(1).unwrap_or(""));
            let identity = identity.map_err(|e| invalid(&e))?;
            replace(cx, SERVER, Some(identity.certificate()), Some(identity.private_key()))?;
        }
        "intralith_make_certificate" => {
            let names = match args.first() {
                Some(Value::Array(a)) => a.values.as_slice(),
                _ => &[],
            };
            let names: Vec<&str> =
                names.iter().map(|v| if let Value::Text(s) = v { s.as_ref() } else { "" }).collect();
            let identity = Identity::generate(&names).map_err(|e| invalid(&e))?;
            replace(cx, SERVER, Some(identity.certificate()), Some(identity.private_key()))?;
        }
        _ => {
            // NULL: clients are not asked for certificates.
            if let Some(pem) = text(0) {
                pg_tls::check_authorities(pem).map_err(|e| invalid(&e))?;
            }
            replace(cx, CLIENT_AUTHORITIES, text(0), None)?;
        }
    }
    Ok(Some(Value::text("")))
}

fn superuser(cx: &ExecContext<'_>, function: &str) -> Result<()> {
    let snapshot = cx.engine.catalog().latest();
    let user =
        cx.engine.catalog().find_one(&snapshot, PG_AUTHID, &["oid"], &[Value::Oid(cx.session.user())])?;
    if user.is_some_and(|r| r.bool("rolsuper")) {
        return Ok(());
    }
    let text = alloc::format!("permission denied for function {function}");
    Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text))
}
