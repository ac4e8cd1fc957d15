//! The stack proper: no locks, no waiting, time is an argument. [`crate::NetStack`] wraps it for tasks.

use crate::{
    config::{
        ACK_HOLD, BURST, Config, DHCP_RETRY, HANDSHAKE_GRACE, HANDSHAKE_LIMIT, Ipv4Config, KEEP_ALIVE,
        ORPHAN_LIMIT, PEER_LIMIT, POOL_LIMIT, REFUSAL_RECEIVE, REFUSAL_SEND, RESEND_FLOOR, ROOM_RETRY, SMALL,
    },
    device::{Wire, capabilities},
    nic::{NicInfo, NicTx, RxChecksum, RxFrame},
    packet::{Class, FlowKey, TcpSegment, checksum_valid, classify},
    table::{Conn, ConnId, Endpoint, Phase, Table, Waits},
};
use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec, vec::Vec};
use core::{mem, net::IpAddr, time::Duration};
use platform::net::{NetError, ReadOutcome, ReadyHook};
use smoltcp::{
    iface::{self, Interface, PollResult, SocketHandle, SocketSet, SocketStorage},
    phy::DeviceCapabilities,
    socket::{dhcpv4, tcp},
    time::Instant,
    wire::{EthernetAddress, IpAddress, IpCidr, Ipv4Cidr, Ipv6Address, Ipv6Cidr},
};

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames taken from the card.
    pub frames: u64,
    /// Dropped: broken, fragmented, or not ours.
    pub dropped: u64,
    /// Dropped for a wrong TCP checksum.
    pub bad_checksum: u64,
    /// Connections that completed the handshake.
    pub established: u64,
    /// Of those, accepted only to be refused for lack of memory.
    pub refused: u64,
    /// Connection attempts that got no answer or a reset: backlog full, or not even a refusal could be afforded.
    pub overflowed: u64,
    /// Connections alive now.
    pub open: usize,
    /// Bytes in connection buffers now, idle ones kept for reuse included.
    pub memory: usize,
}

/// Work found under the lock that must run outside it: hooks may take locks of their own, and dropping one may drop a
/// stream, which takes the stack's lock.
#[derive(Default)]
pub(crate) struct Deferred {
    /// The first hook to call: there is rarely more than one, and this way it costs no allocation.
    first: Option<Arc<dyn ReadyHook>>,
    call: Vec<Arc<dyn ReadyHook>>,
    discard: Vec<Arc<dyn ReadyHook>>,
}

impl Deferred {
    fn call(&mut self, hook: Arc<dyn ReadyHook>) {
        match self.first {
            None => self.first = Some(hook),
            Some(_) => self.call.push(hook),
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.discard.is_empty()
    }

    pub fn run(self) {
        if let Some(hook) = self.first {
            hook.ready();
            for hook in self.call {
                hook.ready();
            }
        }
    }
}

pub(crate) struct Listening {
    pub port: u16,
    pub address: Option<IpAddr>,
    pub backlog: usize,
    pub pending: VecDeque<ConnId>,
    pub half_open: usize,
    pub open: bool,
}

pub(crate) struct Stack {
    info: NicInfo,
    iface: Interface,
    tx: Box<dyn NicTx>,
    unflushed: bool,
    base: SocketSet<'static>,
    base_timer: Option<Instant>,
    dhcp: Option<SocketHandle>,
    config: Config,
    table: Table,
    pub listeners: Vec<Listening>,
    half_open: VecDeque<ConnId>,
    time_wait: VecDeque<ConnId>,
    /// Connections that could not send for want of a neighbour's address.
    unresolved: Vec<u32>,
    pool: Vec<Endpoint>,
    refused_now: usize,
    pub deferred: Deferred,
    /// Set when a connection became pending.
    pub accept_ready: bool,
    /// Set when addresses changed.
    pub address_changed: bool,
    stats: Stats,
    memory: usize,
    /// Whom the last segments were for, and how many in a row.
    flow: (u32, u32),
}

/// Stands in for a device where smoltcp wants only its capabilities.
struct CapsOnly(DeviceCapabilities);

impl smoltcp::phy::Device for CapsOnly {
    type RxToken<'t> = NoToken;
    type TxToken<'t> = NoToken;
    fn receive(&mut self, _: Instant) -> Option<(NoToken, NoToken)> {
        None
    }
    fn transmit(&mut self, _: Instant) -> Option<NoToken> {
        None
    }
    fn capabilities(&self) -> DeviceCapabilities {
        self.0.clone()
    }
}

enum NoToken {}

impl smoltcp::phy::RxToken for NoToken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, _: F) -> R {
        match self {}
    }
}
impl smoltcp::phy::TxToken for NoToken {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}

fn link_local(mac: [u8; 6]) -> Ipv6Cidr {
    let [a, b, c, d, e, f] = mac.map(u16::from);
    Ipv6Cidr::new(
        Ipv6Address::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f),
        64,
    )
}

/// The earlier of two times that may not be.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn readable(socket: &tcp::Socket<'_>) -> bool {
    // End of file and reset are worth a wake-up as well: `may_recv` is false for both once the buffer is empty.
    socket.can_recv() || !socket.may_recv()
}

/// Worth waking a writer for: a good part of the buffer is free, or nothing more can be sent.
fn writable(socket: &tcp::Socket<'_>) -> bool {
    !socket.may_send() || socket.send_queue() <= socket.send_capacity() / 2
}

impl Stack {
    pub fn new(info: NicInfo, tx: Box<dyn NicTx>, config: Config, now: Instant) -> Self {
        let mac = EthernetAddress(info.mac);
        let mut hw = iface::Config::new(mac.into());
        hw.random_seed = config.seed;
        let mut iface = Interface::new(hw, &mut CapsOnly(capabilities(&info)), now);
        let mut base = SocketSet::new(Vec::new());
        let mut dhcp = None;
        iface.update_ip_addrs(|a| {
            // The list is empty and has room for eight.
            let _ = a.push(IpCidr::Ipv6(link_local(info.mac)));
            if let Some(v6) = config.ipv6 {
                let _ = a.push(IpCidr::Ipv6(Ipv6Cidr::new(v6.address, v6.prefix.min(128))));
            }
        });
        if let Some(gateway) = config.ipv6.and_then(|v6| v6.gateway) {
            let _ = iface.routes_mut().add_default_ipv6_route(gateway);
        }
        match config.ipv4 {
            Ipv4Config::Dhcp => {
                let mut socket = dhcpv4::Socket::new();
                let mut retry = socket.get_retry_config();
                // The appliance is useless without an address: ask more often than the default of ten seconds.
                retry.discover_timeout = DHCP_RETRY.into();
                retry.initial_request_timeout = DHCP_RETRY.into();
                socket.set_retry_config(retry);
                dhcp = Some(base.add(socket));
            }
            Ipv4Config::Static { address, prefix, gateway } => {
                iface.update_ip_addrs(|a| {
                    let _ = a.insert(0, IpCidr::Ipv4(Ipv4Cidr::new(address, prefix.min(32))));
                });
                if let Some(gateway) = gateway {
                    let _ = iface.routes_mut().add_default_ipv4_route(gateway);
                }
            }
        }
        Self {
            info,
            iface,
            tx,
            unflushed: false,
            base,
            base_timer: Some(now),
            dhcp,
            config,
            table: Table::new(config.seed),
            listeners: Vec::new(),
            half_open: VecDeque::new(),
            time_wait: VecDeque::new(),
            unresolved: Vec::new(),
            pool: Vec::new(),
            refused_now: 0,
            deferred: Deferred::default(),
            accept_ready: false,
            address_changed: false,
            stats: Stats::default(),
            memory: 0,
            flow: (0, 0),
        }
    }

    /// The last segments were all of one connection: a client asks, waits, and asks again.
    pub fn is_dialogue(&self) -> bool {
        self.flow.1 >= 8
    }

    pub fn stats(&self) -> Stats {
        Stats { open: self.table.mapped(), memory: self.memory, ..self.stats }
    }

    /// Our addresses, IPv4 first.
    pub fn addresses(&self) -> Vec<IpCidr> {
        self.iface.ip_addrs().to_vec()
    }

    pub fn has_ipv4(&self) -> bool {
        self.iface.ipv4_addr().is_some()
    }

    /// Starts listening. A closed listener's place is used again.
    pub fn listen(&mut self, port: u16, address: Option<IpAddr>, backlog: usize) -> Result<u32, NetError> {
        if port == 0 || self.listeners.iter().any(|l| l.open && l.port == port) {
            return Err(NetError::Address);
        }
        let fresh = Listening { port, address, backlog, pending: VecDeque::new(), half_open: 0, open: true };
        let free = self.listeners.iter().position(|l| !l.open && l.half_open == 0);
        let at = free.unwrap_or(self.listeners.len());
        match self.listeners.get_mut(at) {
            Some(place) => *place = fresh,
            None => self.listeners.push(fresh),
        }
        Ok(at as u32)
    }

    /// Ends a listener: waiting connections are reset.
    pub fn close_listener(&mut self, now: Instant, listener: u32) {
        let Some(l) = self.listeners.get_mut(listener as usize) else { return };
        l.open = false;
        for id in mem::take(&mut l.pending) {
            if self.table.get(id).is_some() {
                self.abort(now, id.slot);
            }
        }
    }

    /// The next established connection of a listener.
    pub fn accept(&mut self, listener: u32) -> Option<(ConnId, FlowKey, Arc<Waits>, bool)> {
        let l = self.listeners.get_mut(listener as usize)?;
        while let Some(id) = l.pending.pop_front() {
            if let Some(conn) = self.table.get(id) {
                conn.phase = Phase::Accepted;
                return Some((id, conn.key, conn.waits.clone(), conn.refused));
            }
        }
        None
    }

    /// Handles one received frame.
    pub fn ingress(&mut self, now: Instant, frame: &RxFrame<'_>) {
        self.stats.frames += 1;
        let seg = match classify(frame.bytes) {
            Class::Tcp(seg) => seg,
            Class::Other => return self.base_ingress(now, frame.bytes),
            Class::Drop => {
                self.stats.dropped += 1;
                return;
            }
        };
        if frame.checksum == RxChecksum::Unknown && !checksum_valid(frame.bytes, &seg) {
            self.stats.bad_checksum += 1;
            return;
        }
        let mut known = self.table.find(&seg.key);
        if let Some(slot) = known
            && seg.opens()
            && self.table.at(slot).is_some_and(|c| c.end.socket().state() == tcp::State::TimeWait)
        {
            // A new connection between the same ends: the old one has nothing left to say.
            self.forget_closed(slot);
            known = None;
        }
        if known.is_none() && seg.opens() {
            known = match self.open(now, frame.bytes, &seg) {
                Opened::Slot(slot) => Some(slot),
                Opened::Ignored => return,
                Opened::Reset => None,
            };
        }
        match known {
            Some(slot) => {
                self.follow_flow(slot);
                self.feed(now, slot, frame.bytes);
            }
            // No TCP socket is in the base set: smoltcp answers with a reset.
            None => self.base_ingress(now, frame.bytes),
        }
    }

    /// Counts segments of one connection in a row. One that follows another which has ended goes on with its count: a
    /// client that connects anew for each request.
    fn follow_flow(&mut self, slot: u32) {
        let (last, count) = self.flow;
        let ended = |c: &mut Conn| c.phase == Phase::Orphan;
        let same = slot == last || self.table.at(last).is_none_or(ended);
        self.flow = (slot, if same { count.saturating_add(1) } else { 0 });
    }

    /// Gives the frame to one connection and follows up on what changed.
    fn feed(&mut self, now: Instant, slot: u32, frame: &[u8]) {
        let Some(conn) = self.table.at(slot) else { return };
        let mut wire =
            Wire { info: &self.info, tx: &mut *self.tx, frame: Some(frame), sent: &mut self.unflushed };
        self.iface.poll_ingress_single(now, &mut wire, &mut conn.end.set);
        if conn.is_quiet() { self.take_in(now, slot) } else { self.follow_up(now, slot) }
    }

    /// What there is to do about a small request, or about news of what the peer has received: its reader is called. The
    /// acknowledgement goes with the answer, or by itself when that takes long.
    fn take_in(&mut self, now: Instant, slot: u32) {
        let Some(conn) = self.table.at(slot) else { return };
        if !conn.end.socket().can_recv() {
            return;
        }
        if let Some(hook) = conn.hook.take() {
            self.deferred.call(hook);
        }
        if conn.readers > 0 {
            conn.waits.readable.notify_all();
        }
        self.table.hold(slot, now + ACK_HOLD.into());
    }

    fn base_ingress(&mut self, now: Instant, frame: &[u8]) {
        let mut wire =
            Wire { info: &self.info, tx: &mut *self.tx, frame: Some(frame), sent: &mut self.unflushed };
        self.iface.poll_ingress_single(now, &mut wire, &mut self.base);
        self.base_follow_up(now);
        // An answer about a neighbour may just have come. (A slot used again in the meantime is looked at in vain.)
        for slot in mem::take(&mut self.unresolved) {
            self.follow_up(now, slot);
        }
    }

    /// DHCP, group membership: sends what is due and finds the next time.
    fn base_follow_up(&mut self, now: Instant) {
        self.base_timer = None;
        for _ in 0..BURST {
            let mut wire =
                Wire { info: &self.info, tx: &mut *self.tx, frame: None, sent: &mut self.unflushed };
            let sent = self.iface.poll_egress(now, &mut wire, &mut self.base);
            self.dhcp_event();
            let next = self.iface.poll_at(now, &self.base);
            self.base_timer = next.map(|at| at.max(now + ROOM_RETRY.into()));
            if sent == PollResult::None || next.is_none_or(|at| at > now) {
                break;
            }
        }
    }

    fn dhcp_event(&mut self) {
        let Some(handle) = self.dhcp else { return };
        let (address, router) = match self.base.get_mut::<dhcpv4::Socket<'_>>(handle).poll() {
            None => return,
            Some(dhcpv4::Event::Configured(c)) => (Some(c.address), c.router),
            Some(dhcpv4::Event::Deconfigured) if self.iface.ipv4_addr().is_none() => return,
            Some(dhcpv4::Event::Deconfigured) => (None, None),
        };
        match address {
            Some(address) => log::info!("dhcp: address {address}, router {router:?}"),
            None => log::warn!("dhcp: the lease has ended"),
        }
        self.iface.update_ip_addrs(|a| {
            a.retain(|cidr| !matches!(cidr, IpCidr::Ipv4(_)));
            if let Some(address) = address {
                let _ = a.insert(0, IpCidr::Ipv4(address));
            }
        });
        match router {
            Some(router) => {
                let _ = self.iface.routes_mut().add_default_ipv4_route(router);
            }
            None => {
                self.iface.routes_mut().remove_default_ipv4_route();
            }
        }
        self.address_changed = true;
    }
}

enum Opened {
    Slot(u32),
    Ignored,
    Reset,
}

/// Connections coming and going.
impl Stack {
    /// Makes a connection for a SYN, if a listener wants it and limits allow.
    fn open(&mut self, now: Instant, frame: &[u8], seg: &TcpSegment) -> Opened {
        let local = seg.key.local;
        let to_us =
            frame.get(..6) == Some(&self.info.mac[..]) && self.iface.has_ip_addr(IpAddress::from(local.ip()));
        let remote = seg.key.remote.ip();
        if !to_us || remote.is_multicast() || remote.is_unspecified() || seg.key.remote.port() == 0 {
            self.stats.dropped += 1;
            return Opened::Ignored;
        }
        let wanted =
            |l: &Listening| l.open && l.port == local.port() && l.address.is_none_or(|a| a == local.ip());
        let Some(at) = self.listeners.iter().position(wanted) else { return Opened::Reset };
        if self.listeners[at].pending.len() + self.listeners[at].half_open >= self.listeners[at].backlog {
            // The peer tries again in a second; by then somebody may have called accept.
            self.stats.overflowed += 1;
            return Opened::Ignored;
        }
        if !self.cap_half_open(now) {
            self.stats.overflowed += 1;
            return Opened::Ignored;
        }
        let Some((mut end, refused)) = self.endpoint() else {
            self.stats.overflowed += 1;
            return Opened::Reset;
        };
        let socket = end.socket_mut();
        if socket.listen((IpAddress::from(local.ip()), local.port())).is_err() {
            self.keep(end);
            return Opened::Reset;
        }
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(ACK_HOLD.into()));
        socket.set_congestion_control(tcp::CongestionControl::Reno);
        socket.set_keep_alive(None);
        socket.set_timeout(Some(HANDSHAKE_LIMIT.into()));
        self.refused_now += usize::from(refused);
        let id = self.table.insert(Conn {
            end,
            key: seg.key,
            listener: at as u32,
            phase: Phase::HalfOpen,
            refused,
            mapped: true,
            hook: None,
            waits: Arc::default(),
            readers: 0,
            writers: 0,
            held: false,
            owes: None,
            timer_at: None,
            deadline: Some(now + HANDSHAKE_LIMIT.into()),
            time_wait: false,
        });
        self.listeners[at].half_open += 1;
        self.half_open.push_back(id);
        Opened::Slot(id.slot)
    }

    /// Makes room for one more handshake: a flood of them must not lock others out, so the oldest makes way. False: it is so young
    /// that its peer most likely answers yet. Many clients come in the same instant when a service starts; the newcomer's SYN
    /// comes again in a second.
    fn cap_half_open(&mut self, now: Instant) -> bool {
        while self.half_open.len() >= self.config.limits.half_open.max(1) {
            let Some(&id) = self.half_open.front() else { break };
            if let Some(oldest) = self.table.get(id).filter(|c| c.phase == Phase::HalfOpen) {
                if oldest.deadline.is_some_and(|end| now + (HANDSHAKE_LIMIT - HANDSHAKE_GRACE).into() < end) {
                    return false;
                }
                self.stats.overflowed += 1;
                self.abort(now, id.slot);
            }
            self.half_open.pop_front();
        }
        true
    }

    /// A closed socket with buffers: reused, or new if memory allows, or a tiny one for a refusal.
    fn endpoint(&mut self) -> Option<(Endpoint, bool)> {
        loop {
            if let Some(end) = self.pool.pop() {
                return Some((end, false));
            }
            if let Some((rx, tx)) = self.affordable() {
                return Some((self.make(rx, tx), false));
            }
            let Some(id) = self.time_wait.pop_front() else { break };
            // A finished conversation gives its memory to a new one.
            if self.table.get(id).is_some_and(|c| c.time_wait && !c.refused) {
                self.forget_closed(id.slot);
            }
        }
        (self.refused_now < self.config.limits.refusals)
            .then(|| (self.make(REFUSAL_RECEIVE, REFUSAL_SEND), true))
    }

    /// Sizes of a new connection's buffers: they shrink as memory runs out.
    fn affordable(&self) -> Option<(usize, usize)> {
        let limits = &self.config.limits;
        let tight = match self.memory {
            used if used < limits.memory / 2 => 0,
            used if used < limits.memory / 4 * 3 => 1,
            _ => 2,
        };
        let sizes = [1, 2, 8].map(|shrink| (limits.receive_buffer / shrink, limits.send_buffer / shrink));
        sizes.into_iter().skip(tight).find(|(rx, tx)| self.memory + rx + tx <= limits.memory)
    }

    fn make(&mut self, rx: usize, tx: usize) -> Endpoint {
        self.memory += rx + tx;
        let socket =
            tcp::Socket::new(tcp::SocketBuffer::new(vec![0; rx]), tcp::SocketBuffer::new(vec![0; tx]));
        let mut set = SocketSet::new(vec![SocketStorage::EMPTY]);
        let handle = set.add(socket);
        Endpoint { set, handle, cost: rx + tx }
    }

    /// Keeps a socket's memory for the next connection, or frees it.
    fn keep(&mut self, mut end: Endpoint) {
        let full = end.cost == self.config.limits.receive_buffer + self.config.limits.send_buffer;
        if full && self.pool.len() < POOL_LIMIT {
            end.socket_mut().abort();
            self.pool.push(end);
        } else {
            self.memory -= end.cost;
        }
    }

    /// Frees a connection whose socket is closed.
    fn forget_closed(&mut self, slot: u32) {
        let Some(conn) = self.table.at(slot) else { return };
        if conn.phase == Phase::Accepted {
            // The handle still reads what is buffered; only the four-tuple becomes free.
            self.table.unmap(slot);
            return;
        }
        if conn.phase == Phase::HalfOpen {
            let listener = conn.listener as usize;
            if let Some(l) = self.listeners.get_mut(listener) {
                l.half_open -= 1;
            }
        }
        let Some(conn) = self.table.remove(slot) else { return };
        self.refused_now -= usize::from(conn.refused);
        self.deferred.discard.extend(conn.hook);
        self.keep(conn.end);
    }

    /// Resets a connection and tells the peer.
    pub fn abort(&mut self, now: Instant, slot: u32) {
        if let Some(conn) = self.table.at(slot) {
            conn.end.socket_mut().abort();
            self.follow_up(now, slot);
        }
    }

    /// Sends what the connection has to send, wakes who waits for it, finds its next timer, and buries it when it is
    /// over. To be called after anything happened to its socket.
    fn follow_up(&mut self, now: Instant, slot: u32) {
        self.send_and_follow_up(now, slot, false);
    }

    /// As [`Self::follow_up`]; `sure` when there is something to send, which saves asking.
    fn send_and_follow_up(&mut self, now: Instant, slot: u32, sure: bool) {
        let Some(next) = self.pump(now, slot, sure) else { return };
        let Some(conn) = self.table.at(slot) else { return };
        let state = conn.end.socket().state();
        if conn.phase == Phase::HalfOpen && !matches!(state, tcp::State::Listen | tcp::State::SynReceived) {
            self.settle(slot, state);
        }
        let Some(conn) = self.table.at(slot) else { return };
        let closed =
            matches!(state, tcp::State::Closed | tcp::State::Listen) && next.is_none_or(|at| at > now);
        if conn.phase == Phase::Orphan {
            // Nobody will read it: keep the window open so that the peer reaches its end of file.
            let socket = conn.end.socket_mut();
            while socket.can_recv() && matches!(socket.recv(|b| (b.len(), b.len())), Ok(1..)) {}
        }
        let socket = conn.end.socket();
        if (conn.hook.is_some() || conn.readers > 0) && readable(socket) {
            if let Some(hook) = conn.hook.take() {
                self.deferred.call(hook);
            }
            if conn.readers > 0 {
                conn.waits.readable.notify_all();
            }
        }
        if conn.writers > 0 && writable(socket) {
            conn.waits.writable.notify_all();
        }
        if closed {
            return self.forget_closed(slot);
        }
        if state == tcp::State::TimeWait && conn.phase == Phase::Orphan && !conn.time_wait {
            conn.time_wait = true;
            let id = self.table.id(slot);
            self.remember_closed(id);
        }
        let deadline = self.table.at(slot).and_then(|c| c.deadline);
        if let Some(at) = earlier(next, deadline) {
            self.table.arm(slot, at.max(now + ROOM_RETRY.into()));
        }
    }

    fn remember_closed(&mut self, id: ConnId) {
        self.time_wait.push_back(id);
        while self.time_wait.len() > self.config.limits.time_wait {
            let Some(old) = self.time_wait.pop_front() else { return };
            if self.table.get(old).is_some_and(|c| c.time_wait) {
                self.forget_closed(old.slot);
            }
        }
    }

    /// A handshake ended, well or badly.
    fn settle(&mut self, slot: u32, state: tcp::State) {
        let id = self.table.id(slot);
        let Some(conn) = self.table.at(slot) else { return };
        if state == tcp::State::Closed {
            return;
        }
        conn.phase = Phase::Pending;
        conn.deadline = None;
        let refused = conn.refused;
        let listener = conn.listener as usize;
        let socket = conn.end.socket_mut();
        socket.set_timeout(Some(PEER_LIMIT.into()));
        socket.set_keep_alive(Some(KEEP_ALIVE.into()));
        self.half_open.retain(|h| *h != id);
        self.stats.established += 1;
        self.stats.refused += u64::from(refused);
        let Some(l) = self.listeners.get_mut(listener) else { return };
        l.half_open -= 1;
        l.pending.push_back(id);
        self.accept_ready = true;
    }

    /// Sends segments until there is nothing to send, the card is full, or it is others' turn. Gives the time of the
    /// next timer (`Some(None)`: none); `None` when there is no such connection.
    fn pump(&mut self, now: Instant, slot: u32, sure: bool) -> Option<Option<Instant>> {
        let conn = self.table.at(slot)?;
        let mut next = if sure { Some(now) } else { self.iface.poll_at(now, &conn.end.set) };
        for _ in 0..BURST {
            if next.is_none_or(|at| at > now) {
                break;
            }
            let mut wire =
                Wire { info: &self.info, tx: &mut *self.tx, frame: None, sent: &mut self.unflushed };
            let sent = self.iface.poll_egress(now, &mut wire, &mut conn.end.set);
            next = self.iface.poll_at(now, &conn.end.set);
            if sent == PollResult::None {
                if next.is_some_and(|at| at > now) && !self.unresolved.contains(&slot) {
                    // Something to send, but not yet: the neighbour's hardware address is being asked for.
                    self.unresolved.push(slot);
                }
                break;
            }
        }
        Some(next)
    }

    /// Runs what is due. Gives how long until something is due again.
    pub fn run_timers(&mut self, now: Instant) -> Option<Duration> {
        if self.base_timer.is_some_and(|at| at <= now) {
            self.base_follow_up(now);
        }
        for _ in 0..256 {
            let Some(slot) = self.table.expired(now) else { break };
            let late = self.table.at(slot).and_then(|c| c.deadline).is_some_and(|d| d <= now);
            if late {
                self.abort(now, slot);
            } else {
                self.follow_up(now, slot);
            }
        }
        while let Some(slot) = self.table.owing(now) {
            self.follow_up(now, slot);
        }
        let next = earlier(self.base_timer, self.table.next_timer())?;
        Some(if next > now { (next - now).into() } else { Duration::ZERO })
    }

    /// Shows the card what was queued.
    #[inline]
    pub fn flush(&mut self) {
        if mem::take(&mut self.unflushed) {
            self.tx.flush();
        }
    }
}

/// What streams do.
impl Stack {
    /// Takes what has arrived. The flag says that [`Self::drained`] is to be called.
    #[inline]
    pub fn try_read(&mut self, id: ConnId, buf: &mut [u8]) -> Result<(ReadOutcome, bool), NetError> {
        let conn = self.table.get(id).ok_or(NetError::Closed)?;
        let socket = conn.end.socket_mut();
        match socket.recv_slice(buf) {
            Ok(0) => Ok((ReadOutcome::WouldBlock, false)),
            // A peer that ran into our window waits for news of it; otherwise there is nothing to send.
            Ok(n) => Ok((ReadOutcome::Data(n), socket.recv_queue() + 2 * n >= socket.recv_capacity() / 2)),
            Err(tcp::RecvError::Finished) => Ok((ReadOutcome::Eof, false)),
            Err(tcp::RecvError::InvalidState) => Err(NetError::Reset),
        }
    }

    /// Much was read: the peer may be waiting for room.
    pub fn drained(&mut self, now: Instant, id: ConnId) {
        self.follow_up(now, id.slot);
    }

    pub fn is_readable(&mut self, id: ConnId) -> bool {
        self.table.get(id).is_none_or(|c| readable(c.end.socket()))
    }

    /// Queues and sends as much as fits.
    pub fn write(&mut self, now: Instant, id: ConnId, data: &[u8]) -> Result<usize, NetError> {
        let conn = self.table.get(id).ok_or(NetError::Closed)?;
        let socket = conn.end.socket_mut();
        let n = socket.send_slice(data).map_err(|_| NetError::Reset)?;
        if n == 0 {
            return Ok(0);
        }
        if socket.send_queue() > SMALL || socket.state() != tcp::State::Established {
            self.send_and_follow_up(now, id.slot, true);
            return Ok(n);
        }
        // One segment takes all of it, with the acknowledgement of what came before.
        conn.owes = None;
        let mut wire = Wire { info: &self.info, tx: &mut *self.tx, frame: None, sent: &mut self.unflushed };
        match self.iface.poll_egress(now, &mut wire, &mut conn.end.set) {
            PollResult::None => self.follow_up(now, id.slot),
            PollResult::SocketStateChanged => self.table.arm(id.slot, now + RESEND_FLOOR.into()),
        }
        Ok(n)
    }

    /// Counts a waiting reader or writer, so that nobody is notified in vain.
    pub fn waiter(&mut self, id: ConnId, readers: i32, writers: i32) {
        if let Some(conn) = self.table.get(id) {
            conn.readers = conn.readers.saturating_add_signed(readers);
            conn.writers = conn.writers.saturating_add_signed(writers);
        }
    }

    pub fn arm_hook(&mut self, id: ConnId, hook: Arc<dyn ReadyHook>) {
        match self.table.get(id) {
            Some(conn) if !readable(conn.end.socket()) => {
                self.deferred.discard.extend(conn.hook.replace(hook));
            }
            Some(conn) => {
                self.deferred.discard.extend(conn.hook.take());
                self.deferred.call(hook);
            }
            None => self.deferred.call(hook),
        }
    }

    pub fn close(&mut self, now: Instant, id: ConnId) {
        if let Some(conn) = self.table.get(id) {
            conn.end.socket_mut().close();
            self.follow_up(now, id.slot);
        }
    }

    /// The stream's handle is gone.
    pub fn release(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.table.get(id) else { return };
        conn.phase = Phase::Orphan;
        conn.deadline = Some(now + ORPHAN_LIMIT.into());
        self.deferred.discard.extend(conn.hook.take());
        conn.end.socket_mut().close();
        self.follow_up(now, id.slot);
    }

    /// Resets every connection (shutdown).
    pub fn abort_all(&mut self, now: Instant) {
        for slot in self.table.occupied() {
            self.abort(now, slot);
        }
        self.flush();
    }
}
