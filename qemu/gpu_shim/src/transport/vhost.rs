//! A device of a virtual machine, by vhost-user.
//!
//! # Threads
//! One takes requests from the control queue and answers those that need no work; the worker does the others and answers them itself; one more
//! serves the emulator's own messages. Locks are taken in the order state, lease, queue.
//!
//! # Invariants
//! Memory is reached through a [`Lease`] alone, which ends when the emulator stops the queue (as it does for a reset) or goes away: nothing writes to a
//! guest's pages after that, and a job that is under way then ends early. Descriptor chains are read once.

use std::{
    io,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::AtomicU64,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use compute_protocol::carrier::{CONTROL_QUEUE, REQUEST_BYTES};
use vhost::vhost_user::{
    GpuBackend, Listener,
    message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures},
};
use vhost_user_backend::{VhostUserBackend, VhostUserDaemon, VringRwLock, VringT};
use virtio_bindings::{
    bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC},
    virtio_config::{VIRTIO_F_NOTIFY_ON_EMPTY, VIRTIO_F_RING_RESET, VIRTIO_F_VERSION_1},
};
use virtio_queue::QueueT;
use vm_memory::{
    Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryBackend, GuestMemoryMmap,
};
use vmm_sys_util::{
    epoll::EventSet,
    event::{EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier},
};

use super::{Control, Memory, Open, Outcome, Task, Worker, control::Limits};

type Guest = GuestMemoryAtomic<GuestMemoryMmap>;

/// What the device looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `vhost-user-gpu-pci`.
    Gpu,
    /// `vhost-user-vsock-pci`, which is no socket device here.
    Vsock,
}

/// Where emulator and shim meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The shim makes a socket there. An emulator that connects does so once.
    Listen(PathBuf),
    /// The emulator has a socket there, and takes another shim when one ends.
    Connect(PathBuf),
}

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No device to compute with.
    #[error("there is no device to compute with")]
    NoDevice,
    /// The socket.
    #[error("cannot listen: {0}")]
    Listen(vhost::vhost_user::Error),
    /// A connection.
    #[error("cannot serve: {0}")]
    Serve(vhost_user_backend::Error),
    /// A thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

/// The use of a guest's memory until it is taken away.
struct Lease(RwLock<Option<Guest>>);

impl Lease {
    fn with<T>(&self, work: impl FnOnce(&GuestMemoryMmap) -> T) -> Option<T> {
        let guest = self.0.read().unwrap_or_else(PoisonError::into_inner);
        guest.as_ref().map(|guest| work(&guest.memory()))
    }

    fn end(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Memory for Lease {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.with(|m| m.read_slice(into, GuestAddress(address)).is_ok()) == Some(true)
    }

    fn write(&self, address: u64, from: &[u8]) -> bool {
        self.with(|m| m.write_slice(from, GuestAddress(address)).is_ok()) == Some(true)
    }

    fn has(&self, address: u64, length: u64) -> bool {
        let Ok(length) = usize::try_from(length) else { return false };
        self.with(|m| GuestMemoryBackend::check_range(m, GuestAddress(address), length)) == Some(true)
    }

    fn is_gone(&self) -> bool {
        self.with(|_| ()).is_none()
    }
}

/// A request as it was in the queue: the guest may change its buffers, but not this.
struct Request {
    head: u16,
    bytes: Vec<u8>,
    /// Where the response goes.
    room: Vec<(GuestAddress, usize)>,
}

impl Request {
    fn room(&self) -> usize {
        self.room.iter().map(|(_, length)| length).sum()
    }
}

/// A task and where its answer goes.
struct Job {
    task: Task,
    answer: Option<(Request, VringRwLock)>,
    lease: Arc<Lease>,
}

struct State {
    control: Control,
    lease: Arc<Lease>,
    /// The emulator's own socket for displays: kept open, never used.
    display: Option<GpuBackend>,
}

/// The device, for as many connections as come one after the other.
struct Device {
    carrier: Carrier,
    state: Mutex<State>,
    jobs: Sender<Job>,
}

impl Device {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the use of memory and forgets what the guest made.
    fn reset(&self, guest: Option<Guest>) {
        let mut state = self.state();
        state.lease.end();
        state.lease = Arc::new(Lease(RwLock::new(guest)));
        state.control.reset();
        // The worker lives as long as the process.
        let _ = self.jobs.send(Job { task: Task::forget(), answer: None, lease: Arc::clone(&state.lease) });
    }

    /// The next request of a queue, and the lease that it came under.
    fn next(&self, vring: &VringRwLock) -> Option<(Request, Arc<Lease>)> {
        let lease = Arc::clone(&self.state().lease);
        let request = lease.with(|memory| {
            let chain = vring.get_mut().get_queue_mut().pop_descriptor_chain(memory)?;
            let mut request = Request { head: chain.head_index(), bytes: Vec::new(), room: Vec::new() };
            for part in chain {
                let (address, length) = (part.addr(), part.len() as usize);
                if part.is_write_only() {
                    request.room.push((address, length));
                } else {
                    let begin = request.bytes.len();
                    // What is too long or cannot be read is cut short, and refused for that.
                    if begin + length > REQUEST_BYTES {
                        continue;
                    }
                    request.bytes.resize(begin + length, 0);
                    let part = request.bytes.get_mut(begin..).unwrap_or(&mut []);
                    if memory.read_slice(part, address).is_err() {
                        request.bytes.truncate(begin);
                    }
                }
            }
            Some(request)
        })??;
        Some((request, lease))
    }

    fn take(&self, request: Request, lease: Arc<Lease>, vring: &VringRwLock) {
        let outcome = {
            let mut state = self.state();
            // The guest that asked is gone.
            if !Arc::ptr_eq(&state.lease, &lease) {
                return;
            }
            state.control.handle(&request.bytes, request.room(), &*lease)
        };
        match outcome {
            Outcome::Answer(bytes) => complete(&lease, &request, vring, &bytes),
            Outcome::Later(task) => {
                let _ = self.jobs.send(Job { task, answer: Some((request, vring.clone())), lease });
            }
        }
    }
}

/// Writes a response and gives the buffers back, unless the guest's memory was taken away meanwhile.
fn complete(lease: &Lease, request: &Request, vring: &VringRwLock, bytes: &[u8]) {
    lease.with(|memory| {
        let mut rest = if request.room() < bytes.len() { &[] } else { bytes };
        let mut written = rest.len() as u32;
        for &(address, length) in &request.room {
            let (now, after) = rest.split_at(length.min(rest.len()));
            if memory.write_slice(now, address).is_err() {
                written = 0;
                break;
            }
            rest = after;
        }
        let mut queue = vring.get_mut();
        if queue.add_used(request.head, written).is_ok() && queue.needs_notification().unwrap_or(true) {
            let _ = queue.signal_used_queue();
        }
    });
}

impl VhostUserBackend for Device {
    type Bitmap = ();
    type Vring = VringRwLock;

    fn num_queues(&self) -> usize {
        match self.carrier {
            Carrier::Gpu => 2,
            Carrier::Vsock => 3,
        }
    }

    fn max_queue_size(&self) -> usize {
        1024
    }

    fn features(&self) -> u64 {
        // The emulator refuses a back end that lacks one of those it offers itself: 3D, EDID, UUID, blobs, contexts of a kind.
        let device = match self.carrier {
            Carrier::Gpu => 0b11111,
            Carrier::Vsock => 0b11,
        };
        let ring = [
            VIRTIO_F_NOTIFY_ON_EMPTY,
            VIRTIO_RING_F_INDIRECT_DESC,
            VIRTIO_RING_F_EVENT_IDX,
            VIRTIO_F_VERSION_1,
            VIRTIO_F_RING_RESET,
        ];
        ring.iter().fold(device, |all, bit| all | 1 << bit)
            | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits()
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::CONFIG
    }

    fn set_event_idx(&self, _enabled: bool) {}

    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        let all: [u32; 4] = match self.carrier {
            // No events, and one set of capabilities.
            Carrier::Gpu => [0, 0, 1, 1],
            // A socket device's address, which nobody uses.
            Carrier::Vsock => [3, 0, 0, 0],
        };
        let bytes = all.iter().flat_map(|n| n.to_le_bytes()).chain(std::iter::repeat(0));
        bytes.skip(offset.min(4096) as usize).take(size.min(4096) as usize).collect()
    }

    fn set_config(&self, _offset: u32, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn update_memory(&self, memory: Guest) -> io::Result<()> {
        let state = self.state();
        *state.lease.0.write().unwrap_or_else(PoisonError::into_inner) = Some(memory);
        Ok(())
    }

    fn set_gpu_socket(&self, display: GpuBackend) -> io::Result<()> {
        self.state().display = Some(display);
        Ok(())
    }

    fn exit_event(&self, _thread: usize) -> Option<(EventConsumer, EventNotifier)> {
        new_event_consumer_and_notifier(EventFlag::CLOEXEC).ok()
    }

    fn reset_device(&self) {
        let guest = self.guest();
        self.reset(guest);
    }

    fn stop_vring(&self, queue: u32) -> io::Result<()> {
        if queue == u32::from(CONTROL_QUEUE) {
            let guest = self.guest();
            self.reset(guest);
        }
        Ok(())
    }

    fn handle_event(
        &self,
        queue: u16,
        _events: EventSet,
        vrings: &[VringRwLock],
        _thread: usize,
    ) -> io::Result<()> {
        // There is no cursor, and nothing comes in by itself.
        let Some(vring) = vrings.get(usize::from(CONTROL_QUEUE)).filter(|_| queue == CONTROL_QUEUE) else {
            return Ok(());
        };
        // An error would end the thread: a queue that makes none is left alone until it is set up again.
        loop {
            if vring.disable_notification().is_err() {
                return Ok(());
            }
            while let Some((request, lease)) = self.next(vring) {
                self.take(request, lease, vring);
            }
            if !vring.enable_notification().unwrap_or(false) {
                return Ok(());
            }
        }
    }
}

impl Device {
    fn guest(&self) -> Option<Guest> {
        let state = self.state();
        let guest = state.lease.0.read().unwrap_or_else(PoisonError::into_inner);
        guest.clone()
    }
}

fn work(mut worker: Worker, jobs: &Receiver<Job>) {
    for job in jobs {
        // A job of a guest that is gone is not worth doing.
        if job.task.is_asked_for() && job.lease.is_gone() {
            continue;
        }
        let bytes = worker.run(&job.task, &*job.lease);
        if let Some((request, vring)) = &job.answer {
            complete(&job.lease, request, vring, &bytes);
        }
    }
}

/// Tells whether a server's requests are still taken.
pub struct Pulse(Arc<Device>);

impl Pulse {
    /// Returns once nobody is in the middle of a request: at once, unless something hangs. (Jobs have a thread of their own, and take as long as they do.)
    pub fn wait(&self) {
        drop(self.0.state());
    }
}

/// A device and where emulators find it.
pub struct Server {
    device: Arc<Device>,
    /// Where the handler of messages takes connections.
    listener: Listener,
    /// The emulator's socket and the listener's, if connections are made.
    connect: Option<[PathBuf; 2]>,
}

/// Removes the socket between the two halves of this process.
impl Drop for Server {
    fn drop(&mut self) {
        if let Some([_, own]) = &self.connect {
            let _ = std::fs::remove_file(own);
        }
    }
}

impl Server {
    /// Opens the device and, if it listens, the socket, which is made anew.
    pub fn new(place: Place, carrier: Carrier, limits: Limits, open: Open) -> Result<Self, ServeError> {
        let instance = Arc::new(AtomicU64::new(random()));
        let worker = Worker::new(open, Arc::clone(&instance));
        if !worker.has_device() {
            return Err(ServeError::NoDevice);
        }
        let (sender, jobs) = channel();
        std::thread::Builder::new().name("worker".to_owned()).spawn(move || work(worker, &jobs))?;
        let state = State {
            control: Control::new(limits, instance),
            lease: Arc::new(Lease(RwLock::new(None))),
            display: None,
        };
        let device = Arc::new(Device { carrier, state: Mutex::new(state), jobs: sender });
        let (listens, connect) = match place {
            Place::Listen(path) => (path, None),
            Place::Connect(path) => {
                let own = std::env::temp_dir().join(format!("gpu_shim-{:x}", random()));
                (own.clone(), Some([path, own]))
            }
        };
        let listener = Listener::new(&listens, true).map_err(ServeError::Listen)?;
        Ok(Self { device, listener, connect })
    }

    /// Something that knows whether this lives, for another thread.
    pub fn pulse(&self) -> Pulse {
        Pulse(Arc::clone(&self.device))
    }

    /// Waits for the emulator's socket, and connects it with what the listener gets next.
    fn connect(&self) -> Result<(), ServeError> {
        let Some([emulator, own]) = &self.connect else { return Ok(()) };
        let emulator = loop {
            match UnixStream::connect(emulator) {
                Ok(stream) => break stream,
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let handler = UnixStream::connect(own)?;
        std::thread::Builder::new().name("messages".to_owned()).spawn(move || {
            if let Err(problem) = super::resume::connect(emulator, handler) {
                eprintln!("gpu_shim: connection to the emulator: {problem}");
            }
        })?;
        Ok(())
    }

    /// Serves one connection to its end.
    pub fn serve(&mut self) -> Result<(), ServeError> {
        let guest = GuestMemoryAtomic::new(GuestMemoryMmap::new());
        self.device.reset(None);
        let name = "gpu_shim".to_owned();
        let mut daemon =
            VhostUserDaemon::new(name, Arc::clone(&self.device), guest).map_err(ServeError::Serve)?;
        self.connect()?;
        daemon.start(&mut self.listener).map_err(ServeError::Serve)?;
        let ended = daemon.wait();
        self.device.reset(None);
        self.device.state().display = None;
        match ended {
            // How machines usually go.
            Err(vhost_user_backend::Error::HandleRequest(
                vhost::vhost_user::Error::Disconnected | vhost::vhost_user::Error::PartialMessage,
            )) => Ok(()),
            ended => ended.map_err(ServeError::Serve),
        }
    }
}

/// A number that another start of the shim does not have.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
