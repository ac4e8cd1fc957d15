    .section .text.memory_intrinsics, "ax", @progbits

    .globl memcpy
    .globl memmove
    .p2align 5
    .type memmove, @function
    .type memcpy, @function
memmove:
    movq %rdi, %rax
    movq %rdi, %rcx
    subq %rsi, %rcx
    cmpq %rdx, %rcx            # destination inside the source range, ahead of it?
    jb .Lbackward
    jmp .Lforward
    .p2align 5
memcpy:
    movq %rdi, %rax
.Lforward:
    cmpq $16, %rdx
    jb .Lsmall
    cmpq $32, %rdx
    ja .Lover32
    movups (%rsi), %xmm0
    movups -16(%rsi,%rdx), %xmm1
    movups %xmm0, (%rdi)
    movups %xmm1, -16(%rdi,%rdx)
    ret
.Lover32:
    cmpq $64, %rdx
    ja .Lover64
.Lupto64:
    movups (%rsi), %xmm0
    movups 16(%rsi), %xmm1
    movups -32(%rsi,%rdx), %xmm2
    movups -16(%rsi,%rdx), %xmm3
    movups %xmm0, (%rdi)
    movups %xmm1, 16(%rdi)
    movups %xmm2, -32(%rdi,%rdx)
    movups %xmm3, -16(%rdi,%rdx)
    ret
.Lover64:
    # The last 64 bytes are loaded first: the loop may overwrite them when the ranges overlap.
    movups -64(%rsi,%rdx), %xmm4
    movups -48(%rsi,%rdx), %xmm5
    movups -32(%rsi,%rdx), %xmm6
    movups -16(%rsi,%rdx), %xmm7
    leaq -64(%rdi,%rdx), %rcx
    .p2align 4
1:  movups (%rsi), %xmm0
    movups 16(%rsi), %xmm1
    movups 32(%rsi), %xmm2
    movups 48(%rsi), %xmm3
    movups %xmm0, (%rdi)
    movups %xmm1, 16(%rdi)
    movups %xmm2, 32(%rdi)
    movups %xmm3, 48(%rdi)
    addq $64, %rsi
    addq $64, %rdi
    cmpq %rcx, %rdi
    jb 1b
    movups %xmm4, (%rcx)
    movups %xmm5, 16(%rcx)
    movups %xmm6, 32(%rcx)
    movups %xmm7, 48(%rcx)
    ret
.Lsmall:
    cmpq $8, %rdx
    jb 2f
    movq (%rsi), %rcx
    movq -8(%rsi,%rdx), %r8
    movq %rcx, (%rdi)
    movq %r8, -8(%rdi,%rdx)
    ret
2:  cmpq $4, %rdx
    jb 3f
    movl (%rsi), %ecx
    movl -4(%rsi,%rdx), %r8d
    movl %ecx, (%rdi)
    movl %r8d, -4(%rdi,%rdx)
    ret
3:  testq %rdx, %rdx
    je 4f
    movzbl (%rsi), %ecx
    movzbl -1(%rsi,%rdx), %r8d
    cmpq $3, %rdx
    jne 5f
    movzbl 1(%rsi), %r9d
    movb %r9b, 1(%rdi)
5:  movb %cl, (%rdi)
    movb %r8b, -1(%rdi,%rdx)
4:  ret
.Lbackward:
    cmpq $64, %rdx
    jbe .Lforward
    movups (%rsi), %xmm4
    movups 16(%rsi), %xmm5
    movups 32(%rsi), %xmm6
    movups 48(%rsi), %xmm7
    .p2align 4
6:  movups -16(%rsi,%rdx), %xmm0
    movups -32(%rsi,%rdx), %xmm1
    movups -48(%rsi,%rdx), %xmm2
    movups -64(%rsi,%rdx), %xmm3
    movups %xmm0, -16(%rdi,%rdx)
    movups %xmm1, -32(%rdi,%rdx)
    movups %xmm2, -48(%rdi,%rdx)
    movups %xmm3, -64(%rdi,%rdx)
    subq $64, %rdx
    cmpq $64, %rdx
    ja 6b
    movups %xmm4, (%rdi)
    movups %xmm5, 16(%rdi)
    movups %xmm6, 32(%rdi)
    movups %xmm7, 48(%rdi)
    ret
    .size memmove, . - memmove
    .size memcpy, . - memcpy

    .globl memset
    .p2align 5
    .type memset, @function
memset:
    movq %rdi, %rax
    movzbl %sil, %esi
    movabsq $0x0101010101010101, %rcx
    imulq %rsi, %rcx
    cmpq $16, %rdx
    jb 3f
    movq %rcx, %xmm0
    punpcklqdq %xmm0, %xmm0
    cmpq $64, %rdx
    ja 1f
    movups %xmm0, (%rdi)
    movups %xmm0, -16(%rdi,%rdx)
    cmpq $32, %rdx
    jbe 2f
    movups %xmm0, 16(%rdi)
    movups %xmm0, -32(%rdi,%rdx)
2:  ret
1:  leaq -64(%rdi,%rdx), %r8
    .p2align 4
6:  movups %xmm0, (%rdi)
    movups %xmm0, 16(%rdi)
    movups %xmm0, 32(%rdi)
    movups %xmm0, 48(%rdi)
    addq $64, %rdi
    cmpq %r8, %rdi
    jb 6b
    movups %xmm0, (%r8)
    movups %xmm0, 16(%r8)
    movups %xmm0, 32(%r8)
    movups %xmm0, 48(%r8)
    ret
3:  cmpq $8, %rdx
    jb 4f
    movq %rcx, (%rdi)
    movq %rcx, -8(%rdi,%rdx)
    ret
4:  cmpq $4, %rdx
    jb 5f
    movl %ecx, (%rdi)
    movl %ecx, -4(%rdi,%rdx)
    ret
5:  testq %rdx, %rdx
    je 7f
    movb %cl, (%rdi)
    movb %cl, -1(%rdi,%rdx)
    cmpq $3, %rdx
    jne 7f
    movb %cl, 1(%rdi)
7:  ret
    .size memset, . - memset

    .globl memcmp
    .globl bcmp
    .p2align 5
    .type memcmp, @function
    .type bcmp, @function
memcmp:
bcmp:
    cmpq $16, %rdx
    jb 3f
    xorl %ecx, %ecx
    leaq -16(%rdx), %r8
    .p2align 4
1:  movups (%rdi,%rcx), %xmm0
    movups (%rsi,%rcx), %xmm1
    pcmpeqb %xmm1, %xmm0
    pmovmskb %xmm0, %eax
    xorl $0xffff, %eax
    jne 2f
    cmpq %r8, %rcx
    jae 4f
    addq $16, %rcx
    cmpq %r8, %rcx
    jbe 1b
    movq %r8, %rcx             # the last 16 bytes, overlapping what is known to be equal
    jmp 1b
4:  xorl %eax, %eax
    ret
2:  bsfl %eax, %eax
    addq %rax, %rcx
    movzbl (%rdi,%rcx), %eax
    movzbl (%rsi,%rcx), %edx
    subl %edx, %eax
    ret
3:  cmpq $8, %rdx
    jb 5f
    movq (%rdi), %rax
    movq (%rsi), %rcx
    cmpq %rcx, %rax
    jne 6f
    movq -8(%rdi,%rdx), %rax
    movq -8(%rsi,%rdx), %rcx
    cmpq %rcx, %rax
    je 4b
6:  bswapq %rax
    bswapq %rcx
    cmpq %rcx, %rax
    sbbl %eax, %eax
    orl $1, %eax
    ret
5:  xorl %ecx, %ecx
7:  cmpq %rdx, %rcx
    je 4b
    movzbl (%rdi,%rcx), %eax
    movzbl (%rsi,%rcx), %r8d
    incq %rcx
    subl %r8d, %eax
    je 7b
    ret
    .size memcmp, . - memcmp
    .size bcmp, . - bcmp

    .globl strlen
    .p2align 4
    .type strlen, @function
strlen:
    xorl %eax, %eax
1:  cmpb $0, (%rdi,%rax)
    je 2f
    incq %rax
    jmp 1b
2:  ret
    .size strlen, . - strlen
