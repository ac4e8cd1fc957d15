//! An encrypted stream over a plain one.
//!
//! The handshake runs inside reading: what the client sends drives it, and until it is done nothing can be read. So a
//! connection in its handshake is as any idle one to whoever runs connections, and the same timer ends it.
//! Buffers exist while they hold something: an idle stream keeps its keys only.

use alloc::{sync::Arc, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use platform::{
    net::{NetError, ReadOutcome, ReadyHook, Stream},
    sync::Mutex,
    task,
};
use rustls::{
    CipherSuite, ProtocolVersion, ServerConfig,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus},
};

use crate::{
    certificate::{self, Described},
    identity::TlsError,
};

/// Most bytes that a client may send in its handshake.
pub const HANDSHAKE_LIMIT: usize = 128 << 10;
/// Most bytes held undecrypted: a handshake message of the largest size, in records.
const MOST_INCOMING: usize = 96 << 10;
/// What is read at once at first.
const FIRST_INCOMING: usize = 4 << 10;
/// Plain bytes encrypted at a time: four records.
const CHUNK: usize = 4 << 14;
/// Output buffer that is kept for the next answer.
const KEPT_OUTPUT: usize = 4 << 10;

/// What a finished handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite by OpenSSL's name.
    pub cipher: &'static str,
    /// Bits of its key.
    pub bits: i32,
    /// The client's certificate, verified.
    pub client: Option<Described>,
    /// What `tls-server-end-point` binds channels to.
    pub end_point: Arc<[u8]>,
}

struct State {
    connection: UnbufferedServerConnection,
    /// Undecrypted bytes: those between `start` and `end` are there.
    incoming: Vec<u8>,
    start: usize,
    end: usize,
    /// Decrypted bytes from `taken` on.
    plain: Vec<u8>,
    taken: usize,
    /// Records to be sent.
    outgoing: Vec<u8>,
    filled: usize,
    /// Bytes that came in the handshake.
    received: usize,
    /// The client has said that nothing follows.
    ended: bool,
    failed: bool,
    secured: Option<Secured>,
    end_point: Arc<[u8]>,
}

/// See the module.
pub struct TlsStream {
    inner: Arc<dyn Stream>,
    state: Mutex<State>,
}

/// Where the state machine stands when it can do nothing more by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It needs bytes.
    Handshake,
    /// Data can be sent; it needs bytes to read.
    Traffic,
}

/// What to do once data can be sent.
#[derive(Clone, Copy)]
enum Send<'a> {
    Nothing,
    Data(&'a [u8]),
    Close,
}

impl TlsStream {
    pub(crate) fn new(
        inner: Arc<dyn Stream>,
        config: Arc<ServerConfig>,
        end_point: Arc<[u8]>,
    ) -> Result<Self, TlsError> {
        let state = State {
            connection: UnbufferedServerConnection::new(config)?,
            incoming: Vec::new(),
            start: 0,
            end: 0,
            plain: Vec::new(),
            taken: 0,
            outgoing: Vec::new(),
            filled: 0,
            received: 0,
            ended: false,
            failed: false,
            secured: None,
            end_point,
        };
        Ok(Self { inner, state: Mutex::new(state) })
    }

    /// What the handshake came to, once it is over.
    pub fn secured(&self) -> Option<Secured> {
        self.state.lock().secured.clone()
    }

    /// Decrypts what there is and sends what the state machine wants sent.
    fn advance(&self, state: &mut State, send: Send<'_>) -> Result<Stand, NetError> {
        // Whoever connects can make the library see anything: should it ever panic, that ends this stream only.
        let stepped = task::catch_unwind(|| state.step(send));
        match stepped {
            Ok(Ok(stand)) => {
                self.flush(state)?;
                return Ok(stand);
            }
            Ok(Err(e)) => {
                log::debug!("TLS with {}: {e}", self.inner.peer_addr());
                // What it cannot read must not be given to it again; without input it says what to tell the client.
                (state.start, state.end) = (0, 0);
                let _ = task::catch_unwind(|| state.step(Send::Nothing));
                let _ = self.flush(state);
            }
            Err(panic) => log::error!("TLS with {}: {}", self.inner.peer_addr(), panic.message),
        }
        state.failed = true;
        Err(NetError::Reset)
    }

    fn flush(&self, state: &mut State) -> Result<(), NetError> {
        if state.filled > 0 {
            let sent = self.inner.write_all(state.outgoing.get(..state.filled).unwrap_or_default());
            state.filled = 0;
            sent?;
        }
        Ok(())
    }

    fn read(
        &self,
        buf: &mut [u8],
        mut receive: impl FnMut(&mut [u8]) -> Result<ReadOutcome, NetError>,
    ) -> Result<ReadOutcome, NetError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut n = 0;
        loop {
            n += state.take(buf.get_mut(n..).unwrap_or_default());
            if n == buf.len() && n > 0 {
                return Ok(ReadOutcome::Data(n));
            }
            let nothing = if state.failed {
                Err(NetError::Reset)
            } else if state.ended {
                Ok(ReadOutcome::Eof)
            } else {
                match state.room().map(&mut receive) {
                    None => Err(NetError::Reset),
                    Some(Ok(ReadOutcome::Data(got))) => {
                        let received = state.received(got).map(|()| self.advance(state, Send::Nothing));
                        match received.and_then(|r| r) {
                            Ok(_) => continue,
                            Err(e) => Err(e),
                        }
                    }
                    Some(other) => other,
                }
            };
            // What was decrypted before comes first; the stream says the rest again.
            return if n > 0 { Ok(ReadOutcome::Data(n)) } else { nothing };
        }
    }
}

impl State {
    /// Runs the state machine until it needs bytes.
    fn step(&mut self, mut send: Send<'_>) -> Result<Stand, TlsError> {
        loop {
            let incoming = self.incoming.get_mut(self.start..self.end).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(incoming);
            let mut stand = None;
            match state {
                Err(e) => return Err(e.into()),
                Ok(ConnectionState::EncodeTlsData(mut record)) => {
                    let room = self.outgoing.get_mut(self.filled..).unwrap_or_default();
                    match record.encode(room) {
                        Ok(n) => self.filled += n,
                        Err(EncodeError::InsufficientSize(e)) => {
                            self.outgoing.resize(self.filled + e.required_size, 0);
                            let room = self.outgoing.get_mut(self.filled..).unwrap_or_default();
                            self.filled += record.encode(room).unwrap_or(0);
                        }
                        Err(EncodeError::AlreadyEncoded) => {}
                    }
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        self.plain.extend_from_slice(record.payload);
                        discard += record.discard;
                    }
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let room = self.outgoing.get_mut(self.filled..).unwrap_or_default();
                    let sealed = match send {
                        Send::Nothing => Ok(0),
                        Send::Data(data) => traffic.encrypt(data, room),
                        Send::Close => traffic.queue_close_notify(room),
                    };
                    match sealed {
                        Ok(n) => {
                            self.filled += n;
                            send = Send::Nothing;
                            stand = Some(Stand::Traffic);
                        }
                        // Again, with room enough.
                        Err(EncryptError::InsufficientSize(e)) => {
                            self.outgoing.resize(self.filled + e.required_size, 0);
                        }
                        Err(EncryptError::EncryptExhausted) => {
                            return Err(TlsError::Protocol(rustls::Error::EncryptError));
                        }
                    }
                }
                Ok(ConnectionState::BlockedHandshake) => stand = Some(Stand::Handshake),
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                Ok(ConnectionState::Closed) => {
                    self.ended = true;
                    stand = Some(Stand::Traffic);
                }
                // Early data is not accepted.
                Ok(_) => return Err(TlsError::Protocol(rustls::Error::HandshakeNotComplete)),
            }
            self.start = (self.start + discard).min(self.end);
            if let Some(stand) = stand {
                self.settle(stand);
                return Ok(stand);
            }
        }
    }

    /// After a step: lets go of buffers that hold nothing, notes what the handshake came to.
    fn settle(&mut self, stand: Stand) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if stand == Stand::Traffic && self.secured.is_none() && !self.connection.is_handshaking() {
            self.secured = Some(secured(&self.connection, self.end_point.clone()));
        }
    }

    /// Room for bytes of the client. `None`: it would be too much.
    fn room(&mut self) -> Option<&mut [u8]> {
        if self.end == self.incoming.len() {
            if self.start > 0 {
                self.incoming.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else if self.incoming.len() >= MOST_INCOMING {
                return None;
            } else {
                let grown = (self.incoming.len() * 2).clamp(FIRST_INCOMING, MOST_INCOMING);
                self.incoming.resize(grown, 0);
            }
        }
        self.incoming.get_mut(self.end..)
    }

    /// Bytes of the client were put into the room.
    fn received(&mut self, n: usize) -> Result<(), NetError> {
        self.end = (self.end + n).min(self.incoming.len());
        if self.secured.is_none() {
            self.received = self.received.saturating_add(n);
            if self.received > HANDSHAKE_LIMIT {
                self.failed = true;
                return Err(NetError::Reset);
            }
        }
        Ok(())
    }

    /// Takes decrypted bytes.
    fn take(&mut self, buf: &mut [u8]) -> usize {
        let left = self.plain.get(self.taken..).unwrap_or_default();
        let n = left.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), left.get(..n)) {
            to.copy_from_slice(from);
        }
        self.taken += n;
        if self.taken == self.plain.len() {
            self.plain.clear();
            self.taken = 0;
        }
        n
    }

    /// Is there something to read without the client sending more?
    fn has_more(&self) -> bool {
        // Whole records are decrypted as they come: what is left in `incoming` is never one.
        self.taken < self.plain.len() || self.ended || self.failed
    }

    /// Lets go of what an idle stream does not need.
    fn shrink(&mut self) {
        if self.start == self.end {
            (self.incoming, self.start, self.end) = (Vec::new(), 0, 0);
        }
        if self.plain.is_empty() {
            self.plain = Vec::new();
        }
        if self.outgoing.len() > KEPT_OUTPUT {
            self.outgoing = Vec::new();
        }
    }
}

fn secured(connection: &UnbufferedServerConnection, end_point: Arc<[u8]>) -> Secured {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let (cipher, bits) = match connection.negotiated_cipher_suite().map(|s| s.suite()) {
        Some(CipherSuite::TLS13_AES_256_GCM_SHA384) => ("TLS_AES_256_GCM_SHA384", 256),
        Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => ("TLS_AES_128_GCM_SHA256", 128),
        Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => ("TLS_CHACHA20_POLY1305_SHA256", 256),
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384) => ("ECDHE-ECDSA-AES256-GCM-SHA384", 256),
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256) => ("ECDHE-ECDSA-AES128-GCM-SHA256", 128),
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256) => {
            ("ECDHE-ECDSA-CHACHA20-POLY1305", 256)
        }
        _ => ("", 0),
    };
    let client = connection.peer_certificates().and_then(|c| certificate::describe(c.first()?));
    Secured { version, cipher, bits, client, end_point }
}

impl Stream for TlsStream {
    fn try_read(&self, buf: &mut [u8]) -> Result<ReadOutcome, NetError> {
        self.read(buf, |room| self.inner.try_read(room))
    }

    fn read_patiently(&self, buf: &mut [u8]) -> Result<ReadOutcome, NetError> {
        // Patience once; what is there by then is taken without.
        let mut patient = true;
        self.read(buf, |room| {
            if core::mem::take(&mut patient) {
                self.inner.read_patiently(room)
            } else {
                self.inner.try_read(room)
            }
        })
    }

    fn wait_readable(&self, limit: Option<Duration>) -> Result<bool, NetError> {
        if self.state.lock().has_more() {
            return Ok(true);
        }
        self.inner.wait_readable(limit)
    }

    fn write_all(&self, data: &[u8]) -> Result<(), NetError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        for chunk in data.chunks(CHUNK) {
            if state.failed || self.advance(state, Send::Data(chunk))? != Stand::Traffic {
                return Err(NetError::Reset);
            }
        }
        Ok(())
    }

    fn arm(&self, hook: Arc<dyn ReadyHook>) {
        let mut state = self.state.lock();
        let more = state.has_more();
        if !more {
            state.shrink();
        }
        drop(state);
        if more { hook.ready() } else { self.inner.arm(hook) }
    }

    fn patience(&self) -> Duration {
        self.inner.patience()
    }

    fn peer_addr(&self) -> SocketAddr {
        self.inner.peer_addr()
    }

    fn close(&self) {
        let mut state = self.state.lock();
        if state.secured.is_some() && !state.failed {
            let _ = self.advance(&mut state, Send::Close);
        }
        drop(state);
        self.inner.close();
    }

    fn over_limit(&self) -> bool {
        self.inner.over_limit()
    }
}
