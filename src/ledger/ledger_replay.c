/*
 * ledger_replay.c - what a journal holds: checked before anything is applied
 *
 * The last write of a process that died may be torn; nothing may lie behind it. Whole records behind bad
 * bytes are damage that nobody could explain away.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger/ledger_journal.h"
#include "ledger/ledger_replay.h"

#include "base/banned.h"

static const char magic[8] = { 'i', 'n', 'f', 'e', 'r', 'j', 'n', 'l' };

/* a file in memory */
struct image {
	const char *p;
	size_t n;
};

/* ---- the format ---- */

const char *ledger_replay_name(unsigned i)
{
	return i ? "ledger.journal.1" : "ledger.journal.0";
}

static uint64_t mix(uint64_t h, uint64_t w)
{
	h = (h ^ w) * 0x9E3779B97F4A7C15u;
	return h ^ h >> 29;
}

/* Against torn and rotten bytes, not against people. */
uint64_t ledger_replay_hash(uint64_t seq, const void *p, size_t n)
{
	uint64_t h = mix(mix(0x6c6f7572746e69u, seq), n), w;
	const char *s = p;

	for (; n >= sizeof(w); n -= sizeof(w), s += sizeof(w)) {
		memcpy(&w, s, sizeof(w));
		h = mix(h, w);
	}
	w = 0;
	if (n)
		memcpy(&w, s, n);
	h = mix(h, w);
	return mix(h, h >> 32);
}

void ledger_replay_header(uint64_t ledger, struct ledger_replay_header *out)
{
	*out = (struct ledger_replay_header){ .version = LEDGER_REPLAY_VERSION, .ledger = ledger };
	memcpy(out->magic, magic, sizeof(magic));
	out->hash = ledger_replay_hash(ledger, out->magic, sizeof(magic));
}

/* ---- one file ---- */

static int refuse(struct err *e, const char *dir, unsigned i, const char *why)
{
	return err_set(
		e, ERR_REQUEST,
		"%s/%s %s; it is left as it is: move it away to go on without the changes in "
		"it",
		dir, ledger_replay_name(i), why);
}

static bool record_at(const struct image *m, size_t at, struct ledger_replay_record *out)
{
	if (!m->p || m->n - at < sizeof(*out))
		return false;
	memcpy(out, m->p + at, sizeof(*out));
	return !out->zero && out->seq && out->length <= m->n - at - sizeof(*out) &&
	       out->length <= LEDGER_JOURNAL_RECORD_MAX;
}

static bool whole_at(const struct image *m, size_t at, struct ledger_replay_record *out)
{
	return record_at(m, at, out) &&
	       ledger_replay_hash(out->seq, m->p + at + sizeof(*out), out->length) == out->hash;
}

/* A record that belongs behind `last`: bytes of a payload can hardly look like one. */
static bool anything_behind(const struct image *m, size_t at, uint64_t last)
{
	struct ledger_replay_record r;

	for (at++; at + sizeof(r) <= m->n; at++)
		if (record_at(m, at, &r) && r.seq > last && r.seq - last < 1 << 24 &&
		    whole_at(m, at, &r))
			return true;
	return false;
}

/* The end of what counts. */
static int check_records(struct ledger_journal *j, unsigned i, const struct image *m, struct err *e)
{
	struct ledger_journal_file *f = &j->file[i];
	struct ledger_replay_record r;
	size_t at = sizeof(struct ledger_replay_header);

	for (; whole_at(m, at, &r) && (!f->last || r.seq == f->last + 1);
	     at += sizeof(r) + r.length) {
		f->last = r.seq;
		if (!f->first)
			f->first = r.seq;
	}
	if (at < m->n && anything_behind(m, at - 1, f->last))
		return refuse(e, j->dir, i, "is damaged in the middle");
	j->torn += m->n - at;
	f->size = at;
	return 0;
}

static int check_header(struct ledger_journal *j, unsigned i, const struct image *m, struct err *e)
{
	struct ledger_replay_header h, ours;
	size_t n = m->n < sizeof(magic) ? m->n : sizeof(magic);

	if (memcmp(m->p, magic, n) != 0)
		return refuse(e, j->dir, i, "is not a journal of inferfs");
	if (m->n < sizeof(h)) { /* died while it was made */
		j->torn += m->n;
		return 0;
	}
	memcpy(&h, m->p, sizeof(h));
	if (h.version != LEDGER_REPLAY_VERSION)
		return err_set(
			e, ERR_UNSUPPORTED,
			"%s/%s was written by another version of inferfs (format %u, this one "
			"knows %d); mount and unmount once with that version",
			j->dir, ledger_replay_name(i), h.version, LEDGER_REPLAY_VERSION);
	ledger_replay_header(h.ledger, &ours);
	if (memcmp(&h, &ours, sizeof(h)) != 0)
		return refuse(e, j->dir, i, "is damaged at its beginning");
	if (h.ledger == j->ledger)
		return check_records(j, i, m, e);
	if (m->n > sizeof(h))
		return refuse(e, j->dir, i, "belongs to another ledger.db");
	return 0;
}

static int map_file(const struct ledger_journal_file *f, struct image *out)
{
	struct stat st;
	void *p;

	*out = (struct image){ 0 };
	if (f->fd < 0)
		return 0;
	if (fstat(f->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (!st.st_size)
		return 0;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, f->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*out = (struct image){ p, (size_t)st.st_size };
	return 0;
}

static void unmap(struct image *m)
{
	if (m->n)
		(void)munmap((void *)(uintptr_t)m->p, m->n); /* cannot fail: it was mapped here */
}

static int open_one(struct ledger_journal *j, unsigned i, struct err *e)
{
	struct ledger_journal_file *f = &j->file[i];
	const char *name = ledger_replay_name(i);
	struct image m;
	int rc;

	f->fd = openat(j->dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (f->fd < 0)
		return errno == ENOENT ? 0
				       : err_sys(e, errno, "%s/%s cannot be opened", j->dir, name);
	rc = map_file(f, &m);
	if (rc == -EINVAL)
		return refuse(e, j->dir, i, "is not a file");
	if (rc)
		return err_sys(e, -rc, "%s/%s cannot be read", j->dir, name);
	if (m.n)
		rc = check_header(j, i, &m, e);
	unmap(&m);
	return rc;
}

int ledger_replay_open(struct ledger_journal *j, int dirfd, const char *dir, uint64_t ledger,
		       struct err *e)
{
	int rc = 0;

	*j = (struct ledger_journal){
		.dirfd = dirfd, .dir = dir, .ledger = ledger, .file = { { .fd = -1 }, { .fd = -1 } }
	};
	buf_init(&j->record, LEDGER_JOURNAL_RECORD_MAX);
	for (unsigned i = 0; i < 2 && !rc; i++)
		rc = open_one(j, i, e);
	return rc;
}

/* ---- both ---- */

struct walk {
	uint64_t applied; /* the last record that is in the database */
	ledger_replay_fn *fn;
	void *arg;
	bool gap, news;
};

/* A record that does not follow was written after one that a power failure took: it goes with it. */
static int replay_file(struct ledger_journal *j, unsigned i, struct walk *w)
{
	struct ledger_journal_file *f = &j->file[i];
	struct ledger_replay_record r;
	size_t at = sizeof(struct ledger_replay_header), end = 0;
	struct image m;
	int rc = f->first ? map_file(f, &m) : 0;

	if (rc || !f->first)
		return rc;
	for (; !rc && at < f->size && whole_at(&m, at, &r); at += sizeof(r) + r.length) {
		w->gap |= r.seq > w->applied + 1;
		j->lost += w->gap;
		if (w->gap)
			continue;
		end = at + sizeof(r) + r.length;
		if (r.seq <= w->applied)
			continue;
		rc = w->fn(w->arg, r.seq, m.p + at + sizeof(r), r.length);
		w->applied = r.seq;
		w->news = true;
	}
	unmap(&m);
	if (w->gap) {
		f->size = end;
		f->last = end ? w->applied : 0;
		f->first = end ? f->first : 0;
	}
	return rc;
}

/* Torn bytes and what a gap made worthless. A journal that the database has all of is empty. */
static int trim(struct ledger_journal *j, bool news)
{
	for (unsigned i = 0; i < 2; i++) {
		struct ledger_journal_file *f = &j->file[i];

		if (!news)
			f->size = f->first = f->last = 0;
		if (f->fd >= 0 && ftruncate(f->fd, (off_t)f->size) < 0)
			return -errno;
	}
	return 0;
}

int ledger_replay_run(struct ledger_journal *j, uint64_t after, ledger_replay_fn *fn, void *arg,
		      struct err *e)
{
	struct walk w = { .applied = after, .fn = fn, .arg = arg };
	unsigned older = j->file[0].first > j->file[1].first;
	int rc;

	if (!j->file[older].first)
		older = !older;
	rc = replay_file(j, older, &w);
	if (!rc)
		rc = replay_file(j, !older, &w);
	if (!rc)
		rc = trim(j, w.news);
	if (rc)
		return err_sys(e, -rc, "the changes in %s/%s and .1 cannot be applied", j->dir,
			       ledger_replay_name(0));
	j->active = j->file[!older].first ? !older : j->file[older].first ? older : 0;
	j->last = w.applied;
	return 0;
}
