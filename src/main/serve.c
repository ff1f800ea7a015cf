/*
 * main/serve.c - everything a mount is made of, in the order it is opened and closed
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"
#include "fuse/mount.h"
#include "infer/infer.h"
#include "jobs/broker_start.h"
#include "ledger/answers.h"
#include "ledger/ledger.h"
#include "main/readme.h"
#include "main/serve.h"
#include "store/store.h"
#include "vfs/vfs.h"

#include "base/banned.h"

enum { POOL_THREADS = 4, LOCK_POLL_MS = 20 };
#define LOCK_PATIENCE	  (2 * MONO_S)
#define RECOVERY_PATIENCE (2 * MONO_S) /* longer, and the mount answers while it goes on */

struct serve {
	struct serve_options o;
	struct ledger *ledger;
	struct answers *answers;
	int jobs_fd; /* 0: not open */
	struct store *store;
	struct infer *infer;
	struct broker *broker;
	struct vfs *vfs;
	struct fuse_mount *mount;
	struct broker_alias *aliases;
	const char **names; /* of the backends */
	struct buf readme;
	struct thread recovery;
	struct lock lock; /* recovered */
	struct cond cond;
	bool recovered;
};

static int no_memory(struct err *e)
{
	(void)err_sys(e, ENOMEM, "starting"); /* the same */
	return -ENOMEM;
}

/* "fusermount3 -u M; inferfs M": the one before is unmounted at once and takes a moment to end */
static int wait_for_lock(const struct ledger_options *o, struct ledger **out, struct err *e)
{
	uint64_t patience = mono_ns() + LOCK_PATIENCE;
	int rc = ledger_open(o, out, e);

	while (rc == -EBUSY && mono_ns() < patience) {
		(void)poll(NULL, 0, LOCK_POLL_MS);
		rc = ledger_open(o, out, e);
	}
	return rc;
}

static void log_past(const struct ledger *l)
{
	struct ledger_past past;

	ledger_past(l, &past);
	if (past.torn_bytes)
		log_msg(LOG_INFO,
			"the ledger's journal ended in the middle of a record (%llu bytes): it had not "
			"been confirmed to anybody",
			(unsigned long long)past.torn_bytes);
	if (past.lost)
		log_msg(LOG_WARNING,
			"%llu changes were lost in a power failure, or with ledger.db-wal",
			(unsigned long long)past.lost);
}

static int open_ledger(struct serve *s, struct err *e)
{
	struct ledger_options o = {
		.dir = s->o.paths->state,
		.durability = (enum ledger_durability)s->o.config->mount.durability,
	};
	AUTO_FREE char *answers = NULL;
	AUTO_FD int fd = paths_open_dir(o.dir, "", 0700, e);
	int rc;

	if (fd < 0)
		return fd;
	rc = wait_for_lock(&o, &s->ledger, e);
	if (rc == 0)
		log_past(s->ledger);
	if (rc < 0)
		return rc;
	answers = str_printf("%s/answers", o.dir);
	if (!answers)
		return no_memory(e);
	rc = answers_open(answers, o.durability == LEDGER_EACH, &s->answers);
	if (rc < 0)
		return err_sys(e, -rc, "%s", answers);
	rc = paths_open_dir(o.dir, "jobs", 0700, e);
	s->jobs_fd = rc < 0 ? 0 : rc;
	return rc < 0 ? rc : 0;
}

/* an outage is a warning: the mount comes up, and every lookup is a miss until the store is back */
static int open_store(struct serve *s, struct err *e)
{
	const struct config *c = s->o.config;
	struct store_options o = {
		.url = s->o.paths->cache_url,
		.timeout_ms = c->store.timeout_ms,
		.breaker_failures = c->store.breaker_failures,
		.probe_ms = c->store.probe_ms,
		.ttl_s = c->store.ttl_s,
		.sync = c->mount.durability == LEDGER_EACH,
	};
	struct err warning = { 0 };
	int rc = store_open(&o, &s->store, &warning);

	if (rc < 0 && e)
		*e = warning;
	else if (warning.message[0])
		log_msg(LOG_WARNING, "%s", warning.message);
	return rc;
}

static int open_infer(struct serve *s, struct err *e)
{
	const struct config *c = s->o.config;
	struct infer_options o = {
		.backends = c->backends,
		.n_backends = c->n_backends,
		.queue_max = (size_t)c->mount.queue,
	};

	return infer_new(&o, &s->infer, e);
}

/* the broker borrows them for as long as it lives */
static int list_names(struct serve *s)
{
	const struct config *c = s->o.config;

	s->names = calloc(c->n_backends + 1, sizeof(*s->names));
	s->aliases = calloc(c->n_aliases + 1, sizeof(*s->aliases));
	if (!s->names || !s->aliases)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_backends; i++)
		s->names[i] = c->backends[i].name;
	for (size_t i = 0; i < c->n_aliases; i++)
		s->aliases[i] = (struct broker_alias){ c->aliases[i].from, c->aliases[i].to };
	return 0;
}

static int open_broker(struct serve *s, struct err *e)
{
	const struct config *c = s->o.config;
	struct broker_options o = {
		.infer = s->infer,
		.ledger = s->ledger,
		.answers = s->answers,
		.store = s->store,
		.model = s->o.detect->model,
		.choices = s->o.detect->choices,
		.scope = c->mount.scope ? c->mount.scope : "",
		.cache_mode = (enum request_cache)c->mount.cache_mode,
		.lossy = c->mount.lossy,
		.merge.size = c->gather.merge_size,
		.merge.window_ms = c->gather.merge_window_ms,
		.merge.always = c->gather.merge_window_ms !=
				(unsigned)strtoul(CONFIG_MERGE_WINDOW_MS, NULL, 10),
		.batch_poll_min_s = c->gather.poll_min_s,
		.batch_poll_max_s = c->gather.poll_max_s,
		.batch_resubmit = c->gather.resubmit,
		.timeout_s = c->mount.timeout_s,
		.n_aliases = c->n_aliases,
		.pool_threads = POOL_THREADS,
		.jobs_dirfd = s->jobs_fd,
		.max_request_bytes = c->mount.max_request_bytes,
	};

	if (list_names(s) < 0)
		return no_memory(e);
	o.aliases = s->aliases;
	o.backends = s->names;
	o.prices = s->o.prices;
	return broker_new(&o, &s->broker, e);
}

/* README.md is made once, here: its text must not change under whoever reads it */
static int open_tree(struct serve *s, struct err *e)
{
	const struct config_mount *m = &s->o.config->mount;
	struct readme_facts facts = { s->o.paths->mountpoint, s->o.config, s->o.detect };
	struct vfs_options o = {
		.broker = s->broker,
		.max_request_bytes = m->max_request_bytes,
		.suffixes = (const char *const *)m->suffixes,
		.wait = m->wait,
		.uid = getuid(),
		.gid = getgid(),
	};
	int rc = readme_text(&facts, &s->readme);

	if (rc < 0)
		return no_memory(e);
	o.readme = buf_str(&s->readme);
	rc = paths_open_dir(s->o.paths->state, "prompts", 0755, e);
	if (rc < 0)
		return rc;
	o.prompts_fd = rc;
	rc = paths_open_dir(s->o.paths->state, "namespaces", 0755, e);
	if (rc < 0) {
		(void)close(o.prompts_fd); /* nothing was written */
		return rc;
	}
	o.namespaces_fd = rc;
	rc = vfs_new(&o, &s->vfs, e); /* it owns the descriptors from here on */
	if (rc == 0)
		broker_set_files(s->broker, &(struct broker_files){ .open = vfs_file_open,
								    .read = vfs_file_read,
								    .make_ns = vfs_file_make_ns,
								    .arg = s->vfs });
	return rc;
}

static void *recover(void *arg)
{
	struct serve *s = arg;

	broker_recover(s->broker, vfs_file_sha, s->vfs);
	LOCK_SCOPE(&s->lock);
	s->recovered = true;
	cond_broadcast(&s->cond);
	return NULL;
}

/* what had been accepted before; a million of them must not hold up the mount */
static int start_recovery(struct serve *s, struct err *e)
{
	uint64_t patience = mono_ns() + RECOVERY_PATIENCE;
	int rc = thread_start(&s->recovery, "recover", recover, s);

	if (rc < 0)
		return err_sys(e, -rc, "a thread");
	LOCK_SCOPE(&s->lock);
	while (!s->recovered)
		if (!cond_wait_until(&s->cond, &s->lock, patience))
			break;
	return 0;
}

static int open_mount(struct serve *s, struct err *e)
{
	struct fuse_mount_options o = {
		.source = s->o.source ? s->o.source : "inferfs",
		.mountpoint = s->o.paths->mountpoint,
		.fuse_opts = s->o.fuse_opts,
		.debug = s->o.debug,
		.vfs = s->vfs,
	};
	int rc = mount_open(&o, &s->mount, e);

	if (rc < 0)
		return rc;
	mount_on_end(s->mount, s->o.ended, s->o.arg);
	rc = mount_start(s->mount, e);
	if (rc == 0)
		rc = paths_mounted(s->o.paths, e);
	return rc < 0 ? rc : start_recovery(s, e);
}

int serve_start(const struct serve_options *o, struct serve **out, struct err *e)
{
	static int (*const steps[])(struct serve * s, struct err * e) = {
		open_ledger, open_store, open_infer, open_broker, open_tree, open_mount,
	};
	struct serve *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return no_memory(e);
	s->o = *o;
	buf_init(&s->readme, README_MAX);
	lock_init(&s->lock, LOCK_LEAF);
	cond_init(&s->cond);
	rc = mount_clean(o->paths->mountpoint, e);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(steps); i++)
		rc = steps[i](s, e);
	if (rc < 0) {
		(void)serve_stop(s); /* returns NULL */
		return rc;
	}
	*out = s;
	return 0;
}

/* Whoever waits in the tree is answered first, while everything it could ask for is still there; the
 * mount goes before the tree that it calls, the ledger last because the others still write to it. */
struct serve *serve_stop(struct serve *s)
{
	if (!s)
		return NULL;
	if (s->vfs)
		vfs_stop(s->vfs);
	thread_join(&s->recovery);
	if (s->broker)
		broker_quiet(s->broker);
	if (s->mount)
		s->mount = mount_close(s->mount);
	if (s->vfs)
		vfs_close(s->vfs);
	if (s->broker) { /* their last callbacks go to the broker: it ends them */
		s->broker = broker_stop(s->broker);
		s->infer = NULL;
		s->ledger = NULL;
	}
	s->vfs = vfs_free(s->vfs);
	if (s->infer)
		s->infer = infer_stop(s->infer);
	s->store = store_close(s->store);
	s->answers = answers_close(s->answers);
	s->ledger = ledger_close(s->ledger);
	if (s->jobs_fd)
		(void)close(s->jobs_fd); /* a directory */
	cond_done(&s->cond);
	lock_done(&s->lock);
	buf_done(&s->readme);
	free(s->names);
	free(s->aliases);
	free(s);
	return NULL;
}
