/* SPDX-License-Identifier: Apache-2.0
 * A helper does not outlive the agent that it works for. */
#ifndef CAUSEWAY_PARENT_H
#define CAUSEWAY_PARENT_H

/* Kills this process when the agent ends whose pid is in the environment variable CAUSEWAY_TRACKER_PARENT.
 * Fails with code `orphan` if it has ended already. Without the variable nothing happens. */
void end_with_parent(void);

#endif
