/* SPDX-License-Identifier: Apache-2.0
 * The three bitmaps of a disk. Programs mark one of the pair; a swap makes them mark the other. What a pass
 * has read moves to `unsaved`, and stays there until a recovery point is committed: no mark is lost if a
 * process dies. */
#ifndef CAUSEWAY_BITMAPS_H
#define CAUSEWAY_BITMAPS_H

#include "pins.h"

enum { PAIR = 2, UNSAVED = 2, BITMAPS = 3 };

struct bitmaps {
	const struct pins *pins;
	__u32 slot;
	__u64 granules;
	__u64 words;
	int fds[BITMAPS];
	__u32 ids[PAIR];
	__u64 *bits[BITMAPS];
};

/* A run of granules. */
struct run {
	__u64 first, count;
};

/* Makes and pins the bitmaps of a slot, all empty. What was pinned there before is replaced. */
void bitmaps_create(const struct pins *pins, __u32 slot, __u64 granules);
void bitmaps_open(struct bitmaps *bitmaps, const struct pins *pins, const struct tracked_disk *disk);
void bitmaps_close(struct bitmaps *bitmaps);

/* Which of the pair the programs mark now; -1 if the kernel does not say. */
int marked_bitmap(const struct bitmaps *bitmaps);
__u64 count_bits(const struct bitmaps *bitmaps, int which);

/* Makes the programs mark the other of the pair, which must be empty. Returns the one to read, which nothing
 * marks any more; -1 if the kernel refuses. */
int swap_bitmaps(struct bitmaps *bitmaps);
/* Adds the ranges of writes that were issued and not seen to complete. Most are in flight, and their completion
 * marks them once more; the completion of the others was missed, and this is their only sign. False if the
 * kernel does not list them. */
bool add_inflight(struct bitmaps *bitmaps, __u32 device, int which);
/* Adds the bits of one bitmap to another, then empties the first. */
void move_bits(struct bitmaps *bitmaps, int from, int to);
void empty_bitmap(struct bitmaps *bitmaps, int which);

/* The next run at or after `run->first + run->count` in the union of two bitmaps; false at the end. */
bool next_run(const struct bitmaps *bitmaps, int which, int and_which, struct run *run);

#endif
