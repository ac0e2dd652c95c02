/* SPDX-License-Identifier: Apache-2.0
 * The compiled eBPF programs as data; MARKS names their file. */
	.section .rodata
	.balign 8
	.global marks_start, marks_end
marks_start:
	.incbin MARKS
marks_end:
	.section .note.GNU-stack, "", @progbits
