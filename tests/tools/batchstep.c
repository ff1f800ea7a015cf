/*
 * batchstep TYPE URL FILE STEP...   steps of one batch against a server, each recorded in FILE before the next
 *
 *   write N [MEMBERS]   N requests "line K" into FILE.in; MEMBERS: JSON text of more members of each request
 *   upload create find poll fetch cancel remove
 *   wait                poll until it is over
 *
 * TYPE is a backend's type, TYPE:MODEL names a model. FILE holds the job between two runs: a step that is run
 * again after a kill finds what was recorded. Answers go to FILE.out, "INDEX TEXT" each, sorted by whoever reads
 * them. Prints a line for each step: its name and "ok" or an errno's name, with what is worth knowing.
 * The exit status is that of the last step. The key is in BATCH_KEY.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fdio.h"
#include "base/mono.h"
#include "base/str.h"
#include "infer/batch.h"
#include "infer/infer.h"

enum { LINES_MAX = 64 << 20 };

struct run {
	struct backend_config config;
	const char *model, *path;
	struct batch_job job;
	struct infer *infer;
	/* of the step under way */
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool over;
	struct batch_result result;
	struct err err;
	struct batch_call *call;
	struct batch_reader *reader;
	unsigned kinds[4], garbled, unknown, twice, lines;
	FILE *out;
};

/* ---- the record ---- */

static void keep(const struct run *r)
{
	const struct batch_job *j = &r->job;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s}", "endpoint",
			      j->group.endpoint, "model", j->group.model, "header", j->group.header,
			      "tag", j->tag, "requests", (json_int_t)j->requests, "begun",
			      (json_int_t)j->begun_real_ns, "input", j->input, "id", j->id,
			      "output", j->output[0], "errors", j->output[1]);
	char *text = json_dumps(o, JSON_COMPACT);

	if (!text || fdio_put(AT_FDCWD, r->path, text, strlen(text), 0, 0600))
		abort();
	free(text);
	json_decref(o);
}

static void take(char *dst, size_t cap, const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	(void)str_copy(dst, cap, s ? s : "");
}

static void load(struct run *r)
{
	struct batch_job *j = &r->job;
	json_t *o = json_load_file(r->path, 0, NULL);

	take(j->group.endpoint, sizeof(j->group.endpoint), o, "endpoint");
	take(j->group.model, sizeof(j->group.model), o, "model");
	take(j->group.header, sizeof(j->group.header), o, "header");
	take(j->tag, sizeof(j->tag), o, "tag");
	take(j->input, sizeof(j->input), o, "input");
	take(j->id, sizeof(j->id), o, "id");
	take(j->output[0], BATCH_NAME_MAX, o, "output");
	take(j->output[1], BATCH_NAME_MAX, o, "errors");
	j->requests = (uint64_t)json_integer_value(json_object_get(o, "requests"));
	j->begun_real_ns = (uint64_t)json_integer_value(json_object_get(o, "begun"));
	json_decref(o);
}

/* ---- writing ---- */

static json_t *request(const struct run *r, unsigned n, const char *members)
{
	char text[64];
	json_t *more = members ? json_loads(members, 0, NULL) : NULL, *o;

	(void)snprintf(text, sizeof(text), "line %u", n);
	o = json_pack("{s:s, s:s, s:[{s:s, s:s}]}", "endpoint", "chat", "model", r->model,
		      "messages", "role", "user", "content", text);
	if (more)
		json_object_update(o, more);
	json_decref(more);
	return o;
}

static int write_lines(struct run *r, unsigned n, const char *members)
{
	struct buf lines = BUF_INIT(LINES_MAX);
	char *path = str_printf("%s.in", r->path);
	struct timespec now;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	r->job = (struct batch_job){ .requests = n, .begun_real_ns = mono_real_ns() };
	(void)snprintf(r->job.tag, sizeof(r->job.tag), "t%d-%ld", getpid(), now.tv_nsec);
	for (unsigned i = 0; i < n && !rc; i++) {
		json_t *o = request(r, i, members);
		struct batch_draft d;

		rc = batch_draft_make(&r->config, o, NULL, &d, &r->err);
		if (!rc) {
			r->job.group = d.group;
			rc = batch_draft_line(&r->config, &d, r->job.tag, i, &lines);
			batch_draft_done(&d);
		}
		json_decref(o);
	}
	if (!rc)
		rc = fdio_put(AT_FDCWD, path, lines.data, lines.len, 0, 0600);
	keep(r);
	buf_done(&lines);
	free(path);
	printf("write %s\n", rc ? err_name(-rc) : "ok");
	if (rc)
		printf("  %s\n", r->err.message);
	return rc != 0;
}

/* ---- steps ---- */

static bool on_line(void *arg, const char *text, size_t n)
{
	struct run *r = arg;
	struct batch_line line;
	struct err e;
	int rc = batch_reader_line(r->reader, text, n, &line, &e);

	r->lines++;
	r->garbled += rc == -EBADMSG;
	r->unknown += rc == -ENOENT;
	r->twice += rc == -EEXIST;
	if (!rc) {
		r->kinds[line.kind]++;
		if (line.take_answer)
			fprintf(r->out, "%" PRIu64 " %s\n", line.index,
				buf_str(&line.take_answer->text));
		else
			fprintf(r->out, "%" PRIu64 " %s\n", line.index, err_name(line.err.code));
		answer_free(line.take_answer);
	}
	if (r->lines % 64)
		return true;
	batch_go_on(infer_batch(r->infer), r->call); /* every line of 64 finds no room */
	return false;
}

static void on_done(void *arg, const struct batch_result *result, const struct err *e)
{
	struct run *r = arg;

	pthread_mutex_lock(&r->lock);
	r->result = *result;
	r->err = e ? *e : (struct err){ 0 };
	r->over = true;
	pthread_cond_signal(&r->news);
	pthread_mutex_unlock(&r->lock);
}

static void say(const struct run *r, const char *name, enum batch_step step)
{
	const struct batch_result *res = &r->result;

	printf("%s %s", name, r->err.code ? err_name(r->err.code) : "ok");
	if (r->err.code)
		printf("%s%s\n  %s\n", res->unsure ? " unsure" : "", res->gone ? " gone" : "",
		       r->err.message);
	else if (step == BATCH_FIND && !res->job.id[0])
		puts(" none");
	else if (step == BATCH_CREATE || step == BATCH_FIND || step == BATCH_POLL)
		printf(" %s %" PRId64 "/%" PRId64 "%s%s\n", batch_state_name(res->state),
		       res->succeeded, res->total, res->why[0] ? " why=" : "", res->why);
	else if (step == BATCH_FETCH)
		printf(" answers=%u errors=%u expired=%u cancelled=%u garbled=%u unknown=%u "
		       "twice=%u missing=%s\n",
		       r->kinds[0], r->kinds[1], r->kinds[2], r->kinds[3], r->garbled, r->unknown,
		       r->twice,
		       batch_reader_missing(r->reader, 0) < r->job.requests ? "yes" : "no");
	else
		puts("");
	fflush(stdout);
}

static int step(struct run *r, const char *name, enum batch_step step)
{
	char *in = str_printf("%s.in", r->path), *out = str_printf("%s.out", r->path);
	int fd = open(in, O_RDONLY | O_CLOEXEC);
	struct batch_order o = { .step = step,
				 .job = &r->job,
				 .fd = fd,
				 .size = fd < 0 ? 0 : (uint64_t)lseek(fd, 0, SEEK_END),
				 .line = on_line,
				 .done = on_done,
				 .arg = r };
	int rc;

	r->out = step == BATCH_FETCH ? fopen(out, "we") : NULL;
	r->reader = batch_reader_new(&r->config, &r->job);
	r->over = false;
	r->lines = r->garbled = r->unknown = r->twice = 0;
	memset(r->kinds, 0, sizeof(r->kinds));
	rc = batch_start(infer_batch(r->infer), &o, &r->call);
	if (rc) {
		r->err = (struct err){ .code = -rc };
		memset(&r->result, 0, sizeof(r->result));
	} else {
		pthread_mutex_lock(&r->lock);
		while (!r->over)
			pthread_cond_wait(&r->news, &r->lock);
		pthread_mutex_unlock(&r->lock);
		if (!r->err.code)
			r->job = r->result.job;
		keep(r);
	}
	if (r->out)
		fclose(r->out);
	say(r, name, step);
	r->reader = batch_reader_free(r->reader);
	if (fd >= 0)
		close(fd);
	free(in);
	free(out);
	return r->err.code;
}

static int wait_over(struct run *r)
{
	for (int i = 0; i < 100; i++) {
		int rc = step(r, "poll", BATCH_POLL);

		if (rc || batch_state_over(r->result.state))
			return rc;
	}
	return ETIMEDOUT;
}

static int run(struct run *r, char **words, int n)
{
	static const struct {
		const char *name;
		enum batch_step step;
	} steps[] = { { "upload", BATCH_UPLOAD }, { "create", BATCH_CREATE },
		      { "find", BATCH_FIND },	  { "poll", BATCH_POLL },
		      { "fetch", BATCH_FETCH },	  { "cancel", BATCH_CANCEL },
		      { "remove", BATCH_REMOVE } };
	int rc = 0;

	for (int i = 0; i < n; i++) {
		if (strcmp(words[i], "write") == 0 && i + 1 < n) {
			bool more = i + 2 < n && words[i + 2][0] == '{';

			rc = write_lines(r, (unsigned)atoi(words[i + 1]),
					 more ? words[i + 2] : NULL);
			i += 1 + more;
			continue;
		}
		if (strcmp(words[i], "wait") == 0)
			rc = wait_over(r);
		for (size_t k = 0; k < ARRAY_LEN(steps); k++)
			if (strcmp(words[i], steps[k].name) == 0)
				rc = step(r, words[i], steps[k].step);
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct run r = { .model = "echo-small" };
	struct infer_options o = { .backends = &r.config, .n_backends = 1, .queue_max = 10 };
	char *colon = argc > 1 ? strchr(argv[1], ':') : NULL;
	int rc;

	if (argc < 5) {
		fprintf(stderr, "usage: batchstep TYPE[:MODEL] URL FILE STEP...\n");
		return 2;
	}
	if (colon) {
		*colon = '\0';
		r.model = colon + 1;
	}
	r.path = argv[3];
	r.config = (struct backend_config){
		.name = argv[1],
		.type = infer_type(argv[1]),
		.at = { .url = argv[2], .key = getenv("BATCH_KEY") },
		.limits = { .concurrency = 4,
			    .timeout_s = 20,
			    .connect_timeout_s = 5,
			    .stall_timeout_s = 10,
			    .retries = 2,
			    .backoff_ms = 2,
			    .backoff_max_ms = 8 },
	};
	pthread_mutex_init(&r.lock, NULL);
	pthread_cond_init(&r.news, NULL);
	if (!r.config.type || infer_new(&o, &r.infer, &r.err)) {
		fprintf(stderr, "batchstep: no such type\n");
		return 2;
	}
	load(&r);
	rc = run(&r, argv + 4, argc - 4);
	r.infer = infer_stop(r.infer);
	return rc != 0;
}
