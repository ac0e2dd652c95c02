/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAUSEWAY_OUTPUT_H
#define CAUSEWAY_OUTPUT_H

/* Writes a JSON string with its quotes. */
void print_string(const char *text);

/* Ends the program: one line `{"type":"error","code":…,"message":…}`, and status 1. `code` is for programs. */
void fail(const char *code, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

#endif
