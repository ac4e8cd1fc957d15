    # Entry by UEFI's convention: RCX the image handle, RDX the system table. Applies the program's own relocations
    # (R_X86_64_RELATIVE only) and calls Rust.
    .section .text.start, "ax", @progbits
    .globl _start
_start:
    pushq %rcx
    pushq %rdx
    leaq _start(%rip), %rax
    subq $0x1000, %rax                  # load address: this code is linked at one page
    leaq __rela_start(%rip), %rsi
    leaq __rela_end(%rip), %rdi
1:  cmpq %rdi, %rsi
    jae 3f
    cmpl $8, 8(%rsi)
    jne 2f
    movq (%rsi), %r8
    movq 16(%rsi), %r9
    addq %rax, %r9
    movq %r9, (%rax,%r8)
2:  addq $24, %rsi
    jmp 1b
3:  popq %rdx
    popq %rcx
    subq $40, %rsp                      # shadow space, alignment
    call efi_main
    addq $40, %rsp
    ret

    # enter(root of page tables, kernel entry, boot information): RDI, RSI, RDX.
    .globl enter_kernel
enter_kernel:
    cli
    movq %rdi, %cr3
    movq %rdx, %rdi
    jmpq *%rsi
