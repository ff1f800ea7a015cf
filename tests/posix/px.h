/* px.h - what a case of posixcmp may use
 *
 * posixcmp runs every case twice, in a fresh directory of the tree under test and in one of a
 * reference file system, and compares two logs byte for byte. So a case does not say what is right:
 * it says what to look at, and the reference says what is right.
 *
 * Life of a case:
 *   1 the harness makes an empty directory, forks, enters it, umask 022, root if we are root
 *   2 the case sets the scene with px_file(), px_dir() ... (a failure here fails the case: two
 *     sides that both failed to begin would agree about nothing)
 *   3 it acts: each TRY() writes one line "call = result" into the log
 *   4 it ends; the harness, in the parent, appends what is left in the directory: type, mode,
 *     owner, size, links, content, xattrs of each name
 * A case that dies of a signal leaves "killed by" in its log and is compared like any other.
 *
 * All functions: called from the case's own process, any time in 2 and 3; paths are relative.
 */
#ifndef TESTS_POSIX_PX_H
#define TESTS_POSIX_PX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum {
	PX_LOG_MAX = 512 * 1024,
	PX_MARKS = 6,
	/* two strangers without an account; their groups have the same numbers */
	U1 = 65533,
	U2 = 65534,
};

enum px_flag {
	PX_ROOT = 1 << 0, /* needs other uids: skipped unless run as root */
	PX_FUSE =
		1 << 1, /* a promise of the mount, not of POSIX: only side A, only if it is FUSE */
};

struct px_mark {
	char path[32];
	struct timespec time[3];
};

/* Lives in memory shared with the harness, so that the log of a killed case survives. */
struct px {
	size_t len;
	bool broken; /* the scene could not be set, or the log is full */
	int marks;
	const void *arg; /* the row's own data */
	struct px_mark mark[PX_MARKS];
	char log[PX_LOG_MAX];
};

/* A case that differs and has `known` is reported as TODO with that reason and fails nothing
 * unless --strict is given: keep the list short, and each reason about the kernel or libfuse,
 * never about what is not written yet. */
struct px_case {
	const char *name;
	void (*run)(struct px *t);
	unsigned flags;
	const void *arg;
	const char *known; /* why a difference is expected (TAP: TODO), else NULL */
};

#define PX_RUN(name, fn)                \
	{                               \
		name, fn, 0, NULL, NULL \
	}
#define PX_AS(name, fn)                       \
	{                                     \
		name, fn, PX_ROOT, NULL, NULL \
	}
#define PX_KNOWN(name, fn, why)        \
	{                              \
		name, fn, 0, NULL, why \
	}
#define PX_END                            \
	{                                 \
		NULL, NULL, 0, NULL, NULL \
	}

/* Run a call and log it with what came of it: the value, or the errno's name when it is -1. */
#define TRY(expr) px_result(t, #expr, (errno = 0, (long)(expr)))
/* The same for calls that return a descriptor: its number is not logged. */
#define FD(expr)      px_fd(t, #expr, (errno = 0, (expr)))
#define PUT(fd, text) TRY(write(fd, text, sizeof(text) - 1))

/* px_note - one line into the log (a newline in it is the caller's mistake) */
void px_note(struct px *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* px_bytes - log bytes so that they can be read: at most the first 80, and a hash of all */
void px_bytes(struct px *t, const char *what, const void *data, size_t len);
/* px_escape - make any name printable; out has room for 4 * strlen + 1, cut at max */
void px_escape(const char *in, size_t len, char *out, size_t max);
/* px_hash - FNV-1a, to tell contents apart; start with px_hash(0, NULL, 0) */
unsigned long px_hash(unsigned long h, const void *data, size_t len);

long px_result(struct px *t, const char *what, long value);
int px_fd(struct px *t, const char *what, int fd);
/* px_need - fail the case on both sides when part of its scene is missing */
void px_need(struct px *t, bool good, const char *what);

/* Scene: file with this text 0644, directory, symbolic link; root's, or uid's (and its gid's). */
void px_file(struct px *t, const char *path, const char *text);
void px_fill(struct px *t, const char *path, size_t len); /* len bytes of a pattern */
void px_dir(struct px *t, const char *path);
void px_link(struct px *t, const char *target, const char *path);
void px_file_of(struct px *t, const char *path, uid_t uid, mode_t mode);
void px_dir_of(struct px *t, const char *path, uid_t uid, mode_t mode);

/* Looking: px_stat logs lstat(2) without times, px_text the content, px_at a descriptor's bytes. */
void px_stat(struct px *t, const char *path);
void px_fstat(struct px *t, int fd);
void px_text(struct px *t, const char *path);
void px_at(struct px *t, int fd, off_t off, size_t len);
/* px_list - log the names in a directory, sorted; returns how many, dot entries not counted */
int px_list(struct px *t, const char *path);

/* px_mark - set atime and mtime to one old value, remember ctime, and wait until the kernel's
 * coarse clock has passed it (one tick), so that any later update is visible
 * px_changed - log which of a, m, c are not what they were at px_mark() */
void px_mark(struct px *t, const char *path);
void px_changed(struct px *t, const char *path);

/* px_be - go on as this uid with the gid of the same number and no other group; 0 is root again
 * px_be_group - the same with a chosen gid and, unless 0, one supplementary group
 * px_be_real - also the real ids, for access(2); no way back */
void px_be(struct px *t, uid_t uid);
void px_be_group(struct px *t, uid_t uid, gid_t gid, gid_t extra);
void px_be_real(struct px *t, uid_t uid);

/* px_child - run fn in another process: its return value (0 to 255), or 256 + the killing signal */
int px_child(struct px *t, int (*fn)(void *), void *arg);

/* The tables, one per file, each ended by PX_END. */
extern const struct px_case case_open[], case_path[], case_make[], case_rename[], case_perm[];
extern const struct px_case case_sticky[], case_mode[], case_owner[], case_time[], case_link[];
extern const struct px_case case_io[], case_size[], case_lock[], case_mmap[], case_dir[];
extern const struct px_case case_xattr[], case_fs[], case_access[], case_design[];

#endif
