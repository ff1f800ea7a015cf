/* broker_fixture.c - see broker_fixture.h */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/lock.h"
#include "base/mono.h"
#include "broker_fixture.h"

#define PATIENCE (10 * MONO_S)

static struct backend_config echo_config(const char *name)
{
	struct backend_config c = { .name = (char *)(uintptr_t)name, .type = infer_type("echo") };

	c.limits.concurrency = 32;
	c.limits.timeout_s = 60;
	c.limits.retries = 2;
	c.limits.backoff_ms = 1;
	c.limits.backoff_max_ms = 2;
	c.free_of_charge = true;
	c.at.default_url = true;
	return c;
}

static int open_below(struct fixture *f)
{
	struct ledger_options lo = { .dir = f->dir, .durability = LEDGER_NONE };
	struct infer_options io = { .backends = f->backends, .n_backends = 1, .queue_max = 100 };
	char answers[96], jobs[96];
	struct err e = { 0 };

	(void)snprintf(answers, sizeof(answers), "%s/answers", f->dir);
	if (ledger_open(&lo, &f->ledger, &e) < 0 || answers_open(answers, 0, &f->answers) < 0 ||
	    infer_new(&io, &f->infer, &e) < 0) {
		(void)fprintf(stderr, "fixture: %s\n", e.message);
		return -1;
	}
	f->options.infer = f->infer;
	f->options.ledger = f->ledger;
	f->options.answers = f->answers;
	f->options.store = f->store;
	(void)snprintf(jobs, sizeof(jobs), "%s/jobs", f->dir);
	if (mkdir(jobs, 0700) < 0 && errno != EEXIST)
		return -1;
	f->options.jobs_dirfd = open(jobs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (broker_new(&f->options, &f->broker, &e) < 0)
		return -1;
	if (f->files.open)
		broker_set_files(f->broker, &f->files);
	return 0;
}

int fixture_open(struct fixture *f)
{
	struct store_options so = {
		.url = "memory:", .timeout_ms = 1000, .breaker_failures = 3, .probe_ms = 100
	};
	struct err e = { 0 };

	*f = (struct fixture){ .dir = "/tmp/inferfs-unit.XXXXXX", .files = f->files };
	if (!mkdtemp(f->dir) || store_open(&so, &f->store, &e) < 0)
		return -1;
	f->backends[0] = echo_config("echo");
	f->names[0] = "echo";
	f->options = (struct broker_options){ .model = "echo/echo",
					      .choices = "echo/echo",
					      .scope = "",
					      .timeout_s = 60,
					      .pool_threads = 2,
					      .backends = f->names };
	return open_below(f);
}

static void close_below(struct fixture *f)
{
	if (f->broker)
		broker_quiet(f->broker);
	f->broker = broker_stop(f->broker);
	(void)close(f->options.jobs_dirfd);
	f->answers = answers_close(f->answers);
}

void fixture_close(struct fixture *f)
{
	close_below(f);
	f->store = store_close(f->store);
	(void)fdio_remove_tree(AT_FDCWD, f->dir);
}

static int same_sha(void *arg, const struct broker_name *name, struct key *out)
{
	(void)name;
	if (!arg)
		return -ENOENT;
	*out = *(const struct key *)arg;
	return 0;
}

void fixture_reopen(struct fixture *f, const struct key *sha)
{
	struct key copy = sha ? *sha : (struct key){ 0 };

	close_below(f);
	if (open_below(f) == 0)
		broker_recover(f->broker, same_sha, sha ? &copy : NULL);
}

/* ---- one result from another thread ---- */

struct outcome {
	struct lock lock;
	struct cond cond;
	bool there;
	int code;
	int64_t id;
};

static void outcome_init(struct outcome *o)
{
	*o = (struct outcome){ 0 };
	lock_init(&o->lock, LOCK_NODE);
	cond_init(&o->cond);
}

static void outcome_set(struct outcome *o, int code, int64_t id)
{
	lock_take(&o->lock);
	o->there = true;
	o->code = code;
	o->id = id;
	cond_broadcast(&o->cond);
	lock_drop(&o->lock);
}

static int outcome_get(struct outcome *o)
{
	uint64_t until = mono_ns() + PATIENCE;

	lock_take(&o->lock);
	while (!o->there && cond_wait_until(&o->cond, &o->lock, until))
		continue;
	lock_drop(&o->lock);
	cond_done(&o->cond);
	lock_done(&o->lock);
	return o->there ? o->code : ETIME;
}

static void checked(void *arg, const struct broker_accepted *r)
{
	outcome_set(arg, r->code, r->id);
}

int fixture_check(struct fixture *f, const char *path, const char *json, bool send, int64_t *out_id)
{
	struct broker_doc d = { .root = "",
				.path = path,
				.suffix = ".json",
				.form = REQUEST_JSON,
				.text = json,
				.len = strlen(json),
				.send = send };
	struct outcome o;
	int code;

	outcome_init(&o);
	broker_check(f->broker, &d, checked, &o);
	code = outcome_get(&o);
	if (out_id)
		*out_id = o.id;
	return code;
}

struct waiting {
	struct broker_waiter w;
	struct outcome o;
};

static void woken(struct broker_waiter *w)
{
	outcome_set(&((struct waiting *)(void *)w)->o, 0, 0);
}

enum broker_state fixture_final(struct fixture *f, int64_t id)
{
	struct waiting x = { .w.wake = woken };
	struct broker_view v = { 0 };

	outcome_init(&x.o);
	if (broker_wait(f->broker, id, &x.w) < 0)
		outcome_set(&x.o, 0, 0);
	if (outcome_get(&x.o) != 0)
		(void)broker_unwait(f->broker, &x.w);
	return broker_get(f->broker, id, &v) == 0 ? v.state : 0;
}

const char *fixture_render(struct fixture *f, int64_t id, enum broker_file file, int *out_err)
{
	static char text[1 << 16];
	struct buf b = BUF_INIT(sizeof(text) - 1);
	struct broker_file_id which = { .id = id, .file = file };
	int r = broker_render(f->broker, &which, &b);

	if (out_err)
		*out_err = r;
	(void)snprintf(text, sizeof(text), "%s", buf_str(&b));
	buf_done(&b);
	return r < 0 ? NULL : text;
}

static void done(void *arg, int result)
{
	outcome_set(arg, result, 0);
}

int fixture_drop(struct fixture *f, const char *path)
{
	struct outcome o;

	outcome_init(&o);
	broker_name_drop(f->broker, "", path, done, &o);
	return outcome_get(&o);
}

int fixture_move(struct fixture *f, const struct broker_move *m)
{
	struct outcome o;

	outcome_init(&o);
	broker_name_move(f->broker, m, done, &o);
	return outcome_get(&o);
}

int fixture_dismiss(struct fixture *f, const char *path)
{
	struct broker_name n = { "", path, ".json" };
	struct outcome o;

	outcome_init(&o);
	broker_name_dismiss(f->broker, &n, done, &o);
	return outcome_get(&o);
}

int64_t fixture_counter(struct fixture *f, enum ledger_counter c)
{
	int64_t all[LEDGER_COUNTERS];

	ledger_counters(f->ledger, all);
	return all[c];
}
