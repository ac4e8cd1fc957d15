//! A connection: input buffer, output buffer, and the phase it is in. Owns no task while idle.
//!
//! It is run by one worker at a time: [`Connection::schedule`] queues it unless it is queued or running already, and a
//! run ends by arming the stream's hook, which schedules it again. Where waking a worker is dear (the hosted platform),
//! a run goes on for a while after a request, waiting for the next. Lock order: `inner`, then anything of the engine.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use pg_tls::TlsStream;
use pg_types::{SqlError, SqlState};
use pg_wire::{
    Encoder, Frontend, Severity, WireError,
    frame::{self, Packet},
};
use platform::{
    net::{NetError, ReadOutcome, ReadyHook, Stream},
    sync::{Mutex, OnceLock},
};

use crate::{
    pool::Work,
    registry::Handle,
    server::Shared,
    session::Session,
    startup::{self, Login},
};

/// Input buffer of an idle connection.
const IDLE_INPUT: usize = 2048;
/// Output kept by an idle connection.
const IDLE_OUTPUT: usize = 4096;
/// The most the input buffer grows at once for a message that is announced to be larger.
const INPUT_STEP: usize = 1 << 20;

/// Bytes that arrived and are not used up.
struct Input {
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    fn bytes(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }
    fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }
    /// Room for more: moves what is left to the front, and grows when that is not enough.
    fn room(&mut self) -> &mut [u8] {
        if self.end == self.buf.len() {
            if self.start > 0 {
                self.buf.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                let wanted = frame::announced(self.bytes()).unwrap_or(0);
                let grown = (self.buf.len() * 2).max(wanted.min(self.buf.len() + INPUT_STEP)).max(IDLE_INPUT);
                self.buf.resize(grown, 0);
            }
        }
        self.buf.get_mut(self.end..).unwrap_or_default()
    }
    fn shrink(&mut self) {
        if self.start == self.end && self.buf.len() > IDLE_INPUT {
            self.buf = vec![0; IDLE_INPUT];
        }
    }
}

/// What the connection is about.
enum Phase {
    /// Startup packet or authentication outstanding.
    Login(Box<Login>),
    /// In use.
    Session(Box<Session>),
    /// Over.
    Closed,
}

/// How reading went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// There may be more at once.
    More,
    /// Nothing more for now.
    Idle,
    /// The connection is over.
    Over,
}

struct Inner {
    input: Input,
    out: Encoder,
    phase: Phase,
}

/// See the module.
pub struct Connection {
    shared: Arc<Shared>,
    /// As accepted.
    stream: Arc<dyn Stream>,
    /// Over it, once the client has asked for encryption: then nothing is read or written past it.
    secured: OnceLock<Arc<TlsStream>>,
    handle: OnceLock<Arc<Handle>>,
    this: alloc::sync::Weak<Self>,
    inner: Mutex<Inner>,
    scheduled: AtomicBool,
}

/// What a step of the protocol asks of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on with the next message.
    Continue,
    /// The output buffer should be sent before waiting.
    Flush,
    /// Send and close.
    Close,
}

impl Connection {
    /// For a fresh stream. `refused`: the error to give once the client has introduced itself.
    pub fn new(shared: &Arc<Shared>, stream: Arc<dyn Stream>, refused: Option<Box<SqlError>>) -> Arc<Self> {
        let connection = Arc::new_cyclic(|this| Self {
            shared: shared.clone(),
            handle: OnceLock::new(),
            this: this.clone(),
            inner: Mutex::new(Inner {
                input: Input { buf: vec![0; IDLE_INPUT], start: 0, end: 0 },
                out: Encoder::new(),
                phase: Phase::Login(Box::new(Login::new(refused))),
            }),
            scheduled: AtomicBool::new(false),
            secured: OnceLock::new(),
            stream,
        });
        connection.handle();
        connection
    }

    /// The public side.
    pub fn handle(&self) -> &Arc<Handle> {
        self.handle.get_or_init(|| self.shared.registry.add(self.stream.peer_addr(), self.this.clone()))
    }

    /// The way to the client.
    fn stream(&self) -> &dyn Stream {
        match self.secured.get() {
            None => &*self.stream,
            Some(secured) => &**secured,
        }
    }

    /// Answers a request for encryption. `left`: bytes of the client behind it, which must not be there: who can put
    /// bytes into the connection before it is encrypted must not have them taken for the client's own.
    fn secure(&self, left: usize, out: &mut Encoder) -> Result<Step, SqlError> {
        if self.secured.get().is_some() {
            return Err(WireError::Version(1234, 5679).into());
        }
        let Some(secured) = self.shared.encryption.accept(&self.shared.engine, &self.stream) else {
            out.refuse_encryption();
            return Ok(Step::Flush);
        };
        if left > 0 {
            let text = "received unencrypted data after SSL request";
            return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, text).detail(
                "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
            ));
        }
        if self.stream.write_all(b"S").is_err() {
            return Ok(Step::Close);
        }
        let _ = self.secured.set(secured);
        Ok(Step::Continue)
    }

    /// Begins to listen to the client.
    pub fn start(self: &Arc<Self>) {
        self.stream.arm(self.clone());
    }

    /// Queues the connection for a worker.
    pub fn schedule(&self) {
        if !self.scheduled.swap(true, SeqCst)
            && let Some(this) = self.this.upgrade()
        {
            self.shared.pool.submit(this.handle().pid as usize, this);
        }
    }

    fn close(&self, inner: &mut Inner) {
        inner.phase = Phase::Closed;
        inner.input = Input { buf: Vec::new(), start: 0, end: 0 };
        inner.out = Encoder::new();
        self.handle().end_wait();
        self.stream().close();
        self.shared.registry.remove(self.handle().pid);
    }

    /// May the connection go on? One that is interrupted for good is told.
    fn goes_on(&self, inner: &mut Inner) -> bool {
        if matches!(inner.phase, Phase::Closed) {
            return false;
        }
        let Some(reason) = self.handle().interrupts.pending().filter(|r| r.is_fatal()) else { return true };
        inner.out.discard_partial();
        inner.out.report(Severity::Fatal, &reason.error());
        let _ = self.stream().write_all(inner.out.bytes());
        inner.out.clear();
        false
    }

    /// Reads and handles what there is.
    #[inline]
    fn serve(&self, inner: &mut Inner) -> Flow {
        loop {
            if !self.goes_on(inner) {
                return Flow::Over;
            }
            if !self.tell_news(inner) {
                return Flow::Over;
            }
            let read = self.stream().try_read(inner.input.room());
            match self.receive(inner, read) {
                Flow::More => {}
                flow => return flow,
            }
        }
    }

    /// Sends notifications to a client between its transactions. False: it is gone.
    fn tell_news(&self, inner: &mut Inner) -> bool {
        let Inner { phase: Phase::Session(session), out, .. } = inner else { return true };
        if !session.has_news() {
            return true;
        }
        session.tell_notifications(out);
        let sent = self.stream().write_all(out.bytes()).is_ok();
        out.clear();
        sent
    }

    /// Handles what was read into the input's room.
    #[inline]
    fn receive(&self, inner: &mut Inner, read: Result<ReadOutcome, NetError>) -> Flow {
        let size = inner.input.buf.len() - inner.input.end;
        let n = match read {
            Ok(ReadOutcome::Data(n)) => n.min(size),
            Ok(ReadOutcome::WouldBlock) => return Flow::Idle,
            Ok(ReadOutcome::Eof) | Err(_) => return Flow::Over,
        };
        inner.input.end += n;
        match self.consume(inner) {
            // A short read took all there was; the hook covers what comes later.
            Ok(true) if n < size => Flow::Idle,
            Ok(true) => Flow::More,
            Ok(false) | Err(_) => Flow::Over,
        }
    }

    /// Handles every complete message. `Ok(false)`: the connection is over.
    #[inline]
    fn consume(&self, inner: &mut Inner) -> Result<bool, NetError> {
        loop {
            let step = match self.step(inner) {
                None => break,
                Some(Ok(step)) => step,
                Some(Err(fatal)) => {
                    inner.out.discard_partial();
                    inner.out.report(Severity::Fatal, &fatal);
                    Step::Close
                }
            };
            // Each answer goes before the next statement begins, which may take long or wait for somebody.
            if step != Step::Continue && !inner.out.is_empty() {
                self.stream().write_all(inner.out.bytes())?;
                inner.out.clear();
            }
            if step == Step::Close {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Handles one message; `None`: there is none complete. An error ends the connection.
    fn step(&self, inner: &mut Inner) -> Option<Result<Step, SqlError>> {
        let Inner { input, out, phase } = inner;
        let (result, used) = match phase {
            Phase::Closed => return None,
            Phase::Login(login) => {
                if let Some(secured) = self.secured.get()
                    && self.handle().secured.get().is_none()
                    && let Some(how) = secured.secured()
                {
                    let _ = self.handle().secured.set(Arc::new(how));
                }
                match startup::step(&self.shared, self.handle(), login, input.bytes(), out)? {
                    Ok((startup::Progress::Secure, used)) => {
                        let left = input.bytes().len().saturating_sub(used);
                        (self.secure(left, out), used)
                    }
                    Ok((startup::Progress::Step(step), used)) => (Ok(step), used),
                    Ok((startup::Progress::Done(session), used)) => {
                        let mut session = session;
                        session.attach(match self.secured.get() {
                            None => self.stream.clone(),
                            Some(secured) => secured.clone(),
                        });
                        *phase = Phase::Session(session);
                        (Ok(Step::Flush), used)
                    }
                    Err(e) => return Some(Err(e)),
                }
            }
            Phase::Session(session) => {
                let (packet, used) = match frame::split(input.bytes(), self.shared.config.max_message) {
                    Ok(split) => split?,
                    Err(e) => return Some(Err(e.into())),
                };
                let result = match session.is_foreign() {
                    false => answer(session, packet, out),
                    true => match session.translated(packet) {
                        Ok(body) => answer(session, Packet { tag: packet.tag, body: &body }, out),
                        Err(e) => session.untold(packet.tag, e, out),
                    },
                };
                (result, used)
            }
        };
        input.consume(used);
        Some(result)
    }
}

#[inline]
fn answer(session: &mut Session, packet: Packet<'_>, out: &mut Encoder) -> Result<Step, SqlError> {
    match Frontend::decode(packet) {
        Ok(message) => session.handle(message, out),
        Err(e) => session.malformed(packet.tag, e, out),
    }
}

impl ReadyHook for Connection {
    fn ready(&self) {
        self.schedule();
    }
}

impl Connection {
    /// Serves, and stays for the next request where that is cheaper than being called again. False: it is over.
    fn converse(&self, inner: &mut Inner) -> bool {
        let patient = !self.stream().patience().is_zero();
        let mut flow = self.serve(inner);
        while flow == Flow::Idle && patient {
            if !self.goes_on(inner) {
                return false;
            }
            if !self.shared.stay() {
                break;
            }
            let read = self.stream().read_patiently(inner.input.room());
            self.shared.leave();
            if read == Ok(ReadOutcome::WouldBlock) {
                break;
            }
            flow = self.receive(inner, read);
            if flow == Flow::More {
                flow = self.serve(inner);
            }
        }
        flow != Flow::Over
    }
}

impl Work for Connection {
    fn run(self: Arc<Self>) {
        let mut inner = self.inner.lock();
        let open = self.converse(&mut inner);
        if open {
            inner.input.shrink();
            inner.out.shrink(IDLE_OUTPUT);
            let waits_for_news = matches!(&inner.phase, Phase::Session(s) if s.is_idle());
            drop(inner);
            self.scheduled.store(false, SeqCst);
            let hook = self.clone();
            self.stream().arm(hook);
            // An interruption that came while this run was ending found it still scheduled.
            let news = waits_for_news && self.handle().inbox.has_some();
            if news || self.handle().interrupts.pending().is_some_and(crate::interrupt::Reason::is_fatal) {
                self.schedule();
            }
        } else {
            if !matches!(inner.phase, Phase::Closed) {
                self.close(&mut inner);
            }
            drop(inner);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.get() {
            self.shared.registry.remove(handle.pid);
        }
    }
}
