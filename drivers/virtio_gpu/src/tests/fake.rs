//! A device made of code: the shim's own executor behind a queue that may misbehave in every way it can.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, mpsc},
    thread,
};

use compute_protocol::{
    Span,
    carrier::{
        AttachBacking, CAPSET_MAGIC, Capset, CreateResource, Entry, GetCapset, Header, OfResource, Submit,
        VERSION, request, response, take,
    },
    limits,
};
use driver_virtio::messages::{Nonsense, SLOTS};
use gpu_shim::{Pages, Processor, Session};
use zerocopy::IntoBytes;

use crate::{
    GpuError,
    hardware::{Carrier, Hardware, Memory, Port},
};

/// What a device does with submissions; everything else it does as it should, unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// What it should.
    Sound,
    /// It answers several at a time, the last one first.
    Reversed,
    /// It takes this many milliseconds.
    Slow(u64),
    /// It answers nothing at all any more.
    Silent,
    /// It answers no submission, but gives signs of life.
    Busy,
    /// It answers with another fence.
    Fence,
    /// It answers with half a header.
    Short,
    /// It answers twice.
    Twice,
    /// It answers what nobody asked.
    Unasked,
    /// It says that it wrote more than it could.
    Long,
    /// Its replies are noise.
    Noise,
    /// Its replies are another command's.
    Number,
    /// It knows neither context nor resources.
    Amnesia,
    /// It says that the GPU failed.
    Failed,
    /// Its instance is another one.
    Replaced,
    /// It is somebody else's device.
    Foreign,
}

#[derive(Default)]
struct Interrupt {
    raised: Mutex<bool>,
    wake: Condvar,
}

/// What is outside the driver.
pub struct World {
    memory: Mutex<BTreeMap<u64, Arc<Mutex<Vec<u8>>>>>,
    next_address: AtomicU64,
    mood: Mutex<Mood>,
    interrupt: Interrupt,
    pub carrier: Carrier,
    pub budget: u64,
    /// How much of the budget's memory there is really.
    pub refuse_memory: AtomicBool,
    /// Starts so far.
    pub starts: AtomicUsize,
    /// Devices that run.
    pub running: AtomicUsize,
    /// Times that a device was told of memory that is not shared with it.
    pub faults: AtomicUsize,
}

pub fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl World {
    pub fn new(carrier: Carrier, pieces: u64) -> Arc<Self> {
        Arc::new(Self {
            memory: Mutex::default(),
            next_address: AtomicU64::new(1 << 32),
            mood: Mutex::new(Mood::Sound),
            interrupt: Interrupt::default(),
            carrier,
            budget: pieces * crate::pool::PIECE as u64,
            refuse_memory: AtomicBool::new(false),
            starts: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            faults: AtomicUsize::new(0),
        })
    }

    pub fn set(&self, mood: Mood) {
        *lock(&self.mood) = mood;
    }

    fn mood(&self) -> Mood {
        *lock(&self.mood)
    }

    fn raise(&self) {
        *lock(&self.interrupt.raised) = true;
        self.interrupt.wake.notify_all();
    }

    fn find(&self, address: u64) -> Option<Arc<Mutex<Vec<u8>>>> {
        let found = lock(&self.memory).get(&address).cloned();
        if found.is_none() {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
        found
    }
}

pub struct FakeHardware(pub Arc<World>);

struct FakeMemory {
    world: Arc<World>,
    address: u64,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Memory for FakeMemory {
    fn runs(&self) -> Vec<(u64, u32)> {
        vec![(self.address, lock(&self.bytes).len() as u32)]
    }
    fn write(&mut self, offset: usize, from: &[u8]) {
        lock(&self.bytes)[offset..][..from.len()].copy_from_slice(from);
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&lock(&self.bytes)[offset..][..into.len()]);
    }
}

impl Drop for FakeMemory {
    fn drop(&mut self) {
        lock(&self.world.memory).remove(&self.address);
    }
}

impl Hardware for FakeHardware {
    fn carrier(&self) -> Carrier {
        self.0.carrier
    }

    fn start(&self) -> Result<Box<dyn Port>, GpuError> {
        let world = self.0.clone();
        world.starts.fetch_add(1, Ordering::Relaxed);
        world.running.fetch_add(1, Ordering::Relaxed);
        let done: Arc<Mutex<VecDeque<Done>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        let mut device = Device {
            world: world.clone(),
            done: done.clone(),
            stop: stop.clone(),
            session: Session::new(Box::new(Processor::new(1, 1 << 30))),
            resources: BTreeMap::new(),
            context: false,
            held: Vec::new(),
        };
        let thread = thread::spawn(move || device.run(&receiver));
        Ok(Box::new(FakePort { world, done, stop, sender: Some(sender), thread: Some(thread), out: 0 }))
    }

    fn wait_interrupt(&self, limit: Duration) {
        let raised = lock(&self.0.interrupt.raised);
        let outcome = self.0.interrupt.wake.wait_timeout_while(raised, limit, |raised| !*raised);
        let (mut raised, _) = outcome.unwrap_or_else(std::sync::PoisonError::into_inner);
        *raised = false;
    }

    fn allocate(&self, bytes: usize) -> Option<Box<dyn Memory>> {
        if self.0.refuse_memory.load(Ordering::Relaxed) {
            return None;
        }
        let address = self.0.next_address.fetch_add(1 << 24, Ordering::Relaxed);
        let bytes = Arc::new(Mutex::new(vec![0; bytes]));
        lock(&self.0.memory).insert(address, bytes.clone());
        Some(Box::new(FakeMemory { world: self.0.clone(), address, bytes }))
    }

    fn budget(&self) -> u64 {
        self.0.budget
    }
}

type Asked = (u16, Vec<u8>, usize);
type Done = Result<(u16, Vec<u8>), Nonsense>;

struct FakePort {
    world: Arc<World>,
    done: Arc<Mutex<VecDeque<Done>>>,
    stop: Arc<AtomicBool>,
    sender: Option<mpsc::Sender<Asked>>,
    thread: Option<thread::JoinHandle<()>>,
    /// Slots that the device has, as bits.
    out: u64,
}

impl Port for FakePort {
    fn free(&self) -> usize {
        SLOTS - self.out.count_ones() as usize
    }

    fn submit(&mut self, request: &[u8], response: usize) -> Option<u16> {
        let slot = (0..SLOTS as u16).find(|s| self.out & 1 << s == 0)?;
        self.out |= 1 << slot;
        self.sender.as_ref()?.send((slot, request.to_vec(), response)).ok()?;
        Some(slot)
    }

    fn completed(&mut self, response: &mut Vec<u8>) -> Result<Option<u16>, Nonsense> {
        let Some(done) = lock(&self.done).pop_front() else { return Ok(None) };
        let (slot, bytes) = done?;
        if self.out & 1 << slot == 0 {
            return Err(Nonsense::Unknown);
        }
        self.out &= !(1 << slot);
        *response = bytes;
        Ok(Some(slot))
    }

    fn works(&self) -> bool {
        true
    }
}

impl Drop for FakePort {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.world.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Default)]
struct Resource {
    bytes: u64,
    backing: Vec<(u64, u64)>,
    attached: bool,
}

struct Device {
    world: Arc<World>,
    done: Arc<Mutex<VecDeque<Done>>>,
    stop: Arc<AtomicBool>,
    session: Session,
    resources: BTreeMap<u32, Resource>,
    context: bool,
    /// Answers that wait to be given in the wrong order.
    held: Vec<(u16, Vec<u8>)>,
}

/// The resources, for the session.
struct Attached<'a> {
    world: &'a World,
    resources: &'a BTreeMap<u32, Resource>,
}

impl Attached<'_> {
    fn place(&self, span: Span) -> Option<(Arc<Mutex<Vec<u8>>>, usize)> {
        let resource = self.resources.get(&span.resource).filter(|r| r.attached)?;
        // The fake's memory is always one run.
        let &[(address, length)] = resource.backing.as_slice() else { return None };
        let end = span.offset.checked_add(span.length)?;
        (end <= length && end <= resource.bytes)
            .then(|| self.world.find(address))
            .flatten()
            .map(|m| (m, span.offset as usize))
    }
}

impl Pages for Attached<'_> {
    fn read(&self, span: Span, into: &mut [u8]) -> bool {
        let Some((memory, at)) = self.place(span) else { return false };
        into.copy_from_slice(&lock(&memory)[at..][..into.len()]);
        true
    }
    fn write(&mut self, span: Span, from: &[u8]) -> bool {
        let Some((memory, at)) = self.place(span) else { return false };
        lock(&memory)[at..][..from.len()].copy_from_slice(from);
        true
    }
    fn has(&self, span: Span) -> bool {
        self.place(span).is_some()
    }
}

impl Device {
    fn run(&mut self, receiver: &mpsc::Receiver<Asked>) {
        loop {
            let asked = match receiver.recv_timeout(Duration::from_millis(2)) {
                Ok(asked) => asked,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.release();
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            };
            let mood = self.world.mood();
            let (slot, bytes, room) = asked;
            let (header, rest): (Header, _) = take(&bytes).unwrap();
            if mood == Mood::Silent || mood == Mood::Busy && header.kind == request::SUBMIT_3D {
                continue;
            }
            if header.kind == request::SUBMIT_3D {
                self.submission(mood, slot, &header, &bytes, room);
            } else {
                let answer = self.control(mood, &header, rest);
                assert!(answer.len() <= room);
                self.answer(slot, answer);
            }
        }
    }

    fn answer(&self, slot: u16, bytes: Vec<u8>) {
        lock(&self.done).push_back(Ok((slot, bytes)));
        self.world.raise();
    }

    fn release(&mut self) {
        while let Some((slot, bytes)) = self.held.pop() {
            self.answer(slot, bytes);
        }
    }

    fn control(&mut self, mood: Mood, header: &Header, rest: &[u8]) -> Vec<u8> {
        let mut extra: Vec<u8> = Vec::new();
        let kind = match header.kind {
            request::GET_CAPSET => {
                let (asked, _): (GetCapset, _) = take(rest).unwrap();
                assert_eq!(asked.id, compute_protocol::carrier::CAPSET);
                let capset = Capset {
                    magic: if mood == Mood::Foreign { *b"virgl..." } else { CAPSET_MAGIC },
                    version: VERSION,
                    protocol: limits::VERSION.into(),
                    instance: if mood == Mood::Replaced { 2 } else { 1 },
                    resource_bytes: 64 << 20,
                    attached_bytes: 256 << 20,
                    resources: 64,
                    entries: 1024,
                    contexts: 4,
                    waiting: 64,
                    padding: 0,
                };
                extra.extend(capset.as_bytes());
                response::OK_CAPSET
            }
            request::CTX_CREATE if !self.context => {
                self.context = true;
                response::OK_NODATA
            }
            request::RESOURCE_CREATE_3D => {
                let (r, _): (CreateResource, _) = take(rest).unwrap();
                let new = Resource { bytes: r.width.into(), ..Resource::default() };
                match self.resources.insert(r.resource, new) {
                    None => response::OK_NODATA,
                    Some(_) => response::ERR_INVALID_RESOURCE_ID,
                }
            }
            request::RESOURCE_ATTACH_BACKING => {
                let (attach, mut rest): (AttachBacking, _) = take(rest).unwrap();
                let mut backing = Vec::new();
                for _ in 0..attach.entries {
                    let (entry, more): (Entry, _) = take(rest).unwrap();
                    backing.push((entry.address, entry.length.into()));
                    rest = more;
                }
                self.with(attach.resource, |r| r.backing = backing)
            }
            request::CTX_ATTACH_RESOURCE => {
                let (of, _): (OfResource, _) = take(rest).unwrap();
                self.with(of.resource, |r| r.attached = true)
            }
            request::CTX_DETACH_RESOURCE => {
                let (of, _): (OfResource, _) = take(rest).unwrap();
                self.with(of.resource, |r| r.attached = false)
            }
            request::RESOURCE_UNREF => {
                let (of, _): (OfResource, _) = take(rest).unwrap();
                match self.resources.remove(&of.resource) {
                    Some(_) => response::OK_NODATA,
                    None => response::ERR_INVALID_RESOURCE_ID,
                }
            }
            _ => response::ERR_UNSPEC,
        };
        let mut all = header.answer(kind).as_bytes().to_vec();
        all.extend(extra);
        all
    }

    fn with(&mut self, resource: u32, change: impl FnOnce(&mut Resource)) -> u32 {
        match self.resources.get_mut(&resource) {
            Some(resource) => {
                change(resource);
                response::OK_NODATA
            }
            None => response::ERR_INVALID_RESOURCE_ID,
        }
    }

    fn submission(&mut self, mood: Mood, slot: u16, header: &Header, bytes: &[u8], room: usize) {
        let (front, command): (Submit, _) = take(bytes).unwrap();
        assert_eq!(front.size as usize, command.len());
        assert!(self.context && room >= size_of::<Header>() + limits::REPLY_BYTES);
        if let Mood::Slow(millis) = mood {
            for _ in 0..millis {
                // A reset ends it, as it would end a job of the shim's.
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        let mut pages = Attached { world: &self.world, resources: &self.resources };
        let mut reply = self.session.handle(command, &mut pages);
        let mut header = header.answer(response::OK_NODATA);
        match mood {
            Mood::Fence => header.fence ^= 1,
            Mood::Noise => reply.iter_mut().for_each(|b| *b ^= 0x5a),
            Mood::Number => reply[12] ^= 1,
            Mood::Amnesia => header.kind = response::ERR_INVALID_CONTEXT_ID,
            Mood::Failed => {
                reply = compute_protocol::Reply::refusal(
                    u32::from_le_bytes(*reply[12..].first_chunk().unwrap()),
                    compute_protocol::Status::Lost,
                )
                .encode();
            }
            _ => {}
        }
        let mut all = header.as_bytes().to_vec();
        all.extend(&reply);
        match mood {
            Mood::Short => all.truncate(12),
            Mood::Reversed => {
                self.held.push((slot, all));
                if self.held.len() >= 4 {
                    self.release();
                }
                return;
            }
            Mood::Twice => self.answer(slot, all.clone()),
            Mood::Unasked | Mood::Long => {
                let nonsense = if mood == Mood::Long { Nonsense::Long } else { Nonsense::Unknown };
                lock(&self.done).push_back(Err(nonsense));
                self.world.raise();
                return;
            }
            _ => {}
        }
        self.answer(slot, all);
    }
}
