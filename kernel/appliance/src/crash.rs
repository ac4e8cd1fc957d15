//! The crash record: written at a crash, reported and cleared by the next boot.
//!
//! One record, at the start of the volume's crash area: magic, length, checksum, text. The volume's own code knows the
//! area but not its content.

use alloc::{string::String, sync::Arc, vec};
use boot_layout::Search;
use driver_nvme::{Emergency, MAX_EMERGENCY_WRITE, NvmeDisk};
use pg_storage::{Probe, Storage};
use platform::block::{BlockDevice, Durability, IoClass};
use spin::Mutex;

const MAGIC: [u8; 8] = *b"INTRCRS1";
/// Magic, length of the text (u32), checksum of the text (u32).
const HEADER: usize = 16;

struct Sink {
    device: Emergency,
    offset: u64,
    room: usize,
}

static SINK: Mutex<Option<Sink>> = Mutex::new(None);

/// FNV-1a: the record is small and the enemy is a torn write.
fn checksum(text: &[u8]) -> u32 {
    text.iter().fold(0x811c_9dc5, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193))
}

/// Prints the record that the last run left, if it did, and clears it.
pub fn report(device: &dyn BlockDevice) {
    if !matches!(Storage::probe(device), Ok(Probe::Intralith { .. })) {
        return;
    }
    let area = Storage::crash_area();
    let block = device.geometry().block_size as usize;
    let len = MAX_EMERGENCY_WRITE.min((area.end - area.start) as usize) / block * block;
    let mut record = vec![0; len];
    if device.read(area.start, &mut record, IoClass::Read).is_err() {
        return;
    }
    let Some(text) = decode(&record) else { return };
    log::error!("the last run crashed; it reported:");
    for line in text.lines().take(200) {
        driver_serial::print(format_args!("  | {line}\n"));
    }
    let cleared = device
        .write(area.start, &vec![0; block], Durability::Cached, IoClass::Background)
        .and_then(|()| device.flush());
    if let Err(e) = cleared {
        log::warn!("the crash record stays: {e}");
    }
}

fn decode(record: &[u8]) -> Option<String> {
    if record.get(..8)? != MAGIC {
        return None;
    }
    let word = |at: usize| Some(u32::from_le_bytes(record.get(at..at + 4)?.try_into().ok()?));
    let text = record.get(HEADER..HEADER.checked_add(word(8)? as usize)?)?;
    (word(12)? == checksum(text)).then(|| String::from_utf8_lossy(text).into_owned())
}

/// Prepares for a crash: from now on it leaves a record on the volume's disk. False (and nothing is ever written) when
/// the disk holds no volume of ours.
pub fn arm(disk: &Arc<NvmeDisk>, device: &Arc<dyn BlockDevice>) -> bool {
    if !matches!(Storage::probe(&**device), Ok(Probe::Intralith { .. })) {
        return false;
    }
    let whole: &dyn BlockDevice = &**disk;
    let start = match boot_layout::find_data_partition(whole) {
        Ok(Search::Found(range)) => range.start,
        _ => 0,
    };
    let area = Storage::crash_area();
    if area.end > device.geometry().capacity {
        return false;
    }
    let room = MAX_EMERGENCY_WRITE.min((area.end - area.start) as usize) - HEADER;
    match disk.emergency() {
        Ok(device) => {
            *SINK.lock() = Some(Sink { device, offset: start + area.start, room });
            kernel_task::panic::set_crash_sink(write);
            true
        }
        Err(e) => {
            log::warn!("crashes will leave no record: {e}");
            false
        }
    }
}

/// Called at the crash: no locks that may be held, no allocation.
fn write(text: &[u8]) {
    let Some(mut sink) = SINK.try_lock() else { return };
    let Some(sink) = &mut *sink else { return };
    let text = text.get(..sink.room).unwrap_or(text);
    let mut record = [0u8; MAX_EMERGENCY_WRITE];
    record[..8].copy_from_slice(&MAGIC);
    record[8..12].copy_from_slice(&(text.len() as u32).to_le_bytes());
    record[12..16].copy_from_slice(&checksum(text).to_le_bytes());
    record[HEADER..HEADER + text.len()].copy_from_slice(text);
    let written = sink.device.write(sink.offset, &record[..HEADER + text.len()]);
    driver_serial::print_unlocked(if written {
        "crash record written\n"
    } else {
        "crash record not written\n"
    });
}
