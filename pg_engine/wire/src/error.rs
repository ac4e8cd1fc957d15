//! What can be wrong with a client's bytes.

use alloc::{boxed::Box, format, string::String};
use core::fmt;

use pg_types::{SqlError, SqlState};

/// A message that does not follow the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The startup packet's length is out of range.
    StartupLength,
    /// The startup packet's strings are not a list of pairs ended by a zero byte.
    StartupLayout,
    /// The length word is too small or beyond the limit for this type of message.
    MessageLength,
    /// No message has this type byte.
    MessageType(u8),
    /// The body ended before its fields did.
    Short,
    /// Bytes were left after the last field.
    Trailing,
    /// A string without its terminating zero.
    Unterminated,
    /// A field's value is not one the protocol defines; the text says which.
    Field(&'static str),
    /// A protocol version we do not speak.
    Version(u16, u16),
    /// Text that is not UTF-8: the offending bytes (at most four), and how many.
    Encoding([u8; 4], u8),
    /// A malformed authentication message; the text is PostgreSQL's DETAIL.
    Sasl(&'static str),
    /// The client believes that we offer no channel binding.
    BindingNegotiation,
    /// The client bound another channel than this one.
    BindingCheck,
    /// A kind of channel binding we do not have.
    BindingType(Box<str>),
}

impl WireError {
    /// The connection goes on after this error (it concerns one statement's text, not the stream of messages).
    pub fn recoverable(&self) -> bool {
        matches!(self, Self::Encoding(..))
    }

    /// An invalid sequence found by UTF-8 validation of `bytes`.
    pub(crate) fn encoding(bytes: &[u8], error: core::str::Utf8Error) -> Self {
        let bad = bytes.get(error.valid_up_to()..).unwrap_or_default();
        // PostgreSQL shows as many bytes as the first one announces.
        let announced = match bad.first() {
            Some(0xC0..=0xDF) => 2,
            Some(0xE0..=0xEF) => 3,
            Some(0xF0..=0xF7) => 4,
            _ => 1,
        };
        let mut shown = [0; 4];
        let mut n = 0u8;
        for (to, from) in shown.iter_mut().zip(bad.iter().take(announced)) {
            *to = *from;
            n += 1;
        }
        Self::Encoding(shown, n)
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartupLength => f.write_str("invalid length of startup packet"),
            Self::StartupLayout => {
                f.write_str("invalid startup packet layout: expected terminator as last byte")
            }
            Self::MessageLength => f.write_str("invalid message length"),
            Self::MessageType(t) => write!(f, "invalid frontend message type {t}"),
            Self::Short => f.write_str("insufficient data left in message"),
            Self::Trailing => f.write_str("invalid message format"),
            Self::Unterminated => f.write_str("invalid string in message"),
            Self::Field(what) => f.write_str(what),
            Self::Version(major, minor) => {
                write!(f, "unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0")
            }
            Self::Encoding(bytes, n) => {
                f.write_str("invalid byte sequence for encoding \"UTF8\":")?;
                bytes.iter().take(usize::from(*n)).try_for_each(|b| write!(f, " 0x{b:02x}"))
            }
            Self::Sasl(_) => f.write_str("malformed SCRAM message"),
            Self::BindingNegotiation => f.write_str("SCRAM channel binding negotiation error"),
            Self::BindingCheck => f.write_str("SCRAM channel binding check failed"),
            Self::BindingType(kind) => write!(f, "unsupported SCRAM channel-binding type \"{kind}\""),
        }
    }
}

impl core::error::Error for WireError {}

impl From<WireError> for SqlError {
    fn from(e: WireError) -> Self {
        let state = match e {
            WireError::Version(..) => SqlState::FEATURE_NOT_SUPPORTED,
            WireError::Encoding(..) => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            WireError::BindingNegotiation | WireError::BindingCheck => {
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            }
            _ => SqlState::PROTOCOL_VIOLATION,
        };
        let text: String = format!("{e}");
        let out = Self::new(state, text);
        match e {
            WireError::Sasl(detail) => out.detail(detail),
            WireError::BindingNegotiation => out.detail(
                "The client supports SCRAM channel binding but thinks the server does not.  However, this server does \
                 support channel binding.",
            ),
            _ => out,
        }
    }
}
