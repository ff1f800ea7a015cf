/*
 * stream.h - the bytes of an answer while they come: append-only, many readers, nobody blocked
 *
 * The life of a stream:
 *   1. stream_new       empty; attempt 1
 *   2. stream_append    bytes; waiters that are satisfied are handed to the wake callback
 *      stream_restart   a broken attempt is retried: the bytes go, attempt + 1
 *   3. stream_seal      complete: readers get 0 at the end; a newline is added when the text
 *                       is not empty and does not end in one
 *      stream_fail      readers get the error after the bytes they have
 *   4. stream_unref
 *
 * A reader that got bytes of a broken attempt gets -EREMOTEIO at its next read.
 * Threads: any; one lock of rank LOCK_STREAM, never held over wake. Blocks: never.
 */
#ifndef CORE_STREAM_H
#define CORE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct stream;

/* one parked reader, embedded in whatever the reader keeps */
struct stream_waiter {
	struct list link; /* private to stream */
	uint64_t off;	  /* wants bytes past this offset, or the end */
	void (*wake)(struct stream_waiter
			     *w); /* called once, no lock held, waiter already off the list */
	unsigned attempt;	  /* private to stream: of the reader's bytes */
	bool parked;		  /* private to stream */
};

/* state of one open file over the stream */
struct stream_reader {
	unsigned attempt; /* of the bytes it has got; 0: none yet */
};

/* stream_new - empty, one reference; NULL when out of memory */
/* stream_new, stream_ref, stream_unref - NULL: out of memory; unref takes NULL and returns NULL */
struct stream *stream_new(void);
/* stream_ref - one more; returns s */
struct stream *stream_ref(struct stream *s);
/* stream_unref - one less; takes NULL, returns NULL; who waits must still hold one */
struct stream *stream_unref(struct stream *s);

/* stream_append - 0, -EFBIG over the maximum of an answer, -ENOMEM, -EPIPE after seal or fail */
int stream_append(struct stream *s, const void *p, size_t n);
/* stream_restart - drop the bytes of a broken attempt */
void stream_restart(struct stream *s);
/* stream_seal - complete; idempotent */
void stream_seal(struct stream *s);
/* stream_fail - code: positive errno; idempotent, ignored after seal */
void stream_fail(struct stream *s, int code);
/* stream_size - bytes so far */
uint64_t stream_size(struct stream *s);
/* stream_ended - true after seal or fail */
bool stream_ended(struct stream *s);

/* stream_read - copy bytes of a reply that may still be growing
 *
 *   r, span      bytes; off counts from the reply's first byte
 *   out_n        bytes copied; 0 only at the end of a sealed stream
 *
 * Errors: -EAGAIN nothing there yet; -EREMOTEIO the reader holds bytes of a broken attempt; else what
 *         stream_fail was given
 */
struct stream_span {
	void *buf;
	size_t len;
	uint64_t off;
};
int stream_read(struct stream *s, struct stream_reader *r, struct stream_span span, size_t *out_n);
/* stream_wait - park w until bytes past w->off exist, or the end, or a restart that concerns r; when that
 * is so already: -EALREADY, w is not parked */
int stream_wait(struct stream *s, const struct stream_reader *r, struct stream_waiter *w);
/* stream_unwait - true: w was parked and is off the list, wake will not be called;
 * false: it was or is being woken */
bool stream_unwait(struct stream *s, struct stream_waiter *w);

#endif
