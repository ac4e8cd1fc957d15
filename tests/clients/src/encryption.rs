//! TLS, rules of who may connect, and certificates of clients, through psql.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Failure, Outcome, Test, Url, check, equal};

pub const TESTS: &[Test] = &[
    ("tls: both versions, and what is shown of them", versions),
    ("tls: the certificate is the server's", verified),
    ("tls: SCRAM binds to the channel", bound),
    ("tls: large results and COPY", large),
    ("tls: rules decide who may connect", rules),
    ("tls: certificates of clients", client_certificates),
];

/// Standard output, or standard error of a psql that failed. `settings`: environment.
fn psql(url: &str, settings: &[(&str, &str)], sql: &str) -> Outcome<Result<String, String>> {
    let mut command = Command::new("psql");
    command.args(["-X", "-At", "-v", "ON_ERROR_STOP=1", url]).envs(settings.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::Skipped("psql is not installed".into()));
        }
        child => child?,
    };
    if let Some(mut input) = child.stdin.take() {
        // A psql that could not connect does not read.
        let _ = input.write_all(sql.as_bytes());
    }
    let out = child.wait_with_output()?;
    let text = |b: &[u8]| String::from_utf8_lossy(b).trim_end().to_owned();
    Ok(if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) })
}

fn succeeds(url: &str, settings: &[(&str, &str)], sql: &str) -> Outcome<String> {
    psql(url, settings, sql)?.map_err(Failure::Failed)
}

fn fails(url: &str, settings: &[(&str, &str)], with: &str) -> Outcome {
    match psql(url, settings, "SELECT 1")? {
        Ok(_) => Err(Failure::Failed(format!("connected, where \"{with}\" was expected"))),
        Err(text) => check(format!("\"{text}\" does not say \"{with}\""), text.contains(with)),
    }
}

const REQUIRE: (&str, &str) = ("PGSSLMODE", "require");
const OWN: &str = "FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

fn versions(url: &Url) -> Outcome {
    let shown = format!("SELECT ssl, version, cipher, bits {OWN}");
    for (most, wanted) in [
        ("TLSv1.3", "t|TLSv1.3|TLS_AES_256_GCM_SHA384|256"),
        ("TLSv1.2", "t|TLSv1.2|ECDHE-ECDSA-AES256-GCM-SHA384|256"),
    ] {
        let got = succeeds(&url.text, &[REQUIRE, ("PGSSLMAXPROTOCOLVERSION", most)], &shown)?;
        equal("pg_stat_ssl", got.as_str(), wanted)?;
    }
    equal("plain", succeeds(&url.text, &[("PGSSLMODE", "disable")], &shown)?.as_str(), "f|||")?;
    let old = [REQUIRE, ("PGSSLMINPROTOCOLVERSION", "TLSv1"), ("PGSSLMAXPROTOCOLVERSION", "TLSv1.1")];
    fails(&url.text, &old, "connection to server")
}

/// A file that goes when the test is over.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, text: &str) -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("client_tests_{}_{name}", std::process::id()));
        std::fs::write(&path, text)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // What libpq asks of a private key.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        }
        Ok(Self(path))
    }
    fn path(&self) -> &str {
        self.0.to_str().unwrap_or("")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const CERTIFICATE: &str =
    "SELECT certificate FROM intralith_certificates WHERE purpose = 'server' ORDER BY position";

fn verified(url: &Url) -> Outcome {
    let root = Temporary::new("root.crt", &succeeds(&url.text, &[REQUIRE], CERTIFICATE)?)?;
    let full = [("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", root.path())];
    equal("verified", succeeds(&url.text, &full, "SELECT 1")?.as_str(), "1")?;
    succeeds(&url.text, &[REQUIRE], "SELECT intralith_make_certificate(ARRAY['elsewhere.example.com'])")?;
    fails(&url.text, &full, "certificate verify failed")?;
    succeeds(
        &url.text,
        &[REQUIRE],
        "SELECT intralith_make_certificate(ARRAY['intralith', 'localhost', '127.0.0.1'])",
    )?;
    let root = Temporary::new("root.crt", &succeeds(&url.text, &[REQUIRE], CERTIFICATE)?)?;
    let full = [("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", root.path())];
    equal("verified again", succeeds(&url.text, &full, "SELECT 1")?.as_str(), "1")?;
    let key = succeeds(&url.text, &[REQUIRE], "SELECT row_to_json(c)::text FROM intralith_certificates c")?;
    check("a query shows the private key", !key.contains("PRIVATE"))
}

fn bound(url: &Url) -> Outcome {
    if url.password.is_empty() {
        return Err(Failure::Skipped("there is no password".into()));
    }
    let binding = ("PGCHANNELBINDING", "require");
    equal("bound", succeeds(&url.text, &[REQUIRE, binding], "SELECT 1")?.as_str(), "1")?;
    equal(
        "not bound",
        succeeds(&url.text, &[REQUIRE, ("PGCHANNELBINDING", "disable")], "SELECT 1")?.as_str(),
        "1",
    )?;
    fails(&url.text, &[("PGSSLMODE", "disable"), binding], "channel binding required")
}

fn large(url: &Url) -> Outcome {
    let rows = "SELECT repeat(md5(g::text), 32) FROM generate_series(1, 20000) g";
    let plain = succeeds(&url.text, &[("PGSSLMODE", "disable")], rows)?;
    check("20 MB arrive as they are", succeeds(&url.text, &[REQUIRE], rows)? == plain)?;
    let script = format!(
        "DROP TABLE IF EXISTS client_tls; CREATE TABLE client_tls (t text);\nCOPY client_tls FROM STDIN;\n{plain}\n\\.\nCOPY client_tls TO STDOUT;\nDROP TABLE client_tls;"
    );
    let back = succeeds(&url.text, &[REQUIRE, ("PGOPTIONS", "-c client_min_messages=error")], &script)?;
    check("COPY gives back what it took", back.contains(&plain))
}

/// Leaves no rules behind, whatever happens.
struct NoRules<'a>(&'a Url);

impl Drop for NoRules<'_> {
    fn drop(&mut self) {
        let _ = psql(
            &self.0.text,
            &[],
            "DELETE FROM intralith_hba_rules; DROP ROLE IF EXISTS bob; DROP ROLE IF EXISTS carol; \
             DROP ROLE IF EXISTS dave; SELECT intralith_install_client_authorities(NULL)",
        );
    }
}

/// The same server for another role.
fn as_role(url: &Url, role: &str, password: &str) -> String {
    format!("postgres://{role}:{password}@{}:{}/{}", url.host, url.port, url.database)
}

fn rules(url: &Url) -> Outcome {
    let _cleared = NoRules(url);
    succeeds(
        &url.text,
        &[],
        &format!(
            "DROP ROLE IF EXISTS bob; CREATE ROLE bob LOGIN PASSWORD 'b'; DELETE FROM intralith_hba_rules;
             INSERT INTO intralith_hba_rules (rule_number, type, database, user_name, address, auth_method) VALUES
             (1, 'host', '{{all}}', '{{{}}}', 'all', 'scram-sha-256'),
             (2, 'hostnossl', '{{all}}', '{{bob}}', 'all', 'reject'), (3, 'hostssl', '{{all}}', '{{bob}}', '0.0.0.0/0', 'trust')",
            url.user
        ),
    )?;
    let bob = as_role(url, "bob", "wrong");
    equal("trusted", succeeds(&bob, &[REQUIRE], "SELECT current_user")?.as_str(), "bob")?;
    let (plain, user) = (("PGSSLMODE", "disable"), format!("user \"bob\", database \"{}\"", url.database));
    fails(&bob, &[plain], "FATAL:  pg_hba.conf rejects connection for host ")?;
    fails(&bob, &[plain], &format!("{user}, no encryption"))?;
    succeeds(
        &url.text,
        &[],
        "UPDATE intralith_hba_rules SET database = '{elsewhere}' WHERE rule_number = 3",
    )?;
    fails(&bob, &[REQUIRE], "FATAL:  no pg_hba.conf entry for host ")?;
    fails(&bob, &[REQUIRE], &format!("{user}, SSL encryption"))?;
    for (set, why) in [
        ("type = 'hosts'", "invalid connection type \"hosts\""),
        ("address = '10.0.0.0/33'", "invalid CIDR mask"),
        ("auth_method = 'md5'", "authentication method \"md5\" is not supported"),
        (
            "auth_method = 'cert', type = 'host'",
            "cert authentication is only supported on hostssl connections",
        ),
        ("options = '{map=x}'", "unrecognized authentication option name: \"map\""),
        ("user_name = '{}'", "a rule must name databases and users"),
    ] {
        let sql = format!("UPDATE intralith_hba_rules SET {set} WHERE rule_number = 3");
        match psql(&url.text, &[], &sql)? {
            Ok(_) => return Err(Failure::Failed(format!("{set} was taken"))),
            Err(text) => check(format!("\"{text}\" does not say \"{why}\""), text.contains(why))?,
        }
    }
    let shown = "SELECT line_number, type, user_name, address, netmask, auth_method FROM pg_hba_file_rules WHERE line_number = 3";
    let shown = succeeds(&url.text, &[], shown)?;
    equal("shown", shown.as_str(), "3|hostssl|{bob}|0.0.0.0|0.0.0.0|trust")?;
    succeeds(&url.text, &[], "DELETE FROM intralith_hba_rules")?;
    fails(&bob, &[REQUIRE], "password authentication failed for user \"bob\"")
}

fn file(name: &str) -> Outcome<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates").join(name);
    Ok(std::fs::read_to_string(path)?)
}

fn client_certificates(url: &Url) -> Outcome {
    let _cleared = NoRules(url);
    succeeds(
        &url.text,
        &[],
        &format!(
            "DROP ROLE IF EXISTS bob; DROP ROLE IF EXISTS carol; DROP ROLE IF EXISTS dave;
             CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN; CREATE ROLE dave LOGIN PASSWORD 'd';
             DELETE FROM intralith_hba_rules;
             INSERT INTO intralith_hba_rules VALUES (1, 'host', '{{all}}', '{{{}}}', 'all', 'scram-sha-256', NULL),
             (2, 'hostssl', '{{all}}', '{{bob,carol}}', 'all', 'cert', NULL),
             (3, 'hostssl', '{{all}}', '{{dave}}', 'all', 'scram-sha-256', '{{clientcert=verify-full}}');
             SELECT intralith_install_client_authorities('{}')",
            url.user,
            file("ca.crt")?
        ),
    )?;
    let with = |role: &str, password: &str, certificate: &str| -> Outcome<Result<String, String>> {
        let key = Temporary::new("client.key", &file(&format!("{certificate}.key"))?)?;
        let chain = Temporary::new("client.crt", &file(&format!("{certificate}.crt"))?)?;
        let settings = [REQUIRE, ("PGSSLCERT", chain.path()), ("PGSSLKEY", key.path())];
        psql(&as_role(url, role, password), &settings, &format!("SELECT client_dn, issuer_dn {OWN}"))
    };
    let ca = "/CN=Test CA/O=Intralith";
    for (role, password, dn) in
        [("bob", "x", "/CN=bob/O=Acme\\, Inc"), ("carol", "x", "/CN=carol"), ("dave", "d", "/CN=dave")]
    {
        equal(role, with(role, password, role)?.map_err(Failure::Failed)?, format!("{dn}|{ca}"))?;
    }
    for (role, password, certificate, why) in [
        ("bob", "x", "carol", "certificate authentication failed for user \"bob\""),
        ("dave", "d", "bob", "password authentication failed for user \"dave\""),
        ("dave", "x", "dave", "password authentication failed for user \"dave\""),
        ("bob", "x", "expired", "certificate expired"),
        ("bob", "x", "stranger", "unknown ca"),
    ] {
        match with(role, password, certificate)? {
            Ok(_) => return Err(Failure::Failed(format!("{certificate} was taken for {role}"))),
            Err(text) => check(format!("\"{text}\" does not say \"{why}\""), text.contains(why))?,
        }
    }
    let none = [REQUIRE, ("PGSSLCERT", "/nonexistent")];
    fails(&as_role(url, "bob", "x"), &none, "connection requires a valid client certificate")
}
