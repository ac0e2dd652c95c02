// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "kernel.h"
#include "output.h"

/* The compiled programs, put in by marks.S. */
extern const char marks_start[], marks_end[];

/* What libbpf last said, for an error message: the verifier's last words. */
static char last_words[400];

static int remember(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[4096];
	size_t length;

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof line, format, arguments);
	length = strlen(line);
	strcpy(last_words, length < sizeof last_words ? line : line + length - sizeof last_words + 1);
	return 0;
}

/* Position of the argument of a tracepoint that points to this struct. Distributions carry changes back, so a
 * version number does not say it; the kernel's own type information does. */
static int argument_position(const struct btf *types, const char *tracepoint, const char *structure)
{
	const struct btf_type *prototype;
	char name[64];
	int id;

	snprintf(name, sizeof name, "btf_trace_%s", tracepoint);
	id = btf__find_by_name_kind(types, name, BTF_KIND_TYPEDEF);
	if (id < 0)
		fail("not-supported", "this kernel has no event %s", tracepoint);
	prototype = btf__type_by_id(types, btf__type_by_id(types, id)->type); /* typedef, pointer */
	prototype = btf__type_by_id(types, prototype->type);
	for (int i = 1; i < btf_vlen(prototype); i++) {
		const struct btf_type *type = btf__type_by_id(types, btf_params(prototype)[i].type);
		if (!btf_is_ptr(type))
			continue;
		type = btf__type_by_id(types, type->type);
		if (btf_is_struct(type) && !strcmp(btf__name_by_offset(types, type->name_off), structure))
			return i - 1;
	}
	fail("not-supported", "the event %s of this kernel has no %s", tracepoint, structure);
}

static void pin_map(struct bpf_object *object, const struct pins *pins, const char *map, const char *pin)
{
	if (bpf_obj_pin(bpf_object__find_map_fd_by_name(object, map), pin_path(pins, pin)))
		fail("no-bpf", "%s cannot be pinned: %s", pin_path(pins, pin), strerror(errno));
}

static void attach_program(struct bpf_object *object, const struct pins *pins, enum event event)
{
	const char *name = event_names[event];
	char pin[48];
	struct bpf_program *program;
	struct bpf_link *link;

	program = bpf_object__find_program_by_name(object, name);
	link = bpf_program__attach(program);
	if (!link)
		fail("not-supported", "the kernel does not attach %s: %s %s", name, strerror(errno), last_words);
	snprintf(pin, sizeof pin, "program_%s", name);
	if (bpf_program__pin(program, pin_path(pins, pin)))
		fail("no-bpf", "%s cannot be pinned: %s", pin, strerror(errno));
	snprintf(pin, sizeof pin, "link_%s", name);
	if (bpf_link__pin(link, pin_path(pins, pin)))
		fail("not-supported", "%s cannot be pinned: %s", pin, strerror(errno));
}

/* Returns 0 if the kernel refuses the programs with these settings; errno says why. */
static struct bpf_object *load_with(const struct settings *settings)
{
	struct bpf_object *object = bpf_object__open_mem(marks_start, marks_end - marks_start, 0);
	struct bpf_map *constants;
	int error;

	if (!object)
		fail("not-supported", "the programs cannot be opened: %s %s", strerror(errno), last_words);
	constants = bpf_object__find_map_by_name(object, ".rodata");
	if (!constants || bpf_map__set_initial_value(constants, settings, sizeof *settings))
		fail("not-supported", "the programs' constants cannot be set");
	if (!bpf_object__load(object))
		return object;
	error = errno;
	bpf_object__close(object);
	errno = error;
	return 0;
}

void load_programs(struct pins *pins, const struct settings *requested)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct settings settings = *requested;
	struct bpf_object *object;
	struct btf *types;

	libbpf_set_print(remember);
	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* kernels before 5.11 count maps here */
	types = btf__load_vmlinux_btf();
	if (!types)
		fail("not-supported", "this kernel has no type information (/sys/kernel/btf/vmlinux)");
	settings.request_argument = argument_position(types, "block_rq_issue", "request");
	settings.bio_argument = argument_position(types, "block_bio_queue", "bio");
	btf__free(types);

	settings.reads_commands = 1;
	object = load_with(&settings);
	if (!object) {
		/* A kernel in the lockdown mode `confidentiality` lets no program read memory that has no type. */
		settings.reads_commands = 0;
		object = load_with(&settings);
	}
	if (!object)
		fail(errno == EPERM ? "permission" : "not-supported", "the kernel does not load the programs: %s %s",
		     strerror(errno), last_words);
	for (int event = 0; event < EVENTS; event++)
		attach_program(object, pins, event);
	pin_map(object, pins, "current", "current");
	pin_map(object, pins, "disks", "disks");
	pin_map(object, pins, "heads", "heads");
	pin_map(object, pins, "counts", "counts");
	pin_map(object, pins, "inflight", "inflight");
	pin_map(object, pins, "records", RECORDS_PIN); /* the last: now the state is whole */
	bpf_object__close(object);
	if (!pins_open_maps(pins))
		fail("no-bpf", "the state in %s is not there after it was made", pins->folder);
}
