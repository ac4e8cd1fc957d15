    .section .rodata.trampoline, "a", @progbits
    .globl kernel_task_trampoline
    .globl kernel_task_trampoline_end
    .globl kernel_task_trampoline_data
    .set T, kernel_task_trampoline
    .p2align 4
    .code16
kernel_task_trampoline:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    # EBX: linear address of this page.
    xorl %ebx, %ebx
    movw %ax, %bx
    shll $4, %ebx
    # Fill in the addresses that depend on where we are.
    leal (.Lgdt - T)(%ebx), %eax
    movl %eax, (.Lgdt_pointer - T + 2)
    leal (.Lprotected - T)(%ebx), %eax
    movl %eax, (.Lto_protected - T)
    lgdtl (.Lgdt_pointer - T)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl *(.Lto_protected - T)
    .code32
.Lprotected:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    # Before paging: the page is mapped read-only.
    leal (.Llong - T)(%ebx), %eax
    movl %eax, (.Lto_long - T)(%ebx)
    movl %cr4, %eax
    orl $0x20, %eax                    # physical address extension
    movl %eax, %cr4
    movl (kernel_task_trampoline_data - T)(%ebx), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax                   # long mode, no-execute
    wrmsr
    movl %cr0, %eax
    orl $0x80010000, %eax              # paging, write protection
    movl %eax, %cr0
    ljmpl *(.Lto_long - T)(%ebx)
    .code64
.Llong:
    movq (kernel_task_trampoline_data - T + 8)(%rbx), %rsp
    movq (kernel_task_trampoline_data - T + 16)(%rbx), %rax
    movq (kernel_task_trampoline_data - T + 24)(%rbx), %rdi
    xorl %ebp, %ebp
    callq *%rax
    ud2
    .p2align 3
.Lgdt:
    .quad 0
    .quad 0x00af9b000000ffff           # 08: 64-bit code
    .quad 0x00cf93000000ffff           # 10: data
    .quad 0x00cf9b000000ffff           # 18: 32-bit code
.Lgdt_pointer:
    .word 31
    .long 0
    .p2align 3
.Lto_protected:
    .long 0
    .word 0x18
    .p2align 3
.Lto_long:
    .long 0
    .word 0x08
    .p2align 3
kernel_task_trampoline_data:
    .quad 0                            # root of the page tables
    .quad 0                            # stack
    .quad 0                            # entry
    .quad 0                            # its argument
kernel_task_trampoline_end:
