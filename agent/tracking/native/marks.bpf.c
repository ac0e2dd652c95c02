// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Marks the granules of whole disks that are written, discarded or zeroed: once when the block layer issues
 * the write, and once when it completes. agent/tracking/README.md says why both.
 * Only the members that are used are declared; CO-RE finds them in the running kernel. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "commands.h"
#include "shared.h"

#define CORE __attribute__((preserve_access_index))

struct gendisk { int major; int first_minor; char disk_name[32]; } CORE;
struct request_queue { struct gendisk *disk; } CORE; /* disk: since 5.15 */
struct block_device { struct gendisk *bd_disk; } CORE;
struct bvec_iter { __u64 bi_sector; unsigned int bi_size; } CORE;
struct bio {
	struct bio *bi_next;
	struct block_device *bi_bdev; /* since 5.12 */
	unsigned int bi_opf;
	struct bvec_iter bi_iter;
} CORE;
struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned int __data_len;
	__u64 __sector;
	struct bio *bio;
} CORE;
struct request___old { struct gendisk *rq_disk; } CORE; /* up to 5.16 */
struct bio___old { struct gendisk *bi_disk; } CORE;     /* 4.14 to 5.11 */
/* What the drivers of SCSI and NVMe have behind each request. */
struct scsi_cmnd { unsigned char cmnd[32]; } CORE;       /* since 5.18 */
struct scsi_cmnd___old { unsigned char *cmnd; } CORE;
struct nvme_request { void *cmd; } CORE;

/* include/linux/blk_types.h. Odd operations write, in every kernel since 4.8. */
enum { OP_MASK = 0xff, OP_WRITES = 1, OP_DISCARD = 3, OP_SECURE_ERASE = 5, OP_FIRST_PASSTHROUGH = 32 };
/* More than any driver puts into one discard (NVMe: 256). */
#define MAX_RANGES 256

const volatile struct settings settings;
#ifdef TEST_BUILD
#define OMITS(what) (settings.omit & (what))
#else
#define OMITS(what) 0
#endif

struct granule_bits {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	__type(key, __u32);
	__type(value, __u64);
};
/* By slot: the bitmap that the programs mark now. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_DISKS);
	__type(key, __u32);
	__array(values, struct granule_bits);
} current SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_DISKS);
	__type(key, __u32);
	__type(value, struct tracked_disk);
} disks SEC(".maps");
/* NVMe multipath: subsystem << 32 | namespace, to the number of the disk in use. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_DISKS);
	__type(key, __u64);
	__type(value, __u32);
} heads SEC(".maps");
/* By slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_DISKS);
	__type(key, __u32);
	__type(value, struct counters);
} counts SEC(".maps");
/* By slot. The helper's alone; here so that it is made and pinned with the others. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_DISKS);
	__type(key, __u32);
	__type(value, struct record);
} records SEC(".maps");
/* What was issued and has not completed, by the address of the request or bio. An entry that is still there
 * when its address is used again had a completion that never came here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_INFLIGHT);
	__type(key, __u64);
	__type(value, struct issued);
} inflight SEC(".maps");

#define ADD(slot, member, number) do { \
	struct counters *to = bpf_map_lookup_elem(&counts, &(slot)); \
	if (to) __sync_fetch_and_add(&to->member, number); \
} while (0)

static __always_inline void set_bits(void *bitmap, __u32 word, __u64 bits)
{
	__u64 *at = bpf_map_lookup_elem(bitmap, &word);
	if (at && (*at & bits) != bits)
		__sync_fetch_and_or(at, bits);
}

/* A length has 32 bits: a range is at most 4 GiB = 65537 granules = 1026 words.
 * Not static: the verifier checks a global function once, not at each call. Few branches in the loop: the
 * verifier keeps at most 8192 pending jumps. */
__noinline int mark(__u32 device, __u64 sector, __u32 bytes)
{
	struct tracked_disk *disk = bpf_map_lookup_elem(&disks, &device);
	struct counters *count;
	void *bitmap;
	__u64 first, last, from_first, to_last;

	if (!disk || !bytes)
		return 0;
	bitmap = bpf_map_lookup_elem(&current, &disk->slot);
	count = bpf_map_lookup_elem(&counts, &disk->slot);
	if (!bitmap || !count)
		return 0;
	first = sector >> (GRANULE_SHIFT - 9);
	last = (sector + (((__u64)bytes + 511) >> 9) - 1) >> (GRANULE_SHIFT - 9);
	if (OMITS(OMIT_REGION) && first >= settings.omit_first && last < settings.omit_first + settings.omit_count)
		return 0;
	__sync_fetch_and_add(&count->marked, 1);
	if (last >= disk->granules)
		__sync_fetch_and_add(&count->beyond, 1);
	from_first = ~0ULL << (first & 63);
	to_last = ~0ULL >> (63 - (last & 63));
	if (first >> 6 == last >> 6) {
		set_bits(bitmap, first >> 6, from_first & to_last);
		return 0;
	}
	set_bits(bitmap, first >> 6, from_first);
	for (__u32 i = 1; i < 1027; i++) {
		__u32 word = (first >> 6) + i;
		__u64 *at;
		if (word >= last >> 6)
			break;
		at = bpf_map_lookup_elem(bitmap, &word);
		if (!at)
			break;
		*at = ~0ULL; /* a whole word: no other bit can be lost */
	}
	set_bits(bitmap, last >> 6, to_last);
	return 0;
}

static __always_inline __u32 device_of(struct gendisk *disk)
{
	return disk ? disk->major << 20 | disk->first_minor : 0;
}

static __always_inline struct gendisk *disk_of_request(struct request *request)
{
	struct request___old *old = (void *)request;
	if (bpf_core_field_exists(old->rq_disk))
		return old->rq_disk;
	return request->q ? request->q->disk : 0;
}

static __always_inline __u32 device_of_bio(struct bio *bio)
{
	struct bio___old *old = (void *)bio;
	if (bpf_core_field_exists(old->bi_disk))
		return device_of(old->bi_disk);
	return bio->bi_bdev ? device_of(bio->bi_bdev->bd_disk) : 0;
}

/* A path of an NVMe multipath disk is a hidden disk nvme<S>c<C>n<N>; the disk in use is nvme<S>n<N>. */
static __always_inline __u32 device_of_head(struct gendisk *path)
{
	__u32 subsystem = 0, namespace = 0, in_controller = 0, in_namespace = 0, *device;
	__u64 key;

	if (path->disk_name[0] != 'n' || path->disk_name[1] != 'v' || path->disk_name[2] != 'm' ||
	    path->disk_name[3] != 'e')
		return 0;
#pragma unroll
	for (int i = 4; i < 20; i++) {
		char c = path->disk_name[i];
		if (c == 'c') in_controller = 1;
		else if (c == 'n') in_namespace = 1;
		else if (c < '0' || c > '9') break;
		else if (in_namespace) namespace = namespace * 10 + c - '0';
		else if (!in_controller) subsystem = subsystem * 10 + c - '0';
	}
	if (!in_controller || !in_namespace)
		return 0;
	key = (__u64)subsystem << 32 | namespace;
	device = bpf_map_lookup_elem(&heads, &key);
	return device ? *device : 0;
}

/* A discard may carry many separate ranges, one in each bio; the request's own sector means nothing then. */
static __always_inline void mark_ranges(__u32 device, __u32 slot, struct bio *bio)
{
	for (int i = 0; i < MAX_RANGES; i++) {
		if (!bio || (OMITS(OMIT_FURTHER_RANGES) && i))
			return;
		mark(device, bio->bi_iter.bi_sector, bio->bi_iter.bi_size);
		bio = bio->bi_next;
	}
	if (bio)
		ADD(slot, lost, 1);
}

/* Remembers what is in flight. An entry of something else at this address had a completion that did not come
 * here: its range is marked now, which is after it landed. */
static __always_inline void remember(__u64 key, struct issued *issued, __u32 slot)
{
	struct issued *before = bpf_map_lookup_elem(&inflight, &key);

	if (before && before->device == issued->device && before->sector == issued->sector &&
	    before->bytes == issued->bytes)
		return; /* issued again, after a requeue */
	if (before) {
		if (before->has_ranges)
			ADD(slot, lost, 1);
		else
			mark(before->device, before->sector, before->bytes);
	}
	if (bpf_map_update_elem(&inflight, &key, issued, BPF_ANY))
		ADD(slot, lost, 1);
	ADD(slot, seen_bytes, issued->bytes);
}

static __always_inline int on_issue(struct request *request, struct tracked_disk *disk, __u32 device, __u32 op)
{
	struct issued issued = { .device = device, .bytes = request->__data_len, .sector = request->__sector,
				 .has_ranges = op == OP_DISCARD || op == OP_SECURE_ERASE };

	if (OMITS(OMIT_ISSUE) || !issued.bytes)
		return 0;
	if (issued.has_ranges)
		mark_ranges(device, disk->slot, request->bio);
	else
		mark(device, issued.sector, issued.bytes);
	/* One range, as almost always: then it is known. */
	if (issued.has_ranges && request->bio && !request->bio->bi_next)
		issued.has_ranges = 0;
	remember((__u64)request, &issued, disk->slot);
	return 0;
}

static __always_inline int on_completion(struct request *request, struct tracked_disk *disk, __u32 device, __u32 op,
					 __u32 bytes)
{
	__u64 key = (__u64)request;

	if (!bytes || OMITS(MISS_COMPLETION))
		return 0;
	if (!OMITS(OMIT_COMPLETION)) {
		if (op == OP_DISCARD || op == OP_SECURE_ERASE)
			mark_ranges(device, disk->slot, request->bio);
		else
			mark(device, request->__sector, bytes);
	}
	ADD(disk->slot, completed, 1);
	if (!bpf_map_lookup_elem(&inflight, &key))
		ADD(disk->slot, seen_bytes, bytes); /* its issue did not come here */
	else if (request->__data_len <= bytes)
		bpf_map_delete_elem(&inflight, &key);
	return 0;
}

/* Reads the start of a command that a program sent itself; 0 if that is not possible. */
static __always_inline int read_command(struct request *request, int is_nvme, __u8 *command)
{
	void *behind = (void *)request + bpf_core_type_size(struct request), *at = 0;
	struct scsi_cmnd___old *old = behind;
	struct nvme_request *nvme = behind;
	struct scsi_cmnd *scsi = behind;

	if (is_nvme) {
		if (!bpf_core_field_exists(nvme->cmd) || bpf_core_read(&at, sizeof at, &nvme->cmd) || !at)
			return 0;
		return !bpf_probe_read_kernel(command, 1, at);
	}
	if (bpf_core_field_exists(scsi->cmnd))
		return !bpf_core_read(command, COMMAND_BYTES, &scsi->cmnd);
	if (!bpf_core_field_exists(old->cmnd) || bpf_core_read(&at, sizeof at, &old->cmnd) || !at)
		return 0;
	return !bpf_probe_read_kernel(command, COMMAND_BYTES, at);
}

/* Whether a command without data leaves the disk as it is. Which command it is, only its driver's part of the request
 * says; where the kernel does not let programs read that, none does. */
static __always_inline int only_asks(struct request *request, struct gendisk *of)
{
	__u8 command[COMMAND_BYTES] = {};
	int is_nvme = of->disk_name[0] == 'n' && of->disk_name[1] == 'v';
	int is_scsi = of->disk_name[0] == 's' && of->disk_name[1] == 'd';

	if (!settings.reads_commands || (!is_nvme && !is_scsi) || !read_command(request, is_nvme, command))
		return 0;
	return is_nvme ? nvme_only_asks(command[0]) : scsi_only_asks(command);
}

static __always_inline int on_request(struct request *request, int has_completed, __u32 bytes)
{
	__u32 op = request->cmd_flags & OP_MASK, device;
	/* Whether it has data to write or none at all is all that the block layer knows of a program's own command. */
	int has_no_data = op >= OP_FIRST_PASSTHROUGH && !request->__data_len;
	struct tracked_disk *disk;
	struct gendisk *of;

	if (!(op & OP_WRITES) && !has_no_data)
		return 0;
	of = disk_of_request(request);
	if (!of)
		return 0;
	device = device_of(of);
	disk = bpf_map_lookup_elem(&disks, &device);
	if (!disk) {
		device = device_of_head(of);
		disk = device ? bpf_map_lookup_elem(&disks, &device) : 0;
	}
	if (!disk)
		return 0;
	if (op >= OP_FIRST_PASSTHROUGH) {
		if (!has_no_data || !only_asks(request, of))
			ADD(disk->slot, passthrough, 1);
		return 0;
	}
	return has_completed ? on_completion(request, disk, device, op, bytes) : on_issue(request, disk, device, op);
}

static __always_inline int on_bio_queued(struct bio *bio)
{
	struct issued issued = {};
	struct tracked_disk *disk;

	if (!(bio->bi_opf & OP_WRITES))
		return 0;
	issued.device = device_of_bio(bio);
	disk = bpf_map_lookup_elem(&disks, &issued.device);
	/* The events of requests mark other disks, and no completion of their bios would empty the table. */
	if (!disk || disk->events != EVENTS_BIO)
		return 0;
	issued.sector = bio->bi_iter.bi_sector;
	issued.bytes = bio->bi_iter.bi_size;
	if (!issued.bytes)
		return 0;
	if (!OMITS(OMIT_ISSUE))
		mark(issued.device, issued.sector, issued.bytes);
	remember((__u64)bio, &issued, disk->slot);
	return 0;
}

/* At completion a bio's iterator is used up, and it may belong to another disk: only the table knows it. */
static __always_inline int on_bio_completed(__u64 key)
{
	struct issued *issued = bpf_map_lookup_elem(&inflight, &key);
	struct tracked_disk *disk;

	if (!issued)
		return 0;
	if (!OMITS(OMIT_COMPLETION))
		mark(issued->device, issued->sector, issued->bytes);
	disk = bpf_map_lookup_elem(&disks, &issued->device);
	if (disk)
		ADD(disk->slot, completed, 1);
	bpf_map_delete_elem(&inflight, &key);
	return 0;
}

#define ARGUMENT(n) ((void *)ctx[n])

SEC("tp_btf/block_rq_issue")
int issue(__u64 *ctx)
{
	return settings.request_argument ? on_request(ARGUMENT(1), 0, 0) : on_request(ARGUMENT(0), 0, 0);
}

SEC("tp_btf/block_rq_complete")
int complete(__u64 *ctx)
{
	return on_request(ARGUMENT(0), 1, ctx[2]);
}

SEC("tp_btf/block_bio_queue")
int queue(__u64 *ctx)
{
	return settings.bio_argument ? on_bio_queued(ARGUMENT(1)) : on_bio_queued(ARGUMENT(0));
}

SEC("tp_btf/block_bio_complete")
int end(__u64 *ctx)
{
	return on_bio_completed(ctx[1]);
}

/* The verifier gives typed kernel pointers only to programs that say so; docs/decisions has our licence. */
char LICENSE[] SEC("license") = "GPL";
