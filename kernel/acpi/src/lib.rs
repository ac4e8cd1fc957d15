//! What firmware says about the machine: processors, PCI configuration windows, power button, power off, reset.
//!
//! # What it owns
//! The parsed ACPI tables (MADT, FADT, MCFG, the `\_S5` object of the DSDT) and the fixed power-management registers.
//! No AML is interpreted: `\_S5` is found by its encoding, as a package of small integers.
//!
//! # Invariants
//! Tables are checked (signature, length, checksum) before anything is read from them, and every field is read with
//! bounds: firmware is outside input. A missing table means a missing feature, not a failure.
//!
//! # What it must not know
//! Tasks, drivers. Who polls the power button and what happens then is the appliance's business.
//!
//! Dependencies: `kernel_memory` (mapping tables), `x86_64` (ports), `spin` (the parsed tables are set once), `log`.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod clock;
mod power;
mod tables;

pub use clock::clock_to_micros;
pub use power::{enable_power_button, pm_timer_ticks, power_button_pressed, power_off, reset};
pub use tables::{EcamRegion, Fixed, GenericAddress, Madt, parse_fadt, parse_madt, parse_mcfg, parse_s5};

use alloc::vec::Vec;
use core::fmt;
use kernel_memory::{FirmwareTable, MemoryError, PhysAddr, map_firmware};
use spin::Once;

/// Why the tables could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcpiError {
    /// The root pointer is not one.
    NoRootPointer,
    /// A table's signature, length or checksum is wrong.
    Corrupt([u8; 4]),
    /// A table could not be mapped.
    Memory(MemoryError),
}

impl fmt::Display for AcpiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRootPointer => f.write_str("no ACPI root pointer"),
            Self::Corrupt(s) => write!(f, "ACPI table {} is corrupt", s.escape_ascii()),
            Self::Memory(e) => write!(f, "ACPI tables: {e}"),
        }
    }
}

impl core::error::Error for AcpiError {}

impl From<MemoryError> for AcpiError {
    fn from(e: MemoryError) -> Self {
        Self::Memory(e)
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Platform {
    /// Local interrupt controllers of usable processors, and the address of their registers.
    pub madt: Madt,
    /// PCI configuration windows.
    pub ecam: Vec<EcamRegion>,
    /// Fixed power-management hardware.
    pub fixed: Option<Fixed>,
    /// Values for the two sleep-type fields that power the machine off.
    pub s5: Option<(u8, u8)>,
}

static PLATFORM: Once<Platform> = Once::new();

/// The tables as read by [`init`]; empty before.
pub fn platform() -> &'static Platform {
    static NOTHING: Platform = Platform {
        madt: Madt { registers: 0xfee0_0000, apic_ids: Vec::new() },
        ecam: Vec::new(),
        fixed: None,
        s5: None,
    };
    PLATFORM.get().unwrap_or(&NOTHING)
}

/// PCI configuration windows (MCFG).
pub fn ecam_regions() -> &'static [EcamRegion] {
    &platform().ecam
}

/// Longest table that is read.
const MAX_TABLE: usize = 16 << 20;
/// Most tables that are looked at.
const MAX_TABLES: usize = 256;
const HEADER: usize = 36;

/// Reads the tables. Once, at boot.
///
/// # Safety
/// `rsdp` is the physical address of the root pointer as given by firmware or boot loader, and the tables it leads to
/// are in memory that nobody writes.
pub unsafe fn init(rsdp: PhysAddr) -> Result<&'static Platform, AcpiError> {
    // SAFETY: the caller vouches for firmware's memory, here and below.
    let pointer = unsafe { map_firmware(rsdp, 36)? };
    let (root, wide) = tables::parse_rsdp(&pointer).ok_or(AcpiError::NoRootPointer)?;
    // SAFETY: as above.
    let root = unsafe { map_table(root)? };
    let mut platform =
        Platform { madt: Madt { registers: 0xfee0_0000, apic_ids: Vec::new() }, ..Default::default() };
    for address in tables::entries(&root, wide).take(MAX_TABLES) {
        // SAFETY: as above.
        let table = match unsafe { map_table(address) } {
            Ok(t) => t,
            Err(e) => {
                log::warn!("acpi: {e}");
                continue;
            }
        };
        match &table[..4] {
            b"APIC" => platform.madt = parse_madt(&table),
            b"MCFG" => platform.ecam = parse_mcfg(&table),
            b"FACP" => {
                let fixed = parse_fadt(&table);
                // SAFETY: as above.
                platform.s5 = unsafe { map_table(fixed.dsdt) }.ok().and_then(|d| parse_s5(&d));
                platform.fixed = Some(fixed);
            }
            _ => {}
        }
    }
    Ok(PLATFORM.call_once(|| platform))
}

/// # Safety
/// As [`init`].
unsafe fn map_table(address: u64) -> Result<FirmwareTable, AcpiError> {
    if address == 0 || address >= 1 << 52 {
        return Err(AcpiError::NoRootPointer);
    }
    let address = PhysAddr::new(address);
    // SAFETY: the caller's contract, here and below.
    let header = unsafe { map_firmware(address, HEADER)? };
    let signature = [header[0], header[1], header[2], header[3]];
    let len = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    if !(HEADER..=MAX_TABLE).contains(&len) {
        return Err(AcpiError::Corrupt(signature));
    }
    drop(header);
    // SAFETY: as above.
    let table = unsafe { map_firmware(address, len)? };
    if !tables::checksum_holds(&table) {
        return Err(AcpiError::Corrupt(signature));
    }
    Ok(table)
}
