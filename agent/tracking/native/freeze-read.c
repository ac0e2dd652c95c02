// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include "bitmaps.h"
#include "disk.h"
#include "freeze.h"
#include "freeze-read.h"
#include "output.h"
#include "status.h"

#define GRANULE_BYTES (1ULL << GRANULE_SHIFT)
#define MAX_READ_BYTES (1ULL << 20)
#define FRAMES_IN_A_LINE 512

enum outcome { CONVERGED, TIME_LIMIT, BYTE_LIMIT, READ_ERROR, SWAP_ERROR, THAWED };
static const char *const outcome_names[] = { "converged",  "time-limit", "byte-limit",
					     "read-error", "swap-error", "thawed" };

struct frozen_disk {
	__u32 device;
	struct tracked_disk tracked;
	struct bitmaps bitmaps;
	__u64 bytes;
	int fd;
};

/* What was read, in order: a later frame of the same bytes replaces an earlier one. */
struct frame {
	unsigned disk;
	__u64 offset, length;
};

static struct {
	struct pins pins;
	struct frozen_disk disks[MAX_DISKS];
	struct mount mounts[MAX_MOUNTS];
	struct freeze freeze;
	char *memory;
	__u64 used, capacity;
	struct frame *frames;
	__u64 frame_count, frame_capacity;
	unsigned rounds;
	int read_error;
} reading;

static void *reserve(__u64 bytes)
{
	void *memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		fail("no-memory", "%llu bytes: %s", bytes, strerror(errno));
	return memory;
}

static void open_frozen_disk(struct frozen_disk *disk, const char *path)
{
	disk->device = device_number(path);
	if (!find_tracked(&reading.pins, disk->device, &disk->tracked))
		fail("not-attached", "%s is not tracked", path);
	disk->bytes = disk_bytes(disk->device);
	disk->fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (disk->fd < 0)
		fail("no-disk", "%s: %s", path, strerror(errno));
	bitmaps_open(&disk->bitmaps, &reading.pins, &disk->tracked);
	if (marked_bitmap(&disk->bitmaps) < 0)
		fail("damaged", "the programs mark a bitmap of %s that is not pinned", path);
	if (count_bits(&disk->bitmaps, !marked_bitmap(&disk->bitmaps)))
		fail("unfinished", "the last pass of %s was not cleared", path);
}

static bool is_ignored(const struct options *options, unsigned disk, __u64 granule)
{
	for (unsigned i = 0; i < options->ignored_count; i++) {
		const struct ignored *part = &options->ignored[i];
		if (part->disk == disk && part->offset <= granule << GRANULE_SHIFT &&
		    part->offset + part->length >= (granule + 1) << GRANULE_SHIFT)
			return true;
	}
	return false;
}

/* Marks of volumes that are not frozen go back: they belong to the next pass. */
static void put_back_ignored(const struct options *options, unsigned index, int old)
{
	struct bitmaps *bitmaps = &reading.disks[index].bitmaps;
	struct run run = {};

	while (options->ignored_count && next_run(bitmaps, old, old, &run))
		for (__u64 granule = run.first; granule < run.first + run.count; granule++)
			if (is_ignored(options, index, granule)) {
				__u64 bit = 1ULL << (granule & 63);
				__atomic_fetch_or(&bitmaps->bits[!old][granule / 64], bit, __ATOMIC_SEQ_CST);
				bitmaps->bits[old][granule / 64] &= ~bit;
			}
}

/* Reads at most MAX_READ_BYTES into a new frame. */
static enum outcome read_part(unsigned index, __u64 offset, __u64 length)
{
	const struct frozen_disk *disk = &reading.disks[index];

	if (must_thaw(&reading.freeze))
		return TIME_LIMIT;
	if (reading.used + length > reading.capacity || reading.frame_count == reading.frame_capacity)
		return BYTE_LIMIT;
	for (__u64 done = 0; done < length;) {
		ssize_t count = pread(disk->fd, reading.memory + reading.used + done, length - done, offset + done);
		if (count <= 0) {
			reading.read_error = count < 0 ? errno : EIO;
			return READ_ERROR;
		}
		done += count;
	}
	reading.frames[reading.frame_count++] = (struct frame){ index, offset, length };
	reading.used += length;
	return CONVERGED;
}

static enum outcome read_run(unsigned index, const struct run *run)
{
	__u64 offset = run->first << GRANULE_SHIFT;
	__u64 end = (run->first + run->count) << GRANULE_SHIFT;

	if (end > reading.disks[index].bytes)
		end = reading.disks[index].bytes;
	while (offset < end) {
		__u64 length = end - offset < MAX_READ_BYTES ? end - offset : MAX_READ_BYTES;
		enum outcome outcome = read_part(index, offset, length);
		if (outcome != CONVERGED)
			return outcome;
		offset += length;
	}
	return CONVERGED;
}

/* Swaps, and reads everything that was marked. A pass that is cut short stays uncleared, for the next `begin`. */
static enum outcome read_marked(const struct options *options, unsigned index, __u64 *found)
{
	struct bitmaps *bitmaps = &reading.disks[index].bitmaps;
	int old = swap_bitmaps(bitmaps);
	struct run run = {};

	/* In the first round only: every write of a frozen file system has landed by then. */
	if (old < 0 || (reading.rounds == 1 && !add_inflight(bitmaps, reading.disks[index].device, old)))
		return SWAP_ERROR;
	put_back_ignored(options, index, old);
	while (next_run(bitmaps, old, old, &run)) {
		enum outcome outcome = read_run(index, &run);
		if (outcome != CONVERGED)
			return outcome;
		*found += run.count;
	}
	move_bits(bitmaps, old, UNSAVED);
	return CONVERGED;
}

/* Until a round finds no mark: file systems discard even while they are frozen (ext4's delayed discards,
 * fstrim), and those marks are the only sign of it. */
static enum outcome read_until_quiet(const struct options *options)
{
	for (;;) {
		__u64 found = 0;
		reading.rounds++;
		for (unsigned i = 0; i < options->disk_count; i++) {
			enum outcome outcome = read_marked(options, i, &found);
			if (outcome != CONVERGED)
				return outcome;
		}
#ifdef TEST_BUILD
		if (options->during && reading.rounds == 1 && found && system(options->during))
			return READ_ERROR;
#endif
		if (must_thaw(&reading.freeze))
			return TIME_LIMIT;
		if (!found || options->reads_once)
			return CONVERGED;
	}
}

/* How long everything was frozen, and the clock's time in milliseconds just before and just after. */
struct frozen_time {
	__u64 nanoseconds, started_ms, ended_ms;
};

static __u64 clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

static void print_result(const struct options *options, enum outcome outcome, const struct frozen_time *frozen)
{
	printf("{\"type\":\"freeze\",\"outcome\":\"%s\",\"error\":", outcome_names[outcome]);
	print_string(outcome == READ_ERROR ? strerror(reading.read_error) : "");
	printf(",\"rounds\":%u,\"freezeMilliseconds\":%.3f", reading.rounds, frozen->nanoseconds / 1e6);
	printf(",\"startedAtMs\":%llu,\"endedAtMs\":%llu,\"mounts\":[", frozen->started_ms, frozen->ended_ms);
	for (unsigned i = 0; i < options->mount_count; i++) {
		const struct mount *mount = &reading.mounts[i];
		printf("%s{\"path\":", i ? "," : "");
		print_string(mount->path);
		printf(",\"state\":\"%s\",\"error\":", freeze_state_names[mount->state]);
		print_string(mount->error ? strerror(mount->error) : "");
		printf(",\"wasThawed\":%s}", mount->was_thawed ? "true" : "false");
	}
	puts("]}");
	for (unsigned i = 0; i < options->disk_count; i++)
		print_status(&reading.pins, reading.disks[i].device, &reading.disks[i].tracked);
}

static void print_frames(void)
{
	for (__u64 i = 0; i < reading.frame_count; i++) {
		const struct frame *frame = &reading.frames[i];
		bool is_last = i + 1 == reading.frame_count || i % FRAMES_IN_A_LINE == FRAMES_IN_A_LINE - 1;
		printf("%s[%u,%llu,%llu]", i % FRAMES_IN_A_LINE ? "," : "{\"type\":\"frames\",\"frames\":[", frame->disk,
		       frame->offset, frame->length);
		if (is_last)
			puts("]}");
	}
	printf("{\"type\":\"data\",\"bytes\":%llu}\n", reading.used);
	fwrite(reading.memory, 1, reading.used, stdout);
}

static enum outcome freeze_and_read(const struct options *options, struct frozen_time *frozen)
{
	enum outcome outcome;
	__u64 start;

	write_out(&reading.freeze);
	find_unfit(&reading.freeze);
	frozen->started_ms = clock_ms();
	start = nanoseconds();
	freeze_all(&reading.freeze, options->limit_ms);
	outcome = must_thaw(&reading.freeze) ? TIME_LIMIT : read_until_quiet(options);
#ifdef TEST_BUILD
	if (options->witness && outcome == CONVERGED && system(options->witness))
		outcome = READ_ERROR;
#endif
	thaw_all(&reading.freeze);
	frozen->nanoseconds = nanoseconds() - start;
	frozen->ended_ms = clock_ms() + 1;
	for (unsigned i = 0; i < options->mount_count; i++)
		if (outcome == CONVERGED && reading.mounts[i].was_thawed)
			outcome = THAWED;
	return outcome;
}

void freeze_read(const struct options *options)
{
	enum outcome outcome;
	struct frozen_time frozen;

	if (!options->disk_count)
		fail("usage", "freeze-read needs at least one --disk");
	if (!pins_open(&reading.pins, options->pins))
		fail("not-attached", "no disk is tracked in %s", options->pins);
	for (unsigned i = 0; i < options->disk_count; i++)
		open_frozen_disk(&reading.disks[i], options->disks[i].path);
	for (unsigned i = 0; i < options->mount_count; i++)
		reading.mounts[i].path = options->mounts[i];
	/* Before the memory is reserved: the watchdog would lock a copy of it. */
	prepare_freeze(&reading.freeze, options->pins, reading.mounts, options->mount_count);
	reading.capacity = options->limit_bytes;
	reading.memory = reserve(reading.capacity + MAX_READ_BYTES);
	reading.frame_capacity = reading.capacity / GRANULE_BYTES + MAX_DISKS;
	reading.frames = reserve(reading.frame_capacity * sizeof(struct frame));
	outcome = freeze_and_read(options, &frozen);
	print_result(options, outcome, &frozen);
	print_frames();
}
