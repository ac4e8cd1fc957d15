//! The context switch.
//!
//! By the calling convention a function call preserves rbx, rbp, r12 to r15, the x87 control word and MXCSR's control
//! bits; everything else is the caller's to save, and it has: the switch is an ordinary call. 22 instructions.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .text.task_switch, "ax", @progbits
    .globl kernel_task_switch
    .type kernel_task_switch, @function
    .p2align 4
kernel_task_switch:
    .cfi_startproc
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    sub rsp, 8
    stmxcsr [rsp]
    fnstcw [rsp + 4]
    mov [rdi], rsp
    mov rsp, rsi
    ldmxcsr [rsp]
    fldcw [rsp + 4]
    add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
    .cfi_endproc
    .size kernel_task_switch, . - kernel_task_switch

    # First code of a task: rbx holds the function, which never returns. The undefined return address ends
    # backtraces here.
    .globl kernel_task_start
    .type kernel_task_start, @function
    .p2align 4
kernel_task_start:
    .cfi_startproc
    .cfi_undefined rip
    xor ebp, ebp
    call rbx
    ud2
    .cfi_endproc
    .size kernel_task_start, . - kernel_task_start
"#
);

// SAFETY: defined above, with these arguments by the C convention; `kernel_task_start` is never called, only returned to.
unsafe extern "C" {
    fn kernel_task_switch(save: *mut usize, load: usize);
    fn kernel_task_start();
}

/// Stores the running context's stack pointer at `save` and goes on with the context `load`.
///
/// # Safety
/// `save` may be written; `load` was stored by a switch or made by [`prepare`], its stack is mapped, and nobody else
/// runs on it.
#[inline]
pub(crate) unsafe fn switch(save: *mut usize, load: usize) {
    // SAFETY: the caller's contract.
    unsafe { kernel_task_switch(save, load) };
}

/// MXCSR as at reset (all exceptions masked, round to nearest) and the x87 control word beside it.
const FLOAT_STATE: u64 = 0x1f80 | (0x037f << 32);

/// Makes a context on the empty stack ending at `top` that will call `entry`.
///
/// # Safety
/// At least 80 bytes below `top` may be written, `top` is 16-byte aligned, and nobody runs on the stack.
pub(crate) unsafe fn prepare(top: usize, entry: extern "C" fn() -> !) -> usize {
    let words: [u64; 9] = [
        FLOAT_STATE,
        0,                         // r15
        0,                         // r14
        0,                         // r13
        0,                         // r12
        entry as *const () as u64, // rbx
        0,                         // rbp
        kernel_task_start as *const () as u64,
        0,
    ];
    // The final `ret` leaves rsp at the ninth word, `top - 16`: aligned to 16, as it must be before a call.
    let at = top - 8 - size_of_val(&words);
    // SAFETY: the caller's contract.
    unsafe { (at as *mut [u64; 9]).write(words) };
    at
}
