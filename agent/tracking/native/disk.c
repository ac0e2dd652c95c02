// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "disk.h"
#include "output.h"

static FILE *open_attribute(__u32 device, const char *name)
{
	char path[96];
	snprintf(path, sizeof path, "/sys/dev/block/%s/%s", device_text(device), name);
	return fopen(path, "re");
}

static __u64 number_attribute(__u32 device, const char *name)
{
	unsigned long long number = 0;
	FILE *file = open_attribute(device, name);
	if (!file)
		return 0;
	if (fscanf(file, "%llu", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

__u32 device_number(const char *path)
{
	struct stat stats;
	if (stat(path, &stats))
		fail("no-disk", "%s: %s", path, strerror(errno));
	if (!S_ISBLK(stats.st_mode))
		fail("no-disk", "%s is not a block device", path);
	return major(stats.st_rdev) << 20 | minor(stats.st_rdev);
}

const char *device_text(__u32 device)
{
	static char text[24];
	snprintf(text, sizeof text, "%u:%u", device >> 20, device & 0xfffff);
	return text;
}

bool is_whole_disk(__u32 device)
{
	FILE *file = open_attribute(device, "partition");
	if (file)
		fclose(file);
	return !file;
}

__u64 disk_bytes(__u32 device)
{
	return number_attribute(device, "size") * 512; /* in this unit for any sector size */
}

__u64 disk_sequence(__u32 device)
{
	return number_attribute(device, "diskseq");
}

__u64 disk_written_bytes(__u32 device)
{
	/* https://docs.kernel.org/block/stat.html: the seventh number is sectors written, the fourteenth sectors
	 * discarded (since 4.19). */
	unsigned long long value, sectors = 0;
	FILE *file = open_attribute(device, "stat");
	if (!file)
		return 0;
	for (int i = 1; i <= 14 && fscanf(file, "%llu", &value) == 1; i++)
		if (i == 7 || i == 14)
			sectors += value;
	fclose(file);
	return sectors * 512;
}

bool nvme_head_key(__u32 device, __u64 *key)
{
	char path[96], target[512], *name;
	unsigned subsystem, namespace;
	int end = 0;
	ssize_t length;

	snprintf(path, sizeof path, "/sys/dev/block/%s", device_text(device));
	length = readlink(path, target, sizeof target - 1);
	if (length < 0)
		return false;
	target[length] = 0;
	name = strrchr(target, '/');
	if (!name || sscanf(name, "/nvme%un%u%n", &subsystem, &namespace, &end) != 2 || name[end])
		return false;
	*key = (__u64)subsystem << 32 | namespace;
	return true;
}
