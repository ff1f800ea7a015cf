/*
 * ledger_journal.c - writing, emptying and syncing the journal; ledger_replay.c reads it
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "ledger/ledger_journal.h"
#include "ledger/ledger_replay.h"

#include "base/banned.h"

enum {
	BUFFER_KEPT = 1 << 20, /* a longer record's memory is given back */
	THE_DIRECTORY = 1 << 2 /* in unsynced, behind the files' bits */
};

/* ---- one record ---- */

struct buf *ledger_journal_begin(struct ledger_journal *j)
{
	static const char room[sizeof(struct ledger_replay_record)];

	buf_clear(&j->record);
	(void)buf_add(&j->record, room,
		      sizeof(room)); /* a failure stays set, and is seen at commit */
	return &j->record;
}

static int write_at(int fd, const void *p, size_t n, uint64_t at)
{
	ssize_t done;

	do {
		done = pwrite(fd, p, n, (off_t)at);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		return -errno;
	return (size_t)done == n ? 0 : -ENOSPC;
}

/* What a failed write left behind does not count, but it need not lie there either. */
static int write_whole(struct ledger_journal_file *f, const void *p, size_t n)
{
	int rc = write_at(f->fd, p, n, f->size);

	if (rc)
		(void)!ftruncate(f->fd, (off_t)f->size);
	else
		f->size += n;
	return rc;
}

static int ready(struct ledger_journal *j, struct ledger_journal_file *f, const char *name)
{
	struct ledger_replay_header h;

	if (f->fd < 0) {
		f->fd = openat(j->dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (f->fd < 0)
			return -errno;
		j->unsynced |= THE_DIRECTORY;
	}
	if (f->size)
		return 0;
	ledger_replay_header(j->ledger, &h);
	return write_whole(f, &h, sizeof(h));
}

int ledger_journal_commit(struct ledger_journal *j)
{
	struct ledger_journal_file *f = &j->file[j->active];
	struct ledger_replay_record r = { .seq = j->last + 1 };
	int rc = j->record.failed;

	if (rc)
		return rc;
	rc = ready(j, f, ledger_replay_name(j->active));
	if (rc)
		return rc;
	r.length = (uint32_t)(j->record.len - sizeof(r));
	r.hash = ledger_replay_hash(r.seq, j->record.data + sizeof(r), r.length);
	memcpy(j->record.data, &r, sizeof(r));
	rc = write_whole(f, j->record.data, j->record.len);
	if (rc)
		return rc;
	j->unsynced |= 1u << j->active;
	j->record_bytes = j->record.len;
	f->last = j->last = r.seq;
	if (!f->first)
		f->first = r.seq;
	if (j->record.cap > BUFFER_KEPT)
		buf_done(&j->record);
	fault_at("journal");
	return 0;
}

void ledger_journal_undo(struct ledger_journal *j)
{
	struct ledger_journal_file *f = &j->file[j->active];

	f->size -= j->record_bytes;
	(void)!ftruncate(f->fd, (off_t)f->size); /* else the next record overwrites it */
	if (f->first == f->last)
		f->first = f->last = 0;
	else
		f->last--;
	j->last--;
}

/* ---- both files ---- */

uint64_t ledger_journal_bytes(const struct ledger_journal *j)
{
	return j->file[j->active].first ? j->file[j->active].size : 0;
}

void ledger_journal_mark(struct ledger_journal *j)
{
	j->marked = ledger_journal_bytes(j);
}

uint64_t ledger_journal_unmarked(const struct ledger_journal *j)
{
	uint64_t n = ledger_journal_bytes(j);

	return n > j->marked ? n - j->marked : 0;
}

bool ledger_journal_turn(struct ledger_journal *j)
{
	if (j->file[!j->active].first || !j->file[j->active].first)
		return false;
	j->active = !j->active;
	return true;
}

static int empty(struct ledger_journal_file *f)
{
	if (f->fd < 0)
		return 0;
	if (ftruncate(f->fd, 0) < 0)
		return -errno;
	f->size = f->first = f->last = 0;
	return 0;
}

int ledger_journal_cut(struct ledger_journal *j, uint64_t applied, bool all)
{
	int rc = 0;

	for (unsigned i = 0; i < 2 && !rc; i++) {
		struct ledger_journal_file *f = &j->file[i];

		if ((i != j->active || all) && f->last <= applied && (f->first || all))
			rc = empty(f);
	}
	if (!rc)
		fault_at("cut");
	return rc;
}

unsigned ledger_journal_unsynced(struct ledger_journal *j)
{
	unsigned what = j->unsynced;

	j->unsynced = 0;
	return what;
}

int ledger_journal_sync(struct ledger_journal *j, unsigned what)
{
	for (unsigned i = 0; i < 2; i++)
		if (what & 1u << i && fdatasync(j->file[i].fd) < 0)
			return -errno;
	return what & THE_DIRECTORY && fsync(j->dirfd) < 0 ? -errno : 0;
}

void ledger_journal_close(struct ledger_journal *j)
{
	if (!j->dir)
		return; /* never opened */
	for (unsigned i = 0; i < 2; i++)
		if (j->file[i].fd >= 0)
			(void)close(
				j->file[i]
					.fd); /* every write was checked, a sync was not asked for */
	buf_done(&j->record);
	memset(j, 0, sizeof(*j));
}
