//! TCP over the operating system's sockets, with one-shot readiness hooks.
//!
//! One thread waits for readiness of every connection (edge-triggered) and records it in the connection's [`Ready`]
//! state; it fires armed hooks and wakes tasks that wait. Reads and writes are tried on the calling task.
//!
//! Why no edge is lost: a flag is lowered *before* the socket is tried, so an edge that comes later raises it again, and
//! a try that did not exhaust the socket raises it itself. End of file and errors are remembered for ever.

use alloc::sync::{Arc, Weak};
use core::{net::SocketAddr, time::Duration};
use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use mio::{Events, Interest, Poll, Registry, Token, Waker, event::Event};

use crate::net::{Listener, NetError, ReadOutcome, ReadyHook, Stream};

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error(e: &std::io::Error) -> NetError {
    match e.kind() {
        ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied => NetError::Address,
        ErrorKind::TimedOut => NetError::TimedOut,
        ErrorKind::OutOfMemory => NetError::Exhausted,
        _ => NetError::Reset,
    }
}

/// The thread that waits for readiness, shared by all connections of the process.
struct Reactor {
    registry: Registry,
    streams: Mutex<Streams>,
}

#[derive(Default)]
struct Streams {
    by_token: HashMap<usize, Weak<TcpStream>>,
    next: usize,
}

fn reactor() -> Result<&'static Reactor, NetError> {
    static REACTOR: OnceLock<Option<Reactor>> = OnceLock::new();
    let made = REACTOR.get_or_init(|| {
        let poll = Poll::new().ok()?;
        let registry = poll.registry().try_clone().ok()?;
        std::thread::Builder::new().name("net".into()).spawn(move || run(poll)).ok()?;
        Some(Reactor { registry, streams: Mutex::default() })
    });
    made.as_ref().ok_or(NetError::Exhausted)
}

fn run(mut poll: Poll) {
    let mut events = Events::with_capacity(256);
    loop {
        if poll.poll(&mut events, None).is_err() {
            continue;
        }
        // The thread starts inside the initialisation; events come only from streams registered after it.
        let Ok(reactor) = reactor() else { return };
        for event in &events {
            let stream = lock(&reactor.streams).by_token.get(&event.token().0).and_then(Weak::upgrade);
            if let Some(stream) = stream {
                stream.on_event(event);
            }
        }
    }
}

#[derive(Default)]
struct Ready {
    readable: bool,
    writable: bool,
    ended: bool,
    hook: Option<Arc<dyn ReadyHook>>,
}

/// One accepted connection.
struct TcpStream {
    socket: mio::net::TcpStream,
    peer: SocketAddr,
    token: usize,
    ready: Mutex<Ready>,
    changed: Condvar,
}

impl TcpStream {
    fn register(mut socket: mio::net::TcpStream, peer: SocketAddr) -> Result<Arc<Self>, NetError> {
        let reactor = reactor()?;
        // Answers are small and complete: never hold them back.
        socket.set_nodelay(true).map_err(|e| error(&e))?;
        let mut streams = lock(&reactor.streams);
        let token = streams.next;
        streams.next += 1;
        reactor
            .registry
            .register(&mut socket, Token(token), Interest::READABLE | Interest::WRITABLE)
            .map_err(|e| error(&e))?;
        let ready = Ready { readable: true, writable: true, ..Ready::default() };
        let stream =
            Arc::new(Self { socket, peer, token, ready: Mutex::new(ready), changed: Condvar::new() });
        streams.by_token.insert(token, Arc::downgrade(&stream));
        Ok(stream)
    }

    fn on_event(&self, event: &Event) {
        let mut ready = lock(&self.ready);
        ready.ended |= event.is_read_closed() || event.is_error();
        ready.readable |= event.is_readable() || ready.ended;
        ready.writable |= event.is_writable() || ready.ended;
        let hook = if ready.readable { ready.hook.take() } else { None };
        drop(ready);
        self.changed.notify_all();
        if let Some(hook) = hook {
            hook.ready();
        }
    }

    fn wait(&self, limit: Option<Duration>, flag: impl Fn(&Ready) -> bool) -> bool {
        let deadline = limit.map(|l| Instant::now() + l);
        let mut ready = lock(&self.ready);
        while !(flag(&ready) || ready.ended) {
            ready = match deadline {
                None => self.changed.wait(ready).unwrap_or_else(PoisonError::into_inner),
                Some(d) => {
                    let left = d.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.changed.wait_timeout(ready, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }
}

impl Stream for TcpStream {
    fn try_read(&self, buf: &mut [u8]) -> Result<ReadOutcome, NetError> {
        if buf.is_empty() {
            return Ok(ReadOutcome::WouldBlock);
        }
        lock(&self.ready).readable = false;
        loop {
            match (&self.socket).read(buf) {
                Ok(0) => {
                    lock(&self.ready).ended = true;
                    return Ok(ReadOutcome::Eof);
                }
                Ok(n) => {
                    if n == buf.len() {
                        lock(&self.ready).readable = true;
                    }
                    return Ok(ReadOutcome::Data(n));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(ReadOutcome::WouldBlock),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    lock(&self.ready).ended = true;
                    return Err(error(&e));
                }
            }
        }
    }

    fn wait_readable(&self, limit: Option<Duration>) -> Result<bool, NetError> {
        Ok(self.wait(limit, |r| r.readable))
    }

    fn write_all(&self, mut data: &[u8]) -> Result<(), NetError> {
        while !data.is_empty() {
            lock(&self.ready).writable = false;
            match (&self.socket).write(data) {
                Ok(0) => return Err(NetError::Reset),
                Ok(n) => data = data.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.wait(None, |r| r.writable);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(error(&e)),
            }
        }
        Ok(())
    }

    fn arm(&self, hook: Arc<dyn ReadyHook>) {
        let mut ready = lock(&self.ready);
        if ready.readable || ready.ended {
            ready.hook = None;
            drop(ready);
            hook.ready();
        } else {
            ready.hook = Some(hook);
        }
    }

    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn close(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
        let mut ready = lock(&self.ready);
        let hook = ready.hook.take();
        drop(ready);
        drop(hook);
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        if let Ok(reactor) = reactor() {
            let _ = reactor.registry.deregister(&mut self.socket);
            lock(&reactor.streams).by_token.remove(&self.token);
        }
    }
}

/// A listening TCP port.
pub struct TcpListener {
    socket: mio::net::TcpListener,
    address: SocketAddr,
    state: Mutex<(Poll, Events)>,
    waker: Waker,
    closed: core::sync::atomic::AtomicBool,
}

const ACCEPT: Token = Token(0);
const WAKE: Token = Token(1);

impl TcpListener {
    /// Listens on `address` (port 0: any free port).
    pub fn bind(address: SocketAddr) -> Result<Arc<Self>, NetError> {
        let mut socket = mio::net::TcpListener::bind(address).map_err(|e| error(&e))?;
        let address = socket.local_addr().map_err(|e| error(&e))?;
        let poll = Poll::new().map_err(|e| error(&e))?;
        poll.registry().register(&mut socket, ACCEPT, Interest::READABLE).map_err(|e| error(&e))?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(|e| error(&e))?;
        Ok(Arc::new(Self {
            socket,
            address,
            state: Mutex::new((poll, Events::with_capacity(4))),
            waker,
            closed: core::sync::atomic::AtomicBool::new(false),
        }))
    }
}

impl Listener for TcpListener {
    fn accept(&self) -> Result<Arc<dyn Stream>, NetError> {
        use core::sync::atomic::Ordering::Acquire;
        let mut state = lock(&self.state);
        let (poll, events) = &mut *state;
        loop {
            if self.closed.load(Acquire) {
                return Err(NetError::Closed);
            }
            match self.socket.accept() {
                Ok((socket, peer)) => return Ok(TcpStream::register(socket, peer)?),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    let _ = poll.poll(events, None);
                }
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(e) => return Err(error(&e)),
            }
        }
    }

    fn local_addr(&self) -> SocketAddr {
        self.address
    }

    fn close(&self) {
        self.closed.store(true, core::sync::atomic::Ordering::Release);
        let _ = self.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc;

    struct Count(AtomicUsize, mpsc::Sender<()>);
    impl ReadyHook for Count {
        fn ready(&self) {
            self.0.fetch_add(1, SeqCst);
            let _ = self.1.send(());
        }
    }

    fn pair() -> (Arc<dyn Stream>, std::net::TcpStream) {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("bind");
        let client = std::net::TcpStream::connect(listener.local_addr()).expect("connect");
        (listener.accept().expect("accept"), client)
    }

    #[test]
    fn a_hook_fires_once_for_each_arming() {
        let (server, mut client) = pair();
        let mut buf = [0; 64];
        assert_eq!(server.try_read(&mut buf), Ok(ReadOutcome::WouldBlock));
        let (tx, rx) = mpsc::channel();
        let hook = Arc::new(Count(AtomicUsize::new(0), tx));
        server.arm(hook.clone());
        client.write_all(b"one").expect("write");
        rx.recv_timeout(Duration::from_secs(10)).expect("fired");
        client.write_all(b"two").expect("write");
        assert_eq!(server.wait_readable(None), Ok(true));
        assert_eq!(hook.0.load(SeqCst), 1);
        let mut got = std::vec::Vec::new();
        while got.len() < 6 {
            assert_eq!(server.wait_readable(None), Ok(true));
            if let ReadOutcome::Data(n) = server.try_read(&mut buf).expect("read") {
                got.extend_from_slice(&buf[..n]);
            }
        }
        assert_eq!(got, b"onetwo");
        server.arm(hook.clone());
        drop(client);
        rx.recv_timeout(Duration::from_secs(10)).expect("fired at end of file");
        assert_eq!(server.try_read(&mut buf), Ok(ReadOutcome::Eof));
        // Ended streams are ready at once, for ever.
        server.arm(hook.clone());
        assert_eq!(hook.0.load(SeqCst), 3);
    }

    #[test]
    fn large_writes_wait_for_the_reader() {
        let (server, mut client) = pair();
        let sent = std::vec![7u8; 8 << 20];
        let task = std::thread::spawn(move || server.write_all(&sent));
        let mut got = std::vec::Vec::new();
        client.read_to_end(&mut got).expect("read");
        assert_eq!(task.join().expect("join"), Ok(()));
        assert_eq!(got.len(), 8 << 20);
    }

    #[test]
    fn closing_a_listener_ends_accept() {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("bind");
        let other = listener.clone();
        let task = std::thread::spawn(move || other.accept().map(|_| ()));
        listener.close();
        assert_eq!(task.join().expect("join"), Err(NetError::Closed));
    }
}
