//! A client of the simple protocol that sees everything an answer holds: column names and types, command tags, and the fields
//! of errors, which drivers hide.

use std::{
    io::{self, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use postgres_protocol::authentication::{
    md5_hash,
    sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
};

/// Where a server is.
#[derive(Clone, Debug)]
pub struct Url {
    user: String,
    password: String,
    address: String,
    database: String,
}

impl std::str::FromStr for Url {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not postgres://user:password@host:port/database");
        let rest = text.split_once("://").ok_or_else(wrong)?.1;
        let (login, place) = rest.split_once('@').ok_or_else(wrong)?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (address, database) = place.split_once('/').ok_or_else(wrong)?;
        let address = if address.contains(':') { address.to_owned() } else { format!("{address}:5432") };
        Ok(Self { user: user.into(), password: password.into(), address, database: database.into() })
    }
}

/// An error as the server reports it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SqlError {
    /// SQLSTATE.
    pub state: String,
    /// The message.
    pub message: String,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Number of its type.
    pub type_oid: u32,
    /// The type's modifier.
    pub modifier: i32,
}

/// A value as text.
pub type Value = Option<String>;

/// What one statement gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, with rows if it is of that kind.
    Done { columns: Vec<Column>, rows: Vec<Vec<Value>>, tag: String },
    /// Refused.
    Failed(SqlError),
}

/// A connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

const LIMIT: usize = 256 << 20;

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A string that ends with a zero byte, and what is behind it.
fn string(body: &[u8]) -> io::Result<(String, &[u8])> {
    let end = body.iter().position(|b| *b == 0).ok_or_else(|| broken("a string without an end"))?;
    Ok((String::from_utf8_lossy(&body[..end]).into_owned(), &body[end + 1..]))
}

fn error_of(mut body: &[u8]) -> io::Result<SqlError> {
    let mut error = SqlError::default();
    while let Some((field, rest)) = body.split_first().filter(|f| *f.0 != 0) {
        let (text, rest) = string(rest)?;
        match field {
            b'C' => error.state = text,
            b'M' => error.message = text,
            _ => {}
        }
        body = rest;
    }
    Ok(error)
}

fn columns_of(body: &[u8]) -> io::Result<Vec<Column>> {
    let (_, mut rest) = body.split_at_checked(2).ok_or_else(|| broken("short row description"))?;
    let mut columns = Vec::new();
    while !rest.is_empty() {
        let (name, after) = string(rest)?;
        let (fixed, after) = after.split_first_chunk::<18>().ok_or_else(|| broken("short column"))?;
        let word = |at: usize| [fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]];
        columns.push(Column {
            name,
            type_oid: u32::from_be_bytes(word(6)),
            modifier: i32::from_be_bytes(word(12)),
        });
        rest = after;
    }
    Ok(columns)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn row_of(body: &[u8]) -> io::Result<Vec<Value>> {
    values_of(body, lossy)
}

fn values_of(body: &[u8], shown: fn(&[u8]) -> String) -> io::Result<Vec<Value>> {
    let (_, mut rest) = body.split_at_checked(2).ok_or_else(|| broken("short row"))?;
    let mut row = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else {
            row.push(None);
            rest = after;
            continue;
        };
        let (text, after) = after.split_at_checked(len).ok_or_else(|| broken("short value"))?;
        row.push(Some(shown(text)));
        rest = after;
    }
    Ok(row)
}

impl Client {
    /// Connects and signs in.
    pub fn connect(url: &Url) -> io::Result<Self> {
        let stream = TcpStream::connect(&url.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        let mut client = Self { stream: BufReader::new(stream) };
        let words = ["user", &url.user, "database", &url.database, "application_name", "sql_fuzz"];
        let mut body = 0x0003_0000u32.to_be_bytes().to_vec();
        words.iter().for_each(|w| body.extend(w.bytes().chain([0])));
        body.push(0);
        let mut message = (body.len() as u32 + 4).to_be_bytes().to_vec();
        message.extend(body);
        client.stream.get_mut().write_all(&message)?;
        client.authenticate(url)?;
        while client.message()?.0 != b'Z' {}
        Ok(client)
    }

    fn send(&mut self, tag: u8, body: &[u8]) -> io::Result<()> {
        let mut message = vec![tag];
        message.extend((body.len() as u32 + 4).to_be_bytes());
        message.extend_from_slice(body);
        self.stream.get_mut().write_all(&message)
    }

    fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let [tag, a, b, c, d] = head;
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(4..=LIMIT).contains(&len) {
            return Err(broken("a message of impossible length"));
        }
        let mut body = vec![0; len - 4];
        self.stream.read_exact(&mut body)?;
        Ok((tag, body))
    }

    fn authenticate(&mut self, url: &Url) -> io::Result<()> {
        let mut scram: Option<ScramSha256> = None;
        loop {
            let (tag, body) = self.message()?;
            if tag == b'E' {
                return Err(io::Error::other(error_of(&body)?.message));
            }
            let rest = body.get(4..).unwrap_or_default();
            match (body.first_chunk().map(|b| u32::from_be_bytes(*b)), &mut scram) {
                (Some(0), _) => return Ok(()),
                (Some(3), _) => self.send(b'p', &[url.password.as_bytes(), &[0]].concat())?,
                (Some(5), _) => {
                    let salt = rest.first_chunk::<4>().ok_or_else(|| broken("no salt"))?;
                    let hash = md5_hash(url.user.as_bytes(), url.password.as_bytes(), *salt);
                    self.send(b'p', &[hash.as_bytes(), &[0]].concat())?;
                }
                (Some(10), _) => {
                    let exchange = ScramSha256::new(url.password.as_bytes(), ChannelBinding::unsupported());
                    let mut body = SCRAM_SHA_256.as_bytes().to_vec();
                    body.push(0);
                    body.extend((exchange.message().len() as u32).to_be_bytes());
                    body.extend_from_slice(exchange.message());
                    self.send(b'p', &body)?;
                    scram = Some(exchange);
                }
                (Some(11), Some(exchange)) => {
                    exchange.update(rest)?;
                    let message = exchange.message().to_vec();
                    self.send(b'p', &message)?;
                }
                (Some(12), Some(exchange)) => exchange.finish(rest)?,
                _ => return Err(broken("an authentication that is not known here")),
            }
        }
    }

    /// Runs statements; gives the answer to each, up to the first that failed.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn run(&mut self, sql: &str) -> io::Result<Vec<Answer>> {
        self.send(b'Q', &[sql.as_bytes(), &[0]].concat())?;
        let mut answers = Vec::new();
        let (mut columns, mut rows) = (Vec::new(), Vec::new());
        loop {
            let (tag, body) = self.message()?;
            match tag {
                b'T' => columns = columns_of(&body)?,
                b'D' => rows.push(row_of(&body)?),
                b'C' | b'I' => {
                    let tag = if tag == b'C' { string(&body)?.0 } else { String::new() };
                    let (columns, rows) = (std::mem::take(&mut columns), std::mem::take(&mut rows));
                    answers.push(Answer::Done { columns, rows, tag });
                }
                b'E' => answers.push(Answer::Failed(error_of(&body)?)),
                b'Z' => return Ok(answers),
                _ => {}
            }
        }
    }

    /// Runs one statement with parameters over the extended protocol. Values of a binary result come as hexadecimal digits.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn prepared(
        &mut self,
        sql: &str,
        parameters: &[Option<Vec<u8>>],
        binary: bool,
        binary_result: bool,
    ) -> io::Result<Answer> {
        self.send(b'P', &[&[0], sql.as_bytes(), &[0, 0, 0]].concat())?;
        let mut bind = vec![0, 0, 0, 1, 0, u8::from(binary)];
        bind.extend((parameters.len() as u16).to_be_bytes());
        for p in parameters {
            match p {
                None => bind.extend((-1i32).to_be_bytes()),
                Some(bytes) => {
                    bind.extend((bytes.len() as u32).to_be_bytes());
                    bind.extend_from_slice(bytes);
                }
            }
        }
        bind.extend([0, 1, 0, u8::from(binary_result)]);
        self.send(b'B', &bind)?;
        self.send(b'D', b"P\0")?;
        self.send(b'E', &[0, 0, 0, 0, 0])?;
        self.send(b'S', &[])?;
        let (mut columns, mut rows, mut answer) = (Vec::new(), Vec::new(), None);
        loop {
            let (tag, body) = self.message()?;
            match tag {
                b'T' => columns = columns_of(&body)?,
                b'D' => rows.push(values_of(&body, if binary_result { hexadecimal } else { lossy })?),
                b'C' | b'I' => {
                    let tag = if tag == b'C' { string(&body)?.0 } else { String::new() };
                    let (columns, rows) = (std::mem::take(&mut columns), std::mem::take(&mut rows));
                    answer = Some(Answer::Done { columns, rows, tag });
                }
                b'E' => answer = Some(Answer::Failed(error_of(&body)?)),
                b'Z' => return answer.ok_or_else(|| broken("no answer")),
                _ => {}
            }
        }
    }

    /// Runs one statement; the answer to the last, where there are several.
    pub fn one(&mut self, sql: &str) -> io::Result<Answer> {
        self.run(sql)?.pop().ok_or_else(|| broken("no answer"))
    }

    /// The rows of a query that must not fail.
    pub fn rows(&mut self, sql: &str) -> io::Result<Vec<Vec<String>>> {
        match self.one(sql)? {
            Answer::Done { rows, .. } => {
                Ok(rows.into_iter().map(|r| r.into_iter().map(Option::unwrap_or_default).collect()).collect())
            }
            Answer::Failed(e) => Err(io::Error::other(format!("{sql}: {}", e.message))),
        }
    }
}
