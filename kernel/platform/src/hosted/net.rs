//! TCP over the operating system's sockets, with one-shot readiness hooks.
//!
//! Reads, writes and waits are the calling task's own system calls. Only a connection whose hook is armed is watched by
//! the thread that all connections share: it fires the hook and stops watching. So a task that stays with its
//! connection ([`Stream::patience`]) wakes nobody else with each request.

use alloc::sync::{Arc, Weak};
use core::{net::SocketAddr, time::Duration};
use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    os::fd::AsRawFd,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use mio::{Events, Interest, Poll, Registry, Token, Waker, unix::SourceFd};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvFlags, recv},
};

use crate::net::{Listener, NetError, ReadOutcome, ReadyHook, Stream};

/// How long a task stays with a connection after a request. The next one of a busy client comes sooner; a thread that
/// waits costs its stack only.
const PATIENCE: Duration = Duration::from_millis(20);

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

/// What a read of at least one byte came to.
fn outcome_of(mut read: impl FnMut() -> std::io::Result<usize>) -> Result<ReadOutcome, NetError> {
    loop {
        match read() {
            Ok(0) => return Ok(ReadOutcome::Eof),
            Ok(n) => return Ok(ReadOutcome::Data(n)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(ReadOutcome::WouldBlock),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(error(&e)),
        }
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
                stream.fire(reactor);
            }
        }
    }
}

/// One accepted connection.
struct TcpStream {
    socket: std::net::TcpStream,
    peer: SocketAddr,
    token: usize,
    /// The armed hook: the socket is watched as long as there is one.
    hook: Mutex<Option<Arc<dyn ReadyHook>>>,
}

impl TcpStream {
    fn new(socket: std::net::TcpStream, peer: SocketAddr) -> Result<Arc<Self>, NetError> {
        let reactor = reactor()?;
        // Answers are small and complete: never hold them back.
        socket.set_nodelay(true).map_err(|e| error(&e))?;
        // A patient read is one system call.
        socket.set_nonblocking(false).map_err(|e| error(&e))?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(|e| error(&e))?;
        let mut streams = lock(&reactor.streams);
        let token = streams.next;
        streams.next += 1;
        let stream = Arc::new(Self { socket, peer, token, hook: Mutex::default() });
        streams.by_token.insert(token, Arc::downgrade(&stream));
        Ok(stream)
    }

    /// The socket has something to say: the hook goes off and the socket is watched no more.
    fn fire(&self, reactor: &Reactor) {
        let mut armed = lock(&self.hook);
        let hook = armed.take();
        if hook.is_some() {
            let _ = reactor.registry.deregister(&mut SourceFd(&self.socket.as_raw_fd()));
        }
        drop(armed);
        if let Some(hook) = hook {
            hook.ready();
        }
    }
}

impl Stream for TcpStream {
    fn try_read(&self, buf: &mut [u8]) -> Result<ReadOutcome, NetError> {
        if buf.is_empty() {
            return Ok(ReadOutcome::WouldBlock);
        }
        outcome_of(|| Ok(recv(&self.socket, &mut *buf, RecvFlags::DONTWAIT)?.0))
    }

    fn read_patiently(&self, buf: &mut [u8]) -> Result<ReadOutcome, NetError> {
        outcome_of(|| (&self.socket).read(buf))
    }

    fn wait_readable(&self, limit: Option<Duration>) -> Result<bool, NetError> {
        let deadline = limit.map(|l| Instant::now() + l);
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            // A limit that does not fit is no limit.
            let time = left.and_then(|l| Timespec::try_from(l).ok());
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], time.as_ref()) {
                Ok(0) if left.is_some() => return Ok(false),
                Err(rustix::io::Errno::INTR) | Ok(0) => {}
                // An error shows when the socket is used.
                Ok(_) | Err(_) => return Ok(true),
            }
        }
    }

    fn write_all(&self, mut data: &[u8]) -> Result<(), NetError> {
        while !data.is_empty() {
            match (&self.socket).write(data) {
                Ok(0) => return Err(NetError::Reset),
                Ok(n) => data = data.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(error(&e)),
            }
        }
        Ok(())
    }

    fn arm(&self, hook: Arc<dyn ReadyHook>) {
        let Ok(reactor) = reactor() else { return hook.ready() };
        let mut armed = lock(&self.hook);
        let old = armed.replace(hook);
        // What is there already is reported too.
        let watched = old.is_some()
            || reactor
                .registry
                .register(&mut SourceFd(&self.socket.as_raw_fd()), Token(self.token), Interest::READABLE)
                .is_ok();
        let failed = if watched { None } else { armed.take() };
        drop(armed);
        drop(old);
        if let Some(hook) = failed {
            // Reading will show what is wrong.
            hook.ready();
        }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn close(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
        let mut armed = lock(&self.hook);
        let hook = armed.take();
        if hook.is_some()
            && let Ok(reactor) = reactor()
        {
            let _ = reactor.registry.deregister(&mut SourceFd(&self.socket.as_raw_fd()));
        }
        drop(armed);
        drop(hook);
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        // The kernel forgets a closed socket by itself.
        if let Ok(reactor) = reactor() {
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
                Ok((socket, peer)) => return Ok(TcpStream::new(socket.into(), peer)?),
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
        // Ended streams are ready for ever.
        server.arm(hook.clone());
        rx.recv_timeout(Duration::from_secs(10)).expect("fired again");
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
