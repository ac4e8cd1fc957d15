//! What a client may send instead of a handshake, and texts instead of certificates.
#![no_main]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use pg_tls::{Acceptor, Identity, Settings};
use platform::net::{NetError, ReadOutcome, ReadyHook, Stream};

/// Gives pieces of the input, one a read.
struct Pieces(Mutex<Vec<Vec<u8>>>);

impl Stream for Pieces {
    fn try_read(&self, buf: &mut [u8]) -> Result<ReadOutcome, NetError> {
        let mut pieces = self.0.lock().unwrap();
        let Some(piece) = pieces.last_mut() else { return Ok(ReadOutcome::WouldBlock) };
        let n = piece.len().min(buf.len());
        buf[..n].copy_from_slice(&piece[..n]);
        piece.drain(..n);
        if piece.is_empty() {
            pieces.pop();
        }
        Ok(if n == 0 { ReadOutcome::WouldBlock } else { ReadOutcome::Data(n) })
    }
    fn wait_readable(&self, _: Option<Duration>) -> Result<bool, NetError> {
        Ok(true)
    }
    fn write_all(&self, _: &[u8]) -> Result<(), NetError> {
        Ok(())
    }
    fn arm(&self, _: Arc<dyn ReadyHook>) {}
    fn peer_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1))
    }
    fn close(&self) {}
}

fuzz_target!(|input: (Vec<Vec<u8>>, &str)| {
    static ACCEPTOR: OnceLock<Acceptor> = OnceLock::new();
    let acceptor = ACCEPTOR.get_or_init(|| {
        let (acceptor, identity) = (Acceptor::default(), Identity::generate(&["intralith"]).unwrap());
        acceptor.install(&identity, &Settings::default()).unwrap();
        acceptor
    });
    let (pieces, text) = input;
    let stream = acceptor.accept(Arc::new(Pieces(Mutex::new(pieces)))).unwrap().unwrap();
    for _ in 0..100 {
        if !matches!(stream.try_read(&mut [0; 64]), Ok(ReadOutcome::Data(_))) {
            break;
        }
    }
    assert_eq!(stream.secured(), None, "a handshake without a client");
    let _ = Identity::from_pem(text, text);
    let _ = pg_tls::check_authorities(text);
    let _ = pg_tls::certificate::describe(text.as_bytes());
});
