//! The stack as tasks see it: blocking streams and listeners.

use crate::{
    config::{Config, FRAME_BUDGET},
    nic::{NicInfo, NicRx, NicTx},
    packet::FlowKey,
    stack::{Stack, Stats},
    table::{ConnId, Waits},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    mem,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use platform::{
    net::{Listener, NetError, ReadOutcome, ReadyHook, Stream},
    sync::{Condvar, Mutex, MutexGuard},
    time::monotonic,
};
use smoltcp::{time::Instant, wire::IpCidr};

/// The longest the receiving task sleeps: timers that streams start while it sleeps are late by this much at most.
const NAP: Duration = Duration::from_millis(100);
/// The shortest sleep that a timer asks for. Programming the machine's timer costs more than a request does, so timers
/// are looked at when frames come anyway, and otherwise no more often than this.
const TICK: Duration = Duration::from_millis(10);

fn now() -> Instant {
    // 2^63 microseconds are enough.
    Instant::from_micros(monotonic().as_micros() as i64)
}

/// How long to look for the next frame before asking for an interrupt. In a dialogue with one client the time until
/// its next request is what counts, and an interrupt with a sleep and a wake-up around it costs a good part of it. With
/// many clients there is always something to do, and a core that only looks takes the host's processor from others.
#[derive(Default)]
struct Patience {
    /// Looks that were in vain, less those that were not.
    vain: u8,
    /// Waits since looking was given up.
    skipped: u8,
}

/// A client on the same machine or the next one answers within this time; through an emulated card and the emulator's
/// own network it takes 200 to 300 microseconds.
const LINGER: Duration = Duration::from_micros(400);
/// So often in vain, and looking is given up for a while.
const VAIN: u8 = 8;

impl Patience {
    fn linger(&mut self, dialogue: bool) -> Duration {
        if !dialogue {
            return Duration::ZERO;
        }
        if self.vain >= VAIN {
            self.skipped = self.skipped.wrapping_add(1);
            // Every now and then: conditions may have changed.
            if self.skipped != 0 {
                return Duration::ZERO;
            }
            self.vain = VAIN / 2;
        }
        LINGER
    }

    fn learn(&mut self, linger: Duration, seen: bool) {
        if !linger.is_zero() {
            self.vain = if seen { self.vain.saturating_sub(1) } else { self.vain + 1 };
        }
    }
}

/// A network card with its TCP/IP stack.
pub struct NetStack {
    stack: Mutex<Stack>,
    rx: Mutex<Box<dyn NicRx>>,
    accept: Condvar,
    addressed: Condvar,
    stopped: AtomicBool,
}

impl NetStack {
    /// Binds a card. Nothing is sent or received before somebody calls [`NetStack::run`] or [`NetStack::poll`].
    pub fn new(info: NicInfo, rx: Box<dyn NicRx>, tx: Box<dyn NicTx>, config: Config) -> Arc<Self> {
        Arc::new(Self {
            stack: Mutex::new(Stack::new(info, tx, config, now())),
            rx: Mutex::new(rx),
            accept: Condvar::new(),
            addressed: Condvar::new(),
            stopped: AtomicBool::new(false),
        })
    }

    /// Runs `f` under the lock, then sends and calls what it left to do.
    fn with<R>(&self, f: impl FnOnce(&mut Stack, Instant) -> R) -> R {
        let mut stack = self.stack.lock();
        let result = f(&mut stack, now());
        self.finish(stack);
        result
    }

    #[inline]
    fn finish(&self, mut stack: MutexGuard<'_, Stack>) {
        stack.flush();
        if !stack.deferred.is_empty() || stack.accept_ready || stack.address_changed {
            self.tell(stack);
        }
    }

    /// Wakes and calls whom the stack's work concerns.
    fn tell(&self, mut stack: MutexGuard<'_, Stack>) {
        let deferred = mem::take(&mut stack.deferred);
        let accept = mem::take(&mut stack.accept_ready);
        let addressed = mem::take(&mut stack.address_changed);
        drop(stack);
        if accept {
            self.accept.notify_all();
        }
        if addressed {
            self.addressed.notify_all();
        }
        deferred.run();
    }

    /// Handles a bounded number of waiting frames and all timers that are due. Returns the number of frames and the
    /// time until the next timer.
    pub fn poll(&self) -> (usize, Option<Duration>) {
        let mut rx = self.rx.lock();
        self.poll_with(&mut **rx)
    }

    fn poll_with(&self, rx: &mut dyn NicRx) -> (usize, Option<Duration>) {
        let mut stack = self.stack.lock();
        let at = now();
        let mut frames = 0;
        while frames < FRAME_BUDGET {
            let Some(frame) = rx.receive() else { break };
            stack.ingress(at, &frame);
            frames += 1;
        }
        if frames > 0 {
            rx.refill();
        }
        let next = stack.run_timers(at);
        self.finish(stack);
        (frames, next)
    }

    /// The receiving task's life: until [`NetStack::shutdown`].
    pub fn run(&self) {
        let mut patience = Patience::default();
        while !self.stopped.load(Ordering::Acquire) {
            let mut rx = self.rx.lock();
            let (frames, next) = self.poll_with(&mut **rx);
            if frames == 0 {
                let linger = patience.linger(self.stack.lock().is_dialogue());
                let seen = rx.wait(linger, next.map_or(NAP, |n| n.clamp(TICK, NAP)));
                patience.learn(linger, seen);
            }
        }
    }

    /// Ends [`NetStack::run`]; every connection is reset and every waiting call fails.
    pub fn shutdown(&self) {
        self.stopped.store(true, Ordering::Release);
        self.with(|stack, now| {
            for i in 0..stack.listeners.len() {
                stack.close_listener(now, i as u32);
            }
            stack.abort_all(now);
        });
        self.accept.notify_all();
    }

    /// Our addresses now, IPv4 first.
    pub fn addresses(&self) -> Vec<IpCidr> {
        self.stack.lock().addresses()
    }

    /// Waits until there is an IPv4 address. False: the time limit passed.
    pub fn wait_configured(&self, limit: Duration) -> bool {
        let until = monotonic() + limit;
        let mut stack = self.stack.lock();
        while !stack.has_ipv4() {
            let Some(left) = until.checked_sub(monotonic()).filter(|d| !d.is_zero()) else { return false };
            stack = self.addressed.wait_timeout(stack, left).0;
        }
        true
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stack.lock().stats()
    }

    /// Starts listening. An unspecified address listens on all. Up to `backlog` connections wait for `accept`.
    pub fn listen(self: &Arc<Self>, addr: SocketAddr, backlog: usize) -> Result<Arc<TcpListener>, NetError> {
        let address = Some(addr.ip()).filter(|ip: &IpAddr| !ip.is_unspecified());
        let id = self.with(|stack, _| stack.listen(addr.port(), address, backlog))?;
        Ok(Arc::new(TcpListener { net: self.clone(), id, addr }))
    }
}

/// A listening port.
pub struct TcpListener {
    net: Arc<NetStack>,
    id: u32,
    addr: SocketAddr,
}

impl TcpListener {
    /// As [`Listener::accept`], with the concrete type.
    pub fn accept_stream(&self) -> Result<Arc<TcpStream>, NetError> {
        let mut stack = self.net.stack.lock();
        loop {
            if let Some((id, key, waits, refused)) = stack.accept(self.id) {
                return Ok(Arc::new(TcpStream { net: self.net.clone(), id, key, waits, refused }));
            }
            if !stack.listeners.get(self.id as usize).is_some_and(|l| l.open) {
                return Err(NetError::Closed);
            }
            stack = self.net.accept.wait(stack);
        }
    }
}

impl Listener for TcpListener {
    fn accept(&self) -> Result<Arc<dyn Stream>, NetError> {
        Ok(self.accept_stream()?)
    }

    fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    fn close(&self) {
        self.net.with(|stack, now| stack.close_listener(now, self.id));
        self.net.accept.notify_all();
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.close();
    }
}

/// One connection.
pub struct TcpStream {
    net: Arc<NetStack>,
    id: ConnId,
    key: FlowKey,
    waits: Arc<Waits>,
    refused: bool,
}

impl TcpStream {
    /// Our end's address.
    pub fn local_addr(&self) -> SocketAddr {
        self.key.local
    }

    /// Resets the connection.
    pub fn abort(&self) {
        self.net.with(|stack, now| stack.abort(now, self.id.slot));
    }
}

impl Stream for TcpStream {
    fn try_read(&self, buf: &mut [u8]) -> Result<ReadOutcome, NetError> {
        if buf.is_empty() {
            return Ok(ReadOutcome::WouldBlock);
        }
        let mut stack = self.net.stack.lock();
        let (outcome, drained) = stack.try_read(self.id, buf)?;
        if drained {
            stack.drained(now(), self.id);
            self.net.finish(stack);
        }
        Ok(outcome)
    }

    fn wait_readable(&self, limit: Option<Duration>) -> Result<bool, NetError> {
        let until = limit.map(|l| monotonic() + l);
        let mut stack = self.net.stack.lock();
        loop {
            if stack.is_readable(self.id) {
                return Ok(true);
            }
            stack.waiter(self.id, 1, 0);
            stack = match until {
                None => self.waits.readable.wait(stack),
                Some(until) => {
                    let left = until.saturating_sub(monotonic());
                    if left.is_zero() {
                        stack.waiter(self.id, -1, 0);
                        return Ok(false);
                    }
                    self.waits.readable.wait_timeout(stack, left).0
                }
            };
            stack.waiter(self.id, -1, 0);
        }
    }

    fn write_all(&self, data: &[u8]) -> Result<(), NetError> {
        let mut rest = data;
        let mut stack = self.net.stack.lock();
        loop {
            let n = stack.write(now(), self.id, rest)?;
            rest = rest.get(n..).unwrap_or_default();
            if rest.is_empty() {
                self.net.finish(stack);
                return Ok(());
            }
            if !stack.deferred.is_empty() {
                self.net.finish(stack);
                stack = self.net.stack.lock();
                continue;
            }
            stack.flush();
            stack.waiter(self.id, 0, 1);
            stack = self.waits.writable.wait(stack);
            stack.waiter(self.id, 0, -1);
        }
    }

    fn arm(&self, hook: Arc<dyn ReadyHook>) {
        let mut stack = self.net.stack.lock();
        stack.arm_hook(self.id, hook);
        if !stack.deferred.is_empty() {
            self.net.finish(stack);
        }
    }

    fn peer_addr(&self) -> SocketAddr {
        self.key.remote
    }

    fn close(&self) {
        self.net.with(|stack, now| stack.close(now, self.id));
    }

    fn over_limit(&self) -> bool {
        self.refused
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.net.with(|stack, now| stack.release(now, self.id));
    }
}
