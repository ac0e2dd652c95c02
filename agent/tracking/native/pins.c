// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <bpf/bpf.h>
#include "output.h"
#include "pins.h"

#define BPF_FOLDER "/sys/fs/bpf"
#define LOCK_ATTEMPTS 1000 /* ten seconds */

const char *const event_names[EVENTS] = { "issue", "complete", "queue", "end" };

const char *pin_path(const struct pins *pins, const char *name)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s", pins->folder, name);
	return path;
}

const char *bitmap_pin_path(const struct pins *pins, __u32 slot, int which)
{
	char name[32];
	snprintf(name, sizeof name, "bitmap_%u_%d", slot, which);
	return pin_path(pins, name);
}

static void lock_folder(struct pins *pins)
{
	for (int attempt = 0; flock(pins->lock, LOCK_EX | LOCK_NB); attempt++) {
		if (errno != EWOULDBLOCK)
			fail("io", "%s cannot be locked: %s", pins->folder, strerror(errno));
		if (attempt == LOCK_ATTEMPTS)
			fail("busy", "another causeway-tracker is at work in %s", pins->folder);
		usleep(10000);
	}
}

static int open_pin(const struct pins *pins, const char *name)
{
	return bpf_obj_get(pin_path(pins, name));
}

bool pins_open_maps(struct pins *pins)
{
	pins->records = open_pin(pins, RECORDS_PIN);
	if (pins->records < 0) {
		if (errno == EPERM || errno == EACCES)
			fail("permission", "the kernel does not let this process use BPF: %s", strerror(errno));
		return false;
	}
	pins->current = open_pin(pins, "current");
	pins->disks = open_pin(pins, "disks");
	pins->heads = open_pin(pins, "heads");
	pins->counts = open_pin(pins, "counts");
	pins->inflight = open_pin(pins, "inflight");
	return pins->current >= 0 && pins->disks >= 0 && pins->heads >= 0 && pins->counts >= 0 && pins->inflight >= 0;
}

bool pins_open(struct pins *pins, const char *folder)
{
	*pins = (struct pins){ .folder = folder };
	pins->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pins->lock < 0) {
		if (errno == ENOENT)
			return false;
		fail(errno == EACCES ? "permission" : "io", "%s: %s", folder, strerror(errno));
	}
	lock_folder(pins);
	return pins_open_maps(pins);
}

static bool is_bpf_folder(const char *path)
{
	struct statfs stats;
	return !statfs(path, &stats) && stats.f_type == BPF_FS_MAGIC;
}

void pins_create(struct pins *pins, const char *folder)
{
	char part[512];

	*pins = (struct pins){ .folder = folder };
	if (!strncmp(folder, BPF_FOLDER "/", sizeof BPF_FOLDER) && !is_bpf_folder(BPF_FOLDER) &&
	    mount("bpf", BPF_FOLDER, "bpf", 0, "mode=0700"))
		fail("no-bpf", "the BPF file system cannot be mounted at " BPF_FOLDER ": %s", strerror(errno));
	for (const char *end = strchr(folder + 1, '/');; end = strchr(end + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", end ? (int)(end - folder) : (int)strlen(folder), folder);
		if (mkdir(part, 0700) && errno != EEXIST)
			fail("no-bpf", "%s cannot be made: %s", part, strerror(errno));
		if (!end)
			break;
	}
	if (!is_bpf_folder(folder))
		fail("no-bpf", "%s is not in a BPF file system", folder);
	pins->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pins->lock < 0)
		fail("io", "%s: %s", folder, strerror(errno));
	lock_folder(pins);
}

static void unlink_pins(const struct pins *pins, const char *prefix)
{
	struct dirent *entry;
	DIR *folder = opendir(pins->folder);

	if (!folder)
		fail("io", "%s: %s", pins->folder, strerror(errno));
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && !strncmp(entry->d_name, prefix, strlen(prefix)) &&
		    unlink(pin_path(pins, entry->d_name)) && errno != ENOENT)
			fail("io", "%s: %s", pin_path(pins, entry->d_name), strerror(errno));
	closedir(folder);
}

void pins_remove(struct pins *pins)
{
	/* Without it the state counts as incomplete, however far this gets. */
	unlink_pins(pins, RECORDS_PREFIX);
	unlink_pins(pins, "");
}

__u64 skipped_runs(const struct pins *pins, enum event event)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof info;
	char name[32];
	int program;

	snprintf(name, sizeof name, "program_%s", event_names[event]);
	program = open_pin(pins, name);
	if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &size))
		fail("damaged", "%s is gone: %s", pin_path(pins, name), strerror(errno));
	close(program);
	return info.recursion_misses;
}

bool find_tracked(const struct pins *pins, __u32 device, struct tracked_disk *disk)
{
	return !bpf_map_lookup_elem(pins->disks, &device, disk) && disk->slot < MAX_DISKS;
}
