//! A client of the replication protocol: what the backup commands need of it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    str::FromStr,
    time::Duration,
};

use postgres::config::Host;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};

use crate::error::{Context, Error, Result};

/// Longest message that is taken.
const MAX_MESSAGE: usize = 64 << 20;

/// A connection in replication mode.
pub struct Replication {
    stream: TcpStream,
    what: String,
}

/// A message: its type and body.
pub struct Message {
    pub tag: u8,
    pub body: Vec<u8>,
}

/// What `IDENTIFY_SYSTEM` says.
#[derive(Debug)]
pub struct System {
    /// The volume's name.
    pub volume: u128,
    /// Where its log ends.
    pub position: u64,
}

/// A log position as people write it.
pub fn position(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff)
}

/// Reads what [`position`] writes.
pub fn parse_position(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let part = |s: &str| u32::from_str_radix(s, 16).ok().map(u64::from);
    Some(part(high)? << 32 | part(low)?)
}

fn failed(what: &str) -> Error {
    Error::Failed(what.to_string())
}

/// Fields of an error message.
fn error_of(body: &[u8]) -> Error {
    let mut text = String::from("the server says: ");
    let mut state = String::new();
    for field in body.split(|b| *b == 0) {
        match field.split_first() {
            Some((b'M', message)) => text.push_str(&String::from_utf8_lossy(message)),
            Some((b'C', code)) => state = String::from_utf8_lossy(code).into_owned(),
            Some((b'H', hint)) => {
                text.push_str("; ");
                text.push_str(&String::from_utf8_lossy(hint));
            }
            _ => {}
        }
    }
    Error::Failed(format!("{text} ({state})"))
}

impl Replication {
    /// Connects and authenticates. `url`: as for any PostgreSQL client.
    pub fn connect(url: &str) -> Result<Self> {
        let config = postgres::Config::from_str(url)?;
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            _ => return Err(Error::Usage("the URL must name a host".into())),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let user = config.get_user().ok_or_else(|| Error::Usage("the URL must name a user".into()))?;
        let stream =
            TcpStream::connect((host.as_str(), port)).context(|| format!("connect to {host}:{port}"))?;
        stream.set_nodelay(true).context(|| "set up the connection".into())?;
        let mut this = Self { stream, what: format!("talk to {host}:{port}") };
        let mut body = 0x0003_0000_u32.to_be_bytes().to_vec();
        for text in ["user", user, "replication", "true", "application_name", "xtask"] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        let len = body.len() as u32 + 4;
        this.write(&[&len.to_be_bytes()[..], &body].concat())?;
        this.authenticate(config.get_password())?;
        loop {
            if this.message()?.tag == b'Z' {
                return Ok(this);
            }
        }
    }

    fn authenticate(&mut self, password: Option<&[u8]>) -> Result<()> {
        let mut scram: Option<ScramSha256> = None;
        loop {
            let m = self.message()?;
            let code = m.body.first_chunk().map(|b| u32::from_be_bytes(*b));
            let rest = m.body.get(4..).unwrap_or_default();
            match (m.tag, code) {
                (b'R', Some(0)) => return Ok(()),
                (b'R', Some(10)) => {
                    let password =
                        password.ok_or_else(|| Error::Usage("the URL must have a password".into()))?;
                    let exchange = ScramSha256::new(password, ChannelBinding::unsupported());
                    let mut body = SCRAM_SHA_256.as_bytes().to_vec();
                    body.push(0);
                    body.extend((exchange.message().len() as u32).to_be_bytes());
                    body.extend_from_slice(exchange.message());
                    self.send(b'p', &body)?;
                    scram = Some(exchange);
                }
                (b'R', Some(11)) => {
                    let exchange = scram.as_mut().ok_or_else(|| failed("unexpected SASL message"))?;
                    exchange.update(rest).context(|| "authenticate".into())?;
                    let message = exchange.message().to_vec();
                    self.send(b'p', &message)?;
                }
                (b'R', Some(12)) => {
                    let exchange = scram.as_mut().ok_or_else(|| failed("unexpected SASL message"))?;
                    exchange.finish(rest).context(|| "authenticate".into())?;
                }
                _ => return Err(failed("the server asks for an authentication that is not known here")),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context(|| self.what.clone())
    }

    /// Sends a message.
    pub fn send(&mut self, tag: u8, body: &[u8]) -> Result<()> {
        let mut message = vec![tag];
        message.extend((body.len() as u32 + 4).to_be_bytes());
        message.extend_from_slice(body);
        self.write(&message)
    }

    /// Limits how long [`Self::message`] waits.
    pub fn set_patience(&self, limit: Duration) -> Result<()> {
        self.stream.set_read_timeout(Some(limit)).context(|| self.what.clone())
    }

    /// The next message; an error message is an error. Notices and parameters are passed over.
    pub fn message(&mut self) -> Result<Message> {
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).context(|| self.what.clone())?;
            let [tag, a, b, c, d] = head;
            let len = u32::from_be_bytes([a, b, c, d]) as usize;
            if !(4..=MAX_MESSAGE).contains(&len) {
                return Err(failed("the server sent a message of impossible length"));
            }
            let mut body = vec![0; len - 4];
            self.stream.read_exact(&mut body).context(|| self.what.clone())?;
            match tag {
                b'E' => return Err(error_of(&body)),
                b'N' | b'S' | b'K' => {}
                _ => return Ok(Message { tag, body }),
            }
        }
    }

    /// Sends a command.
    pub fn command(&mut self, text: &str) -> Result<()> {
        self.send(b'Q', &[text.as_bytes(), &[0]].concat())
    }

    /// `IDENTIFY_SYSTEM`.
    pub fn identify(&mut self) -> Result<System> {
        self.command("IDENTIFY_SYSTEM")?;
        let mut fields: Vec<String> = Vec::new();
        loop {
            let m = self.message()?;
            match m.tag {
                b'D' => fields = texts(&m.body).unwrap_or_default(),
                b'Z' => break,
                _ => {}
            }
        }
        let field = |n: usize| fields.get(n).map_or("", String::as_str);
        let volume = u128::from_str_radix(field(0), 16);
        match (volume, parse_position(field(2))) {
            (Ok(volume), Some(position)) => Ok(System { volume, position }),
            _ => Err(failed("the server is not Intralith")),
        }
    }
}

fn texts(body: &[u8]) -> Option<Vec<String>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut all = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(i32::from_be_bytes(*len)).unwrap_or(0);
        let (text, after) = after.split_at_checked(len)?;
        all.push(String::from_utf8_lossy(text).into_owned());
        rest = after;
    }
    Some(all)
}
