// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include "btrfs.h"

static bool starts_with(const char *text, const char *word)
{
	return !strncmp(text, word, strlen(word));
}

/* A balance, a resize, a disk that is added, removed or replaced. */
static bool has_exclusive_work(const __u8 *id)
{
	char path[96], text[32] = "";
	int end = snprintf(path, sizeof path, "/sys/fs/btrfs/"), fd;

	for (int i = 0; i < BTRFS_FSID_SIZE; i++) {
		bool has_dash = i == 4 || i == 6 || i == 8 || i == 10;
		end += snprintf(path + end, sizeof path - end, "%s%02x", has_dash ? "-" : "", id[i]);
	}
	snprintf(path + end, sizeof path - end, "/exclusive_operation");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false; /* before Linux 5.10 */
	if (read(fd, text, sizeof text - 1) < 0)
		*text = 0;
	close(fd);
	return *text && !starts_with(text, "none") && !starts_with(text, "balance paused");
}

static bool is_btrfs(int fd)
{
	struct statfs stats;
	return !fstatfs(fd, &stats) && stats.f_type == BTRFS_SUPER_MAGIC;
}

bool btrfs_is_stopped(int fd)
{
	__u64 transaction;
	/* One that was mounted read-only has nothing to sync, and says 0. */
	return is_btrfs(fd) && ioctl(fd, BTRFS_IOC_START_SYNC, &transaction) && errno == EROFS;
}

bool btrfs_is_at_work(int fd)
{
	struct btrfs_ioctl_fs_info_args about = {};

	if (!is_btrfs(fd) || ioctl(fd, BTRFS_IOC_FS_INFO, &about))
		return false;
	if (has_exclusive_work(about.fsid))
		return true;
	for (__u64 id = 1; id <= about.max_id; id++) {
		struct btrfs_ioctl_scrub_args scrub = { .devid = id };
		/* ENOTCONN: none; ENODEV: the disk was removed. */
		if (!ioctl(fd, BTRFS_IOC_SCRUB_PROGRESS, &scrub))
			return true;
	}
	return false;
}
