/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAUSEWAY_FREEZE_READ_H
#define CAUSEWAY_FREEZE_READ_H

#include "options.h"

/* Freezes the mounts, reads what changed into memory until a swap of every disk's bitmaps finds no mark,
 * thaws, and then writes to standard output what happened and what was read. */
void freeze_read(const struct options *options);

#endif
