//! What can be configured before SQL is up: the same `key=value` words on the kernel command line and in the
//! configuration block on the data disk.
//!
//! Words are separated by white space; a value that holds white space stands in double quotes (`\"` and `\\` inside).
//! The command line is applied after the block and so wins. Unknown keys are an error in the block's writer
//! ([`Config::parse`]) and reported by name, never ignored.
//!
//! | key | value | default |
//! |---|---|---|
//! | `buffer_pool` | bytes, with `K`, `M`, `G` | half of the memory |
//! | `ip` | `dhcp`, or `address/prefix[,gateway]` | `dhcp` |
//! | `port` | TCP port | 5432 |
//! | `auth` | `scram` or `trust` | `scram` |
//! | `first_password` | password of `intralith` when a blank disk is formatted | random, printed on the console |
//! | `hba` | `on`, `off`: do the rules of `intralith_hba_rules` decide who may connect | `on` |
//! | `hostname` | name of the machine, for the certificate made at the first boot | `intralith` |
//! | `ssl` | `on`, `off`: may connections be encrypted | `on` |
//! | `ssl_min_protocol_version` | `TLSv1.2`, `TLSv1.3` | `TLSv1.2` |
//! | `ssl_max_protocol_version` | `TLSv1.2`, `TLSv1.3` | `TLSv1.3` |
//! | `log` | `error`, `warn`, `info`, `debug`, `trace` | `info` |
//! | `max_connections` | number | 1000 |
//! | `test_functions` | `on`, `off`: SQL functions that only tests need | `off` |
//! | `test` | name of an in-kernel test to run instead of serving | none |
//!
//! # Must not know
//! Devices, storage, SQL. Depends on `log` for its level type only.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{string::String, vec::Vec};
use core::{
    fmt,
    net::{AddrParseError, IpAddr},
    str::FromStr,
};

/// How the network interface gets its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Ask a DHCP server.
    #[default]
    Dhcp,
    /// Fixed.
    Static {
        /// Own address.
        address: IpAddr,
        /// Length of the network prefix in bits.
        prefix: u8,
        /// Router.
        gateway: Option<IpAddr>,
    },
}

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// SCRAM-SHA-256.
    #[default]
    Scram,
    /// Not at all.
    Trust,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

impl TlsVersion {
    /// As PostgreSQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
    fn parse(text: &str) -> Option<Self> {
        [Self::Tls12, Self::Tls13].into_iter().find(|v| v.as_str() == text)
    }
}

/// Everything configurable before SQL is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of memory for the buffer pool.
    pub buffer_pool: Option<u64>,
    /// Address.
    pub network: Network,
    /// TCP port.
    pub port: u16,
    /// Authentication.
    pub authentication: Authentication,
    /// Password given to the first user when a blank disk is formatted.
    pub first_password: Option<String>,
    /// Do the rules in the database decide who may connect?
    pub hba: bool,
    /// Name of the machine.
    pub hostname: String,
    /// May connections be encrypted?
    pub ssl: bool,
    /// Least version of TLS.
    pub least_tls: TlsVersion,
    /// Highest version of TLS.
    pub most_tls: TlsVersion,
    /// Log level.
    pub log: log::LevelFilter,
    /// Most clients at a time.
    pub max_connections: u32,
    /// Registers SQL functions that only tests need.
    pub test_functions: bool,
    /// In-kernel test to run instead of serving.
    pub test: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            buffer_pool: None,
            network: Network::Dhcp,
            port: 5432,
            authentication: Authentication::Scram,
            first_password: None,
            hba: true,
            hostname: String::from(HOSTNAME),
            ssl: true,
            least_tls: TlsVersion::Tls12,
            most_tls: TlsVersion::Tls13,
            log: log::LevelFilter::Info,
            max_connections: 1000,
            test_functions: false,
            test: None,
        }
    }
}

/// What is wrong with a configuration text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A word without `=`, or an unclosed quote.
    Malformed(String),
    /// No such key.
    UnknownKey(String),
    /// The key exists, the value does not fit.
    InvalidValue {
        /// Key.
        key: String,
        /// Value.
        value: String,
    },
    /// More than [`MAX_TEXT`] bytes, or not UTF-8.
    Unreadable,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(word) => write!(f, "malformed configuration word \"{word}\""),
            Self::UnknownKey(key) => write!(f, "unknown configuration key \"{key}\""),
            Self::InvalidValue { key, value } => {
                write!(f, "invalid value \"{value}\" for configuration key \"{key}\"")
            }
            Self::Unreadable => f.write_str("configuration text is too long or not UTF-8"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// The machine's name unless another is given.
pub const HOSTNAME: &str = "intralith";

/// Longest configuration text.
pub const MAX_TEXT: usize = 4096;

impl Config {
    /// Applies a text on top of the present values. On error nothing is changed.
    pub fn apply(&mut self, text: &[u8]) -> Result<(), ConfigError> {
        if text.len() > MAX_TEXT {
            return Err(ConfigError::Unreadable);
        }
        let text = core::str::from_utf8(text).map_err(|_| ConfigError::Unreadable)?;
        let mut next = self.clone();
        for word in words(text)? {
            let Some((key, value)) = word.split_once('=') else {
                return Err(ConfigError::Malformed(word));
            };
            next.set(key, value)?;
        }
        *self = next;
        Ok(())
    }

    /// The defaults with a text applied.
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        config.apply(text)?;
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let invalid = || ConfigError::InvalidValue { key: key.into(), value: value.into() };
        match key {
            "buffer_pool" => self.buffer_pool = Some(bytes(value).ok_or_else(invalid)?),
            "ip" => self.network = value.parse().map_err(|_| invalid())?,
            "port" => self.port = value.parse().ok().filter(|p| *p != 0).ok_or_else(invalid)?,
            "auth" => {
                self.authentication = match value {
                    "scram" => Authentication::Scram,
                    "trust" => Authentication::Trust,
                    _ => return Err(invalid()),
                };
            }
            "first_password" if !value.is_empty() => self.first_password = Some(value.into()),
            "log" => self.log = value.parse().map_err(|_| invalid())?,
            "max_connections" => {
                self.max_connections = value.parse().ok().filter(|n| *n > 0).ok_or_else(invalid)?;
            }
            "test_functions" => self.test_functions = switch(value).ok_or_else(invalid)?,
            "hba" => self.hba = switch(value).ok_or_else(invalid)?,
            "ssl" => self.ssl = switch(value).ok_or_else(invalid)?,
            "ssl_min_protocol_version" => self.least_tls = TlsVersion::parse(value).ok_or_else(invalid)?,
            "ssl_max_protocol_version" => self.most_tls = TlsVersion::parse(value).ok_or_else(invalid)?,
            "hostname" if is_hostname(value) => self.hostname = value.into(),
            "hostname" => return Err(invalid()),
            "test" if !value.is_empty() => self.test = Some(value.into()),
            "first_password" | "test" => return Err(invalid()),
            _ => return Err(ConfigError::UnknownKey(key.into())),
        }
        Ok(())
    }

    /// The text that [`Config::parse`] reads back as this configuration (the in-kernel test's name left out).
    pub fn to_text(&self) -> String {
        use fmt::Write;
        let mut text = String::new();
        // Writing to a String cannot fail.
        if let Some(n) = self.buffer_pool {
            let _ = write!(text, "buffer_pool={n} ");
        }
        let _ = write!(text, "ip={} port={} ", self.network, self.port);
        let auth = if self.authentication == Authentication::Trust { "trust" } else { "scram" };
        let _ = write!(text, "auth={auth} log={} max_connections={}", self.log, self.max_connections);
        if self.test_functions {
            text.push_str(" test_functions=on");
        }
        if self.hostname != HOSTNAME {
            let _ = write!(text, " hostname={}", self.hostname);
        }
        if !self.hba {
            text.push_str(" hba=off");
        }
        if !self.ssl {
            text.push_str(" ssl=off");
        }
        if self.least_tls != TlsVersion::Tls12 {
            let _ = write!(text, " ssl_min_protocol_version={}", self.least_tls.as_str());
        }
        if self.most_tls != TlsVersion::Tls13 {
            let _ = write!(text, " ssl_max_protocol_version={}", self.most_tls.as_str());
        }
        if let Some(password) = &self.first_password {
            text.push_str(" first_password=\"");
            for c in password.chars() {
                if matches!(c, '"' | '\\') {
                    text.push('\\');
                }
                text.push(c);
            }
            text.push('"');
        }
        text
    }
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// RFC 1123: labels of letters, digits and hyphens.
fn is_hostname(name: &str) -> bool {
    let label = |l: &str| {
        let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&l.len()) && l.bytes().all(inside) && !l.starts_with('-') && !l.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn bytes(value: &str) -> Option<u64> {
    let (digits, shift) = match value.as_bytes().last()? {
        b'K' | b'k' => (value.get(..value.len() - 1)?, 10),
        b'M' | b'm' => (value.get(..value.len() - 1)?, 20),
        b'G' | b'g' => (value.get(..value.len() - 1)?, 30),
        _ => (value, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dhcp => f.write_str("dhcp"),
            Self::Static { address, prefix, gateway } => {
                write!(f, "{address}/{prefix}")?;
                gateway.map_or(Ok(()), |g| write!(f, ",{g}"))
            }
        }
    }
}

/// Why an `ip` value is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkError;

impl From<AddrParseError> for NetworkError {
    fn from(_: AddrParseError) -> Self {
        Self
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        if text == "dhcp" {
            return Ok(Self::Dhcp);
        }
        let (address, gateway) = match text.split_once(',') {
            Some((a, g)) => (a, Some(g.parse::<IpAddr>()?)),
            None => (text, None),
        };
        let (address, prefix) = address.split_once('/').ok_or(NetworkError)?;
        let address: IpAddr = address.parse()?;
        let prefix: u8 = prefix.parse().map_err(|_| NetworkError)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let same_family = gateway.is_none_or(|g| g.is_ipv4() == address.is_ipv4());
        if prefix > width || !same_family {
            return Err(NetworkError);
        }
        Ok(Self::Static { address, prefix, gateway })
    }
}

/// Splits into words, quotes resolved.
fn words(text: &str) -> Result<Vec<String>, ConfigError> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut inside, mut quoted) = (false, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                inside = true;
            }
            '\\' if quoted => match chars.next() {
                Some(c) => word.push(c),
                None => return Err(ConfigError::Malformed(word)),
            },
            c if c.is_whitespace() && !quoted => {
                if inside {
                    words.push(core::mem::take(&mut word));
                }
                inside = false;
            }
            c => {
                word.push(c);
                inside = true;
            }
        }
    }
    if quoted {
        return Err(ConfigError::Malformed(word));
    }
    if inside {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn command_line_wins_over_block() {
        let mut config = Config::parse(b"buffer_pool=64M ip=10.0.2.15/24,10.0.2.2 log=warn").unwrap();
        config.apply(b"log=debug test=tasks").unwrap();
        assert_eq!(config.buffer_pool, Some(64 << 20));
        assert_eq!(config.log, log::LevelFilter::Debug);
        assert_eq!(config.test.as_deref(), Some("tasks"));
        let gateway = Some("10.0.2.2".parse().unwrap());
        assert_eq!(
            config.network,
            Network::Static { address: "10.0.2.15".parse().unwrap(), prefix: 24, gateway }
        );
    }

    #[test]
    fn errors_name_the_word_and_change_nothing() {
        let mut config = Config::default();
        assert_eq!(config.apply(b"log=warn nonsense=1"), Err(ConfigError::UnknownKey("nonsense".into())));
        assert_eq!(config.apply(b"port"), Err(ConfigError::Malformed("port".into())));
        assert!(matches!(config.apply(b"hostname=a..b"), Err(ConfigError::InvalidValue { .. })));
        assert!(matches!(config.apply(b"ssl=maybe"), Err(ConfigError::InvalidValue { .. })));
        assert!(matches!(config.apply(b"port=0"), Err(ConfigError::InvalidValue { .. })));
        assert!(matches!(config.apply(b"ip=10.0.0.1/33"), Err(ConfigError::InvalidValue { .. })));
        assert!(matches!(config.apply(b"ip=10.0.0.1/8,::1"), Err(ConfigError::InvalidValue { .. })));
        assert!(matches!(config.apply(b"first_password=\"a"), Err(ConfigError::Malformed(_))));
        assert_eq!(config.apply(&[0xff]), Err(ConfigError::Unreadable));
        assert_eq!(config, Config::default());
    }

    #[test]
    fn encryption_survives_the_text() {
        let text = b"hba=off hostname=db.example.com ssl=off ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2";
        let config = Config::parse(text).unwrap();
        assert_eq!(
            (config.ssl || config.hba, config.least_tls, config.most_tls),
            (false, TlsVersion::Tls13, TlsVersion::Tls12)
        );
        assert_eq!(Config::parse(config.to_text().as_bytes()).unwrap(), config);
    }

    proptest! {
        #[test]
        fn any_password_survives_the_text(password in "\\PC{1,40}", pool in any::<Option<u64>>(), port in 1u16..) {
            let config = Config { first_password: Some(password), buffer_pool: pool, port, ..Config::default() };
            prop_assert_eq!(Config::parse(config.to_text().as_bytes()).unwrap(), config);
        }

        #[test]
        fn arbitrary_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Config::parse(&text);
        }
    }
}
