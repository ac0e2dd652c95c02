/* SPDX-License-Identifier: Apache-2.0
 * File systems that are frozen for a bounded time, and thawed whatever process dies. */
#ifndef CAUSEWAY_FREEZE_H
#define CAUSEWAY_FREEZE_H

#include <stdbool.h>
#include <linux/types.h>

enum freeze_state { NOT_TRIED, FREEZING, FROZEN, BUSY, UNSUPPORTED, FAILED, AT_WORK };
extern const char *const freeze_state_names[];

struct mount {
	const char *path;
	int fd; /* opened before anything is frozen */
	enum freeze_state state;
	int error;      /* of the freeze */
	bool was_thawed; /* by someone else, while we counted on the freeze */
};

struct freeze {
	struct mount *mounts;
	unsigned count;
	__u64 deadline; /* CLOCK_MONOTONIC, nanoseconds; all is thawed then */
	int watchdog;   /* write end of the pipe; -1 if the watchdog is gone */
	int watchdog_process;
};

__u64 nanoseconds(void);

/* Opens the mounts, makes the note of the tracker with these pins, starts the watchdog, and locks this process's
 * memory: what it has and what it reserves. */
void prepare_freeze(struct freeze *freeze, const char *pins_folder, struct mount *mounts, unsigned count);
/* Writes out what waits in memory for the mounts. A freeze does that too, but only after it has stopped all
 * writers, and nothing can interrupt it then: so this must leave little of it. */
void write_out(const struct freeze *freeze);
/* Notes the mounts that must not be frozen now: a freeze would wait for hours, and stop all writers for as long.
 * And those whose freeze would say nothing, since the kernel has stopped them. */
void find_unfit(struct freeze *freeze);
/* Freezes in the given order until the deadline. From here to `thaw` nothing may allocate, print or fault. */
void freeze_all(struct freeze *freeze, __u64 limit_ms);
/* Whether the time is up, or the watchdog is gone. */
bool must_thaw(const struct freeze *freeze);
/* Thaws in reverse order, and ends the watchdog. */
void thaw_all(struct freeze *freeze);

#endif
