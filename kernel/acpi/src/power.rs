//! Fixed hardware: power button, power off, reset, the power-management timer.

use crate::{GenericAddress, platform};
use kernel_memory::{PhysAddr, map_mmio};
use x86_64::instructions::{interrupts, port::Port};

const POWER_BUTTON: u16 = 1 << 8;
const SLEEP_ENABLE: u16 = 1 << 13;
const SLEEP_TYPE: u16 = 0b111 << 10;
const ACPI_MODE: u16 = 1;

fn read(port: u16) -> u16 {
    // SAFETY: the ports come from the FADT's fixed blocks, whose reading has no effect on memory.
    unsafe { Port::<u16>::new(port).read() }
}

fn write(port: u16, value: u16) {
    // SAFETY: fixed-block registers, written with values that ACPI defines for them.
    unsafe { Port::<u16>::new(port).write(value) };
}

/// Takes the hardware over and makes it record presses of the power button. False when the machine has none.
pub fn enable_power_button() -> bool {
    let Some(fixed) = platform().fixed else { return false };
    let [event, _] = fixed.pm1_event;
    if event == 0 || fixed.pm1_event_len < 4 {
        return false;
    }
    let control = fixed.pm1_control[0];
    if control != 0 && read(control) & ACPI_MODE == 0 && fixed.smi_command != 0 && fixed.acpi_enable != 0 {
        // SAFETY: the documented way to ask firmware for the hardware.
        unsafe { Port::<u8>::new(fixed.smi_command).write(fixed.acpi_enable) };
    }
    let enable = event + u16::from(fixed.pm1_event_len / 2);
    write(event, POWER_BUTTON);
    write(enable, read(enable) | POWER_BUTTON);
    true
}

/// Whether the power button was pressed since the last call. One port read.
pub fn power_button_pressed() -> bool {
    let Some(fixed) = platform().fixed else { return false };
    let [event, _] = fixed.pm1_event;
    if event == 0 || read(event) & POWER_BUTTON == 0 {
        return false;
    }
    write(event, POWER_BUTTON);
    true
}

/// Switches the machine off. Returns when that does not work.
pub fn power_off() {
    interrupts::disable();
    let Some((fixed, (a, b))) = platform().fixed.zip(platform().s5) else { return };
    for (port, sleep_type) in fixed.pm1_control.into_iter().zip([a, b]) {
        if port != 0 {
            let value = read(port) & !SLEEP_TYPE & !SLEEP_ENABLE;
            write(port, value | (u16::from(sleep_type & 7) << 10) | SLEEP_ENABLE);
        }
    }
    for _ in 0..1_000_000 {
        core::hint::spin_loop();
    }
}

/// Restarts the machine: ACPI's reset register, the chipset's, the keyboard controller's, and at last a fault that no
/// handler is there for.
pub fn reset() -> ! {
    interrupts::disable();
    if let Some((register, value)) = platform().fixed.and_then(|f| f.reset) {
        write_generic(register, value);
        pause();
    }
    // SAFETY: the reset control register of the chipset, then the keyboard controller's pulse command.
    unsafe {
        Port::<u8>::new(0xcf9).write(0x02);
        Port::<u8>::new(0xcf9).write(0x06);
        pause();
        Port::<u8>::new(0x64).write(0xfe);
    }
    pause();
    let empty = [0u16; 5];
    // SAFETY: an empty interrupt table makes the breakpoint a triple fault, which resets the machine.
    unsafe {
        core::arch::asm!("lidt [{}]", "int3", in(reg) &empty, options(readonly));
    }
    loop {
        x86_64::instructions::hlt();
    }
}

fn write_generic(register: GenericAddress, value: u8) {
    match register.space {
        0 if register.address < 1 << 52 => {
            if let Ok(m) = map_mmio(PhysAddr::new(register.address), 1) {
                m.write8(0, value);
            }
        }
        1 => {
            if let Ok(port) = u16::try_from(register.address) {
                // SAFETY: the reset register that firmware names.
                unsafe { Port::<u8>::new(port).write(value) };
            }
        }
        _ => {}
    }
}

fn pause() {
    for _ in 0..10_000_000 {
        core::hint::spin_loop();
    }
}

/// The power-management timer: ticks at 3.579545 MHz, and the mask of its width.
pub fn pm_timer_ticks() -> Option<(u32, u32)> {
    let fixed = platform().fixed?;
    if fixed.pm_timer == 0 {
        return None;
    }
    let mask = if fixed.pm_timer_wide { u32::MAX } else { 0x00ff_ffff };
    // SAFETY: the port comes from the FADT; reading has no side effect.
    let value = unsafe { Port::<u32>::new(fixed.pm_timer).read() };
    Some((value & mask, mask))
}
