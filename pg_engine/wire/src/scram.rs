//! SCRAM-SHA-256 (RFC 5802, RFC 7677), and SCRAM-SHA-256-PLUS with `tls-server-end-point` (RFC 5929) as channel binding.
//!
//! The server holds a [`Verifier`], never the password. A user that does not exist goes through the same exchange
//! against a mock verifier derived from a server secret, so that the two cannot be told apart from outside.

use alloc::{format, string::String, vec, vec::Vec};
use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::{error::WireError, saslprep};

/// The mechanism's name.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// With channel binding: offered on encrypted connections only.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// The one kind of channel binding.
const BINDING: &str = "tls-server-end-point";
/// Iterations of a new verifier.
pub const ITERATIONS: u32 = 4096;
/// Bytes of salt in a new verifier.
pub const SALT_LEN: usize = 16;
/// Random bytes of each side's nonce.
pub const NONCE_LEN: usize = 18;

type Key = [u8; 32];

fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    // HMAC takes keys of any length; an empty key stands in for the error that cannot happen.
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn sha256(data: &[u8]) -> Key {
    Sha256::digest(data).into()
}

fn xor(a: &Key, b: &Key) -> Key {
    core::array::from_fn(|i| a[i] ^ b[i])
}

/// Compares without telling by its duration where the difference is.
fn same(a: &Key, b: &Key) -> bool {
    let difference = a.iter().zip(b).fold(0u8, |d, (x, y)| d | (x ^ y));
    core::hint::black_box(difference) == 0
}

/// What the server keeps instead of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

impl Verifier {
    /// Of a new password.
    pub fn new(password: &str, salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(password, salt, iterations);
        Self {
            iterations,
            salt: salt.into(),
            stored_key: sha256(&hmac(&salted, &[b"Client Key"])),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    /// Reads the form kept in `pg_authid.rolpassword`: `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (head, keys) = rest.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        Some(Self {
            iterations: iterations.parse().ok().filter(|n| *n > 0)?,
            salt: STANDARD.decode(salt).ok()?,
            stored_key: STANDARD.decode(stored).ok()?.try_into().ok()?,
            server_key: STANDARD.decode(server).ok()?.try_into().ok()?,
        })
    }

    /// For a user that does not exist: a stable salt, and keys nobody can match.
    pub fn mock(user: &str, secret: &[u8; 32]) -> Self {
        let mut salt = hmac(secret, &[b"mock salt ", user.as_bytes()]).to_vec();
        salt.truncate(SALT_LEN);
        Self {
            iterations: ITERATIONS,
            salt,
            stored_key: hmac(secret, &[b"mock stored key ", user.as_bytes()]),
            server_key: hmac(secret, &[b"mock server key ", user.as_bytes()]),
        }
    }

    /// Does this password belong to it?
    pub fn matches(&self, password: &str) -> bool {
        let other = Self::new(password, &self.salt, self.iterations);
        same(&self.stored_key, &other.stored_key)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }
}

fn salted_password(password: &str, salt: &[u8], iterations: u32) -> Key {
    let mut out = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(saslprep::prepare(password).as_bytes(), salt, iterations, &mut out);
    out
}

/// `k=value` at the front of a comma-separated list; gives the rest.
fn attribute(text: &str, key: char) -> Result<(&str, &str), WireError> {
    let value = text
        .strip_prefix(key)
        .and_then(|t| t.strip_prefix('='))
        .ok_or(WireError::Sasl("Expected attribute was not found."))?;
    Ok(value.split_once(',').unwrap_or((value, "")))
}

/// The server's side, after the client's first message.
#[derive(Debug)]
pub struct ServerExchange {
    verifier: Verifier,
    /// What the client must have bound: its header and, with channel binding, the end point.
    bound: Vec<u8>,
    plus: bool,
    client_first_bare: String,
    server_first: String,
    nonce: String,
}

impl ServerExchange {
    /// Takes the client's first message; answers with the server's first message. `random` makes the server's nonce. `end_point`:
    /// what the channel is bound to, on an encrypted connection; `plus`: the client chose [`MECHANISM_PLUS`].
    pub fn start(
        verifier: Verifier,
        message: &[u8],
        random: &[u8; NONCE_LEN],
        end_point: Option<&[u8]>,
        plus: bool,
    ) -> Result<Self, WireError> {
        let text = core::str::from_utf8(message).map_err(|_| WireError::Sasl("The message is not UTF-8."))?;
        let (flag, rest) = text.split_once(',').ok_or(WireError::Sasl("The message is incomplete."))?;
        check_binding(flag, end_point.is_some(), plus)?;
        let (authzid, bare) = rest.split_once(',').ok_or(WireError::Sasl("The message is incomplete."))?;
        if !authzid.is_empty() {
            return Err(WireError::Field("client uses authorization identity, but it is not supported"));
        }
        if bare.starts_with("m=") {
            return Err(WireError::Field("client requires an unsupported SCRAM extension"));
        }
        // The user name is that of the startup packet; this one is ignored, as clients leave it empty.
        let (_, after_user) = attribute(bare, 'n')?;
        let (client_nonce, _) = attribute(after_user, 'r')?;
        if client_nonce.is_empty() || !client_nonce.bytes().all(|b| (0x21..0x7f).contains(&b)) {
            return Err(WireError::Field("non-printable characters in SCRAM nonce"));
        }
        let nonce = format!("{client_nonce}{}", STANDARD.encode(random));
        let server_first =
            format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        let mut bound = format!("{flag},,").into_bytes();
        bound.extend_from_slice(end_point.filter(|_| plus).unwrap_or_default());
        Ok(Self { bound, plus, client_first_bare: bare.into(), server_first, nonce, verifier })
    }

    /// The server's first message.
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's final message. `Ok(None)`: well-formed, wrong password. Otherwise the server's final message.
    pub fn finish(self, message: &[u8]) -> Result<Option<String>, WireError> {
        let text = core::str::from_utf8(message).map_err(|_| WireError::Sasl("The message is not UTF-8."))?;
        let (binding, rest) = attribute(text, 'c')?;
        if STANDARD.decode(binding).ok() != Some(self.bound) {
            return Err(match self.plus {
                true => WireError::BindingCheck,
                false => {
                    WireError::Field("unexpected SCRAM channel-binding attribute in client-final-message")
                }
            });
        }
        let (nonce, _) = attribute(rest, 'r')?;
        if nonce != self.nonce {
            return Err(WireError::Field("invalid SCRAM response"));
        }
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or(WireError::Sasl("The proof is missing."))?;
        let proof: Key = STANDARD
            .decode(proof)
            .ok()
            .and_then(|p| p.try_into().ok())
            .ok_or(WireError::Sasl("Malformed proof in client-final-message."))?;
        let auth = auth_message(&self.client_first_bare, &self.server_first, without_proof);
        let signature = hmac(&self.verifier.stored_key, &[auth.as_bytes()]);
        let client_key = xor(&proof, &signature);
        if !same(&sha256(&client_key), &self.verifier.stored_key) {
            return Ok(None);
        }
        let server_signature = hmac(&self.verifier.server_key, &[auth.as_bytes()]);
        Ok(Some(format!("v={}", STANDARD.encode(server_signature))))
    }
}

/// Does the flag of the client's first message go with what it chose and what we offered?
fn check_binding(flag: &str, possible: bool, plus: bool) -> Result<(), WireError> {
    match flag {
        "n" | "y" if plus => Err(WireError::Sasl(
            "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.",
        )),
        // It would have chosen it, had somebody not hidden our offer from it.
        "y" if possible => Err(WireError::BindingNegotiation),
        "n" | "y" => Ok(()),
        _ => match flag.strip_prefix("p=") {
            None => Err(WireError::Sasl("Unexpected channel-binding flag.")),
            Some(_) if !plus || !possible => Err(WireError::Sasl(
                "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel \
                 binding data.",
            )),
            Some(BINDING) => Ok(()),
            Some(other) => Err(WireError::BindingType(other.into())),
        },
    }
}

fn auth_message(client_first_bare: &str, server_first: &str, without_proof: &str) -> String {
    format!("{client_first_bare},{server_first},{without_proof}")
}

/// The client's side; the server uses it in tests and to check itself.
#[derive(Debug)]
pub struct ClientExchange {
    password: String,
    first_bare: String,
    end_point: Option<Vec<u8>>,
}

impl ClientExchange {
    /// Starts; `random` makes the client's nonce.
    pub fn new(password: &str, random: &[u8; NONCE_LEN]) -> Self {
        let first_bare = format!("n=,r={}", STANDARD.encode(random));
        Self { password: password.into(), first_bare, end_point: None }
    }
    /// With channel binding.
    #[must_use]
    pub fn bind(mut self, end_point: &[u8]) -> Self {
        self.end_point = Some(end_point.into());
        self
    }
    fn header(&self) -> String {
        self.end_point.as_ref().map_or_else(|| "n,,".into(), |_| format!("p={BINDING},,"))
    }
    /// The first message.
    pub fn first(&self) -> String {
        format!("{}{}", self.header(), self.first_bare)
    }
    /// Answers the server's first message: the final message, and the server signature to expect.
    pub fn answer(&self, server_first: &str) -> Result<(String, String), WireError> {
        let (nonce, rest) = attribute(server_first, 'r')?;
        let (salt, rest) = attribute(rest, 's')?;
        let (iterations, _) = attribute(rest, 'i')?;
        let salt = STANDARD.decode(salt).map_err(|_| WireError::Sasl("Malformed salt."))?;
        let iterations = iterations.parse().map_err(|_| WireError::Sasl("Malformed iteration count."))?;
        let salted = salted_password(&self.password, &salt, iterations);
        let client_key = hmac(&salted, &[b"Client Key"]);
        let mut bound = self.header().into_bytes();
        bound.extend_from_slice(self.end_point.as_deref().unwrap_or_default());
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(bound));
        let auth = auth_message(&self.first_bare, server_first, &without_proof);
        let signature = hmac(&sha256(&client_key), &[auth.as_bytes()]);
        let proof = xor(&client_key, &signature);
        let server_signature = hmac(&hmac(&salted, &[b"Server Key"]), &[auth.as_bytes()]);
        Ok((
            format!("{without_proof},p={}", STANDARD.encode(proof)),
            format!("v={}", STANDARD.encode(server_signature)),
        ))
    }
}

/// Random text of `bytes` random bytes, for passwords and nonces.
pub fn random_text(bytes: usize, fill: impl FnOnce(&mut [u8])) -> String {
    let mut raw = vec![0; bytes];
    fill(&mut raw);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchange_succeeds_with_the_password_only() {
        let stored = Verifier::new("pencil", &[7; SALT_LEN], ITERATIONS);
        let read = Verifier::parse(&format!("{stored}")).expect("own text");
        assert_eq!(read, stored);
        for (password, right) in [("pencil", true), ("Pencil", false), ("", false)] {
            let client = ClientExchange::new(password, &[1; NONCE_LEN]);
            let server = ServerExchange::start(
                stored.clone(),
                client.first().as_bytes(),
                &[2; NONCE_LEN],
                None,
                false,
            )
            .expect("first message");
            let (last, expected) = client.answer(server.server_first()).expect("server first");
            let end = server.finish(last.as_bytes()).expect("final message");
            assert_eq!(end, right.then_some(expected));
        }
    }

    #[test]
    fn rfc_7677_example() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("salt");
        let bare = "n=user,r=rOprNGfwEbeRWgbNEkqO";
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server = ServerExchange {
            verifier: Verifier::new("pencil", &salt, 4096),
            bound: b"n,,".to_vec(),
            plus: false,
            client_first_bare: bare.into(),
            server_first: first.into(),
            nonce: nonce.into(),
        };
        let last = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert_eq!(
            server.finish(last.as_bytes()),
            Ok(Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".into()))
        );
    }

    #[test]
    fn the_channel_is_bound() {
        let stored = Verifier::new("pencil", &[7; SALT_LEN], ITERATIONS);
        let start = |first: &str, end_point, plus| {
            ServerExchange::start(stored.clone(), first.as_bytes(), &[2; NONCE_LEN], end_point, plus)
        };
        let client = ClientExchange::new("pencil", &[1; NONCE_LEN]).bind(b"our certificate");
        let end = |server: ServerExchange| {
            let (last, _) = client.answer(server.server_first()).expect("server first");
            server.finish(last.as_bytes()).map(|end| end.is_some())
        };
        let ours = start(&client.first(), Some(b"our certificate"), true).expect("first message");
        assert_eq!(end(ours), Ok(true));
        let theirs = start(&client.first(), Some(b"somebody's certificate"), true).expect("first message");
        assert_eq!(end(theirs), Err(WireError::BindingCheck));
        // Somebody hid the offer; it is in clear what a client may say then.
        assert!(matches!(start("y,,n=,r=a", Some(b"x"), false), Err(WireError::BindingNegotiation)));
        assert!(start("y,,n=,r=a", None, false).is_ok());
        assert!(start("n,,n=,r=a", Some(b"x"), false).is_ok());
        for (first, end_point, plus) in [
            ("n,,n=,r=a", Some(&b"x"[..]), true),
            ("y,,n=,r=a", Some(b"x"), true),
            ("p=tls-server-end-point,,n=,r=a", Some(b"x"), false),
            ("p=tls-server-end-point,,n=,r=a", None, true),
            ("q,,n=,r=a", None, false),
        ] {
            assert!(matches!(start(first, end_point, plus), Err(WireError::Sasl(_))), "{first} {plus}");
        }
        let kind = start("p=tls-unique,,n=,r=a", Some(b"x"), true);
        assert!(matches!(kind, Err(WireError::BindingType(k)) if &*k == "tls-unique"));
    }

    #[test]
    fn mock_verifier_is_stable_and_matches_nothing() {
        let a = Verifier::mock("nobody", &[3; 32]);
        assert_eq!(a, Verifier::mock("nobody", &[3; 32]));
        assert_ne!(a, Verifier::mock("somebody", &[3; 32]));
        assert!(!a.matches(""));
    }
}
