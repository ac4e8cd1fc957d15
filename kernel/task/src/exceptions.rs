//! The interrupt table: assembly stubs for interrupts, and the end of the road for exceptions.
//!
//! Compiled code uses the 128 bytes below its stack pointer without reserving them, so every vector runs on a stack
//! of its own (the interrupt stack table). Stubs touch no vector register.
//!
//! A page fault below a task's stack makes the stack grow ([`kernel_memory::stack::grow`]). Any other exception in ring 0 means that memory can no longer be trusted: it is reported and the machine restarts. The
//! handler returns to [`crate::panic`]'s crash path *on the interrupted stack*, as if the faulting instruction had
//! called it, so that the ordinary unwinder can print the backtrace. After a stack overflow there is no room for that:
//! the report is made on the exception stack, and the backtrace is read off the stack's words.

use crate::{cpu, panic};
use core::{
    arch::{asm, global_asm},
    fmt::Write,
    sync::atomic::{AtomicBool, Ordering},
};
use kernel_memory::stack;

global_asm!(
    r#"
    .section .text.interrupt_stubs, "ax", @progbits
    .p2align 4
kernel_task_interrupt:
    push rax
    push rcx
    push rdx
    mov eax, [rsp + 24]
    lock bts qword ptr gs:[32], rax      # pending[vector]
    mov qword ptr gs:[24], 1             # attention
    mov rax, [rip + KERNEL_TASK_EOI]
    test rax, rax
    jz 2f
    mov dword ptr [rax], 0
    jmp 3f
2:  mov ecx, 0x80b
    xor eax, eax
    xor edx, edx
    wrmsr
3:  pop rdx
    pop rcx
    pop rax
    add rsp, 8
    iretq

    .p2align 4
kernel_task_exception:
    cld
    push r15
    push r14
    push r13
    push r12
    push r11
    push r10
    push r9
    push r8
    push rbp
    push rdi
    push rsi
    push rdx
    push rcx
    push rbx
    push rax
    mov rdi, rsp
    mov rbp, rsp
    and rsp, -16
    sub rsp, 512
    fxsave64 [rsp]                       # growing a stack goes back to the interrupted code
    call kernel_task_exception_handler
    fxrstor64 [rsp]
    mov rsp, rbp
    pop rax
    pop rbx
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    pop rbp
    pop r8
    pop r9
    pop r10
    pop r11
    pop r12
    pop r13
    pop r14
    pop r15
    add rsp, 16
    iretq

    # Two words each: the address of stub n is start + 16 n.
    .p2align 4
    .globl kernel_task_stubs
kernel_task_stubs:
    .set vector, 0
    .rept 32
    .p2align 4
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    .else
    push 0
    .endif
    push vector
    jmp kernel_task_exception
    .set vector, vector + 1
    .endr
    .rept 224
    .p2align 4
    .byte 0x68
    .long vector
    jmp kernel_task_interrupt
    .set vector, vector + 1
    .endr

    .p2align 4
    .globl kernel_task_spurious
kernel_task_spurious:
    iretq

    # Runs on the interrupted stack: rbx holds the interrupted stack pointer; below the red zone are the interrupted
    # instruction's address and rbx.
    .p2align 4
    .globl kernel_task_after_fault
    .type kernel_task_after_fault, @function
kernel_task_after_fault:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_def_cfa rbx, 0
    .cfi_offset rip, -136
    .cfi_offset rbx, -144
    nop
    and rsp, -16
    call kernel_task_crash_after_fault
    ud2
    .cfi_endproc
    .size kernel_task_after_fault, . - kernel_task_after_fault
"#
);

// SAFETY: defined above. Only their addresses are used, and only the processor goes there.
unsafe extern "C" {
    static kernel_task_stubs: u8;
    fn kernel_task_spurious();
    fn kernel_task_after_fault();
}

/// What the exception stub leaves on its stack.
#[repr(C)]
#[derive(Debug)]
struct Frame {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    rbp: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    low: u64,
    high: u64,
}

#[repr(align(16))]
struct Table(core::cell::UnsafeCell<[Gate; 256]>);
// SAFETY: written once by the boot core before any other core runs (`init`), then only read by hardware.
unsafe impl Sync for Table {}

static TABLE: Table = Table(core::cell::UnsafeCell::new([Gate { low: 0, high: 0 }; 256]));

fn gate(handler: u64, ist: u8) -> Gate {
    // Interrupt gate (interrupts off while it runs), present, ring 0.
    let low = (handler & 0xffff)
        | (u64::from(cpu::CODE) << 16)
        | (u64::from(ist) << 32)
        | (0x8e << 40)
        | ((handler >> 16 & 0xffff) << 48);
    Gate { low, high: handler >> 32 }
}

/// Fills the interrupt table.
///
/// # Safety
/// Once, on the boot core, before any core calls [`cpu::init_core`].
pub unsafe fn init() {
    // SAFETY: nobody else uses the table yet (the caller's contract).
    let table = unsafe { &mut *TABLE.0.get() };
    let stubs = &raw const kernel_task_stubs as u64;
    for (vector, slot) in table.iter_mut().enumerate() {
        let ist = match vector {
            2 => cpu::ist::NMI,
            8 => cpu::ist::DOUBLE_FAULT,
            18 => cpu::ist::MACHINE_CHECK,
            0..32 => cpu::ist::EXCEPTION,
            _ => cpu::ist::INTERRUPT,
        };
        *slot = gate(stubs + 16 * vector as u64, ist);
    }
    table[usize::from(crate::apic::SPURIOUS_VECTOR)] =
        gate(kernel_task_spurious as *const () as u64, cpu::ist::INTERRUPT);
}

/// Loads the table on this core.
///
/// # Safety
/// After [`init`], with the core's task-state segment loaded.
pub(crate) unsafe fn load() {
    #[repr(C, packed)]
    struct Pointer {
        limit: u16,
        base: u64,
    }
    let pointer = Pointer { limit: (size_of::<Table>() - 1) as u16, base: TABLE.0.get() as u64 };
    // SAFETY: the table is static and filled.
    unsafe { asm!("lidt [{}]", in(reg) &pointer, options(readonly, nostack, preserves_flags)) };
}

const NAMES: [&str; 22] = [
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid task-state segment",
    "segment not present",
    "stack fault",
    "general protection fault",
    "page fault",
    "reserved",
    "x87 floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point error",
    "virtualization exception",
    "control protection exception",
];

static FAULTED: AtomicBool = AtomicBool::new(false);

// SAFETY: nothing else has this name; the stub passes the frame that it has just built on its own stack, which lives until this
// returns and which nothing else refers to.
#[unsafe(no_mangle)]
extern "C" fn kernel_task_exception_handler(frame: &mut Frame) {
    if frame.vector == 2 && panic::crashing() {
        // Another core crashed and tells us to stop.
        panic::halt_forever();
    }
    let cr2: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack, preserves_flags)) };
    // Not present, by data access: perhaps a stack that grows.
    if frame.vector == 14 && frame.error & 0x11 == 0 && stack::grow(cr2) {
        return;
    }
    if FAULTED.swap(true, Ordering::SeqCst) {
        // A fault while reporting one, or on two cores at once: only the restart is left.
        panic::restart_now();
    }
    let name = NAMES.get(frame.vector as usize).copied().unwrap_or("exception");
    let overflow = frame.vector == 8 || (frame.vector == 14 && stack::is_guard(cr2));
    let mut out = panic::begin_report();
    if overflow && stack::is_guard(cr2) {
        let _ = writeln!(out, "fatal: stack overflow ({name}) at {:#x}, address {cr2:#x}", frame.rip);
    } else {
        let _ =
            writeln!(out, "fatal: {name} at {:#x}, error {:#x}, address {cr2:#x}", frame.rip, frame.error);
    }
    let f = &*frame;
    for row in [
        [("rax", f.rax), ("rbx", f.rbx), ("rcx", f.rcx), ("rdx", f.rdx)],
        [("rsi", f.rsi), ("rdi", f.rdi), ("rbp", f.rbp), ("rsp", f.rsp)],
        [("r8 ", f.r8), ("r9 ", f.r9), ("r10", f.r10), ("r11", f.r11)],
        [("r12", f.r12), ("r13", f.r13), ("r14", f.r14), ("r15", f.r15)],
    ] {
        for (name, value) in row {
            let _ = write!(out, "  {name} {value:016x}");
        }
        let _ = writeln!(out);
    }
    if overflow {
        panic::scan_stack(&mut out, frame.rip, frame.rsp);
        panic::finish_report(out);
    }
    // "Call" the crash path from the faulting instruction, below its red zone, in the frame that
    // `kernel_task_after_fault` describes to the unwinder.
    let sp = frame.rsp;
    // SAFETY: below the red zone of the interrupted stack; a fault here (no room) ends in `restart_now` above.
    unsafe {
        ((sp - 136) as *mut u64).write_unaligned(frame.rip);
        ((sp - 144) as *mut u64).write_unaligned(frame.rbx);
    }
    frame.rbx = sp;
    frame.rsp = sp - 144;
    frame.rip = kernel_task_after_fault as *const () as u64;
    // Interrupts stay off.
    frame.rflags &= !(1 << 9);
}
