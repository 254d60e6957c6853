# The probe guest: a boot sector that proves that the processor executes guests, and not only their first instructions.
# What it goes through is what every operating system's start goes through, and what half-working virtualisation has
# been seen to fail at: protected mode with iret, paging and long mode, an exception, a timer interrupt that wakes the
# halted processor, and loops long enough that an interpreter in the kernel cannot finish them in time.
# It ends by writing VALUE to QEMU's exit device; a guest that goes wrong never comes that far.
#
#	as --32 -o probe.o probe.S && ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o probe.bin probe.o

	.set VALUE, 0x29		# QEMU exits with 2 * VALUE + 1
	.set LOOPS, 30000000
	.set PML4, 0x1000
	.set PDPT, 0x2000
	.set PD, 0x3000
	.set IDT, 0x4000
	.set CODE32, 0x08		# selectors
	.set DATA, 0x10
	.set CODE64, 0x18

	.globl _start
	.code16
_start:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	cld
	movl $PML4, %edi		# clear the tables
	movl $0x1000, %ecx
	xorl %eax, %eax
	rep stosl %eax, %es:(%edi)
	movl $(PDPT + 3), PML4		# the first 2 MiB, mapped to themselves
	movl $(PD + 3), PDPT
	movl $0x83, PD
	movl $(CODE64 << 16) + undefined, IDT + 6 * 16
	movl $0x8e00, IDT + 6 * 16 + 4
	movl $(CODE64 << 16) + timer, IDT + 8 * 16	# where the BIOS left IRQ 0
	movl $0x8e00, IDT + 8 * 16 + 4
	lgdt gdt_pointer
	lidt idt_pointer
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmp $CODE32, $protected

	.code32
protected:
	movw $DATA, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	pushfl
	pushl $CODE32
	pushl $returned
	iret
returned:
	movl $LOOPS, %ecx
1:	decl %ecx
	jnz 1b
	movl %cr4, %eax
	orb $0x20, %al			# PAE
	movl %eax, %cr4
	movl $PML4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		# EFER
	rdmsr
	orb $1, %ah			# LME
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax		# PG
	movl %eax, %cr0
	ljmp $CODE64, $long

	.code64
long:
	xorl %ebx, %ebx
	ud2				# the handler steps over it and counts
	movl $LOOPS, %ecx
1:	decl %ecx
	jnz 1b
	movb $0xfe, %al			# IRQ 0 only
	outb %al, $0x21
	movb $0xff, %al
	outb %al, $0xa1
	sti
	hlt
	cli
	cmpl $0x101, %ebx		# one exception, one interrupt
	jne stuck
	movb $VALUE, %al
	movw $0xf4, %dx
	outb %al, %dx
stuck:	hlt
	jmp stuck

undefined:
	incl %ebx
	addq $2, (%rsp)
	iretq
timer:
	addl $0x100, %ebx
	movb $0x20, %al
	outb %al, $0x20
	iretq

	.balign 8
gdt:	.quad 0
	.quad 0x00cf9a000000ffff
	.quad 0x00cf92000000ffff
	.quad 0x00af9a000000ffff
gdt_pointer:
	.word . - gdt - 1
	.long gdt
idt_pointer:
	.word 9 * 16 - 1
	.long IDT

	.org 510
	.word 0xaa55
