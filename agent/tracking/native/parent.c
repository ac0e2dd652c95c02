// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include "output.h"
#include "parent.h"

void end_with_parent(void)
{
	const char *parent = getenv("CAUSEWAY_TRACKER_PARENT");
	char *end;
	long pid;

	if (!parent)
		return;
	pid = strtol(parent, &end, 10);
	if (end == parent || *end)
		fail("usage", "CAUSEWAY_TRACKER_PARENT: %s is not a process", parent);
	/* The kernel waits for the end of the thread that started this: the agent's main one. The watchdog of a
	 * freeze does not inherit the request: it outlives this process, and thaws. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		fail("io", "the kernel does not promise to end this process: %s", strerror(errno));
	/* After that: one that has ended in between sends no signal. */
	if (getppid() != pid)
		fail("orphan", "process %ld, for which this command was, has ended", pid);
}
