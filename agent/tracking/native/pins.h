/* SPDX-License-Identifier: Apache-2.0
 * The tracker's state in the BPF file system. It outlives every process, and ends with a reboot. */
#ifndef CAUSEWAY_PINS_H
#define CAUSEWAY_PINS_H

#include <stdbool.h>
#include "shared.h"

#define DEFAULT_PINS "/sys/fs/bpf/causeway/tracker"
/* Raised when what the helper keeps there comes to mean something else. */
#define LAYOUT "1"
/* The last pin that is made: with it the state is whole. It names the compiled programs, too (PROGRAMS is their
 * hash, by build.sh): what a new version corrects in them must not stay as it was. The state of other programs is
 * replaced, and its disks are scanned. */
#define RECORDS_PREFIX "records_"
#define RECORDS_PIN RECORDS_PREFIX LAYOUT "_" PROGRAMS

enum event { ISSUE, COMPLETE, QUEUE, END, EVENTS };
extern const char *const event_names[EVENTS];

struct pins {
	const char *folder;
	int lock;
	int current, disks, heads, counts, records, inflight;
};

/* Path of a pin; overwritten by the next call. */
const char *pin_path(const struct pins *pins, const char *name);
const char *bitmap_pin_path(const struct pins *pins, __u32 slot, int which);

/* Locks the folder against other helpers. False if no whole state is there. */
bool pins_open(struct pins *pins, const char *folder);
/* Makes the folder, mounting the BPF file system if need be, and locks it. */
void pins_create(struct pins *pins, const char *folder);
/* Opens the maps of a folder that is locked; false if the state is not whole, or of other programs. */
bool pins_open_maps(struct pins *pins);
/* Ends all tracking. */
void pins_remove(struct pins *pins);

/* How often the kernel skipped this program because it was already active on that CPU. */
__u64 skipped_runs(const struct pins *pins, enum event event);

/* A disk's slot, events and size in granules; false if it is not tracked. */
bool find_tracked(const struct pins *pins, __u32 device, struct tracked_disk *disk);

#endif
