//! What the stack spends on one request and its answer, without any device: run under a profiler, with collection
//! limited to `request` and `acknowledgement` (`valgrind --tool=callgrind --toggle-collect='*::request'`).
use kernel_net::{
    Config, Ipv4Config, NetStack,
    nic::{NicInfo, NicRx, NicTx, RxChecksum, RxFrame, TxChecksum},
};
use platform::{
    net::{Listener, ReadOutcome, ReadyHook, Stream},
    sync::Mutex,
};
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol,
        Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    },
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

type Queue = Arc<Mutex<VecDeque<Vec<u8>>>>;

const SERVER: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
const CLIENT: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

struct Rx(Queue, Vec<u8>);
impl NicRx for Rx {
    fn receive(&mut self) -> Option<RxFrame<'_>> {
        self.1 = self.0.lock().pop_front()?;
        Some(RxFrame { bytes: &self.1, checksum: RxChecksum::Unknown })
    }
    fn refill(&mut self) {}
    fn wait(&mut self, _: Duration, _: Duration) -> bool {
        false
    }
}

struct Tx(Vec<u8>, Queue);
impl NicTx for Tx {
    fn has_room(&mut self) -> bool {
        true
    }
    fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8]) -> TxChecksum) -> bool {
        fill(&mut self.0[..len]);
        // Only the headers are looked at.
        self.1.lock().push_back(self.0[..54].to_vec());
        true
    }
    fn flush(&mut self) {}
}

struct Hook;
impl ReadyHook for Hook {
    fn ready(&self) {}
}

fn frame(protocol: EthernetProtocol, payload: usize) -> Vec<u8> {
    let mut frame = vec![0; 14 + payload];
    let mut eth = EthernetFrame::new_unchecked(&mut frame);
    eth.set_src_addr(EthernetAddress(MACS[1]));
    eth.set_dst_addr(EthernetAddress(MACS[0]));
    eth.set_ethertype(protocol);
    frame
}

fn tcp(control: TcpControl, seq: i32, ack: Option<i32>, payload: &[u8]) -> Vec<u8> {
    let repr = TcpRepr {
        src_port: 4000,
        dst_port: 5432,
        control,
        seq_number: TcpSeqNumber(seq),
        ack_number: ack.map(TcpSeqNumber),
        window_len: 60_000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let ip = Ipv4Repr {
        src_addr: CLIENT,
        dst_addr: SERVER,
        next_header: IpProtocol::Tcp,
        payload_len: repr.buffer_len(),
        hop_limit: 64,
    };
    let caps = ChecksumCapabilities::default();
    let mut out = frame(EthernetProtocol::Ipv4, ip.buffer_len() + repr.buffer_len());
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut out[14..]), &caps);
    repr.emit(&mut TcpPacket::new_unchecked(&mut out[34..]), &CLIENT.into(), &SERVER.into(), &caps);
    out
}

#[inline(never)]
fn request(net: &NetStack, stream: &dyn Stream, hook: &Arc<Hook>, reply: &[u8]) {
    net.poll();
    let mut buf = [0; 64];
    assert!(matches!(stream.try_read(&mut buf), Ok(ReadOutcome::Data(_))));
    stream.write_all(reply).expect("write");
    assert!(matches!(stream.try_read(&mut buf), Ok(ReadOutcome::WouldBlock)));
    stream.arm(hook.clone());
}

#[inline(never)]
fn acknowledgement(net: &NetStack) {
    net.poll();
}

fn main() {
    let (up, down) = (Queue::default(), Queue::default());
    let info = NicInfo { mac: MACS[0], mtu: 1500, tx_checksum: false };
    let mut config = Config::new(7);
    config.ipv4 = Ipv4Config::Static { address: SERVER, prefix: 24, gateway: None };
    let net = NetStack::new(
        info,
        Box::new(Rx(up.clone(), Vec::new())),
        Box::new(Tx(vec![0; 2048], down.clone())),
        config,
    );
    let listener = net.listen(SocketAddr::new([0, 0, 0, 0].into(), 5432), 8).expect("listen");
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(MACS[1]),
        source_protocol_addr: CLIENT,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: SERVER,
    };
    let mut out = frame(EthernetProtocol::Arp, arp.buffer_len());
    arp.emit(&mut ArpPacket::new_unchecked(&mut out[14..]));
    let send = |f: Vec<u8>| up.lock().push_back(f);
    send(out);
    send(tcp(TcpControl::Syn, 100, None, &[]));
    net.poll();
    let answer = down.lock().pop_back().expect("SYN-ACK");
    let mut theirs = TcpPacket::new_unchecked(&answer[34..]).seq_number().0.wrapping_add(1);
    let mut ours = 101;
    send(tcp(TcpControl::None, ours, Some(theirs), &[]));
    net.poll();
    let stream = listener.accept().expect("accept");
    let hook = Arc::new(Hook);
    stream.arm(hook.clone());
    let (question, reply) = ([7; 60], [9; 120]);
    let count = 20_000;
    let start = Instant::now();
    for _ in 0..count {
        send(tcp(TcpControl::Psh, ours, Some(theirs), &question));
        request(&net, &*stream, &hook, &reply);
        ours += question.len() as i32;
        theirs = theirs.wrapping_add(reply.len() as i32);
        down.lock().clear();
        send(tcp(TcpControl::None, ours, Some(theirs), &[]));
        acknowledgement(&net);
    }
    println!("{:?} per request, client included", start.elapsed() / count);
}
