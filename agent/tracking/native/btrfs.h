/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAUSEWAY_BTRFS_H
#define CAUSEWAY_BTRFS_H

#include <stdbool.h>

/* Whether this is a folder of a btrfs that is scrubbed, balanced or the like. The kernel counts that as one
 * write, which can take hours: a freeze waits for its end, nothing can interrupt it, and meanwhile it keeps all
 * other writers out. */
bool btrfs_is_at_work(int fd);
/* Whether this is a folder of a btrfs that the kernel has stopped because of an error: it is read-only, and lacks
 * what programs wrote last. A freeze of it succeeds, and writes nothing. */
bool btrfs_is_stopped(int fd);

#endif
