//! A simulated link, a virtual clock, and the peer at its other end.

use crate::{
    config::{Config, Ipv4Config, Limits},
    nic::{NicInfo, NicTx, RxChecksum, RxFrame, TxChecksum},
    stack::Stack,
    table::ConnId,
};
use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec, vec::Vec};
use platform::net::{NetError, ReadOutcome};
use smoltcp::{
    iface::{self, Interface, SocketHandle, SocketSet},
    phy::{self, DeviceCapabilities, Medium},
    socket::tcp,
    time::{Duration, Instant},
    wire::{EthernetAddress, IpAddress, IpCidr, Ipv4Address},
};
use std::sync::Mutex;

pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub const SERVER: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
pub const CLIENT: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
pub const PORT: u16 = 5432;

pub type Queue = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// A card whose sent frames land in a queue.
pub struct QueueTx {
    pub out: Queue,
    pub room: usize,
}

impl NicTx for QueueTx {
    fn has_room(&mut self) -> bool {
        self.out.lock().unwrap().len() < self.room
    }
    fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8]) -> TxChecksum) -> bool {
        if !self.has_room() {
            return false;
        }
        let mut frame = vec![0xAA; len];
        if let TxChecksum::Partial { start, offset } = fill(&mut frame) {
            complete(&mut frame, start.into(), offset.into());
        }
        self.out.lock().unwrap().push_back(frame);
        true
    }
    fn flush(&mut self) {}
}

/// What a card does for a partial checksum, written the plain way.
fn complete(frame: &mut [u8], start: usize, offset: usize) {
    let mut sum: u32 = 0;
    for pair in frame[start..].chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[start + offset..start + offset + 2].copy_from_slice(&(!sum as u16).to_be_bytes());
}

pub fn info() -> NicInfo {
    NicInfo { mac: SERVER_MAC, mtu: 1500, tx_checksum: false }
}

pub fn config(limits: Limits) -> Config {
    Config {
        ipv4: Ipv4Config::Static { address: SERVER, prefix: 24, gateway: None },
        ipv6: None,
        seed: 42,
        limits,
    }
}

/// Chances in 256 of what a link does to a frame.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    pub lose: u8,
    pub double: u8,
    pub reorder: u8,
}

struct PeerDevice {
    inbox: VecDeque<Vec<u8>>,
    outbox: VecDeque<Vec<u8>>,
}

pub struct PeerIn(Vec<u8>);
pub struct PeerOut<'a>(&'a mut VecDeque<Vec<u8>>);

impl phy::RxToken for PeerIn {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}
impl phy::TxToken for PeerOut<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let r = f(&mut frame);
        self.0.push_back(frame);
        r
    }
}
impl phy::Device for PeerDevice {
    type RxToken<'a> = PeerIn;
    type TxToken<'a> = PeerOut<'a>;
    fn receive(&mut self, _: Instant) -> Option<(PeerIn, PeerOut<'_>)> {
        Some((PeerIn(self.inbox.pop_front()?), PeerOut(&mut self.outbox)))
    }
    fn transmit(&mut self, _: Instant) -> Option<PeerOut<'_>> {
        Some(PeerOut(&mut self.outbox))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ethernet;
        caps.max_transmission_unit = 1514;
        caps
    }
}

/// Both ends and the wire between them, in virtual time.
pub struct Sim {
    pub now: Instant,
    pub server: Stack,
    out: Queue,
    pub client: Interface,
    device: PeerDevice,
    pub sockets: SocketSet<'static>,
    pub faults: Faults,
    pub listener: u32,
    random: u64,
    next_port: u16,
    /// Frames from the server, kept when a test wants to look at them.
    pub seen: Vec<Vec<u8>>,
}

impl Sim {
    pub fn new(limits: Limits, faults: Faults, seed: u64) -> Self {
        let now = Instant::from_secs(1);
        let out = Queue::default();
        let tx = QueueTx { out: out.clone(), room: 32 };
        let mut server = Stack::new(info(), Box::new(tx), config(limits), now);
        let listener = server.listen(PORT, None, 64).unwrap();
        let mut device = PeerDevice { inbox: VecDeque::new(), outbox: VecDeque::new() };
        let mut client =
            Interface::new(iface::Config::new(EthernetAddress(CLIENT_MAC).into()), &mut device, now);
        client.update_ip_addrs(|a| a.push(IpCidr::new(CLIENT.into(), 24)).unwrap());
        Self {
            now,
            server,
            out,
            client,
            device,
            sockets: SocketSet::new(Vec::new()),
            faults,
            listener,
            random: seed | 1,
            next_port: 40_000,
            seen: Vec::new(),
        }
    }

    pub fn chance(&mut self, of_256: u8) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 32) as u8) < of_256
    }

    pub fn connect(&mut self) -> SocketHandle {
        let port = self.next_port;
        self.next_port += 1;
        self.connect_from(port)
    }

    pub fn connect_from(&mut self, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 8192]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.connect(self.client.context(), (IpAddress::from(SERVER), PORT), port).unwrap();
        self.sockets.add(socket)
    }

    pub fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Does to a run of frames what the link does.
    fn carry(&mut self, frames: Vec<Vec<u8>>) -> VecDeque<Vec<u8>> {
        let mut through: VecDeque<Vec<u8>> = VecDeque::new();
        for frame in frames {
            if self.chance(self.faults.lose) {
                continue;
            }
            if self.chance(self.faults.double) {
                through.push_back(frame.clone());
            }
            if self.chance(self.faults.reorder) {
                through.push_front(frame);
            } else {
                through.push_back(frame);
            }
        }
        through
    }

    pub fn drain_server(&mut self) -> Vec<Vec<u8>> {
        self.out.lock().unwrap().drain(..).collect()
    }

    pub fn deliver(&mut self, frame: &[u8]) {
        self.server.ingress(self.now, &RxFrame { bytes: frame, checksum: RxChecksum::Unknown });
    }

    /// One millisecond on the wire.
    pub fn step(&mut self) {
        self.now += Duration::from_millis(1);
        let down = self.drain_server();
        self.seen.extend(down.iter().cloned());
        let down = self.carry(down);
        self.device.inbox.extend(down);
        self.client.poll(self.now, &mut self.device, &mut self.sockets);
        let up: Vec<_> = self.device.outbox.drain(..).collect();
        for frame in self.carry(up) {
            self.deliver(&frame);
        }
        self.server.run_timers(self.now);
        // Hooks are not used with the bare stack.
        self.server.deferred = Default::default();
    }

    pub fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.step();
        }
    }

    /// Steps until `done` or the limit, which fails the test.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..600_000 {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("never happened: {what}");
    }

    pub fn accept(&mut self) -> Option<ConnId> {
        self.server.accept(self.listener).map(|a| a.0)
    }

    pub fn accepted(&mut self) -> ConnId {
        let mut got = None;
        self.until("accept", |s| {
            got = s.accept();
            got.is_some()
        });
        got.unwrap()
    }

    pub fn read(&mut self, id: ConnId) -> Result<ReadOutcome, NetError> {
        self.read_into(id, &mut [0; 4096])
    }

    pub fn read_into(&mut self, id: ConnId, buf: &mut [u8]) -> Result<ReadOutcome, NetError> {
        let (outcome, drained) = self.server.try_read(id, buf)?;
        if drained {
            self.server.drained(self.now, id);
        }
        Ok(outcome)
    }
}
