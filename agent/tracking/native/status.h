/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAUSEWAY_STATUS_H
#define CAUSEWAY_STATUS_H

#include "bitmaps.h"

/* One line: everything by which a reader decides whether it can trust this disk's marks. */
void print_status(const struct pins *pins, __u32 device, const struct tracked_disk *disk);

/* Lines with the changed granules, `[first,count]` each, of the union of two bitmaps; then the last line. */
void print_runs(const struct bitmaps *bitmaps, int which, int and_which);

/* The last line of every command but freeze-read, by which the reader knows that nothing was cut off. */
void print_end(__u64 granules);

void read_record(const struct pins *pins, __u32 slot, struct record *record);
void write_record(const struct pins *pins, __u32 slot, const struct record *record);

#endif
