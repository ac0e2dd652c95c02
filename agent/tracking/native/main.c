// SPDX-License-Identifier: Apache-2.0
/* causeway-tracker: agent/tracking/README.md describes its subcommands and their output. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bitmaps.h"
#include "disk.h"
#include "freeze-note.h"
#include "freeze-read.h"
#include "kernel.h"
#include "options.h"
#include "output.h"
#include "parent.h"
#include "status.h"

static void open_state(struct pins *pins, const struct options *options)
{
	if (!pins_open(pins, options->pins))
		fail("not-attached", "no disk is tracked in %s", options->pins);
}

/* The one disk that a command is about. */
static __u32 open_disk(struct pins *pins, const struct options *options, struct tracked_disk *disk)
{
	__u32 device;

	if (options->disk_count != 1)
		fail("usage", "this command needs exactly one --disk");
	open_state(pins, options);
	device = device_number(options->disks[0].path);
	if (!find_tracked(pins, device, disk))
		fail("not-attached", "%s is not tracked", options->disks[0].path);
	return device;
}

static void attach(const struct options *options)
{
	struct pins pins;
	struct tracked_disk disk;

	if (!options->disk_count)
		fail("usage", "attach needs at least one --disk");
	pins_create(&pins, options->pins);
	if (!pins_open_maps(&pins)) {
		pins_remove(&pins);
		load_programs(&pins, &options->settings);
	}
	detach_gone_disks(&pins);
	for (unsigned i = 0; i < options->disk_count; i++)
		attach_disk(&pins, &options->disks[i]);
	for (unsigned i = 0; i < options->disk_count; i++) {
		__u32 device = device_number(options->disks[i].path);
		if (!find_tracked(&pins, device, &disk))
			fail("damaged", "%s is not tracked after it was attached", options->disks[i].path);
		print_status(&pins, device, &disk);
	}
	print_end(0);
}

static void status(const struct options *options)
{
	struct pins pins;
	struct tracked_disk disk;
	__u32 device, *previous = 0;

	if (pins_open(&pins, options->pins))
		while (!bpf_map_get_next_key(pins.disks, previous, &device)) {
			if (find_tracked(&pins, device, &disk))
				print_status(&pins, device, &disk);
			previous = &device;
		}
	print_end(0);
}

/* One disk with its bitmaps, and which of them the programs mark. */
struct pass {
	struct pins pins;
	struct tracked_disk disk;
	struct bitmaps bitmaps;
	__u32 device;
	int marked;
};

static void open_pass(struct pass *pass, const struct options *options)
{
	pass->device = open_disk(&pass->pins, options, &pass->disk);
	bitmaps_open(&pass->bitmaps, &pass->pins, &pass->disk);
	pass->marked = marked_bitmap(&pass->bitmaps);
	if (pass->marked < 0)
		fail("damaged", "the programs mark a bitmap that is not pinned");
}

/* Has the programs mark the other bitmap. Returns the one that is complete now. */
static int swap_pass(struct pass *pass)
{
	int old = swap_bitmaps(&pass->bitmaps);

	if (old < 0 || !add_inflight(&pass->bitmaps, pass->device, old))
		fail("io", "the kernel refuses to swap the bitmaps");
	print_status(&pass->pins, pass->device, &pass->disk);
	return old;
}

/* The first pass of a recovery point: everything since the last one that was committed. */
static void begin(const struct options *options)
{
	struct pass pass;

	open_pass(&pass, options);
	/* Left over from a reader that died. */
	move_bits(&pass.bitmaps, !pass.marked, UNSAVED);
	print_runs(&pass.bitmaps, swap_pass(&pass), UNSAVED);
}

/* A further pass: what changed since the pass before. */
static void swap(const struct options *options)
{
	struct pass pass;
	int old;

	open_pass(&pass, options);
	if (count_bits(&pass.bitmaps, !pass.marked))
		fail("unfinished", "the pass before was not cleared");
	old = swap_pass(&pass);
	print_runs(&pass.bitmaps, old, old);
}

/* The reader has the granules of its pass. They stay unsaved until a recovery point has them. */
static void clear(const struct options *options)
{
	struct pass pass;

	open_pass(&pass, options);
	move_bits(&pass.bitmaps, !pass.marked, UNSAVED);
	print_status(&pass.pins, pass.device, &pass.disk);
	print_end(0);
}

/* A recovery point has all granules of the passes that were cleared. */
static void commit(const struct options *options)
{
	struct pins pins;
	struct tracked_disk disk;
	struct bitmaps bitmaps;
	struct record record;
	__u32 device = open_disk(&pins, options, &disk);

	if (!options->has_sequence)
		fail("usage", "commit needs --sequence");
	read_record(&pins, disk.slot, &record);
	if (record.sequence != options->sequence && record.sequence != options->sequence + 1)
		fail("sequence", "the tracker is at %llu, not at %llu", record.sequence, options->sequence);
	if (record.sequence == options->sequence) {
		/* First: what was not emptied yet belongs to the next delta, and does no harm there. */
		record.sequence++;
		write_record(&pins, disk.slot, &record);
		bitmaps_open(&bitmaps, &pins, &disk);
		empty_bitmap(&bitmaps, UNSAVED);
		bitmaps_close(&bitmaps);
	}
	print_status(&pins, device, &disk);
	print_end(0);
}

/* Writes out what waits in memory: a freeze writes it too, but then every program waits for that. */
static void sync_mounts(const struct options *options)
{
	for (unsigned i = 0; i < options->mount_count; i++) {
		int fd = open(options->mounts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		/* Unmounted just now: that wrote everything. */
		if (fd < 0)
			continue;
		/* One that fails for good, such as that of a disk which was pulled out, keeps no other from being
		 * copied: its freeze fails, too, and that is reported. */
		syncfs(fd);
		close(fd);
	}
	print_end(0);
}

/* What a frozen read left that was killed together with its watchdog. */
static void thaw(const struct options *options)
{
	struct pins pins;

	pins_open(&pins, options->pins); /* for its lock: one that is at work thaws by itself */
	thaw_noted(options->pins);
	print_end(0);
}

/* Without --disk: everything. */
static void detach(const struct options *options)
{
	struct pins pins;
	struct tracked_disk disk;
	bool is_whole = pins_open(&pins, options->pins);

	if (is_whole)
		for (unsigned i = 0; i < options->disk_count; i++) {
			__u32 device = device_number(options->disks[i].path);
			if (find_tracked(&pins, device, &disk))
				detach_disk(&pins, device, &disk);
		}
	if (!options->disk_count && pins.lock >= 0)
		pins_remove(&pins);
	print_end(0);
}

static const struct command {
	const char *name;
	void (*run)(const struct options *options);
} commands[] = {
	{ "attach", attach }, { "status", status }, { "begin", begin }, { "swap", swap }, { "clear", clear },
	{ "commit", commit }, { "sync", sync_mounts },
	{ "freeze-read", freeze_read }, { "thaw", thaw }, { "detach", detach },
};

int main(int count, char **arguments)
{
	static struct options options;

	if (count < 2)
		fail("usage", "causeway-tracker COMMAND [--OPTION VALUE]…");
	end_with_parent();
	parse_options(count - 2, arguments + 2, &options);
	for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(arguments[1], commands[i].name)) {
			commands[i].run(&options);
			/* A reader that does not get everything sees it by the missing end. */
			return fflush(stdout) ? 1 : 0;
		}
	fail("usage", "unknown command %s", arguments[1]);
}
