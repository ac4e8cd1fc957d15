//! No message of a guest harms the device; `INTRALITH_HOSTILE_COMMANDS` says how many are tried, if not a million.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use compute_protocol::{
    Answer, Column, Command, Envelope, Kind, Metric, Reply, Span, Status, Term,
    carrier::{self, *},
    reduce::Wanted,
};
use gpu_shim::{
    Executor, Processor,
    check::Random,
    transport::{Control, Memory, Outcome, Task, Worker, control::Limits},
};
use zerocopy::IntoBytes;

/// A guest of 1 MiB from address 4096 on, and another 64 KiB from 4 GiB on.
struct Guest(Mutex<(Vec<u8>, Vec<u8>)>);

const LOW: u64 = 4096;
const HIGH: u64 = 4 << 30;

impl Guest {
    fn new() -> Self {
        Self(Mutex::new((vec![0; 1 << 20], vec![0; 64 << 10])))
    }

    fn range<T>(&self, address: u64, length: u64, with: impl FnOnce(&mut [u8]) -> T) -> Option<T> {
        let mut all = self.0.lock().expect("not poisoned");
        let (begin, part) = if address >= HIGH { (HIGH, &mut all.1) } else { (LOW, &mut all.0) };
        let at = usize::try_from(address.checked_sub(begin)?).ok()?;
        let end = at.checked_add(usize::try_from(length).ok()?)?;
        part.get_mut(at..end).map(with)
    }
}

impl Memory for Guest {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.range(address, into.len() as u64, |bytes| into.copy_from_slice(bytes)).is_some()
    }

    fn write(&self, address: u64, from: &[u8]) -> bool {
        self.range(address, from.len() as u64, |bytes| bytes.copy_from_slice(from)).is_some()
    }

    fn has(&self, address: u64, length: u64) -> bool {
        self.range(address, length, |_| ()).is_some()
    }
}

const MEMORY: u64 = 1 << 20;

struct Device {
    control: Control,
    worker: Worker,
    guest: Guest,
    waiting: VecDeque<Task>,
    /// Commands that were done.
    done: u64,
}

fn limits() -> Limits {
    Limits {
        resource_bytes: 1 << 19,
        attached_bytes: 4 << 20,
        resources: 64,
        entries: 512,
        all_entries: 4096,
        waiting: 32,
    }
}

impl Device {
    fn new() -> Self {
        let instance = Arc::new(AtomicU64::new(1));
        let open = || Some(Box::new(Processor::new(1, MEMORY)) as Box<dyn Executor>);
        Self {
            control: Control::new(limits(), Arc::clone(&instance)),
            worker: Worker::new(Box::new(open), instance),
            guest: Guest::new(),
            waiting: VecDeque::new(),
            done: 0,
        }
    }

    /// Does what waits, oldest first, until so many are left.
    fn work(&mut self, left: usize) {
        while self.waiting.len() > left
            && let Some(task) = self.waiting.pop_front()
        {
            let answer = self.worker.run(&task, &self.guest);
            self.done += u64::from(check_answer(&answer));
        }
    }

    /// A request and its answer.
    fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        self.work(0);
        match self.control.handle(request, 8192, &self.guest) {
            Outcome::Answer(bytes) => bytes,
            Outcome::Later(task) => self.worker.run(&task, &self.guest),
        }
    }

    fn ok(&mut self, request: &[u8], due: u32) -> Vec<u8> {
        let answer = self.ask(request);
        let (_, rest) = response_to(&answer, due).expect("the answer that is due");
        rest.to_vec()
    }

    fn command(&mut self, command: Command) -> Reply {
        let rest = self.ok(&submission(1, &Envelope { number: 5, command }.encode()), response::OK_NODATA);
        Reply::decode(&rest).expect("a reply")
    }
}

/// Whether it is the answer to a command that was done.
fn check_answer(answer: &[u8]) -> bool {
    let (header, rest): (Header, _) = take(answer).expect("a header");
    assert!((0x1100..0x1300).contains(&header.kind), "{:#x}", header.kind);
    header.kind == response::OK_NODATA
        && !rest.is_empty()
        && Reply::decode(rest).expect("a reply").status == Status::Done
}

fn message<T: IntoBytes + zerocopy::Immutable>(kind: u32, context: u32, content: &T) -> Vec<u8> {
    [Header::request(kind, context, Some(7)).as_bytes(), content.as_bytes()].concat()
}

fn submission(context: u32, command: &[u8]) -> Vec<u8> {
    let mut bytes = message(request::SUBMIT_3D, context, &[command.len() as u32, 0]);
    bytes.extend(command);
    bytes
}

fn create(resource: u32, width: u32) -> Vec<u8> {
    let content = CreateResource {
        resource,
        width,
        format: FORMAT,
        bind: BIND,
        height: 1,
        depth: 1,
        array_size: 1,
        ..CreateResource::default()
    };
    message(request::RESOURCE_CREATE_3D, 0, &content)
}

fn attach(resource: u32, entries: &[(u64, u32)]) -> Vec<u8> {
    let content = AttachBacking { resource, entries: entries.len() as u32 };
    let mut bytes = message(request::RESOURCE_ATTACH_BACKING, 0, &content);
    for &(address, length) in entries {
        bytes.extend(Entry { address, length, padding: 0 }.as_bytes());
    }
    bytes
}

fn of_resource(kind: u32, context: u32, resource: u32) -> Vec<u8> {
    message(kind, context, &OfResource { resource, padding: 0 })
}

fn context() -> Vec<u8> {
    message(request::CTX_CREATE, 1, &CreateContext { name_length: 0, init: 0, name: [0; 64] })
}

/// What a driver does at first, and a sum over two scattered pages.
fn is_sound(device: &mut Device) {
    let _ = device.ask(&message(request::CTX_DESTROY, 1, &[0u8; 0]));
    for resource in 0..64 {
        let _ = device.ask(&of_resource(request::RESOURCE_UNREF, 0, resource));
    }
    let info =
        device.ok(&message(request::GET_CAPSET_INFO, 0, &GetCapsetInfo::default()), response::OK_CAPSET_INFO);
    let (info, _): (CapsetInfo, _) = take(&info).expect("information");
    assert_eq!((info.id, info.size as usize), (CAPSET, size_of::<Capset>()));
    let asked = GetCapset { id: info.id, version: info.version };
    let capset = device.ok(&message(request::GET_CAPSET, 0, &asked), response::OK_CAPSET);
    assert_eq!(take::<Capset>(&capset).expect("a capability set").0.check(), Ok(()));

    device.ok(&context(), response::OK_NODATA);
    device.ok(&create(9, 6000), response::OK_NODATA);
    // The second page first, and one that crosses nothing but is not aligned.
    device.ok(&attach(9, &[(HIGH + 4096, 4096), (LOW + 12, 4096)]), response::OK_NODATA);
    device.ok(&of_resource(request::CTX_ATTACH_RESOURCE, 1, 9), response::OK_NODATA);
    let numbers: Vec<i32> = (0..1500).collect();
    let bytes = numbers.as_bytes();
    assert!(device.guest.write(HIGH + 4096, &bytes[..4096]) && device.guest.write(LOW + 12, &bytes[4096..]));
    let all = Span { resource: 9, offset: 0, length: 6000 };
    assert_eq!(device.command(Command::Create { table: 1, bytes: 6000 }).status, Status::Done);
    assert_eq!(device.command(Command::Write { table: 1, offset: 0, from: all }).status, Status::Done);
    let column = Column { table: 1, kind: Kind::I32 };
    let wanted = Wanted { sum: true, extremes: true };
    let reply = device.command(Command::Reduce { column, rows: 1500, wanted, filter: vec![] });
    let Answer::Reduction(sum) = reply.answer else { panic!("no sum: {reply:?}") };
    assert_eq!((sum.count, sum.whole), (1500, 1500 * 1499 / 2));
    // Back again, around the border of the two.
    let part = Span { resource: 9, offset: 4092, length: 8 };
    assert_eq!(device.command(Command::Read { table: 1, offset: 0, into: part }).status, Status::Done);
    let mut got = [0; 4];
    assert!(device.guest.read(LOW + 12, &mut got) && got == 1i32.to_le_bytes());
    let far = Span { resource: 9, offset: 5997, length: 4 };
    assert_eq!(device.command(Command::Read { table: 1, offset: 0, into: far }).status, Status::Bounds);
}

/// Numbers of which many are near something.
fn number(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => random.number(),
        1 => u64::MAX - random.below(9),
        2 => 1 << random.below(41),
        _ => random.below(600),
    }
}

fn span(random: &mut Random, length: u64) -> Span {
    let length = if random.below(30) == 0 { number(random) } else { length };
    let offset = if random.below(4) == 0 { number(random) } else { 4 * random.below(600) };
    Span { resource: random.below(6) as u32, offset, length }
}

fn command(random: &mut Random) -> Command {
    let id = random.below(5) as u32;
    let column = Column { table: id, kind: Kind::ALL[random.below(4) as usize] };
    let rows = number(random) % (1 << 40);
    let (few, some) = (random.below(9) as u32, random.below(700) as u32);
    let filter = (0..random.below(3))
        .map(|_| Term {
            column,
            least: number(random),
            greatest: number(random),
            negated: random.below(2) == 0,
        })
        .collect();
    match random.below(16) {
        0 => Command::Describe,
        1 => Command::Create { table: id, bytes: rows / 8 * 8 },
        2 => Command::Write { table: id, offset: rows / 4 * 4, from: span(random, 4 * u64::from(some)) },
        3 => Command::Read { table: id, offset: rows / 4 * 4, into: span(random, 4 * u64::from(some)) },
        4 => Command::Drop { id },
        5 | 6 => {
            Command::Graph { graph: id, nodes: some, steps: few, schedule: span(random, 8 * u64::from(few)) }
        }
        7 | 8 => Command::Nodes {
            graph: id,
            runs: few,
            nodes: some,
            places: span(random, 8 * u64::from(few)),
            tables: span(random, 8 * u64::from(some)),
            sources: span(random, 24 * u64::from(some)),
        },
        9 => Command::WriteBits {
            graph: id,
            runs: few,
            nodes: some,
            places: span(random, 8 * u64::from(few)),
            bits: span(random, 4 * u64::from(some.div_ceil(32))),
        },
        10 => Command::WriteState { graph: id, first: few, from: span(random, 4 * u64::from(few)) },
        11 => Command::ReadState { graph: id, first: few, into: span(random, 4 * u64::from(few)) },
        12 => Command::Tick { graph: id, ticks: few },
        13 => {
            Command::LookUp { tables: id, indexes: few % 5, rows, into: span(random, rows.div_ceil(32) * 4) }
        }
        14 => Command::Reduce { column, rows, wanted: Wanted { sum: true, extremes: true }, filter },
        _ if few % 2 == 0 => {
            let count = few + 1;
            Command::Top {
                column,
                rows,
                count,
                greatest: some % 2 == 0,
                into: span(random, 16 * u64::from(count)),
                filter,
            }
        }
        _ => Command::Nearest {
            table: id,
            dimensions: few + 1,
            rows: rows % 5000,
            queries: 2,
            neighbours: few + 1,
            metric: Metric::ALL[some as usize % 5],
            from: span(random, 8 * u64::from(few + 1)),
            into: span(random, 32 * u64::from(few + 1)),
        },
    }
}

/// Pairs in order, small numbers and noise: what commands find in memory.
fn fill(device: &Device, random: &mut Random) {
    let address = if random.below(4) == 0 { HIGH } else { LOW } + 4 * random.below(4000);
    let mut words = Vec::new();
    let mut next = 0u32;
    let form = random.below(4);
    for _ in 0..random.below(900) {
        words.push(match form {
            0 => random.number() as u32,
            1 => random.below(600) as u32,
            2 => u32::MAX,
            _ if words.len() % 2 == 0 => next,
            _ => {
                let count = 1 + random.below(99) as u32;
                next += count + random.below(9) as u32;
                count
            }
        });
    }
    let _ = device.guest.write(address, words.as_bytes());
}

fn hostile(random: &mut Random) -> Vec<u8> {
    let resource = random.below(6) as u32;
    let context = u32::from(random.below(30) != 0);
    let mut bytes = match random.below(24) {
        0 => self::context(),
        1 if random.below(20) == 0 => message(request::CTX_DESTROY, context, &[0u8; 0]),
        1 | 2 => create(resource, if random.below(9) == 0 { number(random) as u32 } else { 16_000 }),
        3 | 4 => {
            let entries: Vec<(u64, u32)> = (0..random.below(9))
                .map(|_| {
                    let near = if random.below(3) == 0 { HIGH } else { LOW } + random.below(9000);
                    let address = if random.below(12) == 0 { number(random) } else { near };
                    (address, if random.below(12) == 0 { number(random) as u32 } else { 4096 })
                })
                .collect();
            attach(resource, &entries)
        }
        5 | 6 => of_resource(request::CTX_ATTACH_RESOURCE, context, resource),
        7 => {
            let kinds =
                [request::RESOURCE_UNREF, request::RESOURCE_DETACH_BACKING, request::CTX_DETACH_RESOURCE];
            let kind = kinds[random.below(3) as usize];
            if random.below(3) == 0 { of_resource(kind, context, resource) } else { Vec::new() }
        }
        8 => message(number(random) as u32, context, &[0u8; 80]),
        9 => message(request::GET_CAPSET, 0, &[carrier::CAPSET, random.below(3) as u32]),
        10 => message(request::GET_DISPLAY_INFO, 0, &[0u8; 0]),
        _ => submission(context, &Envelope { number: 1, command: command(random) }.encode()),
    };
    // Some are torn or changed.
    if random.below(10) == 0 {
        for _ in 0..random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.number() as u8;
            }
        }
        if random.below(3) == 0 {
            bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
        }
    }
    bytes
}

#[test]
fn the_device_survives_and_still_works() {
    let count: u64 =
        std::env::var("INTRALITH_HOSTILE_COMMANDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let mut random = Random::new(count);
    let mut device = Device::new();
    is_sound(&mut device);
    let (mut at_once, mut later) = (0u64, 0u64);
    for n in 0..count {
        if n % 8 == 0 {
            fill(&device, &mut random);
        }
        let request = hostile(&mut random);
        let room = if random.below(20) == 0 { random.below(5000) } else { 8192 };
        match device.control.handle(&request, room as usize, &device.guest) {
            Outcome::Answer(answer) => {
                check_answer(&answer);
                at_once += u64::from(take::<Header>(&answer).is_ok_and(|(h, _)| h.kind < 0x1200));
            }
            Outcome::Later(task) => {
                later += 1;
                device.waiting.push_back(task);
            }
        }
        assert!(device.waiting.len() <= limits().waiting as usize);
        // Sometimes all, mostly some, sometimes none are done in between.
        let left = random.below(40) as usize;
        device.work(left);
        if n % 5000 == 4999 {
            device.control.reset();
            device.waiting.push_back(Task::forget());
            device.work(0);
        }
    }
    let done = device.done;
    println!("{count} requests: {at_once} done at once, {later} in their turn; {done} commands done");
    assert!(at_once > count / 20 && later > count / 20 && done > count / 50);
    is_sound(&mut device);
    let Answer::Device(described) = device.command(Command::Describe).answer else { panic!("no device") };
    assert!(described.used <= described.memory && described.memory == MEMORY);
}

#[test]
fn limits_hold() {
    let mut device = Device::new();
    device.ok(&context(), response::OK_NODATA);
    let refused = |device: &mut Device, request: &[u8], due: u32| {
        let answer = device.ask(request);
        assert_eq!(take::<Header>(&answer).expect("a header").0.kind, due);
    };
    refused(&mut device, &context(), response::ERR_INVALID_CONTEXT_ID);
    refused(&mut device, &create(1, 1 << 20), response::ERR_OUT_OF_MEMORY);
    for resource in 1..=8 {
        device.ok(&create(resource, 1 << 19), response::OK_NODATA);
    }
    refused(&mut device, &create(9, 1 << 19), response::ERR_OUT_OF_MEMORY);
    refused(&mut device, &attach(1, &[(LOW, 4096)]), response::ERR_INVALID_PARAMETER);
    refused(&mut device, &attach(1, &[(LOW, 1 << 19), (0, 1)]), response::ERR_INVALID_PARAMETER);
    refused(&mut device, &attach(1, &[(LOW, 1024); 513]), response::ERR_OUT_OF_MEMORY);
    // One page many times is allowed.
    for resource in 1..=8 {
        device.ok(&attach(resource, &[(LOW, 1024); 512]), response::OK_NODATA);
    }
    device.ok(&of_resource(request::RESOURCE_UNREF, 0, 8), response::OK_NODATA);
    device.ok(&create(8, 1 << 19), response::OK_NODATA);
    device.ok(&attach(8, &[(LOW, 1024); 512]), response::OK_NODATA);
    // What a waiting task may still use counts.
    device.ok(&of_resource(request::CTX_ATTACH_RESOURCE, 1, 8), response::OK_NODATA);
    let describe = submission(1, &Envelope { number: 1, command: Command::Describe }.encode());
    let Outcome::Later(task) = device.control.handle(&describe, 8192, &device.guest) else {
        panic!("at once")
    };
    let unref = of_resource(request::RESOURCE_UNREF, 0, 8);
    let Outcome::Later(gone) = device.control.handle(&unref, 8192, &device.guest) else { panic!("at once") };
    device.ok(&create(8, 1 << 19), response::OK_NODATA);
    refused(&mut device, &attach(8, &[(LOW, 1024); 512]), response::ERR_OUT_OF_MEMORY);
    drop((task, gone));
    device.ok(&attach(8, &[(LOW, 1024); 512]), response::OK_NODATA);
    // A full queue.
    let mut tasks = Vec::new();
    for _ in 0..limits().waiting {
        let Outcome::Later(task) = device.control.handle(&describe, 8192, &device.guest) else {
            panic!("at once")
        };
        tasks.push(task);
    }
    refused(&mut device, &describe, response::ERR_OUT_OF_MEMORY);
    refused(&mut device, &unref, response::ERR_OUT_OF_MEMORY);
    tasks.clear();
    device.ok(&unref, response::OK_NODATA);
    // A response that has no room is none.
    let Outcome::Answer(answer) = device.control.handle(&describe, 100, &device.guest) else {
        panic!("later")
    };
    assert_eq!(take::<Header>(&answer).expect("a header").0.kind, response::ERR_INVALID_PARAMETER);
}
