//! The device as an emulator and its guest see it: over a socket, with queues in shared memory.
#![cfg(all(feature = "vhost", target_os = "linux"))]

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use compute_protocol::{
    Answer, Command, Envelope, Metric, Reply, Span, Status,
    carrier::*,
    graph::{NONE, Step},
};
use gpu_shim::{
    Executor, Processor,
    transport::{
        control::Limits,
        vhost::{Carrier, Place, Server},
    },
};
use vhost::{
    VhostBackend, VhostUserMemoryRegionInfo, VringConfigData,
    vhost_user::{
        Frontend, VhostUserFrontend,
        message::{VhostUserConfigFlags, VhostUserProtocolFeatures},
    },
};
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};
use vmm_sys_util::eventfd::EventFd;
use zerocopy::IntoBytes;

const QUEUE: u16 = 16;
const DESCRIPTORS: u64 = 0x1000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;
const REQUEST: u64 = 0x10_000;
const RESPONSE: u64 = 0x20_000;
const DATA: u64 = 0x40_000;

/// A guest and the emulator around it.
struct Machine {
    emulator: Frontend,
    memory: GuestMemoryMmap,
    kick: EventFd,
    call: EventFd,
    next: u16,
    seen: u16,
}

impl Machine {
    /// Connects as the emulator does.
    fn new(socket: &PathBuf, carrier: Carrier) -> Self {
        let deadline = Instant::now() + Duration::from_secs(20);
        let emulator = loop {
            match Frontend::connect(socket, 3) {
                Ok(emulator) => break emulator,
                Err(e) => assert!(Instant::now() < deadline, "{e}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Self::with(emulator, socket, carrier)
    }

    /// An emulator that is connected.
    fn with(emulator: Frontend, socket: &Path, carrier: Carrier) -> Self {
        let path = socket.with_extension("memory");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.expect("a file");
        let _ = std::fs::remove_file(&path);
        file.set_len(1 << 20).expect("a size");
        let range = (GuestAddress(0), 1 << 20, Some(FileOffset::new(file, 0)));
        let memory = GuestMemoryMmap::from_ranges_with_files([range]).expect("memory");
        let event = || EventFd::new(libc_nonblock()).expect("an event");
        let mut machine = Self { emulator, memory, kick: event(), call: event(), next: 0, seen: 0 };
        machine.emulator.set_owner().expect("owner");
        let features = machine.emulator.get_features().expect("features");
        assert!(features & 1 << 32 != 0 && features & 1 << 30 != 0);
        let protocol = machine.emulator.get_protocol_features().expect("protocol");
        assert!(protocol.contains(VhostUserProtocolFeatures::CONFIG));
        machine.emulator.set_protocol_features(VhostUserProtocolFeatures::CONFIG).expect("protocol");
        if carrier == Carrier::Gpu {
            let flags = VhostUserConfigFlags::WRITABLE;
            let (_, config) = machine.emulator.get_config(0, 16, flags, &[0; 16]).expect("configuration");
            assert_eq!(config[12..], 1u32.to_le_bytes());
        }
        machine.start();
        machine
    }

    /// The driver is ready.
    fn start(&mut self) {
        let features = 1 << 32 | 1 << 30;
        self.emulator.set_features(features).expect("features");
        let region = self.memory.iter().next().map(VhostUserMemoryRegionInfo::from_guest_region);
        self.emulator.set_mem_table(&[region.expect("a region").expect("of a file")]).expect("memory");
        self.memory.write_slice(&[0; 0x3000], GuestAddress(DESCRIPTORS)).expect("queues");
        (self.next, self.seen) = (0, 0);
        let base = self.memory.get_host_address(GuestAddress(0)).expect("an address") as u64;
        let rings = VringConfigData {
            queue_max_size: QUEUE,
            queue_size: QUEUE,
            flags: 0,
            desc_table_addr: base + DESCRIPTORS,
            used_ring_addr: base + USED,
            avail_ring_addr: base + AVAILABLE,
            log_addr: None,
        };
        self.emulator.set_vring_num(0, QUEUE).expect("size");
        self.emulator.set_vring_base(0, 0).expect("base");
        self.emulator.set_vring_addr(0, &rings).expect("addresses");
        self.emulator.set_vring_call(0, &self.call).expect("call");
        self.emulator.set_vring_kick(0, &self.kick).expect("kick");
        self.emulator.set_vring_enable(0, true).expect("enable");
    }

    /// Resets the device.
    fn stop(&mut self) {
        self.emulator.set_vring_enable(0, false).expect("disable");
        self.emulator.get_vring_base(0).expect("base");
    }

    /// Puts a request into the queue, whose descriptors are 2 * `slot` and the next.
    fn send(&mut self, slot: u16, request: &[u8], room: u32) {
        let (at, to) = (REQUEST + u64::from(slot) * 8192, RESPONSE + u64::from(slot) * 8192);
        self.memory.write_slice(request, GuestAddress(at)).expect("request");
        let parts = [(at, request.len() as u32, 1u16, 2 * slot + 1), (to, room, 2, 0)];
        for (n, (address, length, flags, next)) in parts.into_iter().enumerate() {
            let place = GuestAddress(DESCRIPTORS + 16 * (u64::from(2 * slot) + n as u64));
            let mut bytes = address.to_le_bytes().to_vec();
            bytes.extend(length.to_le_bytes());
            bytes.extend(flags.to_le_bytes());
            bytes.extend(next.to_le_bytes());
            self.memory.write_slice(&bytes, place).expect("descriptor");
        }
        let entry = GuestAddress(AVAILABLE + 4 + 2 * u64::from(self.next % QUEUE));
        self.memory.write_obj(2 * slot, entry).expect("entry");
        self.next = self.next.wrapping_add(1);
        self.memory
            .store(self.next, GuestAddress(AVAILABLE + 2), std::sync::atomic::Ordering::SeqCst)
            .expect("index");
        self.kick.write(1).expect("kick");
    }

    /// The next answer: its slot and bytes.
    fn receive(&mut self) -> (u16, Vec<u8>) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.used() == self.seen {
            assert!(Instant::now() < deadline, "no answer");
            std::thread::sleep(Duration::from_micros(100));
        }
        let entry = USED + 4 + 8 * u64::from(self.seen % QUEUE);
        self.seen = self.seen.wrapping_add(1);
        let [head, length]: [u32; 2] = self.memory.read_obj(GuestAddress(entry)).expect("used");
        let slot = head as u16 / 2;
        let mut bytes = vec![0; length as usize];
        self.memory
            .read_slice(&mut bytes, GuestAddress(RESPONSE + u64::from(slot) * 8192))
            .expect("response");
        (slot, bytes)
    }

    fn used(&self) -> u16 {
        self.memory.load(GuestAddress(USED + 2), std::sync::atomic::Ordering::SeqCst).expect("index")
    }

    fn ask(&mut self, request: &[u8], due: u32) -> Vec<u8> {
        self.send(0, request, 8192);
        let (_, answer) = self.receive();
        let (header, rest) = response_to(&answer, due).expect("the answer that is due");
        assert_eq!((header.flags, header.fence), (FLAG_FENCE, 7));
        rest.to_vec()
    }

    fn command(&mut self, command: Command) -> Reply {
        let rest = self.ask(&submission(command), response::OK_NODATA);
        Reply::decode(&rest).expect("a reply")
    }

    /// A context with a resource of 64 KiB.
    fn set_up(&mut self) {
        let asked = GetCapset { id: CAPSET, version: VERSION };
        let capset = self.ask(&message(request::GET_CAPSET, &asked), response::OK_CAPSET);
        assert_eq!(take::<Capset>(&capset).expect("a set").0.check(), Ok(()));
        let context = CreateContext { name_length: 0, init: 0, name: [0; 64] };
        self.ask(&message(request::CTX_CREATE, &context), response::OK_NODATA);
        let resource = CreateResource {
            resource: 3,
            width: 65_536,
            height: 1,
            depth: 1,
            array_size: 1,
            ..CreateResource::default()
        };
        self.ask(&message(request::RESOURCE_CREATE_3D, &resource), response::OK_NODATA);
        let mut attach =
            message(request::RESOURCE_ATTACH_BACKING, &AttachBacking { resource: 3, entries: 1 });
        attach.extend(Entry { address: DATA, length: 65_536, padding: 0 }.as_bytes());
        self.ask(&attach, response::OK_NODATA);
        let of = OfResource { resource: 3, padding: 0 };
        self.ask(&message(request::CTX_ATTACH_RESOURCE, &of), response::OK_NODATA);
    }

    /// A ring of copies, of which node 0 is on.
    fn ring(&mut self, nodes: u32) {
        let words = |machine: &Self, at: u64, words: &[u32]| {
            machine.memory.write_slice(words.as_bytes(), GuestAddress(DATA + at)).expect("data");
        };
        let span = |offset, length| Span { resource: 3, offset, length };
        words(self, 0, &[0, nodes]);
        let places = span(0, size_of::<Step>() as u64);
        let (tables, sources) = (8 * u64::from(nodes), 24 * u64::from(nodes));
        words(self, 64, &vec![0xaaaa_aaaa; 2 * nodes as usize]);
        let mut all = vec![NONE; 6 * nodes as usize];
        for (place, source) in (0..nodes).zip(&mut all) {
            *source = (place + nodes - 1) % nodes;
        }
        words(self, 64 + tables, &all);
        let graph = Command::Graph { graph: 1, nodes, steps: 1, schedule: places };
        assert_eq!(self.command(graph).status, Status::Done);
        let (tables, sources) = (span(64, tables), span(64 + tables, sources));
        let nodes = Command::Nodes { graph: 1, runs: 1, nodes, places, tables, sources };
        assert_eq!(self.command(nodes).status, Status::Done);
        words(self, 0, &[1]);
        let state = Command::WriteState { graph: 1, first: 0, from: span(0, 4) };
        assert_eq!(self.command(state).status, Status::Done);
    }

    fn tick(&mut self, ticks: u32) -> Reply {
        self.command(Command::Tick { graph: 1, ticks })
    }

    fn first_word(&mut self) -> u32 {
        let into = Span { resource: 3, offset: 60_000, length: 4 };
        assert_eq!(self.command(Command::ReadState { graph: 1, first: 0, into }).status, Status::Done);
        self.memory.read_obj(GuestAddress(DATA + 60_000)).expect("data")
    }
}

fn libc_nonblock() -> i32 {
    0o4000
}

fn message<T: IntoBytes + zerocopy::Immutable>(kind: u32, content: &T) -> Vec<u8> {
    [Header::request(kind, 1, Some(7)).as_bytes(), content.as_bytes()].concat()
}

fn submission(command: Command) -> Vec<u8> {
    let command = Envelope { number: 5, command }.encode();
    let mut bytes = message(request::SUBMIT_3D, &[command.len() as u32, 0]);
    bytes.extend(command);
    bytes
}

/// A server in a thread of its own, for a few connections.
fn serve(name: &str, carrier: Carrier) -> PathBuf {
    let socket = place(name);
    serve_at(Place::Listen(socket.clone()), carrier);
    socket
}

fn place(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("gpu_shim-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.join("socket")
}

fn serve_at(place: Place, carrier: Carrier) {
    let open = || Some(Box::new(Processor::new(1, 1 << 26)) as Box<dyn Executor>);
    let mut server = Server::new(place, carrier, Limits::default(), Box::new(open)).expect("a server");
    std::thread::spawn(move || {
        for _ in 0..8 {
            let _ = server.serve();
        }
    });
}

#[test]
fn a_shim_connects_to_an_emulator_again_and_again() {
    let socket = place("connect");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    serve_at(Place::Connect(socket.clone()), Carrier::Vsock);
    for ticks in [4, 7] {
        let (stream, _) = listener.accept().expect("a connection");
        let mut machine = Machine::with(Frontend::from_stream(stream, 3), &socket, Carrier::Vsock);
        machine.set_up();
        machine.ring(10);
        machine.tick(ticks);
        assert_eq!(machine.first_word(), 1 << ticks);
    }
    std::fs::remove_dir_all(socket.parent().expect("a folder")).expect("removed");
}

#[test]
fn a_guest_computes() {
    for (name, carrier) in [("gpu", Carrier::Gpu), ("vsock", Carrier::Vsock)] {
        let socket = serve(name, carrier);
        let mut machine = Machine::new(&socket, carrier);
        machine.set_up();
        machine.ring(20);
        assert_eq!(machine.tick(3).answer, Answer::Ticked(true));
        assert_eq!(machine.first_word(), 1 << 3);
        // Another connection finds nothing of that.
        drop(machine);
        let mut machine = Machine::new(&socket, carrier);
        machine.set_up();
        assert_eq!(machine.tick(1).status, Status::Identity);
        machine.ring(9);
        machine.tick(1000);
        assert_eq!(machine.first_word(), 1 << (1000 % 9));
        std::fs::remove_dir_all(socket.parent().expect("a folder")).expect("removed");
    }
}

#[test]
fn other_answers_overtake_and_a_reset_ends_what_is_under_way() {
    let socket = serve("reset", Carrier::Gpu);
    let mut machine = Machine::new(&socket, Carrier::Gpu);
    machine.set_up();
    machine.ring(1000);
    // Seconds of work; the device's other answers come meanwhile, and those that must wait do.
    for slot in 1..=4 {
        machine.send(slot, &submission(Command::Tick { graph: 1, ticks: 1 << 20 }), 8192);
    }
    let of = OfResource { resource: 3, padding: 0 };
    machine.send(5, &message(request::RESOURCE_UNREF, &of), 8192);
    machine.send(6, &message(request::GET_DISPLAY_INFO, &[0u8; 0]), 8192);
    let (slot, answer) = machine.receive();
    assert_eq!(slot, 6);
    response_to(&answer, response::OK_DISPLAY_INFO).expect("no displays");
    machine.stop();
    // Nothing reaches memory after the reset, and the device is empty.
    machine.memory.write_slice(&[0x55; 0x9000], GuestAddress(RESPONSE)).expect("memory");
    machine.start();
    machine.set_up();
    assert_eq!(machine.tick(1).status, Status::Identity);
    machine.ring(9);
    machine.tick(5);
    assert_eq!(machine.first_word(), 1 << 5);
    let mut rest = vec![0; 0x4000];
    machine.memory.read_slice(&mut rest, GuestAddress(RESPONSE + 8192)).expect("memory");
    assert!(rest.iter().all(|&b| b == 0x55));
    std::fs::remove_dir_all(socket.parent().expect("a folder")).expect("removed");
}

#[test]
fn buffers_lie_anywhere_and_overlap() {
    let socket = serve("buffers", Carrier::Gpu);
    let mut machine = Machine::new(&socket, Carrier::Gpu);
    machine.set_up();
    // Pages of bytes that are no pages: neither addresses nor lengths are multiples of anything, and the first two overlap.
    let parts = [(DATA + 0x10_001, 3), (DATA + 0x10_000, 9), (DATA + 0x20_007, 4084)];
    let resource = CreateResource {
        resource: 4,
        width: 4096,
        height: 1,
        depth: 1,
        array_size: 1,
        ..CreateResource::default()
    };
    machine.ask(&message(request::RESOURCE_CREATE_3D, &resource), response::OK_NODATA);
    let mut attach = message(request::RESOURCE_ATTACH_BACKING, &AttachBacking { resource: 4, entries: 3 });
    for (address, length) in parts {
        attach.extend(Entry { address, length, padding: 0 }.as_bytes());
    }
    machine.ask(&attach, response::OK_NODATA);
    let of = OfResource { resource: 4, padding: 0 };
    machine.ask(&message(request::CTX_ATTACH_RESOURCE, &of), response::OK_NODATA);

    let bytes: Vec<u8> = (0..0x21_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    machine.memory.write_slice(&bytes, GuestAddress(DATA + 0x10_000)).expect("data");
    let of = |at: u64, length: usize| &bytes[(at - DATA - 0x10_000) as usize..][..length];
    let all: Vec<u8> = parts.iter().flat_map(|&(at, length)| of(at, length as usize).to_vec()).collect();
    let whole = Span { resource: 4, offset: 0, length: 4096 };
    let done = |reply: Reply| assert_eq!(reply.status, Status::Done);
    done(machine.command(Command::Create { table: 9, bytes: 4096 }));
    done(machine.command(Command::Write { table: 9, offset: 0, from: whole }));
    let odd = Span { resource: 3, offset: 5, length: 4096 };
    done(machine.command(Command::Read { table: 9, offset: 0, into: odd }));
    let mut got = vec![0; 4096];
    machine.memory.read_slice(&mut got, GuestAddress(DATA + 5)).expect("data");
    assert!(got == all);
    // Of bytes that are there twice, the later ones stay.
    machine.memory.write_slice(&[0; 16], GuestAddress(DATA + 0x10_000)).expect("data");
    done(machine.command(Command::Read { table: 9, offset: 0, into: whole }));
    let mut got = vec![0; 10];
    machine.memory.read_slice(&mut got, GuestAddress(DATA + 0x10_000)).expect("data");
    assert_eq!((&got[..9], got[9]), (&all[3..12], 0));

    // A search whose results go where its query was: the second of these vectors is the nearer one.
    let floats: Vec<u8> = [0.0f32, 0.0, 3.0, 4.0, 3.0, 3.0].iter().flat_map(|f| f.to_le_bytes()).collect();
    machine.memory.write_slice(&floats, GuestAddress(DATA)).expect("data");
    done(machine.command(Command::Create { table: 10, bytes: 16 }));
    let vectors = Span { resource: 3, offset: 0, length: 16 };
    done(machine.command(Command::Write { table: 10, offset: 0, from: vectors }));
    let search = Command::Nearest {
        table: 10,
        dimensions: 2,
        rows: 2,
        queries: 1,
        neighbours: 1,
        metric: Metric::L2,
        from: Span { resource: 3, offset: 16, length: 8 },
        into: Span { resource: 3, offset: 8, length: 16 },
    };
    assert_eq!(machine.command(search).answer, Answer::Rows(1));
    let found: [u64; 2] = machine.memory.read_obj(GuestAddress(DATA + 8)).expect("data");
    assert_eq!((found[0], f64::from_bits(found[1])), (1, 1.0));
    std::fs::remove_dir_all(socket.parent().expect("a folder")).expect("removed");
}
