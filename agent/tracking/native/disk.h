/* SPDX-License-Identifier: Apache-2.0
 * A block device as /sys describes it. */
#ifndef CAUSEWAY_DISK_H
#define CAUSEWAY_DISK_H

#include <stdbool.h>
#include <linux/types.h>

/* The number that the kernel uses inside, and the eBPF programs see: major << 20 | minor. */
__u32 device_number(const char *path);
/* Its text for people, `8:0`; overwritten by the next call. */
const char *device_text(__u32 device);

bool is_whole_disk(__u32 device);
/* 0 if the disk is gone. */
__u64 disk_bytes(__u32 device);
/* The kernel's number for this very disk; another disk of the same name has another. 0 if it has none. */
__u64 disk_sequence(__u32 device);
/* How many bytes the kernel has counted as written and discarded. */
__u64 disk_written_bytes(__u32 device);
/* `nvme<subsystem>n<namespace>`: the key of the map `heads`; false for any other name. */
bool nvme_head_key(__u32 device, __u64 *key);

#endif
