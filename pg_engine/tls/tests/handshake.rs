//! Handshakes and data over streams in memory, against rustls's client.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use pg_tls::{Acceptor, Identity, Settings, TlsStream, Version, provider::provider};
use platform::net::{NetError, ReadOutcome, ReadyHook, Stream};
use proptest::prelude::*;
use rustls::{
    ClientConfig, RootCertStore,
    client::UnbufferedClientConnection,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    time_provider::TimeProvider,
    unbuffered::{ConnectionState, UnbufferedStatus},
};

/// The server's side of a connection in memory.
#[derive(Default)]
struct Pipe {
    to_server: Mutex<VecDeque<u8>>,
    to_client: Mutex<Vec<u8>>,
    ended: Mutex<bool>,
}

impl Stream for Pipe {
    fn try_read(&self, buf: &mut [u8]) -> Result<ReadOutcome, NetError> {
        let mut queue = self.to_server.lock().unwrap();
        if queue.is_empty() {
            return Ok(if *self.ended.lock().unwrap() { ReadOutcome::Eof } else { ReadOutcome::WouldBlock });
        }
        let n = buf.len().min(queue.len());
        for (to, from) in buf.iter_mut().zip(queue.drain(..n)) {
            *to = from;
        }
        Ok(ReadOutcome::Data(n))
    }
    fn wait_readable(&self, _: Option<Duration>) -> Result<bool, NetError> {
        Ok(!self.to_server.lock().unwrap().is_empty())
    }
    fn write_all(&self, data: &[u8]) -> Result<(), NetError> {
        self.to_client.lock().unwrap().extend_from_slice(data);
        Ok(())
    }
    fn arm(&self, _: Arc<dyn ReadyHook>) {}
    fn peer_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1))
    }
    fn close(&self) {}
}

#[derive(Debug)]
struct Now;
impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Some(UnixTime::since_unix_epoch(now))
    }
}

struct Client {
    connection: UnbufferedClientConnection,
    incoming: Vec<u8>,
    plain: Vec<u8>,
}

impl Client {
    fn new(identity: &Identity, version: &'static rustls::SupportedProtocolVersion) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(identity.certificate().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_details(provider(), Arc::new(Now))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connection =
            UnbufferedClientConnection::new(Arc::new(config), "intralith".try_into().unwrap()).unwrap();
        Self { connection, incoming: Vec::new(), plain: Vec::new() }
    }

    /// Handles what came and gives what is to be sent; `data` is sent once that is possible. True: it was.
    fn step(&mut self, data: &[u8]) -> (Vec<u8>, bool) {
        let (mut out, mut sent) = (Vec::new(), false);
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut self.incoming);
            let mut room = vec![0; 20 << 10];
            let mut over = false;
            match state.expect("the server is right") {
                ConnectionState::EncodeTlsData(mut r) => {
                    let n = r.encode(&mut room).unwrap();
                    out.extend_from_slice(&room[..n]);
                }
                ConnectionState::TransmitTlsData(t) => t.done(),
                ConnectionState::ReadTraffic(mut t) => {
                    while let Some(r) = t.next_record() {
                        let r = r.unwrap();
                        self.plain.extend_from_slice(r.payload);
                        discard += r.discard;
                    }
                }
                ConnectionState::WriteTraffic(mut t) => {
                    if !data.is_empty() && !sent {
                        room.resize(data.len() + (4 << 10), 0);
                        let n = t.encrypt(data, &mut room).unwrap();
                        out.extend_from_slice(&room[..n]);
                        sent = true;
                    }
                    over = true;
                }
                ConnectionState::BlockedHandshake => over = true,
                ConnectionState::PeerClosed => {}
                other => panic!("{other:?}"),
            }
            self.incoming.drain(..discard);
            if over {
                return (out, sent);
            }
        }
    }
}

fn server(settings: &Settings) -> (Identity, Arc<Pipe>, Arc<TlsStream>) {
    let identity = Identity::generate(&["intralith", "127.0.0.1"]).unwrap();
    let acceptor = Acceptor::default();
    acceptor.install(&identity, settings).unwrap();
    let pipe = Arc::new(Pipe::default());
    let stream = acceptor.accept(pipe.clone()).unwrap().unwrap();
    (identity, pipe, stream)
}

/// Exchanges until nothing moves; `piece`: bytes that arrive at a time. Gives what the server read.
fn exchange(pipe: &Pipe, stream: &TlsStream, client: &mut Client, data: &[u8], piece: usize) -> Vec<u8> {
    let (mut got, mut sent) = (Vec::new(), false);
    loop {
        let (out, done) = client.step(if sent { &[] } else { data });
        sent |= done;
        for part in out.chunks(piece) {
            pipe.to_server.lock().unwrap().extend(part);
            let mut buf = [0; 777];
            while let ReadOutcome::Data(n) = stream.try_read(&mut buf).unwrap() {
                got.extend_from_slice(&buf[..n]);
            }
        }
        let answer = std::mem::take(&mut *pipe.to_client.lock().unwrap());
        if out.is_empty() && answer.is_empty() {
            assert!(sent || data.is_empty());
            return got;
        }
        client.incoming.extend(answer);
    }
}

#[test]
fn both_versions_carry_data_in_any_pieces() {
    for (version, name) in [(&rustls::version::TLS13, "TLSv1.3"), (&rustls::version::TLS12, "TLSv1.2")] {
        for piece in [1, 5, 100, 1 << 20] {
            let (identity, pipe, stream) = server(&Settings::default());
            let mut client = Client::new(&identity, version);
            assert_eq!(stream.secured(), None);
            let question: Vec<u8> = (0..50_000u32).map(|n| n as u8).collect();
            let got = exchange(&pipe, &stream, &mut client, &question, piece);
            assert!(got == question, "{name} in pieces of {piece}");
            assert_eq!(stream.secured().unwrap().version, name);
            let answer: Vec<u8> = (0..200_000u32).map(|n| (n * 7) as u8).collect();
            stream.write_all(&answer).unwrap();
            exchange(&pipe, &stream, &mut client, &[], piece);
            assert!(client.plain == answer, "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn the_least_version_is_kept() {
    let settings = Settings { least: Version::Tls13, ..Settings::default() };
    let (identity, pipe, stream) = server(&settings);
    let mut client = Client::new(&identity, &rustls::version::TLS12);
    let (hello, _) = client.step(&[]);
    pipe.to_server.lock().unwrap().extend(hello);
    assert_eq!(stream.try_read(&mut [0; 64]), Err(NetError::Reset));
    // A fatal alert: protocol_version.
    assert_eq!(pipe.to_client.lock().unwrap().last_chunk::<2>(), Some(&[2, 70]));
    let nothing = Settings { least: Version::Tls13, most: Version::Tls12, ..Settings::default() };
    assert!(Acceptor::default().install(&identity, &nothing).is_err());
}

#[test]
fn an_end_inside_a_record_is_an_end() {
    let (identity, pipe, stream) = server(&Settings::default());
    let mut client = Client::new(&identity, &rustls::version::TLS13);
    exchange(&pipe, &stream, &mut client, b"whole", 1 << 20);
    let (record, _) = client.step(b"never seen");
    pipe.to_server.lock().unwrap().extend(&record[..record.len() - 1]);
    *pipe.ended.lock().unwrap() = true;
    assert_eq!(stream.try_read(&mut [0; 64]), Ok(ReadOutcome::Eof));
}

#[test]
fn a_changed_record_ends_the_stream() {
    let (identity, pipe, stream) = server(&Settings::default());
    let mut client = Client::new(&identity, &rustls::version::TLS13);
    exchange(&pipe, &stream, &mut client, b"whole", 1 << 20);
    let (mut record, _) = client.step(b"payload");
    *record.last_mut().unwrap() ^= 1;
    pipe.to_server.lock().unwrap().extend(record);
    assert_eq!(stream.try_read(&mut [0; 64]), Err(NetError::Reset));
    assert_eq!(stream.try_read(&mut [0; 64]), Err(NetError::Reset));
    assert_eq!(stream.write_all(b"x"), Err(NetError::Reset));
}

#[test]
fn keys_and_certificates_belong_together() {
    let (a, b) = (Identity::generate(&["a"]).unwrap(), Identity::generate(&["b"]).unwrap());
    assert!(Identity::from_pem(a.certificate(), a.private_key()).is_ok());
    let wrong = [
        (a.certificate(), b.private_key(), "the private key does not belong to the certificate"),
        (a.certificate(), a.certificate(), "there is no unencrypted private key in PEM format"),
        (a.private_key(), a.private_key(), "there is no certificate in PEM format"),
        ("", "", "there is no certificate in PEM format"),
    ];
    for (certificate, key, why) in wrong {
        assert_eq!(Identity::from_pem(certificate, key).unwrap_err().to_string(), why);
    }
    assert!(!format!("{a:?}").contains("PRIVATE"));
    assert!(Identity::generate(&["a,O=b"]).is_err());
    assert!(Identity::generate(&[]).is_err());
}

/// Where the record begins that has the byte.
fn header_before(records: &[u8], at: usize) -> usize {
    let mut start = 0;
    loop {
        let length = usize::from(u16::from_be_bytes([records[start + 3], records[start + 4]]));
        if at < start + 5 + length {
            return start;
        }
        start += 5 + length;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_instead_of_a_handshake(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..600), 1..6)) {
        let (_, pipe, stream) = server(&Settings::default());
        for piece in pieces {
            pipe.to_server.lock().unwrap().extend(piece);
            let _ = stream.try_read(&mut [0; 64]);
            prop_assert_eq!(stream.secured(), None);
        }
        stream.close();
    }

    #[test]
    fn any_change_of_a_handshake_ends_it(tls12 in any::<bool>(), flight in 0usize..2, at in any::<prop::sample::Index>(), bits in 1u8..) {
        let (identity, pipe, stream) = server(&Settings::default());
        let version = if tls12 { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
        let mut client = Client::new(&identity, version);
        for n in 0..=flight {
            let (mut out, _) = client.step(&[]);
            if n == flight && !out.is_empty() {
                let at = at.index(out.len());
                // Neither version says anything of the version in a record's header.
                let header = header_before(&out, at);
                let at = if (header + 1..header + 3).contains(&at) { header } else { at };
                out[at] ^= bits;
            }
            pipe.to_server.lock().unwrap().extend(out);
            let _ = stream.try_read(&mut [0; 64]);
            let answer = std::mem::take(&mut *pipe.to_client.lock().unwrap());
            if n < flight {
                client.incoming.extend(answer);
            }
        }
        // A changed first flight may still be one; only the second one proves anything.
        prop_assert!(flight == 0 || stream.secured().is_none());
    }

    #[test]
    fn any_bytes_after_a_handshake(bytes in proptest::collection::vec(any::<u8>(), 1..3000)) {
        let (identity, pipe, stream) = server(&Settings::default());
        let mut client = Client::new(&identity, &rustls::version::TLS13);
        exchange(&pipe, &stream, &mut client, b"whole", 1 << 20);
        pipe.to_server.lock().unwrap().extend(bytes);
        let read = stream.try_read(&mut [0; 64]);
        prop_assert!(matches!(read, Err(NetError::Reset) | Ok(ReadOutcome::WouldBlock)), "{:?}", read);
    }

    #[test]
    fn any_text_instead_of_a_certificate(text in "\\PC{0,300}", der in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Identity::from_pem(&text, &text).is_err());
        let _ = pg_tls::certificate::describe(&der);
        let _ = pg_tls::certificate::end_point(&der);
        prop_assert!(pg_tls::check_authorities(&text).is_err());
    }
}
