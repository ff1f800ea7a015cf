/*
 * ledger.c - the ledger's door: the state directory's lock, opening and closing, one lock for all readers
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/lock.h"
#include "base/str.h"
#include "ledger/ledger.h"
#include "ledger/ledger_db.h"
#include "ledger/ledger_look.h"
#include "ledger/ledger_ns_look.h"
#include "ledger/ledger_sync.h"
#include "ledger/ledger_writer.h"

#include "base/banned.h"

struct ledger {
	int dirfd, lock_fd;
	struct ledger_writer writer;
	struct ledger_sync sync;
};

void ledger_row_done(struct ledger_row *r)
{
	if (!r)
		return;
	free(r->root);
	free(r->path);
	free(r->suffix);
	free(r->envelope);
	free(r->facts);
	free(r->error);
	memset(r, 0, sizeof(*r));
}

/* ---- open and close ---- */

static int held_by(struct err *e, const char *dir, int fd)
{
	char pid[24] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
	return err_set(
		e, ERR_RATE_LIMIT,
		"the state directory %s is in use by another inferfs%s%s; each mount needs its own",
		dir, *pid ? ", process " : "", pid);
}

/* The number inside is for people; the lock goes with the process, however it ends. */
static int take_lock(struct ledger *l, const char *dir, struct err *e)
{
	char pid[24];
	int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	l->lock_fd = openat(l->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->lock_fd < 0)
		return err_sys(e, errno, "%s/lock cannot be opened", dir);
	if (flock(l->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? held_by(e, dir, l->lock_fd)
					    : err_sys(e, errno, "%s/lock cannot be locked", dir);
	if (ftruncate(l->lock_fd, 0) == 0)
		(void)!pwrite(l->lock_fd, pid, (size_t)n,
			      0); /* a full disk: then without the number */
	return 0;
}

static int open_dir(struct ledger *l, const char *dir, struct err *e)
{
	int rc = fdio_mkdirs(AT_FDCWD, dir, 0700);

	if (rc)
		return err_sys(e, -rc, "the state directory %s cannot be made", dir);
	l->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dirfd < 0)
		return err_sys(e, errno, "the state directory %s cannot be opened", dir);
	/* prompts are private; a directory that was made by hand may be open to others */
	if (fchmod(l->dirfd, 0700) < 0 && errno != EROFS && errno != EPERM)
		return err_sys(e, errno, "the state directory %s cannot be made private", dir);
	return take_lock(l, dir, e);
}

static int open_all(struct ledger *l, const struct ledger_options *o, struct err *e)
{
	AUTO_FREE char *path = str_printf("%s/ledger.db", o->dir);
	int rc = path ? open_dir(l, o->dir, e) : -ENOMEM;

	if (!rc)
		rc = ledger_db_open(path, o->durability, &l->writer.db, e);
	if (!rc)
		rc = ledger_db_open_more(path, o->durability, true, &l->writer.table.reader, e);
	if (!rc)
		rc = ledger_sync_start(&l->sync, path, l->dirfd, o->durability, e);
	if (!rc)
		rc = ledger_writer_start(&l->writer, o, l->dirfd, &l->sync, e);
	return rc;
}

int ledger_open(const struct ledger_options *o, struct ledger **out, struct err *e)
{
	struct ledger *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return -ENOMEM;
	l->dirfd = l->lock_fd = -1;
	rc = open_all(l, o, e);
	if (rc) {
		ledger_close(l);
		return rc;
	}
	*out = l;
	return 0;
}

struct ledger *ledger_close(struct ledger *l)
{
	if (!l)
		return NULL;
	ledger_writer_stop(&l->writer); /* its rounds talk to sync */
	ledger_sync_stop(&l->sync);
	if (l->lock_fd >= 0)
		(void)close(l->lock_fd); /* only locked */
	if (l->dirfd >= 0)
		(void)close(l->dirfd); /* only read */
	free(l);
	return NULL;
}

/* ---- writing ---- */

int64_t ledger_next_id(struct ledger *l)
{
	return ledger_writer_next_id(&l->writer);
}

void ledger_post(struct ledger *l, struct ledger_post *p)
{
	ledger_writer_post(&l->writer, p);
}

void ledger_count(struct ledger *l, enum ledger_counter c, int64_t add)
{
	ledger_writer_count(&l->writer, c, add);
}

void ledger_counters(struct ledger *l, int64_t out[LEDGER_COUNTERS])
{
	ledger_writer_counters(&l->writer, out);
}

void ledger_watch(struct ledger *l, ledger_gone_fn *fn, void *arg)
{
	LOCK_SCOPE(&l->writer.lock);
	l->writer.watch.fn = fn;
	l->writer.watch.arg = arg;
}

void ledger_past(const struct ledger *l, struct ledger_past *out)
{
	*out = (struct ledger_past){ .unclean = l->writer.end.unclean,
				     .torn_bytes = l->writer.journal.torn,
				     .lost = l->writer.journal.lost };
}

void ledger_unswept(struct ledger *l)
{
	LOCK_SCOPE(&l->writer.lock);
	l->writer.end.swept = false;
}

/* ---- reading ---- */

int ledger_find(struct ledger *l, const char *root, const char *path, struct ledger_row *out)
{
	LOCK_SCOPE(&l->writer.lock);
	return ledger_look_find(&l->writer.table, root, path, out);
}

int ledger_get(struct ledger *l, int64_t id, struct ledger_row *out)
{
	LOCK_SCOPE(&l->writer.lock);
	return ledger_look_get(&l->writer.table, id, out);
}

int ledger_request(struct ledger *l, int64_t id, char **out, size_t *out_len)
{
	LOCK_SCOPE(&l->writer.lock);
	return ledger_look_request(&l->writer.table, id, out, out_len);
}

int ledger_handouts(struct ledger *l, int64_t id, struct ledger_handout **out, size_t *out_n)
{
	LOCK_SCOPE(&l->writer.lock);
	return ledger_look_handouts(&l->writer.table, id, out, out_n);
}

int ledger_named(struct ledger *l, const struct key *key, uint32_t index, uint32_t variant)
{
	struct ledger_handout object = { .key = *key, .index = index, .variant = variant };

	LOCK_SCOPE(&l->writer.lock);
	return ledger_look_named(&l->writer.table, &object);
}

int ledger_next_child(struct ledger *l, const char *root, const char *dir, const char *after,
		      struct ledger_row *out)
{
	LOCK_SCOPE(&l->writer.lock);
	return ledger_look_child(&l->writer.table, root, dir, after, out);
}

int ledger_given(struct ledger *l, const char *ns, const struct key *key, const char *request_id,
		 struct ledger_given **out, size_t *out_n)
{
	struct ledger_given_change whose = { .ns = ns, .key = *key, .request_id = request_id };

	LOCK_SCOPE(&l->writer.lock);
	return ledger_ns_look_given(&l->writer.table, &whose, out, out_n);
}

int ledger_given_used(struct ledger *l, const char *ns, const struct key *key, uint32_t **out,
		      size_t *out_n)
{
	LOCK_SCOPE(&l->writer.lock);
	return ledger_ns_look_used(&l->writer.table, ns, key, out, out_n);
}

int ledger_ns_counters(struct ledger *l, const char *ns, int64_t out[LEDGER_NS_COUNTERS])
{
	LOCK_SCOPE(&l->writer.lock);
	return ledger_ns_look_counters(&l->writer.table, ns, out);
}

static int next_accepted(struct ledger *l, uint64_t after_ns, int64_t after_id,
			 struct ledger_row *out)
{
	LOCK_SCOPE(&l->writer.lock);
	return ledger_look_accepted(&l->writer.table, after_ns, after_id, out);
}

/* One query a row, so that no lock is held over fn. */
int ledger_each_accepted(struct ledger *l, void (*fn)(struct ledger_row *r, void *arg), void *arg)
{
	struct ledger_row r = { 0 };
	uint64_t ns = 0;
	int64_t id = 0;
	int rc;

	while ((rc = next_accepted(l, ns, id, &r)) == 0) {
		ns = r.accepted_ns;
		id = r.id;
		fn(&r, arg);
		ledger_row_done(&r);
	}
	return rc == -ENOENT ? 0 : rc;
}

static int all_unstored(struct ledger *l, struct ledger_handout **out, size_t *out_n)
{
	LOCK_SCOPE(&l->writer.lock);
	return ledger_look_unstored(&l->writer.table, out, out_n);
}

int ledger_each_unstored(struct ledger *l, void (*fn)(const struct ledger_handout *h, void *arg),
			 void *arg)
{
	AUTO_FREE struct ledger_handout *h = NULL;
	size_t n = 0;
	int rc = all_unstored(l, &h, &n);

	for (size_t i = 0; i < n; i++)
		fn(&h[i], arg);
	return rc;
}
