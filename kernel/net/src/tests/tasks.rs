//! The blocking surface: two stacks cannot talk to each other (ours only listens), so the peer is smoltcp on a thread.

use super::link::{CLIENT, CLIENT_MAC, PORT, Queue, QueueTx, SERVER, config, info};
use crate::{
    NetStack,
    config::Limits,
    nic::{NicRx, RxChecksum, RxFrame},
};
use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
use platform::net::{Listener, NetError, ReadOutcome, ReadyHook};
use smoltcp::{
    iface::{self, Interface, SocketHandle, SocketSet},
    phy::{self, DeviceCapabilities},
    socket::tcp,
    time::Instant,
    wire::{EthernetAddress, IpAddress, IpCidr},
};
use std::thread;

struct QueueRx {
    queue: Queue,
    current: Vec<u8>,
}

impl NicRx for QueueRx {
    fn receive(&mut self) -> Option<RxFrame<'_>> {
        self.current = self.queue.lock().unwrap().pop_front()?;
        Some(RxFrame { bytes: &self.current, checksum: RxChecksum::Unknown })
    }
    fn refill(&mut self) {}
    fn wait(&mut self, linger: Duration, limit: Duration) -> bool {
        thread::sleep(limit.min(Duration::from_micros(200)));
        !linger.is_zero()
    }
}

struct Peer {
    up: Queue,
    down: Queue,
}
struct In(Vec<u8>);
struct Out<'a>(&'a Queue);
impl phy::RxToken for In {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}
impl phy::TxToken for Out<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let r = f(&mut frame);
        self.0.lock().unwrap().push_back(frame);
        r
    }
}
impl phy::Device for Peer {
    type RxToken<'a> = In;
    type TxToken<'a> = Out<'a>;
    fn receive(&mut self, _: Instant) -> Option<(In, Out<'_>)> {
        let frame = self.down.lock().unwrap().pop_front()?;
        Some((In(frame), Out(&self.up)))
    }
    fn transmit(&mut self, _: Instant) -> Option<Out<'_>> {
        Some(Out(&self.up))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.max_transmission_unit = 1514;
        caps
    }
}

/// Runs client sockets until `work` says it is done.
fn client(
    up: Queue,
    down: Queue,
    count: u16,
    mut work: impl FnMut(&mut SocketSet<'_>, &[SocketHandle]) -> bool,
) {
    let start = std::time::Instant::now();
    let now = || Instant::from_micros(start.elapsed().as_micros() as i64);
    let mut device = Peer { up, down };
    let mut iface =
        Interface::new(iface::Config::new(EthernetAddress(CLIENT_MAC).into()), &mut device, now());
    iface.update_ip_addrs(|a| a.push(IpCidr::new(CLIENT.into(), 24)).unwrap());
    let mut sockets = SocketSet::new(Vec::new());
    let handles: Vec<_> = (0..count)
        .map(|i| {
            let buffer = || tcp::SocketBuffer::new(vec![0; 16384]);
            let mut socket = tcp::Socket::new(buffer(), buffer());
            socket.connect(iface.context(), (IpAddress::from(SERVER), PORT), 30_000 + i).unwrap();
            sockets.add(socket)
        })
        .collect();
    while !work(&mut sockets, &handles) {
        iface.poll(now(), &mut device, &mut sockets);
        thread::sleep(Duration::from_micros(50));
        assert!(start.elapsed() < Duration::from_secs(60), "client got stuck");
    }
    // Last acknowledgements.
    for _ in 0..20 {
        iface.poll(now(), &mut device, &mut sockets);
        thread::sleep(Duration::from_micros(50));
    }
}

fn start() -> (Arc<NetStack>, Queue, Queue, thread::JoinHandle<()>) {
    let (up, down) = (Queue::default(), Queue::default());
    let rx = QueueRx { queue: up.clone(), current: Vec::new() };
    let tx = QueueTx { out: down.clone(), room: 64 };
    let mut nic = info();
    nic.tx_checksum = true;
    let net = NetStack::new(nic, Box::new(rx), Box::new(tx), config(Limits::default()));
    let task = net.clone();
    let runner = thread::spawn(move || task.run());
    (net, up, down, runner)
}

struct Flag(AtomicUsize);
impl ReadyHook for Flag {
    fn ready(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn wait_for(hook: &Flag, n: usize) {
    while hook.0.load(Ordering::SeqCst) < n {
        thread::sleep(Duration::from_micros(50));
    }
}

#[test]
fn blocking_echo_of_more_than_the_buffers_hold() {
    const TOTAL: usize = 1 << 20;
    let (net, up, down, runner) = start();
    let listener = net.listen(SocketAddr::new([0, 0, 0, 0].into(), PORT), 16).unwrap();
    let server = thread::spawn(move || {
        let stream = listener.accept().unwrap();
        assert_eq!(stream.peer_addr().port(), 30_000);
        assert!(!stream.over_limit());
        let mut buf = [0; 3000];
        let mut total = 0;
        loop {
            match stream.try_read(&mut buf).unwrap() {
                ReadOutcome::Data(n) => {
                    total += n;
                    stream.write_all(&buf[..n]).unwrap();
                }
                ReadOutcome::WouldBlock => assert!(stream.wait_readable(None).unwrap()),
                ReadOutcome::Eof => break,
            }
        }
        // A large write from one call blocks for space and comes out whole.
        stream.write_all(&vec![5; 200_000]).unwrap();
        stream.close();
        assert_eq!(stream.write_all(b"more"), Err(NetError::Reset));
        total
    });
    let (mut sent, mut got, mut tail) = (0usize, 0usize, 0usize);
    client(up, down, 1, |sockets, handles| {
        let s = sockets.get_mut::<tcp::Socket<'_>>(handles[0]);
        while s.can_send() && sent < TOTAL {
            let chunk: Vec<u8> = (sent..TOTAL.min(sent + 1000)).map(|i| (i % 251) as u8).collect();
            sent += s.send_slice(&chunk).unwrap();
        }
        if sent == TOTAL {
            s.close();
        }
        let mut buf = [0; 4096];
        while let Ok(n @ 1..) = s.recv_slice(&mut buf) {
            for b in &buf[..n] {
                if got < TOTAL {
                    assert_eq!(*b, (got % 251) as u8);
                    got += 1;
                } else {
                    assert_eq!(*b, 5);
                    tail += 1;
                }
            }
        }
        got == TOTAL && tail == 200_000 && !s.is_active()
    });
    assert_eq!(server.join().unwrap(), TOTAL);
    net.shutdown();
    runner.join().unwrap();
}

#[test]
fn hooks_fire_once_and_at_once_when_readable() {
    let (net, up, down, runner) = start();
    let listener = net.listen(SocketAddr::new([0, 0, 0, 0].into(), PORT), 16).unwrap();
    let go = Arc::new(AtomicBool::new(false));
    let (peer_go, done) = (go.clone(), Arc::new(AtomicBool::new(false)));
    let peer_done = done.clone();
    let peer = thread::spawn(move || {
        let mut said = false;
        client(up, down, 1, |sockets, handles| {
            let s = sockets.get_mut::<tcp::Socket<'_>>(handles[0]);
            if peer_go.load(Ordering::SeqCst) && !said {
                s.send_slice(b"x").unwrap();
                said = true;
            }
            peer_done.load(Ordering::SeqCst)
        });
    });
    let stream = listener.accept().unwrap();
    let (first, second) = (Arc::new(Flag(AtomicUsize::new(0))), Arc::new(Flag(AtomicUsize::new(0))));
    stream.arm(first.clone());
    stream.arm(second.clone());
    assert_eq!(stream.try_read(&mut [0; 10]), Ok(ReadOutcome::WouldBlock));
    assert_eq!(stream.wait_readable(Some(Duration::from_millis(20))), Ok(false));
    go.store(true, Ordering::SeqCst);
    wait_for(&second, 1);
    assert_eq!(first.0.load(Ordering::SeqCst), 0, "a new hook replaces an unfired one");
    stream.arm(first.clone());
    assert_eq!(first.0.load(Ordering::SeqCst), 1, "already readable");
    assert_eq!(stream.wait_readable(None), Ok(true));
    assert_eq!(stream.try_read(&mut [0; 10]), Ok(ReadOutcome::Data(1)));
    assert_eq!(second.0.load(Ordering::SeqCst), 1);
    done.store(true, Ordering::SeqCst);
    peer.join().unwrap();
    // Shutdown resets the connection and wakes everything.
    stream.arm(second.clone());
    let acceptor = thread::spawn(move || listener.accept().map(|_| ()));
    net.shutdown();
    assert_eq!(acceptor.join().unwrap(), Err(NetError::Closed));
    wait_for(&second, 2);
    assert_eq!(stream.try_read(&mut [0; 10]), Err(NetError::Reset));
    runner.join().unwrap();
}

#[test]
fn a_port_is_taken_once() {
    let (net, _, _, runner) = start();
    let addr = SocketAddr::new([0, 0, 0, 0].into(), PORT);
    let first = net.listen(addr, 4).unwrap();
    assert_eq!(net.listen(addr, 4).err(), Some(NetError::Address));
    drop(first);
    assert!(net.listen(addr, 4).is_ok());
    net.shutdown();
    runner.join().unwrap();
}
