//! What a guest sends to the GPU shim: messages, each behind its length and a byte that says how much room its answer has; and the
//! guest's memory. A sound message after them is answered.
#![no_main]

use std::sync::{Arc, Mutex, atomic::AtomicU64};

use compute_protocol::carrier::{CAPSET, GetCapset, Header, VERSION, request, response, response_to, take};
use gpu_shim::{
    Executor, Processor,
    transport::{Control, Memory, Outcome, Worker, control::Limits},
};
use libfuzzer_sys::fuzz_target;

/// Memory that begins at address 0.
struct Guest(Mutex<Vec<u8>>);

impl Guest {
    fn range<T>(&self, address: u64, length: u64, with: impl FnOnce(&mut [u8]) -> T) -> Option<T> {
        let mut bytes = self.0.lock().ok()?;
        let at = usize::try_from(address).ok()?;
        let end = at.checked_add(usize::try_from(length).ok()?)?;
        bytes.get_mut(at..end).map(with)
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

fuzz_target!(|bytes: &[u8]| {
    let instance = Arc::new(AtomicU64::new(1));
    let open = || Some(Box::new(Processor::new(1, 1 << 20)) as Box<dyn Executor>);
    let limits = Limits { resource_bytes: 1 << 18, attached_bytes: 1 << 20, ..Limits::default() };
    let mut control = Control::new(limits, Arc::clone(&instance));
    let mut worker = Worker::new(Box::new(open), instance);
    let mut memory = bytes.to_vec();
    memory.resize(1 << 16, 1);
    let guest = Guest(Mutex::new(memory));
    let mut rest = bytes;
    while let Some((&[low, high, room], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(after.len());
        let (message, after) = after.split_at(length);
        rest = after;
        if let Outcome::Later(task) = control.handle(message, usize::from(room) * 64, &guest) {
            worker.run(&task, &guest);
        }
    }
    let asked = GetCapset { id: CAPSET, version: VERSION };
    let header = Header::request(request::GET_CAPSET, 0, Some(1));
    let mut message = Vec::new();
    for word in [header.kind, header.flags, 1, 0, 0, 0, asked.id, asked.version] {
        message.extend(word.to_le_bytes());
    }
    assert!(take::<Header>(&message).is_ok_and(|(h, _)| h == header));
    let Outcome::Answer(answer) = control.handle(&message, 4096, &guest) else { panic!("not at once") };
    assert!(response_to(&answer, response::OK_CAPSET).is_ok());
});
