// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <bpf/bpf.h>
#include "bitmaps.h"
#include "output.h"

static __u64 words_of(__u64 granules)
{
	return (granules + 63) / 64;
}

void bitmaps_create(const struct pins *pins, __u32 slot, __u64 granules)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);

	for (int which = 0; which < BITMAPS; which++) {
		const char *path = bitmap_pin_path(pins, slot, which);
		int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "granules", sizeof(__u32), sizeof(__u64),
					 words_of(granules), &options);
		if (map < 0)
			fail("no-bpf", "a bitmap of %llu granules cannot be made: %s", granules, strerror(errno));
		unlink(path);
		if (bpf_obj_pin(map, path))
			fail("no-bpf", "%s cannot be pinned: %s", path, strerror(errno));
		if (!which && bpf_map_update_elem(pins->current, &slot, &map, 0))
			fail("no-bpf", "the kernel refuses the bitmap of slot %u: %s", slot, strerror(errno));
		close(map);
	}
}

void bitmaps_open(struct bitmaps *bitmaps, const struct pins *pins, const struct tracked_disk *disk)
{
	*bitmaps = (struct bitmaps){ .pins = pins, .slot = disk->slot, .granules = disk->granules,
				     .words = words_of(disk->granules) };
	for (int which = 0; which < BITMAPS; which++) {
		const char *path = bitmap_pin_path(pins, disk->slot, which);
		struct bpf_map_info info = {};
		__u32 size = sizeof info;
		int map = bpf_obj_get(path);

		if (map < 0 || bpf_obj_get_info_by_fd(map, &info, &size) || info.max_entries != bitmaps->words)
			fail("damaged", "%s is gone, or has another size", path);
		bitmaps->fds[which] = map;
		if (which < PAIR)
			bitmaps->ids[which] = info.id;
		bitmaps->bits[which] = mmap(0, bitmaps->words * sizeof(__u64), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
		if (bitmaps->bits[which] == MAP_FAILED)
			fail("no-bpf", "%s cannot be mapped: %s", path, strerror(errno));
	}
}

void bitmaps_close(struct bitmaps *bitmaps)
{
	for (int which = 0; which < BITMAPS; which++) {
		munmap(bitmaps->bits[which], bitmaps->words * sizeof(__u64));
		close(bitmaps->fds[which]);
	}
}

int marked_bitmap(const struct bitmaps *bitmaps)
{
	__u32 id;
	if (bpf_map_lookup_elem(bitmaps->pins->current, &bitmaps->slot, &id))
		return -1;
	return id == bitmaps->ids[0] ? 0 : id == bitmaps->ids[1] ? 1 : -1;
}

__u64 count_bits(const struct bitmaps *bitmaps, int which)
{
	__u64 count = 0;
	for (__u64 word = 0; word < bitmaps->words; word++)
		count += __builtin_popcountll(bitmaps->bits[which][word]);
	return count;
}

int swap_bitmaps(struct bitmaps *bitmaps)
{
	int old = marked_bitmap(bitmaps);
	/* The kernel returns only when no program that could have looked up the old bitmap still runs
	 * (maybe_wait_bpf_programs in kernel/bpf/syscall.c). */
	if (old < 0 || bpf_map_update_elem(bitmaps->pins->current, &bitmaps->slot, &bitmaps->fds[!old], 0))
		return -1;
	return old;
}

bool add_inflight(struct bitmaps *bitmaps, __u32 device, int which)
{
	/* Static: this also runs while file systems are frozen. */
	static __u64 keys[MAX_INFLIGHT];
	static struct issued entries[MAX_INFLIGHT];
	__u32 count = MAX_INFLIGHT, bucket;

	/* By buckets: an entry that is there all the time is found, whatever comes and goes. */
	if (bpf_map_lookup_batch(bitmaps->pins->inflight, 0, &bucket, keys, entries, &count, 0) && errno != ENOENT)
		return false;
	for (__u32 i = 0; i < count; i++) {
		__u64 first = entries[i].sector >> (GRANULE_SHIFT - 9);
		__u64 last = (entries[i].sector + (entries[i].bytes - 1) / 512) >> (GRANULE_SHIFT - 9);
		if (entries[i].device != device || entries[i].has_ranges)
			continue;
		for (__u64 granule = first; granule <= last && granule < bitmaps->granules; granule++)
			__atomic_fetch_or(&bitmaps->bits[which][granule / 64], 1ULL << (granule & 63), __ATOMIC_SEQ_CST);
	}
	return true;
}

void move_bits(struct bitmaps *bitmaps, int from, int to)
{
	for (__u64 word = 0; word < bitmaps->words; word++)
		if (bitmaps->bits[from][word])
			__atomic_fetch_or(&bitmaps->bits[to][word], bitmaps->bits[from][word], __ATOMIC_SEQ_CST);
	empty_bitmap(bitmaps, from);
}

void empty_bitmap(struct bitmaps *bitmaps, int which)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	memset(bitmaps->bits[which], 0, bitmaps->words * sizeof(__u64));
}

static bool is_set(const struct bitmaps *bitmaps, int which, int and_which, __u64 granule)
{
	__u64 word = bitmaps->bits[which][granule / 64] | bitmaps->bits[and_which][granule / 64];
	return word >> (granule & 63) & 1;
}

bool next_run(const struct bitmaps *bitmaps, int which, int and_which, struct run *run)
{
	__u64 granule = run->first + run->count;

	while (granule < bitmaps->granules && !is_set(bitmaps, which, and_which, granule)) {
		bool is_word_empty = !bitmaps->bits[which][granule / 64] && !bitmaps->bits[and_which][granule / 64];
		granule = is_word_empty ? (granule / 64 + 1) * 64 : granule + 1;
	}
	run->first = granule;
	while (granule < bitmaps->granules && is_set(bitmaps, which, and_which, granule))
		granule++;
	run->count = granule < run->first ? 0 : granule - run->first;
	return run->count > 0;
}
