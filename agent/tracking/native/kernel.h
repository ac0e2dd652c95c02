/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAUSEWAY_KERNEL_H
#define CAUSEWAY_KERNEL_H

#include "pins.h"

/* Loads the programs, attaches them, and pins everything in a folder that is locked. Fails if the running
 * kernel refuses any of it: whether a kernel can track is found out by trying. */
void load_programs(struct pins *pins, const struct settings *requested);

#endif
