/*
 * err.h - one failure: an errno for programs and one sentence for a person
 *
 * The table of kinds in err.c is the errno table of the mount's interface; nothing else
 * in the tree chooses an errno for a failed request.
 *
 *   1. err_init or {0}   code 0: no failure
 *   2. err_set           fills it and returns the negative errno
 *   3. err_prefix        each level may put its words before the sentence
 *
 * Threads: a struct err belongs to one thread. Blocks: never.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

enum err_kind {
	ERR_NONE,
	ERR_REQUEST,	  /* EINVAL       bad JSON, field, model not chosen, provider's 400 */
	ERR_FILE_SIZE,	  /* EFBIG        larger than max_request_bytes */
	ERR_CONTEXT,	  /* EMSGSIZE     longer than the model's context, 413 */
	ERR_NO_KEY,	  /* ENOKEY       no API key configured */
	ERR_KEY_REJECTED, /* EKEYREJECTED 401, 403, 400 for a bad key */
	ERR_NOT_FOUND,	  /* ENXIO        unknown model or backend, 404 */
	ERR_QUOTA,	  /* EDQUOT       budget reached, 402, exhausted quota */
	ERR_RATE_LIMIT,	  /* EBUSY        still rate-limited after all retries */
	ERR_PROVIDER,	  /* EREMOTEIO    5xx, 409, 425, connection lost, finish reason error */
	ERR_PROTOCOL,	  /* EBADMSG      the answer cannot be understood */
	ERR_TIMEOUT,	  /* ETIMEDOUT    deadline, stall, 408 */
	ERR_REFUSED,	  /* ECONNREFUSED */
	ERR_UNREACHABLE,  /* EHOSTUNREACH name or route not found */
	ERR_TLS,	  /* EPROTO       TLS refused, bad certificate */
	ERR_BREAKER,	  /* EHOSTDOWN    circuit breaker open */
	ERR_QUEUE_FULL,	  /* ENOBUFS */
	ERR_CANCELLED,	  /* ECANCELED */
	ERR_CACHE_ONLY,	  /* ENODATA      cache: only, and not in the cache */
	ERR_UNSUPPORTED,  /* EOPNOTSUPP   the backend (or this version) cannot do that */
	ERR_NO_REQUEST,	  /* ENODATA      no request in that file yet */
	ERR_ENDING,	  /* ESHUTDOWN    the daemon is ending */
	ERR_DISK_FULL,	  /* ENOSPC */
	ERR_INTERNAL,	  /* EIO          a bug or a broken disk; the sentence says which */
	ERR_KINDS
};

#define ERR_MESSAGE_MAX 512
#define ERR_NAME_MAX	96

struct err {
	enum err_kind kind;
	int code;		    /* positive errno, 0: no failure */
	unsigned line, column;	    /* of the request text, from 1; 0 unknown */
	int http_status;	    /* 0 unknown */
	unsigned attempts;	    /* calls made; 0 unknown or none */
	double retry_after_s;	    /* what the server asked for; < 0 or 0 unknown */
	char field[ERR_NAME_MAX];   /* the request's field, "" unknown */
	char backend[ERR_NAME_MAX]; /* "" unknown */
	char provider_type[ERR_NAME_MAX];
	char provider_message[ERR_MESSAGE_MAX];
	char message[ERR_MESSAGE_MAX]; /* one sentence that says what to do */
};

/* err_set - fill e (may be NULL) and return the negative errno of kind; clears the other members */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* err_field - as err_set, and names the request's field */
int err_field(struct err *e, enum err_kind kind, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* err_sys - a failed system call: -sys_errno is returned; ENOSPC and EDQUOT become ERR_DISK_FULL,
 * everything else ERR_INTERNAL with strerror in the sentence */
int err_sys(struct err *e, int sys_errno, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* err_prefix - put words before the sentence, as they are (bring your own ": "); a sentence too
 * long is cut at the end */
void err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* err_errno - the positive errno of a kind */
int err_errno(enum err_kind kind);

/* err_category - "request", "auth", "quota", "rate_limit", "not_found", "too_large", "unsupported",
 * "provider", "network", "timeout", "unavailable", "cancelled", "cache", "internal" */
const char *err_category(enum err_kind kind);

/* err_name - "EINVAL" for 22; "E?" when unknown; static storage */
const char *err_name(int sys_errno);

/* err_by_name - ERR_REQUEST for "EINVAL" and so on; ERR_NONE when no kind has that errno name */
enum err_kind err_by_name(const char *name);

#endif
