/* SPDX-License-Identifier: Apache-2.0
 * The command line. */
#ifndef CAUSEWAY_OPTIONS_H
#define CAUSEWAY_OPTIONS_H

#include "attach.h"

#define MAX_MOUNTS 1024 /* what the watchdog learns of them fits into its pipe */
#define MAX_IGNORED 1024

/* A part of a disk whose marks do not keep a frozen read from ending: a volume that is not frozen. */
struct ignored {
	unsigned disk; /* index among the --disk options */
	__u64 offset, length;
};

struct options {
	const char *pins;
	struct attachment disks[MAX_DISKS];
	unsigned disk_count;
	const char *mounts[MAX_MOUNTS];
	unsigned mount_count;
	struct ignored ignored[MAX_IGNORED];
	unsigned ignored_count;
	__u64 limit_ms, limit_bytes;
	__u64 sequence;
	bool has_sequence;
	struct settings settings; /* faults, in a test build */
	bool reads_once;          /* a fault of the frozen read, in a test build */
	const char *during;       /* a command that a test build runs after the first round, if that found marks */
	const char *witness;      /* a command that a test build runs before the thaw */
};

/* Fails with code `usage` if the arguments make no sense. */
void parse_options(int count, char **arguments, struct options *options);

#endif
