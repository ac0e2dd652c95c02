// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include "disk.h"
#include "output.h"
#include "status.h"

#define RUNS_IN_A_LINE 512

void read_record(const struct pins *pins, __u32 slot, struct record *record)
{
	if (bpf_map_lookup_elem(pins->records, &slot, record))
		fail("damaged", "the record of slot %u cannot be read: %s", slot, strerror(errno));
}

void write_record(const struct pins *pins, __u32 slot, const struct record *record)
{
	if (bpf_map_update_elem(pins->records, &slot, record, 0))
		fail("damaged", "the record of slot %u cannot be written: %s", slot, strerror(errno));
}

static void print_record(const struct record *record)
{
	printf(",\"bootId\":");
	print_string(record->boot_id);
	printf(",\"identity\":");
	print_string(record->identity);
	printf(",\"generation\":\"");
	for (unsigned i = 0; i < sizeof record->generation; i++)
		printf("%02x", record->generation[i]);
	printf("\",\"sequence\":%llu,\"attachedBytes\":%llu,\"attachedDiskSequence\":%llu", record->sequence,
	       record->bytes, record->disk_sequence);
}

static void print_skipped(const struct pins *pins)
{
	printf(",\"skipped\":{");
	for (int event = 0; event < EVENTS; event++)
		printf("%s\"%s\":%llu", event ? "," : "", event_names[event], skipped_runs(pins, event));
	printf("}");
}

/* Writes that the kernel counted and the programs did not see, neither at issue nor at completion. */
static __u64 unseen_bytes(const struct record *record, __u64 written, const struct counters *counters)
{
	__u64 since = written > record->written_bytes ? written - record->written_bytes : 0;
	return since > counters->seen_bytes ? since - counters->seen_bytes : 0;
}

void print_status(const struct pins *pins, __u32 device, const struct tracked_disk *disk)
{
	struct counters counters = {};
	struct bitmaps bitmaps;
	struct record record;
	int marked;

	/* Before the counters: the programs have seen every write that the kernel has counted by now. */
	__u64 written = disk_written_bytes(device);
	if (bpf_map_lookup_elem(pins->counts, &disk->slot, &counters))
		fail("damaged", "the counters of %s cannot be read: %s", device_text(device), strerror(errno));
	read_record(pins, disk->slot, &record);
	bitmaps_open(&bitmaps, pins, disk);
	marked = marked_bitmap(&bitmaps);
	if (marked < 0)
		fail("damaged", "the programs mark a bitmap of %s that is not pinned", device_text(device));
	printf("{\"type\":\"disk\",\"device\":\"%s\",\"events\":\"%s\"", device_text(device),
	       disk->events == EVENTS_BIO ? "bio" : "request");
	print_record(&record);
	printf(",\"bytes\":%llu,\"diskSequence\":%llu", disk_bytes(device), disk_sequence(device));
	printf(",\"granuleBytes\":%d,\"granules\":%llu", 1 << GRANULE_SHIFT, disk->granules);
	printf(",\"dirtyGranules\":%llu,\"passGranules\":%llu,\"unsavedGranules\":%llu", count_bits(&bitmaps, marked),
	       count_bits(&bitmaps, !marked), count_bits(&bitmaps, UNSAVED));
	printf(",\"marked\":%llu,\"completed\":%llu,\"lost\":%llu,\"passthrough\":%llu,\"beyond\":%llu",
	       counters.marked, counters.completed, counters.lost, counters.passthrough, counters.beyond);
	printf(",\"seenBytes\":%llu,\"unseenBytes\":%llu", counters.seen_bytes, unseen_bytes(&record, written, &counters));
	print_skipped(pins);
	puts("}");
	bitmaps_close(&bitmaps);
}

void print_runs(const struct bitmaps *bitmaps, int which, int and_which)
{
	struct run run = {};
	__u64 granules = 0;
	unsigned in_line = 0;

	while (next_run(bitmaps, which, and_which, &run)) {
		printf("%s[%llu,%llu]", in_line ? "," : "{\"type\":\"runs\",\"runs\":[", run.first, run.count);
		granules += run.count;
		if (++in_line == RUNS_IN_A_LINE) {
			puts("]}");
			in_line = 0;
		}
	}
	if (in_line)
		puts("]}");
	print_end(granules);
}

void print_end(__u64 granules)
{
	printf("{\"type\":\"end\",\"granules\":%llu}\n", granules);
}
