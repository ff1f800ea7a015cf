/*
 * vfs/park.h - a request of the kernel that is answered later, or interrupted
 *
 *   1. park_init     the request is copied
 *   2.               the owner registers it with whoever will wake it (a stream, the broker)
 *   3. park_armed    from here on it may be interrupted; the struct may be gone when this returns
 *   4. park_wake     by the waker, once it has taken it off its list
 *   5. answer        called exactly once, by the last of 3 and 4, with no lock held; frees the struct
 *
 * The kernel's request must not be answered while it is still being armed, so the answer waits for
 * both. An interruption claims the request by taking it off the waker's list (unwait).
 * Threads: any. Blocks: never.
 */
#ifndef VFS_PARK_H
#define VFS_PARK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "vfs/reply.h"

struct park {
	struct vfs_req q;
	atomic_int pending;
	bool interrupted;
	/* unwait - true: it was parked and will not be woken now */
	bool (*unwait)(struct park *p);
	/* answer - interrupted: reply EINTR */
	void (*answer)(struct park *p, bool interrupted);
};

/* park_init - callbacks are set by the caller before park_armed */
void park_init(struct park *p, const struct vfs_req *q);
/* park_armed - see above */
void park_armed(struct park *p);
/* park_wake - see above */
void park_wake(struct park *p);

#endif
