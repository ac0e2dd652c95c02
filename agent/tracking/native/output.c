// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "output.h"

void print_string(const char *text)
{
	putchar('"');
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			printf("\\%c", *c);
		else if (*c < 0x20 || *c >= 0x7f) /* each byte as a character: valid JSON for any path */
			printf("\\u%04x", *c);
		else
			putchar(*c);
	}
	putchar('"');
}

void fail(const char *code, const char *format, ...)
{
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	printf("{\"type\":\"error\",\"code\":\"%s\",\"message\":", code);
	print_string(message);
	puts("}");
	fflush(stdout);
	exit(1);
}
