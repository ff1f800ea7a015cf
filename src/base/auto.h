/*
 * auto.h - scope attributes: what a local owns is let go when its block ends
 *
 *   AUTO_FREE char *p = ...;     free(p)
 *   AUTO_FD int fd = -1;         close(fd) when >= 0
 *   AUTO_BUF struct buf b = ...; buf_done(&b)       (buf.h)
 *   AUTO_UNLOCK(lock);           unlocks at the end of the block (lock.h)
 *   TAKE(p)                      hands the pointer over and leaves NULL behind
 *
 * They run in reverse order of declaration: declare the lock last, so that it is let go
 * before a reference is dropped. Initialise every such local where it is declared.
 */
#ifndef BASE_AUTO_H
#define BASE_AUTO_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static inline void auto_free(void *p)
{
	free(*(void **)p);
}

static inline void auto_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* nothing to tell: it was opened for reading or synced before */
}

#define AUTO_FREE __attribute__((cleanup(auto_free)))
#define AUTO_FD	  __attribute__((cleanup(auto_close)))
#define TAKE(p)                              \
	({                                   \
		__typeof__(p) take_p_ = (p); \
		(p) = NULL;                  \
		take_p_;                     \
	})
#define ARRAY_LEN(a)		      (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)((uintptr_t)(p)-offsetof(type, member)))

#endif
