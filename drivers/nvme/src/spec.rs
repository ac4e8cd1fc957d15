//! Names and layouts from the NVM Express base and command-set specifications (revision 1.4), as far as used.

use platform::block::BlockError;

/// Controller registers.
pub mod reg {
    /// Capabilities, 64 bits.
    pub const CAP: usize = 0x00;
    /// Version.
    pub const VS: usize = 0x08;
    /// Interrupt mask set (pin interrupts only).
    pub const INTMS: usize = 0x0c;
    /// Configuration.
    pub const CC: usize = 0x14;
    /// Status.
    pub const CSTS: usize = 0x1c;
    /// Admin queue sizes.
    pub const AQA: usize = 0x24;
    /// Admin submission queue address.
    pub const ASQ: usize = 0x28;
    /// Admin completion queue address.
    pub const ACQ: usize = 0x30;
    /// First doorbell.
    pub const DOORBELLS: usize = 0x1000;
}

/// Configuration: NVM command set, 4 KiB pages, round-robin arbitration, entries of 64 and 16 bytes.
pub const CC_BASE: u32 = 6 << 16 | 4 << 20;
/// Configuration: run.
pub const CC_ENABLE: u32 = 1;
/// Configuration: orderly shutdown.
pub const CC_SHUTDOWN: u32 = 1 << 14;
/// Status: ready.
pub const CSTS_READY: u32 = 1;
/// Status: fatal error.
pub const CSTS_FATAL: u32 = 2;
/// Status: shutdown state.
pub const CSTS_SHUTDOWN: u32 = 3 << 2;
/// Status: shutdown complete.
pub const CSTS_SHUTDOWN_DONE: u32 = 2 << 2;

/// Admin commands.
pub mod admin {
    /// Create I/O submission queue.
    pub const CREATE_SQ: u8 = 0x01;
    /// Create I/O completion queue.
    pub const CREATE_CQ: u8 = 0x05;
    /// Identify.
    pub const IDENTIFY: u8 = 0x06;
    /// Abort.
    pub const ABORT: u8 = 0x08;
    /// Set features.
    pub const SET_FEATURES: u8 = 0x09;
    /// Feature: volatile write cache.
    pub const FEATURE_WRITE_CACHE: u32 = 0x06;
    /// Feature: number of queues.
    pub const FEATURE_QUEUES: u32 = 0x07;
}

/// NVM commands.
pub mod io {
    /// Flush.
    pub const FLUSH: u8 = 0x00;
    /// Write.
    pub const WRITE: u8 = 0x01;
    /// Read.
    pub const READ: u8 = 0x02;
    /// Write zeroes.
    pub const WRITE_ZEROES: u8 = 0x08;
    /// Dataset management.
    pub const DATASET: u8 = 0x09;
    /// Read, write, write zeroes: force unit access (dword 12).
    pub const FUA: u32 = 1 << 30;
    /// Dataset management: deallocate (dword 11).
    pub const DEALLOCATE: u32 = 1 << 2;
}

/// Bytes of a submission queue entry.
pub const SQE_SIZE: usize = 64;
/// Bytes of a completion queue entry.
pub const CQE_SIZE: usize = 16;

/// A command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sqe(pub [u32; 16]);

impl Sqe {
    /// A command without data.
    pub fn new(opcode: u8, nsid: u32) -> Self {
        let mut d = [0; 16];
        d[0] = opcode.into();
        d[1] = nsid;
        Self(d)
    }
    /// Sets the command identifier.
    pub fn set_cid(&mut self, cid: u16) {
        self.0[0] = self.0[0] & 0xffff | u32::from(cid) << 16;
    }
    /// Sets the data pointer.
    pub fn set_data(&mut self, prp1: u64, prp2: u64) {
        self.0[6] = prp1 as u32;
        self.0[7] = (prp1 >> 32) as u32;
        self.0[8] = prp2 as u32;
        self.0[9] = (prp2 >> 32) as u32;
    }
    /// Sets one of the command-specific dwords 10 to 15.
    pub fn with(mut self, dword: usize, value: u32) -> Self {
        self.0[dword] = value;
        self
    }
    /// Sets first block and count (1 to 65536) of a read, write or write-zeroes.
    pub fn with_range(self, block: u64, count: u32) -> Self {
        let last = self.0[12] & !0xffff | (count - 1) & 0xffff;
        self.with(10, block as u32).with(11, (block >> 32) as u32).with(12, last)
    }
}

/// How a command ended: status code, its type, more and do-not-retry bits; without the phase bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    /// Successful completion.
    pub fn is_ok(self) -> bool {
        self.0 & 0x7ff == 0
    }
    fn kind(self) -> (u16, u16) {
        (self.0 >> 8 & 7, self.0 & 0xff)
    }
    /// The device says that trying again may help.
    pub fn may_retry(self) -> bool {
        let do_not_retry = self.0 >> 14 & 1 != 0;
        // Data transfer error, internal error, aborted by queue deletion, namespace not ready; command interrupted.
        !do_not_retry && matches!(self.kind(), (0, 0x04 | 0x06 | 0x08 | 0x21 | 0x82))
    }
    /// The command or its field is unknown to the device.
    pub fn is_unsupported(self) -> bool {
        matches!(self.kind(), (0, 0x01 | 0x02))
    }
    /// What the caller is told.
    pub fn error(self) -> BlockError {
        match self.kind() {
            (0, 0x01 | 0x02 | 0x0b | 0x13 | 0x80) => BlockError::InvalidRequest,
            (0, 0x07) => BlockError::Timeout,
            // Capacity exceeded: a namespace that is thinly provisioned.
            (0, 0x81) => BlockError::NoSpace,
            _ => BlockError::Media,
        }
    }
}

/// A completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cqe {
    /// Command-specific result.
    pub result: u32,
    /// Which command ended.
    pub cid: u16,
    /// How.
    pub status: Status,
}

/// What the capabilities register says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Largest number of entries of an I/O queue.
    pub max_entries: u32,
    /// Longest time that enabling or disabling takes, in milliseconds.
    pub ready_limit_ms: u64,
    /// Bytes between doorbells.
    pub stride: usize,
    /// Pages of 4 KiB are supported, and the NVM command set is.
    pub usable: bool,
}

impl Capabilities {
    /// From the register's two halves.
    pub fn parse(low: u32, high: u32) -> Self {
        let smallest_page = 12 + (high >> 16 & 0xf);
        let nvm_commands = high >> 5 & 1 != 0;
        Self {
            max_entries: (low & 0xffff) + 1,
            // A controller that reports no time at all still gets one unit.
            ready_limit_ms: u64::from((low >> 24).max(1)) * 500,
            stride: 4 << (high & 0xf),
            usable: smallest_page == 12 && nvm_commands,
        }
    }
}

fn le16(b: &[u8], at: usize) -> u16 {
    b.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_le_bytes(*b))
}
fn le32(b: &[u8], at: usize) -> u32 {
    b.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}
fn le64(b: &[u8], at: usize) -> u64 {
    b.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}

/// What the controller says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerInfo {
    /// Model number, as printed on it.
    pub model: [u8; 40],
    /// Serial number.
    pub serial: [u8; 20],
    /// Largest transfer in 4 KiB pages; `None`: no limit.
    pub max_pages: Option<u64>,
    /// Dataset management is supported.
    pub deallocate: bool,
    /// Write zeroes is supported.
    pub write_zeroes: bool,
    /// There is a volatile write cache.
    pub volatile_cache: bool,
    /// Blocks that are written atomically over power failure.
    pub atomic_blocks: u32,
}

impl ControllerInfo {
    /// From the 4096 bytes of Identify Controller.
    pub fn parse(b: &[u8]) -> Self {
        let mdts = b.get(77).copied().unwrap_or(0);
        let oncs = le16(b, 520);
        let text = |at: usize, out: &mut [u8]| {
            if let Some(s) = b.get(at..at + out.len()) {
                out.copy_from_slice(s);
            }
        };
        let (mut serial, mut model) = ([b' '; 20], [b' '; 40]);
        text(4, &mut serial);
        text(24, &mut model);
        Self {
            model,
            serial,
            max_pages: (mdts != 0).then(|| 1u64.checked_shl(mdts.into()).unwrap_or(u64::MAX)),
            deallocate: oncs & 1 << 2 != 0,
            write_zeroes: oncs & 1 << 3 != 0,
            volatile_cache: b.get(525).is_some_and(|v| v & 1 != 0),
            atomic_blocks: u32::from(le16(b, 528)) + 1,
        }
    }
}

/// What a namespace says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceInfo {
    /// Size in blocks.
    pub blocks: u64,
    /// Block size in bytes is two to this power.
    pub block_shift: u32,
    /// Blocks carry metadata, which this driver does not handle.
    pub metadata: bool,
    /// Atomic write unit over power failure, in blocks, if the namespace has its own.
    pub atomic_blocks: Option<u32>,
}

impl NamespaceInfo {
    /// From the 4096 bytes of Identify Namespace. `None`: inactive or absurd.
    pub fn parse(b: &[u8]) -> Option<Self> {
        let format = usize::from(b.get(26)? & 0xf);
        let lbaf = le32(b, 128 + 4 * format);
        let info = Self {
            blocks: le64(b, 0),
            block_shift: lbaf >> 16 & 0xff,
            metadata: lbaf & 0xffff != 0,
            atomic_blocks: (b.get(24)? & 2 != 0).then(|| u32::from(le16(b, 36)) + 1),
        };
        let sane = (9..=12).contains(&info.block_shift)
            && info.blocks != 0
            && info.blocks.checked_mul(1 << info.block_shift).is_some();
        sane.then_some(info)
    }
}
