// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "options.h"
#include "output.h"

#define DEFAULT_LIMIT_MS 2000
#define DEFAULT_LIMIT_BYTES (64 << 20)

static __u64 parse_number(const char *name, const char *text)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		fail("usage", "%s: %s is not a number", name, text);
	return number;
}

static void parse_ignored(const char *text, struct options *options)
{
	struct ignored *ignored = &options->ignored[options->ignored_count];
	unsigned long long offset, length;
	int end = 0;

	if (options->ignored_count == MAX_IGNORED)
		fail("usage", "more than %d parts to ignore", MAX_IGNORED);
	if (sscanf(text, "%u:%llu:%llu%n", &ignored->disk, &offset, &length, &end) != 3 || text[end] || !length ||
	    offset + length < offset)
		fail("usage", "--ignore: %s is not DISK:OFFSET:LENGTH", text);
	ignored->offset = offset;
	ignored->length = length;
	options->ignored_count++;
}

static struct attachment *last_disk(struct options *options, const char *name)
{
	if (!options->disk_count)
		fail("usage", "%s comes after its --disk", name);
	return &options->disks[options->disk_count - 1];
}

#ifdef TEST_BUILD
static bool parse_fault(const char *text, struct options *options)
{
	struct settings *settings = &options->settings;

	if (!strcmp(text, "completion")) settings->omit |= OMIT_COMPLETION;
	else if (!strcmp(text, "completion-event")) settings->omit |= MISS_COMPLETION;
	else if (!strcmp(text, "issue")) settings->omit |= OMIT_ISSUE;
	else if (!strcmp(text, "further-ranges")) settings->omit |= OMIT_FURTHER_RANGES;
	else if (!strcmp(text, "further-reads")) options->reads_once = true;
	else if (sscanf(text, "region:%u:%u", &settings->omit_first, &settings->omit_count) == 2)
		settings->omit |= OMIT_REGION;
	else return false;
	return true;
}
#endif

static void parse_option(const char *name, const char *value, struct options *options)
{
	if (!strcmp(name, "--pins")) {
		if (*value != '/' || strlen(value) > 200)
			fail("usage", "--pins: %s is not an absolute path of at most 200 bytes", value);
		options->pins = value;
	} else if (!strcmp(name, "--disk")) {
		if (options->disk_count == MAX_DISKS)
			fail("too-many", "more than %d disks", MAX_DISKS);
		options->disks[options->disk_count++] = (struct attachment){ value, "request", "" };
	} else if (!strcmp(name, "--events")) {
		if (strcmp(value, "request") && strcmp(value, "bio") && strcmp(value, "nvme-paths"))
			fail("usage", "--events: %s", value);
		last_disk(options, name)->events = value;
	} else if (!strcmp(name, "--identity")) {
		last_disk(options, name)->identity = value;
	} else if (!strcmp(name, "--mount")) {
		if (options->mount_count == MAX_MOUNTS)
			fail("usage", "more than %d mounts", MAX_MOUNTS);
		options->mounts[options->mount_count++] = value;
	} else if (!strcmp(name, "--ignore")) {
		parse_ignored(value, options);
	} else if (!strcmp(name, "--limit-ms")) {
		options->limit_ms = parse_number(name, value);
	} else if (!strcmp(name, "--limit-bytes")) {
		options->limit_bytes = parse_number(name, value);
	} else if (!strcmp(name, "--sequence")) {
		options->sequence = parse_number(name, value);
		options->has_sequence = true;
#ifdef TEST_BUILD
	} else if (!strcmp(name, "--omit") && parse_fault(value, options)) {
	} else if (!strcmp(name, "--during")) {
		options->during = value;
	} else if (!strcmp(name, "--witness")) {
		options->witness = value;
#endif
	} else {
		fail("usage", "unknown option %s", name);
	}
}

void parse_options(int count, char **arguments, struct options *options)
{
	*options = (struct options){ .pins = DEFAULT_PINS, .limit_ms = DEFAULT_LIMIT_MS,
				     .limit_bytes = DEFAULT_LIMIT_BYTES };
	for (int i = 0; i < count; i += 2) {
		if (i + 1 == count)
			fail("usage", "%s needs a value", arguments[i]);
		parse_option(arguments[i], arguments[i + 1], options);
	}
}
