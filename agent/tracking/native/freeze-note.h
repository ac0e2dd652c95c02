/* SPDX-License-Identifier: Apache-2.0
 * A note in memory (/run) of what is frozen. If the process that freezes is killed together with its watchdog, only
 * the note says what the agent's next start must thaw. */
#ifndef CAUSEWAY_FREEZE_NOTE_H
#define CAUSEWAY_FREEZE_NOTE_H

#include <stdbool.h>
#include "freeze.h"

/* Makes the note of the tracker with these pins. Without it nothing else changes: where /run is not in memory there
 * is none, since a change of it could wait for what is frozen. */
void note_begin(const char *pins_folder, const struct mount *mounts, unsigned count);
/* Notes whether a mount is ours to thaw. Only writes to memory that is locked. */
void note_frozen(unsigned mount, bool is_ours);
void note_end(void);

/* Thaws what the note has, and removes it. Prints a line for each mount. No process of this tracker may be at work. */
void thaw_noted(const char *pins_folder);

#endif
