/*
 * ledger_sync.c - syncing and checkpoints behind the commits
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <unistd.h>

#include "base/mono.h"
#include "ledger/ledger_sync.h"

#include "base/banned.h"

enum {
	CHECKPOINT_PAGES = 1000, /* WAL long enough to be worth two syncs */
	REST_MS = 200		 /* at least, between two rounds: the disk is not ours alone */
};

/* Failures are met again by the commits themselves, which have somebody to tell. */
static bool work(struct ledger_sync *s, bool sync, bool checkpoint)
{
	bool synced = sync && syncfs(s->dirfd) == 0;

	if (checkpoint)
		(void)sqlite3_wal_checkpoint_v2(s->db.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
						NULL);
	return synced;
}

static void rest_locked(struct ledger_sync *s, uint64_t took_ns)
{
	uint64_t least = REST_MS * MONO_MS;
	uint64_t until = mono_ns() + (took_ns > least ? took_ns : least);

	while (!s->stop && cond_wait_until(&s->cond, &s->lock, until))
		;
}

static void *sync_main(void *arg)
{
	struct ledger_sync *s = arg;

	lock_take(&s->lock);
	while (!s->stop) {
		bool sync = s->dirty, checkpoint = s->checkpoint;
		uint64_t began = mono_ns(), seq = s->seq;

		if (!sync && !checkpoint) {
			cond_wait(&s->cond, &s->lock);
			continue;
		}
		s->dirty = s->checkpoint = false;
		lock_drop(&s->lock);
		sync = work(s, sync, checkpoint);
		lock_take(&s->lock);
		if (sync)
			s->synced = seq;
		rest_locked(s, mono_ns() - began);
	}
	lock_drop(&s->lock);
	return NULL;
}

int ledger_sync_start(struct ledger_sync *s, const char *path, int dirfd, enum ledger_durability d,
		      struct err *e)
{
	int rc = ledger_db_open_more(path, d, false, &s->db, e);

	if (rc)
		return rc;
	s->dirfd = dirfd;
	s->syncs = d == LEDGER_GROUP;
	lock_init(&s->lock, LOCK_LEAF);
	cond_init(&s->cond);
	rc = thread_start(&s->thread, "ledger-sync", sync_main, s);
	if (rc) {
		ledger_sync_stop(s);
		(void)err_sys(e, -rc, "the ledger's sync thread cannot be started");
	}
	return rc;
}

void ledger_sync_note(struct ledger_sync *s, int wal_pages, uint64_t seq)
{
	bool checkpoint = wal_pages >= CHECKPOINT_PAGES;
	bool news;

	LOCK_SCOPE(&s->lock);
	s->seq = seq;
	news = (s->syncs && !s->dirty) || (checkpoint && !s->checkpoint);
	s->dirty = s->syncs;
	s->checkpoint |= checkpoint;
	if (news) /* while it rests or works it is told once */
		cond_signal(&s->cond);
}

uint64_t ledger_sync_seq(struct ledger_sync *s)
{
	LOCK_SCOPE(&s->lock);
	return s->syncs ? s->synced : s->seq;
}

void ledger_sync_stop(struct ledger_sync *s)
{
	if (!s->db.db)
		return;
	lock_take(&s->lock);
	s->stop = true;
	cond_signal(&s->cond);
	lock_drop(&s->lock);
	thread_join(&s->thread);
	cond_done(&s->cond);
	lock_done(&s->lock);
	ledger_db_close(&s->db);
}
