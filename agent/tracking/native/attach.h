/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAUSEWAY_ATTACH_H
#define CAUSEWAY_ATTACH_H

#include "pins.h"

struct attachment {
	const char *path;
	const char *events; /* `request`, `bio`, or `nvme-paths`: requests of the hidden paths */
	const char *identity;
};

/* Tracks a disk from now on. A disk that is tracked already, as this very disk with this size, stays so. */
void attach_disk(const struct pins *pins, const struct attachment *attachment);
/* Frees the slots of disks that were removed: of those that are plugged in again and again, each is another one. */
void detach_gone_disks(const struct pins *pins);
void detach_disk(const struct pins *pins, __u32 device, const struct tracked_disk *disk);

#endif
