// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include "btrfs.h"
#include "freeze.h"
#include "freeze-note.h"
#include "output.h"

#define RETRY_MS 20

const char *const freeze_state_names[] = { "not-tried", "freezing", "frozen", "busy", "unsupported", "failed",
					    "at-work" };

/* What the watchdog learns through its pipe, before and after each step. Written whole: it is shorter than
 * PIPE_BUF. */
struct message {
	enum { STARTS, BECAME, ENDS } kind;
	unsigned mount;
	enum freeze_state state;
	__u64 deadline;
};

__u64 nanoseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void thaw_what_is_ours(struct mount *mounts, unsigned count)
{
	for (unsigned i = count; i-- > 0;)
		if (mounts[i].state == FROZEN)
			ioctl(mounts[i].fd, FITHAW, 0);
	/* The last, since it may wait: a freeze that has not returned, or whose process died inside it. One that
	 * another process froze is BUSY, and never comes here. */
	for (unsigned i = count; i-- > 0;)
		if (mounts[i].state == FREEZING)
			ioctl(mounts[i].fd, FITHAW, 0);
}

/* Thaws when the other process is gone or the time is up. After that it thaws again and again until the other
 * process is gone or has thawed: a freeze that waits can still succeed, even in a killed process. */
static void watch(struct mount *mounts, unsigned count, int pipe)
{
	struct pollfd reader = { .fd = pipe, .events = POLLIN };
	__u64 deadline = ~0ULL;

	for (;;) {
		__u64 now = nanoseconds();
		bool is_late = now >= deadline;
		int wait_ms = deadline == ~0ULL ? -1 : is_late ? RETRY_MS : (int)((deadline - now) / 1000000 + 1);
		struct message message;
		ssize_t length;

		if (is_late)
			thaw_what_is_ours(mounts, count);
		if (poll(&reader, 1, wait_ms) <= 0)
			continue;
		length = read(pipe, &message, sizeof message);
		if (length < 0 && errno == EINTR)
			continue;
		if (length != sizeof message) { /* the other process is gone */
			thaw_what_is_ours(mounts, count);
			note_end();
			_exit(0);
		}
		if (message.kind == ENDS)
			_exit(0);
		if (message.kind == STARTS)
			deadline = message.deadline;
		else
			mounts[message.mount].state = message.state;
	}
}

static void tell_watchdog(const struct freeze *freeze, struct message message)
{
	if (freeze->watchdog >= 0 && write(freeze->watchdog, &message, sizeof message) < 0) {
		/* It is gone: must_thaw finds out. */
	}
}

static void set_state(struct freeze *freeze, unsigned mount, enum freeze_state state)
{
	freeze->mounts[mount].state = state;
	note_frozen(mount, state == FREEZING || state == FROZEN);
	tell_watchdog(freeze, (struct message){ .kind = BECAME, .mount = mount, .state = state });
}

static void block_signals(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, 0);
}

static void start_watchdog(struct freeze *freeze)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		fail("io", "no pipe: %s", strerror(errno));
	freeze->watchdog_process = fork();
	if (freeze->watchdog_process < 0)
		fail("io", "the watchdog does not start: %s", strerror(errno));
	if (!freeze->watchdog_process) {
		setsid();
		close(ends[1]);
		if (mlockall(MCL_CURRENT | MCL_FUTURE))
			_exit(1);
		/* The caller waits for the end of the output, not for this process. */
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		watch(freeze->mounts, freeze->count, ends[0]);
	}
	close(ends[0]);
	freeze->watchdog = ends[1];
}

void prepare_freeze(struct freeze *freeze, const char *pins_folder, struct mount *mounts, unsigned count)
{
	*freeze = (struct freeze){ .mounts = mounts, .count = count, .deadline = ~0ULL };
	for (unsigned i = 0; i < count; i++) {
		mounts[i].fd = open(mounts[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (mounts[i].fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			fail("no-mount", "%s: %s", mounts[i].path, strerror(errno));
		if (mounts[i].fd < 0) { /* such as that of an XFS that has shut down */
			mounts[i].state = FAILED;
			mounts[i].error = errno;
		}
	}
	note_begin(pins_folder, mounts, count);
	/* A signal must not end this process while something is frozen; SIGPIPE would, if the watchdog is gone. */
	block_signals();
	start_watchdog(freeze);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		fail("no-memory", "the memory cannot be locked: %s", strerror(errno));
}

void write_out(const struct freeze *freeze)
{
	/* One that fails here fails its freeze, too. */
	for (unsigned i = 0; i < freeze->count; i++)
		syncfs(freeze->mounts[i].fd);
}

void find_unfit(struct freeze *freeze)
{
	for (unsigned i = 0; i < freeze->count; i++)
		if (btrfs_is_at_work(freeze->mounts[i].fd)) {
			freeze->mounts[i].state = AT_WORK;
		} else if (btrfs_is_stopped(freeze->mounts[i].fd)) {
			freeze->mounts[i].state = FAILED;
			freeze->mounts[i].error = EROFS;
		}
}

static enum freeze_state state_of(int error)
{
	return error == EBUSY ? BUSY : error == EOPNOTSUPP || error == ENOTTY ? UNSUPPORTED : FAILED;
}

void freeze_all(struct freeze *freeze, __u64 limit_ms)
{
	freeze->deadline = nanoseconds() + limit_ms * 1000000;
	tell_watchdog(freeze, (struct message){ .kind = STARTS, .deadline = freeze->deadline });
	for (unsigned i = 0; i < freeze->count && !must_thaw(freeze); i++) {
		if (freeze->mounts[i].state != NOT_TRIED)
			continue;
		set_state(freeze, i, FREEZING);
		if (!ioctl(freeze->mounts[i].fd, FIFREEZE, 0)) {
			set_state(freeze, i, FROZEN);
		} else {
			freeze->mounts[i].error = errno;
			set_state(freeze, i, state_of(errno));
		}
	}
}

bool must_thaw(const struct freeze *freeze)
{
	struct pollfd writer = { .fd = freeze->watchdog, .events = POLLOUT };
	return nanoseconds() >= freeze->deadline || poll(&writer, 1, 0) < 0 || writer.revents & (POLLERR | POLLHUP);
}

void thaw_all(struct freeze *freeze)
{
	for (unsigned i = freeze->count; i-- > 0;)
		if (freeze->mounts[i].state == FROZEN && ioctl(freeze->mounts[i].fd, FITHAW, 0))
			freeze->mounts[i].was_thawed = true;
	note_end();
	tell_watchdog(freeze, (struct message){ .kind = ENDS });
	close(freeze->watchdog);
	freeze->watchdog = -1;
	waitpid(freeze->watchdog_process, 0, 0);
}
