//! Raw bytes: what no well-behaved client sends.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use postgres::{Client, NoTls};

use crate::{Outcome, Test, Url, check, equal};

pub const TESTS: &[Test] = &[
    ("protocol: requests for encryption", encryption),
    ("protocol: malformed messages are fatal 08P01 and hurt nobody else", malformed),
    ("protocol: unknown users, databases and wrong passwords", logins),
    ("protocol: startup packet limits", startup_limits),
    ("protocol: a statement that ends its own session", ends_itself),
    ("protocol: parameters of domains, names of rows", domain_parameters),
    ("protocol: many connections at a time", many_connections),
];

fn connect(url: &Url) -> Outcome<TcpStream> {
    let stream = TcpStream::connect((url.host.as_str(), url.port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// Everything until the server closes.
fn rest(stream: &mut TcpStream) -> Outcome<Vec<u8>> {
    let mut all = Vec::new();
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return Ok(all),
            Ok(n) => all.extend_from_slice(&buf[..n]),
            // A server that closes with our bytes unread resets.
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Ok(all),
            Err(e) => return Err(e.into()),
        }
    }
}

/// The field of an ErrorResponse in these bytes.
fn error_field(bytes: &[u8], code: u8) -> Option<String> {
    let at = bytes.windows(6).position(|w| w[0] == b'E' && w[5] == b'S')?;
    bytes[at + 5..]
        .split(|b| *b == 0)
        .find_map(|f| f.strip_prefix(&[code]))
        .map(|t| String::from_utf8_lossy(t).into_owned())
}

/// GSSAPI is not there, TLS is; what comes unencrypted behind a request for TLS is never taken for the client's.
fn encryption(url: &Url) -> Outcome {
    let request = |code: u32| [8u32.to_be_bytes(), code.to_be_bytes()].concat();
    let mut stream = connect(url)?;
    for (code, wanted) in [(80_877_104, *b"N"), (80_877_103, *b"S")] {
        stream.write_all(&request(code))?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        equal("answer", answer, wanted)?;
    }
    let mut stuffed = request(80_877_103);
    stuffed.extend_from_slice(b"Q\0\0\0\x0dSELECT 1\0");
    let mut stream = connect(url)?;
    stream.write_all(&stuffed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    check("unencrypted data behind the request is refused", answer.first() == Some(&b'E'))
}

fn malformed(url: &Url) -> Outcome {
    let mut bystander = Client::connect(&url.text, NoTls)?;
    bystander.batch_execute("BEGIN")?;
    let cases: &[&[u8]] = &[
        // No such message.
        b"\x7f\0\0\0\x04",
        // Far too long.
        b"Q\x7f\xff\xff\xff",
        // Shorter than its own length word.
        b"S\0\0\0\x03",
        // Bind that promises more parameters than it has.
        b"B\0\0\0\x0c\0\0\0\0\xff\xff\0\0",
        // A string without an end.
        b"Q\0\0\0\x07abc",
    ];
    for bytes in cases {
        // The `postgres` crate has no way to send raw bytes: log in by hand where no password is asked for, or be
        // refused as malformed during the exchange.
        let mut stream = connect(url)?;
        let mut startup = vec![0, 3, 0, 0];
        for word in ["user", &url.user, "database", &url.database] {
            startup.extend_from_slice(word.as_bytes());
            startup.push(0);
        }
        startup.push(0);
        let length = u32::try_from(startup.len() + 4).unwrap_or(0);
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&startup)?;
        stream.write_all(bytes)?;
        let answer = rest(&mut stream)?;
        equal("severity", error_field(&answer, b'S').as_deref(), Some("FATAL"))?;
        equal("code", error_field(&answer, b'C').as_deref(), Some("08P01"))?;
    }
    equal("bystander", bystander.query_one("SELECT 1", &[])?.get::<_, i32>(0), 1)
}

fn login_error(url: &Url, user: &str, password: &str, database: &str) -> Outcome<(String, String)> {
    let outcome = postgres::Config::new()
        .host(&url.host)
        .port(url.port)
        .user(user)
        .password(password)
        .dbname(database)
        .connect(NoTls);
    match outcome {
        Ok(_) => Err(crate::Failure::Failed(format!("{user} was let into {database}"))),
        Err(e) => {
            let db = e.as_db_error().ok_or_else(|| crate::Failure::Failed(e.to_string()))?;
            Ok((db.code().code().to_owned(), db.message().to_owned()))
        }
    }
}

fn logins(url: &Url) -> Outcome {
    let (code, message) = login_error(url, &url.user, &url.password, "nowhere")?;
    equal("code", code.as_str(), "3D000")?;
    equal("message", message.as_str(), "database \"nowhere\" does not exist")?;
    if url.password.is_empty() {
        return Ok(());
    }
    for user in [url.user.as_str(), "nobody"] {
        let (code, message) = login_error(url, user, "wrong", &url.database)?;
        equal("code", code.as_str(), "28P01")?;
        equal("message", message, format!("password authentication failed for user \"{user}\""))?;
    }
    Ok(())
}

fn startup_limits(url: &Url) -> Outcome {
    // Whoever sends such a thing does not speak the protocol, and is not answered.
    for length in [0u32, 7, 10_005, u32::MAX] {
        let mut stream = connect(url)?;
        stream.write_all(&length.to_be_bytes())?;
        equal("answer", rest(&mut stream)?.len(), 0)?;
    }
    Ok(())
}

fn ends_itself(url: &Url) -> Outcome {
    let mut c = Client::connect(&url.text, NoTls)?;
    let ended = c.simple_query("SELECT pg_terminate_backend(pg_backend_pid())").map(|_| ());
    // The statement does not succeed first. The client may see the end of the connection before it looks at the message.
    let e = ended.err().ok_or_else(|| crate::Failure::Failed("it succeeded".into()))?;
    equal("code", e.code().map_or("57P01", |c| c.code()), "57P01")
}

fn domain_parameters(url: &Url) -> Outcome {
    let mut c = Client::connect(&url.text, NoTls)?;
    c.batch_execute(
        "DROP DOMAIN IF EXISTS positive_p; CREATE DOMAIN positive_p AS int CHECK (value > 0); \
         PREPARE inferred AS SELECT $1::positive_p, $2::varchar(3); PREPARE declared (positive_p) AS SELECT $1 + 1",
    )?;
    let types = "SELECT parameter_types::text FROM pg_prepared_statements WHERE from_sql ORDER BY name";
    let rows = c.query(types, &[])?;
    let types: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
    let wanted = ["{positive_p}", "{positive_p,\"character varying\"}"].map(String::from);
    equal("types", types, wanted.to_vec())?;
    c.batch_execute("EXECUTE inferred (1, 'abc'); EXECUTE declared (4)")?;
    for sql in ["EXECUTE inferred (-1, 'abc')", "EXECUTE declared (-4)"] {
        let e = c.batch_execute(sql).err().and_then(|e| e.as_db_error().map(|e| e.message().to_owned()));
        let wanted = "value for domain positive_p violates check constraint \"positive_p_check\"";
        equal(sql, e.as_deref(), Some(wanted))?;
    }
    let named = c.prepare("SELECT q.*::text FROM (SELECT 1) q")?;
    equal("a row's name", named.columns().first().map(|c| c.name().to_owned()), Some("q".into()))?;
    let described = c.prepare("SELECT $1::positive_p")?;
    equal("described", described.params().first().map(|t| t.name().to_owned()), Some("positive_p".into()))?;
    c.batch_execute("DEALLOCATE ALL; DROP DOMAIN positive_p")?;
    Ok(())
}

fn many_connections(url: &Url) -> Outcome {
    const MANY: usize = 80;
    let mut clients = Vec::new();
    for _ in 0..MANY {
        clients.push(Client::connect(&url.text, NoTls)?);
    }
    for (i, client) in clients.iter_mut().enumerate() {
        let i = i32::try_from(i).unwrap_or(0);
        check("own answer", client.query_one("SELECT $1::int4 + 1", &[&i])?.get::<_, i32>(0) == i + 1)?;
    }
    Ok(())
}
