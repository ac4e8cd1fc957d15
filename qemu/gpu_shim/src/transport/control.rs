//! The control queue's messages.
//!
//! # Invariants
//! Whatever bytes come, [`Control::handle`] answers and keeps within its [`Limits`]: bytes of resources, entries of their
//! backings (also of those that only a waiting task still has), tasks that wait.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use compute_protocol::{
    carrier::{
        self, AttachBacking, CAPSET, CAPSET_MAGIC, Capset, CapsetInfo, CarrierError, CreateContext,
        CreateResource, DisplayInfo, Entry, GetCapset, GetCapsetInfo, Header, OfResource, PIPE_BUFFER,
        Submit, request, response, take,
    },
    limits,
};
use zerocopy::{FromZeros, IntoBytes};

use super::{
    Memory,
    pages::{Attached, Backing},
};

/// What a guest may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a resource.
    pub resource_bytes: u64,
    /// Bytes of all of them.
    pub attached_bytes: u64,
    /// Resources.
    pub resources: u32,
    /// Entries of a backing.
    pub entries: u32,
    /// Entries of all backings.
    pub all_entries: usize,
    /// Tasks that wait or run.
    pub waiting: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            resource_bytes: 256 << 20,
            attached_bytes: 1 << 30,
            resources: 1024,
            entries: 16_384,
            all_entries: 1 << 18,
            waiting: 256,
        }
    }
}

/// A place among the tasks that wait.
#[derive(Debug)]
struct Ticket(Arc<AtomicUsize>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What there is to do before a request is answered.
#[derive(Debug)]
pub(super) enum Work {
    /// Execute a command.
    Command { message: Vec<u8>, attached: Arc<Attached> },
    /// Forget tables and graphs.
    Forget,
    /// Nothing, but after all that came before.
    Nothing,
}

/// Something to be done in its turn.
#[derive(Debug)]
pub struct Task {
    pub(super) header: Header,
    pub(super) work: Work,
    ticket: Option<Ticket>,
}

impl Task {
    /// Forgets what the guest made, whose context is gone without its having said so. Its answer is for nobody.
    pub fn forget() -> Self {
        Self { header: Header::default(), work: Work::Forget, ticket: None }
    }

    /// Whether a guest waits for the answer.
    pub fn is_asked_for(&self) -> bool {
        self.ticket.is_some()
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// This is the response.
    Answer(Vec<u8>),
    /// The response is what [`Worker::run`](super::Worker::run) returns.
    Later(Task),
}

struct Resource {
    width: u64,
    backing: Option<Arc<Backing>>,
}

/// A guest's context: resources that it may use, and those of them that have pages.
#[derive(Default)]
struct Context {
    members: BTreeSet<u32>,
    attached: Arc<Attached>,
}

/// The device as a guest made it.
pub struct Control {
    limits: Limits,
    instance: Arc<AtomicU64>,
    resources: HashMap<u32, Resource>,
    contexts: BTreeMap<u32, Context>,
    bytes: u64,
    entries: Arc<AtomicUsize>,
    waiting: Arc<AtomicUsize>,
}

/// An error's kind of response.
type Refusal = u32;

/// Contexts at a time: tables and graphs are numbered once.
const CONTEXTS: u32 = 1;

fn short(_: CarrierError) -> Refusal {
    response::ERR_UNSPEC
}

impl Control {
    /// Of a device that nobody uses yet. `instance` changes when the device loses what it holds.
    pub fn new(limits: Limits, instance: Arc<AtomicU64>) -> Self {
        Self {
            limits,
            instance,
            resources: HashMap::new(),
            contexts: BTreeMap::new(),
            bytes: 0,
            entries: Arc::default(),
            waiting: Arc::default(),
        }
    }

    /// Forgets everything, as after a reset; [`Task::forget`] is then due.
    pub fn reset(&mut self) {
        self.resources.clear();
        self.contexts.clear();
        self.bytes = 0;
        self.instance.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a request, whose response may have `room` bytes.
    pub fn handle(&mut self, request: &[u8], room: usize, memory: &dyn Memory) -> Outcome {
        let Ok((header, rest)) = take::<Header>(request) else {
            return Outcome::Answer(Header::default().answer(response::ERR_UNSPEC).as_bytes().to_vec());
        };
        match self.act(&header, rest, room, memory) {
            Ok(outcome) => outcome,
            Err(refusal) => Outcome::Answer(header.answer(refusal).as_bytes().to_vec()),
        }
    }

    fn act(
        &mut self,
        header: &Header,
        rest: &[u8],
        room: usize,
        memory: &dyn Memory,
    ) -> Result<Outcome, Refusal> {
        let done = || Ok(answer(header, response::OK_NODATA, &[]));
        // Before anything changes: what is answered in its turn needs a place to wait.
        let waits = matches!(
            header.kind,
            request::SUBMIT_3D
                | request::CTX_DESTROY
                | request::CTX_DETACH_RESOURCE
                | request::RESOURCE_DETACH_BACKING
                | request::RESOURCE_UNREF
        );
        if waits && self.waiting.load(Ordering::Relaxed) >= self.limits.waiting as usize {
            return Err(response::ERR_OUT_OF_MEMORY);
        }
        match header.kind {
            request::GET_DISPLAY_INFO => {
                Ok(answer(header, response::OK_DISPLAY_INFO, DisplayInfo::default().as_bytes()))
            }
            request::GET_CAPSET_INFO => {
                let (asked, _): (GetCapsetInfo, _) = take(rest).map_err(short)?;
                let size = size_of::<Capset>() as u32;
                let info = match asked.index {
                    0 => CapsetInfo { id: CAPSET, version: carrier::VERSION, size, padding: 0 },
                    _ => return Err(response::ERR_INVALID_PARAMETER),
                };
                Ok(answer(header, response::OK_CAPSET_INFO, info.as_bytes()))
            }
            request::GET_CAPSET => {
                let (asked, _): (GetCapset, _) = take(rest).map_err(short)?;
                if asked.id != CAPSET || asked.version > carrier::VERSION {
                    return Err(response::ERR_INVALID_PARAMETER);
                }
                Ok(answer(header, response::OK_CAPSET, self.capset().as_bytes()))
            }
            request::CTX_CREATE => {
                let (asked, _): (CreateContext, _) = take(rest).map_err(short)?;
                self.create_context(header.context, &asked)?;
                done()
            }
            request::CTX_DESTROY => {
                self.contexts.remove(&header.context).ok_or(response::ERR_INVALID_CONTEXT_ID)?;
                Ok(self.later(header, Work::Forget))
            }
            request::RESOURCE_CREATE_3D => {
                let (asked, _): (CreateResource, _) = take(rest).map_err(short)?;
                self.create_resource(&asked)?;
                done()
            }
            request::RESOURCE_ATTACH_BACKING => {
                let (asked, rest): (AttachBacking, _) = take(rest).map_err(short)?;
                self.attach_backing(&asked, rest, memory)?;
                done()
            }
            request::RESOURCE_DETACH_BACKING | request::RESOURCE_UNREF => {
                let (asked, _): (OfResource, _) = take(rest).map_err(short)?;
                self.detach_backing(asked.resource, header.kind == request::RESOURCE_UNREF)?;
                Ok(self.later(header, Work::Nothing))
            }
            request::CTX_ATTACH_RESOURCE => {
                let (asked, _): (OfResource, _) = take(rest).map_err(short)?;
                self.join(header.context, asked.resource)?;
                done()
            }
            request::CTX_DETACH_RESOURCE => {
                let (asked, _): (OfResource, _) = take(rest).map_err(short)?;
                let context =
                    self.contexts.get_mut(&header.context).ok_or(response::ERR_INVALID_CONTEXT_ID)?;
                if !context.members.remove(&asked.resource) {
                    return Err(response::ERR_INVALID_RESOURCE_ID);
                }
                Arc::make_mut(&mut context.attached).remove(&asked.resource);
                Ok(self.later(header, Work::Nothing))
            }
            request::SUBMIT_3D => self.submit(header, rest, room),
            _ => Err(response::ERR_UNSPEC),
        }
    }

    fn capset(&self) -> Capset {
        Capset {
            magic: CAPSET_MAGIC,
            version: carrier::VERSION,
            protocol: u32::from(limits::VERSION),
            instance: self.instance.load(Ordering::Relaxed),
            resource_bytes: self.limits.resource_bytes,
            attached_bytes: self.limits.attached_bytes,
            resources: self.limits.resources,
            entries: self.limits.entries,
            contexts: CONTEXTS,
            waiting: self.limits.waiting,
            ..Capset::new_zeroed()
        }
    }

    /// Whatever takes something away or computes is answered in its turn.
    fn later(&self, header: &Header, work: Work) -> Outcome {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Outcome::Later(Task { header: *header, work, ticket: Some(Ticket(Arc::clone(&self.waiting))) })
    }

    fn create_context(&mut self, context: u32, asked: &CreateContext) -> Result<(), Refusal> {
        if self.contexts.contains_key(&context) || context == 0 {
            return Err(response::ERR_INVALID_CONTEXT_ID);
        }
        if asked.init != 0 || asked.name_length as usize > asked.name.len() {
            return Err(response::ERR_INVALID_PARAMETER);
        }
        if self.contexts.len() >= CONTEXTS as usize {
            return Err(response::ERR_OUT_OF_MEMORY);
        }
        self.contexts.insert(context, Context::default());
        Ok(())
    }

    fn create_resource(&mut self, asked: &CreateResource) -> Result<(), Refusal> {
        if asked.resource == 0 || self.resources.contains_key(&asked.resource) {
            return Err(response::ERR_INVALID_RESOURCE_ID);
        }
        let flat = [asked.height, asked.depth, asked.array_size] == [1; 3]
            && [asked.last_level, asked.samples, asked.flags] == [0; 3];
        let width = u64::from(asked.width);
        if asked.target != PIPE_BUFFER || !flat || width == 0 {
            return Err(response::ERR_INVALID_PARAMETER);
        }
        if width > self.limits.resource_bytes
            || self.bytes + width > self.limits.attached_bytes
            || self.resources.len() >= self.limits.resources as usize
        {
            return Err(response::ERR_OUT_OF_MEMORY);
        }
        self.bytes += width;
        self.resources.insert(asked.resource, Resource { width, backing: None });
        Ok(())
    }

    fn attach_backing(
        &mut self,
        asked: &AttachBacking,
        rest: &[u8],
        memory: &dyn Memory,
    ) -> Result<(), Refusal> {
        let resource = self.resources.get_mut(&asked.resource).ok_or(response::ERR_INVALID_RESOURCE_ID)?;
        if resource.backing.is_some() {
            return Err(response::ERR_INVALID_RESOURCE_ID);
        }
        let count = asked.entries as usize;
        if count > self.limits.entries as usize
            || self.entries.load(Ordering::Relaxed) + count > self.limits.all_entries
        {
            return Err(response::ERR_OUT_OF_MEMORY);
        }
        let bytes = rest.get(..count * size_of::<Entry>()).ok_or(response::ERR_UNSPEC)?;
        let entries = bytes
            .chunks_exact(size_of::<Entry>())
            .map(|bytes| take::<Entry>(bytes).map_or_else(|_| Entry::default(), |(entry, _)| entry));
        let backing = Backing::new(entries, resource.width, memory, &self.entries)
            .ok_or(response::ERR_INVALID_PARAMETER)?;
        let backing = Arc::new(backing);
        for context in self.contexts.values_mut() {
            if context.members.contains(&asked.resource) {
                Arc::make_mut(&mut context.attached).insert(asked.resource, Arc::clone(&backing));
            }
        }
        resource.backing = Some(backing);
        Ok(())
    }

    /// Takes a resource's pages away, and with `all` the resource too.
    fn detach_backing(&mut self, id: u32, all: bool) -> Result<(), Refusal> {
        let resource = self.resources.get_mut(&id).ok_or(response::ERR_INVALID_RESOURCE_ID)?;
        let had = resource.backing.take().is_some();
        if all {
            self.bytes -= resource.width;
            self.resources.remove(&id);
        } else if !had {
            return Err(response::ERR_INVALID_RESOURCE_ID);
        }
        for context in self.contexts.values_mut() {
            if all {
                context.members.remove(&id);
            }
            if context.attached.contains_key(&id) {
                Arc::make_mut(&mut context.attached).remove(&id);
            }
        }
        Ok(())
    }

    fn join(&mut self, context: u32, id: u32) -> Result<(), Refusal> {
        let context = self.contexts.get_mut(&context).ok_or(response::ERR_INVALID_CONTEXT_ID)?;
        let resource = self.resources.get(&id).ok_or(response::ERR_INVALID_RESOURCE_ID)?;
        if !context.members.insert(id) {
            return Err(response::ERR_INVALID_RESOURCE_ID);
        }
        if let Some(backing) = &resource.backing {
            Arc::make_mut(&mut context.attached).insert(id, Arc::clone(backing));
        }
        Ok(())
    }

    fn submit(&mut self, header: &Header, rest: &[u8], room: usize) -> Result<Outcome, Refusal> {
        let context = self.contexts.get(&header.context).ok_or(response::ERR_INVALID_CONTEXT_ID)?;
        // What the structure has after its header, which is already taken.
        let (size, rest) = take::<[u32; 2]>(rest).map_err(short)?;
        let [size, _] = size;
        if size as usize > limits::COMMAND_BYTES || room < size_of::<Header>() + limits::REPLY_BYTES {
            return Err(response::ERR_INVALID_PARAMETER);
        }
        let message = rest.get(..size as usize).ok_or(response::ERR_UNSPEC)?.to_vec();
        debug_assert_eq!(size_of::<Submit>(), size_of::<Header>() + 8);
        let attached = Arc::clone(&context.attached);
        Ok(self.later(header, Work::Command { message, attached }))
    }
}

fn answer(header: &Header, kind: u32, rest: &[u8]) -> Outcome {
    Outcome::Answer([header.answer(kind).as_bytes(), rest].concat())
}
