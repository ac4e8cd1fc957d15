    # The entry for direct boot (PVH): 32-bit protected mode, paging off, EBX the address of the start information.
    # Builds boot page tables - the first 4 GiB at their own address and at the direct map, the first GiB also at the
    # image's place - and goes on in long mode at the linked address.

    .set IMAGE, 0xffffffff80000000

    .section .note.Xen, "a", @note
    .p2align 2
    .long 4                             # name
    .long 8                             # value
    .long 18                            # type: 32-bit entry point
    .asciz "Xen"
    .p2align 2
    .quad pvh_entry - IMAGE

    .section .text.boot, "ax", @progbits
    .code32
    .globl pvh_entry
    .type pvh_entry, @function
pvh_entry:
    cli
    cld
    movl %ebx, %esi

    # Four page directories of 2 MiB pages.
    movl $(boot_directories - IMAGE), %edi
    movl $0x83, %eax
    movl $2048, %ecx
1:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $0x200000, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b

    movl $(boot_low - IMAGE), %edi
    movl $(boot_directories - IMAGE + 3), %eax
    movl $4, %ecx
2:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    decl %ecx
    jnz 2b

    movl $(boot_directories - IMAGE + 3), (boot_high - IMAGE + 510 * 8)
    movl $(boot_low - IMAGE + 3), (boot_root - IMAGE)
    movl $(boot_low - IMAGE + 3), (boot_root - IMAGE + 256 * 8)
    movl $(boot_high - IMAGE + 3), (boot_root - IMAGE + 511 * 8)

    movl %cr4, %eax
    orl $0x620, %eax                    # physical address extension, SSE and its exceptions
    movl %eax, %cr4
    movl $(boot_root - IMAGE), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax                    # long mode
    wrmsr
    movl %cr0, %eax
    andl $0xfffffff3, %eax              # no emulation of, no trap on floating point
    orl $0x80000022, %eax               # paging, monitor coprocessor, native errors
    movl %eax, %cr0
    lgdt (boot_gdt_pointer - IMAGE)
    ljmp $8, $(boot_long - IMAGE)

    .code64
boot_long:
    movabsq $boot_highest, %rax
    jmpq *%rax
boot_highest:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %esi, %edi
    leaq boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp
    call pvh_start
    ud2

    # The entry for the UEFI loader: long mode, interrupts off, RDI the address of its boot information, the direct
    # map and the image mapped.
    .globl uefi_entry
    .type uefi_entry, @function
uefi_entry:
    cli
    cld
    leaq boot_gdt_pointer_64(%rip), %rax
    lgdt (%rax)
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    leaq boot_stack_top(%rip), %rsp
    pushq $8
    leaq 1f(%rip), %rax
    pushq %rax
    lretq
1:  movq %cr4, %rax
    orq $0x600, %rax
    movq %rax, %cr4
    movq %cr0, %rax
    andq $-13, %rax
    orq $0x22, %rax
    movq %rax, %cr0
    xorl %ebp, %ebp
    call uefi_start
    ud2

    # on_stack(stack top, function, argument): never comes back.
    .globl boot_on_stack
boot_on_stack:
    movq %rdi, %rsp
    movq %rdx, %rdi
    xorl %ebp, %ebp
    call *%rsi
    ud2

    .section .rodata.boot, "a", @progbits
    .p2align 3
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
boot_gdt_pointer:
    .word 23
    .long boot_gdt - IMAGE
boot_gdt_pointer_64:
    .word 23
    .quad boot_gdt

    .section .bss.boot, "aw", @nobits
    .p2align 12
boot_root:
    .skip 4096
boot_low:
    .skip 4096
boot_high:
    .skip 4096
boot_directories:
    .skip 16384
boot_stack:
    .skip 65536
boot_stack_top:
