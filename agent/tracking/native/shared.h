/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
 * What the eBPF programs and the helper have in common. */
#ifndef CAUSEWAY_SHARED_H
#define CAUSEWAY_SHARED_H

#include <linux/types.h>

#define MAX_DISKS 64
#define GRANULE_SHIFT 16 /* a granule has 64 KiB */
#define MAX_INFLIGHT 65536

/* Which events mark a disk. */
enum { EVENTS_REQUEST, EVENTS_BIO };

/* Value of the map `disks`, key: the kernel's device number (major << 20 | minor). */
struct tracked_disk {
	__u32 slot;
	__u32 events;
	__u64 granules;
};

/* What the programs count for each disk. The last three do not grow while a disk is trusted. */
struct counters {
	__u64 marked;      /* ranges marked, at issue or at completion */
	__u64 completed;   /* completions that came here */
	__u64 seen_bytes;  /* of writes and discards, each counted once, at issue or, if that was missed, at completion */
	__u64 lost;        /* events whose range is not known: too many ranges, a full table */
	__u64 passthrough; /* commands that programs sent themselves (SG_IO, NVMe passthrough), and that may write */
	__u64 beyond;      /* ranges beyond the size that the disk had when it was attached */
};

/* A write or discard in flight. */
struct issued {
	__u32 device;
	__u32 bytes;
	__u64 sector;
	__u64 has_ranges; /* a discard of several ranges, which are not kept */
};

/* What the helper knows of each disk. */
struct record {
	__u8 generation[16];    /* random, new at each attachment */
	__u64 sequence;         /* how many recovery points were committed */
	__u64 bytes;            /* size when it was attached */
	__u64 written_bytes;    /* what the kernel had counted as written and discarded when it was attached */
	__u64 disk_sequence;    /* the kernel's own number for this very disk; 0 if it has none */
	char boot_id[40];
	char identity[128];     /* what the caller knows the disk by */
};

/* Constants of the programs, written before they are loaded. */
struct settings {
	__u32 request_argument; /* position of the request in block_rq_issue */
	__u32 bio_argument;     /* position of the bio in block_bio_queue */
	__u32 omit;             /* OMIT_*; only a test build obeys it */
	__u32 omit_first;       /* OMIT_REGION: first granule, and how many */
	__u32 omit_count;
	__u32 reads_commands;   /* whether the kernel lets the programs read what drivers have behind a request */
};

/* Faults that a test build makes on request, to show that the tests notice them. */
enum {
	OMIT_COMPLETION = 1, /* only its mark */
	OMIT_ISSUE = 2,
	OMIT_FURTHER_RANGES = 4,
	OMIT_REGION = 8,
	MISS_COMPLETION = 16, /* as if the event had not come */
};

#endif
