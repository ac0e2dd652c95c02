// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include "freeze-note.h"
#include "options.h"
#include "output.h"

#define FOLDER "/run/causeway"
/* Of each mount: `+` if it is ours to thaw, the number of its file system, its path, and a zero byte. */
#define OURS '+'
#define NOT_OURS '-'
#define ENTRY "%c%016llx%s"
#define PATH_OFFSET 17

static char *entries[MAX_MOUNTS];
static unsigned entry_count;
static char note_path[300];

static void set_note_path(const char *pins_folder)
{
	const char *name = strrchr(pins_folder, '/') + 1;
	snprintf(note_path, sizeof note_path, FOLDER "/frozen_%s", name);
}

static bool is_in_memory(const char *folder)
{
	struct statfs stats;
	return !statfs(folder, &stats) && (stats.f_type == TMPFS_MAGIC || stats.f_type == RAMFS_MAGIC);
}

static unsigned long long number_of(int fd)
{
	struct stat stats;
	return fstat(fd, &stats) ? 0 : stats.st_dev;
}

void note_begin(const char *pins_folder, const struct mount *mounts, unsigned count)
{
	size_t size = 0;
	char *memory;
	int file;

	if ((mkdir(FOLDER, 0700) && errno != EEXIST) || !is_in_memory(FOLDER))
		return;
	set_note_path(pins_folder);
	for (unsigned i = 0; i < count; i++)
		size += PATH_OFFSET + strlen(mounts[i].path) + 1;
	file = open(note_path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return;
	memory = size && !ftruncate(file, size) ? mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
	close(file);
	if (memory == MAP_FAILED) {
		unlink(note_path);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		entries[i] = memory;
		memory += sprintf(memory, ENTRY, NOT_OURS, number_of(mounts[i].fd), mounts[i].path) + 1;
	}
	entry_count = count;
}

void note_frozen(unsigned mount, bool is_ours)
{
	if (mount < entry_count)
		*entries[mount] = is_ours ? OURS : NOT_OURS;
}

void note_end(void)
{
	if (entry_count)
		unlink(note_path);
}

static void print_thawed(const char *path, const char *error)
{
	printf("{\"type\":\"thawed\",\"path\":");
	print_string(path);
	printf(",\"error\":");
	print_string(error);
	puts("}");
}

static void thaw_entry(const char *entry)
{
	const char *path = entry + PATH_OFFSET;
	unsigned long long number = 0;
	int fd;

	if (*entry != OURS || sscanf(entry + 1, "%16llx", &number) != 1)
		return;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		print_thawed(path, strerror(errno));
	else if (number_of(fd) != number)
		print_thawed(path, "another file system is mounted there");
	else if (!ioctl(fd, FITHAW, 0))
		print_thawed(path, "");
	else if (errno != EINVAL) /* that is: it is not frozen */
		print_thawed(path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

void thaw_noted(const char *pins_folder)
{
	struct stat stats;
	char *note;
	int file;

	set_note_path(pins_folder);
	file = open(note_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0 && errno == ENOENT)
		return;
	if (file < 0 || fstat(file, &stats))
		fail("io", "%s: %s", note_path, strerror(errno));
	note = calloc(1, stats.st_size + PATH_OFFSET + 1);
	if (!note || read(file, note, stats.st_size) != stats.st_size)
		fail("io", "%s cannot be read", note_path);
	close(file);
	for (char *entry = note; entry < note + stats.st_size; entry += PATH_OFFSET + strlen(entry + PATH_OFFSET) + 1)
		thaw_entry(entry);
	free(note);
	unlink(note_path);
}
