//! TLS for the connections of clients, the same in the appliance and in a hosted process.
//!
//! # Owns
//! * The cryptography that rustls is given ([`provider`]): suites of TLS 1.3 and 1.2 over RustCrypto's algorithms.
//! * The server's certificate and key ([`Identity`]): made, read from PEM, checked against each other.
//! * [`Acceptor`]: what new connections are encrypted with.
//! * [`TlsStream`]: an encrypted [`platform::net::Stream`] over a plain one.
//! * What certificates say ([`certificate`]), as PostgreSQL shows it.
//!
//! # Invariants
//! * Randomness and time come through `platform` only.
//! * A peer can make a handshake hold [`stream::HANDSHAKE_LIMIT`] bytes at most; how long it may take is the caller's
//!   timer to say.
//! * Nothing that arrived in plain text before the handshake is ever read as if it had been encrypted: a stream
//!   begins with no bytes of the connection.
//! * A private key leaves this crate only towards storage ([`Identity::private_key`]), never in a log or an error.
//! * No session tickets, no early data, no renegotiation, no compression.
//!
//! # Must not know
//! The PostgreSQL protocol, SQL, where certificates are kept.
//!
//! # Dependencies
//! * `rustls` without std: the protocol's state machine, through its unbuffered interface; it brings `webpki`, which
//!   checks chains of client certificates. It has no cryptography of its own that builds without an operating system.
//! * `aes-gcm` and `chacha20poly1305`: the ciphers of records. `sha2`, `hmac`: transcripts, key schedules.
//! * `x25519-dalek`, `p256`: key exchange. `p256`, `p384`: signatures of the server's key; those and `ed25519-dalek` and `rsa`:
//!   signatures of client certificates, which others choose the kind of. `rsa` is used with public keys only, so that its
//!   timing tells nobody anything.
//! * `x509-cert`: writes the certificate of the first boot and reads what names and numbers certificates have.
//! * `rand_core`: the interface under which those crates take randomness.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod acceptor;
pub mod certificate;
mod identity;
pub mod provider;
pub mod stream;

pub use acceptor::{Acceptor, Settings, Version, check_authorities};
pub use identity::{Identity, TlsError, split};
pub use stream::{Secured, TlsStream};
