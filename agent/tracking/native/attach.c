// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>
#include <bpf/bpf.h>
#include "attach.h"
#include "bitmaps.h"
#include "disk.h"
#include "output.h"
#include "status.h"

#define NOT_COUNTING ~0ULL /* more than any disk has written: nothing counts as unseen */

static void read_boot_id(char *boot_id, size_t size)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!file || !fgets(boot_id, size, file))
		fail("io", "the boot id cannot be read: %s", strerror(errno));
	fclose(file);
	boot_id[strcspn(boot_id, "\n")] = 0;
}

static void fill_record(struct record *record, __u32 device, const char *identity)
{
	*record = (struct record){ .bytes = disk_bytes(device), .disk_sequence = disk_sequence(device) };
	if (strlen(identity) >= sizeof record->identity)
		fail("usage", "the identity has more than %zu bytes", sizeof record->identity - 1);
	strcpy(record->identity, identity);
	read_boot_id(record->boot_id, sizeof record->boot_id);
	if (getrandom(record->generation, sizeof record->generation, 0) != sizeof record->generation)
		fail("io", "no random bytes: %s", strerror(errno));
}

static bool is_same(const struct record *a, const struct record *b)
{
	return a->bytes == b->bytes && a->disk_sequence == b->disk_sequence && !strcmp(a->identity, b->identity) &&
	       !strcmp(a->boot_id, b->boot_id);
}

/* Whether what was attached here is not there any more, or another disk has its number. */
static bool is_gone(const struct pins *pins, __u32 device, const struct tracked_disk *disk)
{
	struct record record;

	read_record(pins, disk->slot, &record);
	return !disk_bytes(device) || disk_sequence(device) != record.disk_sequence;
}

void detach_gone_disks(const struct pins *pins)
{
	__u32 devices[MAX_DISKS], *previous = 0;
	struct tracked_disk disk;
	unsigned count = 0;

	/* All keys first: the next one after a key that was deleted is the first one. */
	while (count < MAX_DISKS && !bpf_map_get_next_key(pins->disks, previous, &devices[count]))
		previous = &devices[count++];
	for (unsigned i = 0; i < count; i++)
		if (find_tracked(pins, devices[i], &disk) && is_gone(pins, devices[i], &disk))
			detach_disk(pins, devices[i], &disk);
}

static __u32 free_slot(const struct pins *pins)
{
	bool taken[MAX_DISKS] = {};
	struct tracked_disk disk;
	__u32 device, *previous = 0;

	while (!bpf_map_get_next_key(pins->disks, previous, &device)) {
		if (find_tracked(pins, device, &disk))
			taken[disk.slot] = true;
		previous = &device;
	}
	for (__u32 slot = 0; slot < MAX_DISKS; slot++)
		if (!taken[slot])
			return slot;
	fail("too-many", "more than %d disks", MAX_DISKS);
}

static void add_head(const struct pins *pins, __u32 device)
{
	__u64 key;
	if (!nvme_head_key(device, &key))
		fail("usage", "%s is not an NVMe disk with paths", device_text(device));
	if (bpf_map_update_elem(pins->heads, &key, &device, 0))
		fail("no-bpf", "the paths of %s cannot be tracked: %s", device_text(device), strerror(errno));
}

/* Called once the programs see each write: what the kernel counts from now on, they have seen. */
static void start_counting(const struct pins *pins, __u32 device, __u32 slot, struct record *record)
{
	record->written_bytes = disk_written_bytes(device);
	write_record(pins, slot, record);
}

void attach_disk(const struct pins *pins, const struct attachment *attachment)
{
	__u32 device = device_number(attachment->path);
	bool has_paths = !strcmp(attachment->events, "nvme-paths");
	struct counters none = {};
	struct record record, old;
	struct tracked_disk disk;

	if (!is_whole_disk(device))
		fail("not-whole-disk", "%s is a partition; its disk is tracked as a whole", attachment->path);
	fill_record(&record, device, attachment->identity);
	if (!record.bytes)
		fail("no-disk", "%s has no bytes", attachment->path);
	if (find_tracked(pins, device, &disk)) {
		read_record(pins, disk.slot, &old);
		if (is_same(&record, &old)) {
			if (old.written_bytes == NOT_COUNTING)
				start_counting(pins, device, disk.slot, &old);
			return;
		}
		detach_disk(pins, device, &disk);
	}
	disk = (struct tracked_disk){ .slot = free_slot(pins),
				      .events = strcmp(attachment->events, "bio") ? EVENTS_REQUEST : EVENTS_BIO,
				      .granules = ((record.bytes - 1) >> GRANULE_SHIFT) + 1 };
	bitmaps_create(pins, disk.slot, disk.granules);
	record.written_bytes = NOT_COUNTING;
	write_record(pins, disk.slot, &record);
	if (bpf_map_update_elem(pins->counts, &disk.slot, &none, 0))
		fail("no-bpf", "the counters cannot be set: %s", strerror(errno));
	if (has_paths)
		add_head(pins, device);
	/* The last: from here on the programs mark it. */
	if (bpf_map_update_elem(pins->disks, &device, &disk, 0))
		fail("no-bpf", "%s cannot be tracked: %s", attachment->path, strerror(errno));
	start_counting(pins, device, disk.slot, &record);
}

void detach_disk(const struct pins *pins, __u32 device, const struct tracked_disk *disk)
{
	__u64 key;

	if (bpf_map_delete_elem(pins->disks, &device) && errno != ENOENT)
		fail("io", "%s cannot be detached: %s", device_text(device), strerror(errno));
	if (nvme_head_key(device, &key))
		bpf_map_delete_elem(pins->heads, &key);
	bpf_map_delete_elem(pins->current, &disk->slot);
	for (int which = 0; which < BITMAPS; which++)
		unlink(bitmap_pin_path(pins, disk->slot, which));
}
