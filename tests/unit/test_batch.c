/*
 * infer/batch: steps of batches at four providers, byte by byte on the wire: every state, every failure
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/str.h"
#include "infer/batch.h"
#include "infer/infer.h"
#include "wire.h"
#include "wire_ask.h"

static struct wire *w;
static struct ask a;
static struct batch *batches;

/* one step and what became of it */
struct step {
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct batch_call *call;
	struct batch_result result;
	struct err err;
	int ended;
	bool full;	  /* each line finds no room */
	unsigned refused; /* lines that found none */
	size_t lines;
	struct buf text; /* all lines, with newlines */
	const char *known;
};

static void begin(const char *type)
{
	w = wire_new();
	ask_new(&a, ask_config(type, wire_url(w)));
	batches = infer_batch(a.infer);
}

static void end(void)
{
	ask_free(&a);
	w = wire_free(w);
}

static bool on_line(void *arg, const char *text, size_t n)
{
	struct step *s = arg;

	pthread_mutex_lock(&s->lock);
	s->lines++;
	s->refused += s->full;
	buf_add(&s->text, text, n);
	buf_addc(&s->text, '\n');
	pthread_cond_broadcast(&s->news);
	pthread_mutex_unlock(&s->lock);
	return !s->full;
}

static bool on_known(void *arg, const char *id)
{
	struct step *s = arg;

	return s->known && strcmp(s->known, id) == 0;
}

static void on_done(void *arg, const struct batch_result *r, const struct err *e)
{
	struct step *s = arg;

	pthread_mutex_lock(&s->lock);
	s->result = *r;
	s->err = e ? *e : (struct err){ 0 };
	s->ended++;
	pthread_cond_broadcast(&s->news);
	pthread_mutex_unlock(&s->lock);
}

static struct batch_job job(const char *id)
{
	struct batch_job j = { .tag = "tag-1",
			       .requests = 2,
			       .begun_real_ns = 1800000000ull * 1000000000ull };

	(void)str_copy(j.group.endpoint, sizeof(j.group.endpoint), "/v1/chat/completions");
	(void)str_copy(j.group.model, sizeof(j.group.model), "m1");
	(void)str_copy(j.id, sizeof(j.id), id);
	return j;
}

static int start(struct step *s, enum batch_step what, const struct batch_job *j, int fd,
		 uint64_t size)
{
	struct batch_order o = { .step = what,
				 .job = j,
				 .fd = fd,
				 .size = size,
				 .line = on_line,
				 .known = on_known,
				 .done = on_done,
				 .arg = s };

	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->news, NULL);
	buf_init(&s->text, 1 << 24);
	return batch_start(batches, &o, &s->call);
}

static void await(struct step *s)
{
	pthread_mutex_lock(&s->lock);
	while (!s->ended)
		pthread_cond_wait(&s->news, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static void await_lines(struct step *s, size_t n)
{
	pthread_mutex_lock(&s->lock);
	while (s->lines < n && !s->ended)
		pthread_cond_wait(&s->news, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

/* to its end; the result is in *s */
static int run(struct step *s, enum batch_step what, const struct batch_job *j)
{
	memset(s, 0, sizeof(*s));
	assert_int_equal(start(s, what, j, -1, 0), 0);
	await(s);
	assert_int_equal(s->ended, 1);
	return s->err.code;
}

static void done(struct step *s)
{
	buf_done(&s->text);
}

static int file_of(const char *text, size_t n)
{
	int fd = memfd_create("lines", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, n), (ssize_t)n);
	return fd;
}

/* ---- states ---- */

struct state {
	const char *type, *body;
	enum batch_state state;
	const char *out, *errors, *why;
};

#define OPENAI(word, more)    "{\"id\":\"b1\",\"status\":\"" word "\"" more "}"
#define MISTRAL(word, more)   "{\"id\":\"b1\",\"status\":\"" word "\"" more "}"
#define GEMINI(word, more)    "{\"name\":\"batches/b1\",\"metadata\":{\"state\":\"" word "\"}" more "}"
#define ANTHROPIC(word, more) "{\"id\":\"b1\",\"processing_status\":\"" word "\"" more "}"

static const struct state states[] = {
	{ "openai", OPENAI("validating", ""), BATCH_WAITING, "", "", "" },
	{ "openai", OPENAI("in_progress", ",\"output_file_id\":null"), BATCH_RUNNING, "", "", "" },
	{ "openai", OPENAI("finalizing", ""), BATCH_RUNNING, "", "", "" },
	{ "openai", OPENAI("cancelling", ""), BATCH_CANCELLING, "", "", "" },
	{ "openai", OPENAI("completed", ",\"output_file_id\":\"f1\",\"error_file_id\":\"f2\""),
	  BATCH_DONE, "f1", "f2", "" },
	{ "openai", OPENAI("completed", ",\"error_file_id\":\"f2\""), BATCH_DONE, "", "f2", "" },
	{ "openai",
	  OPENAI("failed", ",\"errors\":{\"data\":[{\"code\":\"x\",\"message\":\"bad line\"}]}"),
	  BATCH_FAILED, "", "", "bad line" },
	{ "openai", OPENAI("expired", ",\"output_file_id\":\"f1\""), BATCH_EXPIRED, "f1", "", "" },
	{ "openai", OPENAI("cancelled", ""), BATCH_CANCELLED, "", "", "" },
	{ "openai", OPENAI("a new word", ""), BATCH_RUNNING, "", "", "" },
	{ "openai", "{\"id\":\"b1\",\"status\":7}", BATCH_RUNNING, "", "", "" },
	{ "openai", OPENAI("completed", ",\"output_file_id\":\"a b\""), BATCH_DONE, "", "", "" },
	{ "mistral", MISTRAL("QUEUED", ""), BATCH_WAITING, "", "", "" },
	{ "mistral", MISTRAL("RUNNING", ""), BATCH_RUNNING, "", "", "" },
	{ "mistral", MISTRAL("CANCELLATION_REQUESTED", ""), BATCH_CANCELLING, "", "", "" },
	{ "mistral", MISTRAL("SUCCESS", ",\"output_file\":\"f1\",\"error_file\":null"), BATCH_DONE,
	  "f1", "", "" },
	{ "mistral", MISTRAL("FAILED", ",\"errors\":[{\"message\":\"no quota\",\"count\":3}]"),
	  BATCH_FAILED, "", "", "no quota" },
	{ "mistral", MISTRAL("TIMEOUT_EXCEEDED", ",\"output_file\":\"f1\""), BATCH_EXPIRED, "f1",
	  "", "" },
	{ "mistral", MISTRAL("CANCELLED", ",\"error_file\":\"f2\""), BATCH_CANCELLED, "", "f2",
	  "" },
	{ "mistral", MISTRAL("PAUSED", ""), BATCH_RUNNING, "", "", "" },
	{ "gemini", GEMINI("BATCH_STATE_UNSPECIFIED", ""), BATCH_WAITING, "", "", "" },
	{ "gemini", GEMINI("BATCH_STATE_PENDING", ""), BATCH_WAITING, "", "", "" },
	{ "gemini", GEMINI("BATCH_STATE_RUNNING", ""), BATCH_RUNNING, "", "", "" },
	{ "gemini", GEMINI("JOB_STATE_CANCELLING", ""), BATCH_CANCELLING, "", "", "" },
	{ "gemini",
	  GEMINI("BATCH_STATE_SUCCEEDED",
		 ",\"done\":true,\"response\":{\"responsesFile\":\"files/batch-b1\"}"),
	  BATCH_DONE, "batch-b1", "", "" },
	{ "gemini",
	  "{\"name\":\"batches/b1\",\"metadata\":{\"state\":\"JOB_STATE_SUCCEEDED\","
	  "\"output\":{\"responsesFile\":\"files/x\"}}}",
	  BATCH_DONE, "x", "", "" },
	{ "gemini",
	  GEMINI("BATCH_STATE_FAILED", ",\"done\":true,\"error\":{\"code\":3,\"message\":\"bad\"}"),
	  BATCH_FAILED, "", "", "bad" },
	{ "gemini", GEMINI("BATCH_STATE_CANCELLED", ",\"done\":true"), BATCH_CANCELLED, "", "",
	  "" },
	{ "gemini", GEMINI("BATCH_STATE_EXPIRED", ",\"done\":true"), BATCH_EXPIRED, "", "", "" },
	{ "gemini", GEMINI("BATCH_STATE_RUNNING", ",\"done\":true"), BATCH_DONE, "", "", "" },
	{ "gemini", GEMINI("NEW", ",\"done\":true,\"error\":{\"message\":\"oh\"}"), BATCH_FAILED,
	  "", "", "oh" },
	{ "gemini", "{\"name\":\"batches/b1\"}", BATCH_RUNNING, "", "", "" },
	{ "gemini",
	  GEMINI("BATCH_STATE_SUCCEEDED", ",\"response\":{\"responsesFile\":\"files/a/b\"}"),
	  BATCH_DONE, "", "", "" },
	{ "anthropic", ANTHROPIC("in_progress", ""), BATCH_RUNNING, "", "", "" },
	{ "anthropic", ANTHROPIC("canceling", ""), BATCH_CANCELLING, "", "", "" },
	{ "anthropic", ANTHROPIC("ended", ",\"results_url\":\"https://x/y\""), BATCH_DONE, "b1", "",
	  "" },
	{ "anthropic", ANTHROPIC("ended", ",\"results_url\":null"), BATCH_DONE, "", "", "" },
	{ "anthropic",
	  ANTHROPIC("ended",
		    ",\"results_url\":\"https://x/y\",\"archived_at\":\"2026-11-21T00:00:00Z\""),
	  BATCH_DONE, "", "", "" },
	{ "anthropic", ANTHROPIC("a new word", ""), BATCH_RUNNING, "", "", "" },
};

static void test_states(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		const struct state *k = &states[i];
		struct batch_job j = job("b1");
		struct step s;

		begin(k->type);
		wire_add_json(w, 200, NULL, k->body);
		assert_int_equal(run(&s, BATCH_POLL, &j), 0);
		if (s.result.state != k->state)
			fail_msg("%s: %s", k->body, batch_state_name(s.result.state));
		assert_string_equal(s.result.job.output[0], k->out);
		assert_string_equal(s.result.job.output[1], k->errors);
		assert_string_equal(s.result.why, k->why);
		assert_string_equal(s.result.job.id, "b1");
		assert_int_equal(batch_state_over(s.result.state), k->state >= BATCH_DONE);
		done(&s);
		end();
	}
}

static void test_counts(void **state)
{
	static const struct {
		const char *type, *body;
		int64_t total, good, bad;
	} k[] = {
		{ "openai",
		  OPENAI("completed",
			 ",\"request_counts\":{\"total\":9,\"completed\":7,\"failed\":2}"),
		  9, 7, 2 },
		{ "openai", OPENAI("completed", ",\"request_counts\":{\"total\":-1}"), -1, -1, -1 },
		{ "mistral",
		  MISTRAL("SUCCESS", ",\"total_requests\":9,\"succeeded_requests\":7,"
				     "\"failed_requests\":2"),
		  9, 7, 2 },
		{ "gemini",
		  "{\"name\":\"batches/b\",\"metadata\":{\"batchStats\":{\"requestCount\":\"9\","
		  "\"successfulRequestCount\":\"7\",\"failedRequestCount\":\"2\"}}}",
		  9, 7, 2 },
		{ "gemini",
		  "{\"name\":\"batches/b\",\"metadata\":{\"batchStats\":{\"requestCount\":\"x\"}}}",
		  -1, -1, -1 },
		{ "anthropic",
		  ANTHROPIC("ended", ",\"request_counts\":{\"processing\":0,\"succeeded\":5,"
				     "\"errored\":1,\"canceled\":2,\"expired\":1}"),
		  9, 5, 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		struct batch_job j = job("b1");
		struct step s;

		begin(k[i].type);
		wire_add_json(w, 200, NULL, k[i].body);
		assert_int_equal(run(&s, BATCH_POLL, &j), 0);
		assert_int_equal(s.result.total, k[i].total);
		assert_int_equal(s.result.succeeded, k[i].good);
		assert_int_equal(s.result.failed, k[i].bad);
		done(&s);
		end();
	}
}

/* An answer that is none of a batch: a proxy's page, another object, nothing. */
static void test_no_answers(void **state)
{
	static const char *const types[] = { "openai", "mistral", "gemini", "anthropic" };
	static const char *const bodies[] = {
		"{}", "[]", "<html>", "", "{\"id\":\"\"}", "{\"id\":\"a\\nb\",\"name\":\"files/x\"}"
	};
	struct batch_job j = job("b1");
	struct step s;

	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(types); t++)
		for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
			begin(types[t]);
			wire_add_json(w, 200, NULL, bodies[i]);
			assert_int_equal(run(&s, BATCH_POLL, &j), EBADMSG);
			assert_non_null(strstr(s.err.message, types[t]));
			assert_false(s.result.unsure);
			done(&s);
			end();
		}
}

/* ---- orders that cannot be ---- */

static void test_orders(void **state)
{
	struct batch_job j = job(""), bad = job("b1");
	struct step s = { 0 };
	struct batch_order o = { .step = BATCH_POLL, .backend = 3, .job = &j, .done = on_done };
	struct batch_limits limits;
	struct err e;

	(void)state;
	begin("openai");
	assert_int_equal(batch_start(batches, &o, NULL), -ENXIO);
	for (int k = BATCH_UPLOAD; k < BATCH_REMOVE; k++)
		if (k != BATCH_FIND)
			assert_int_equal(start(&s, (enum batch_step)k, &j, -1, 0), -EINVAL);
	(void)str_copy(bad.tag, sizeof(bad.tag), "a/b");
	assert_int_equal(start(&s, BATCH_FIND, &bad, -1, 0), -EINVAL);
	assert_int_equal(batch_can(&a.config, &limits, &e), 0);
	assert_true(limits.uploads && limits.tagged);
	assert_int_equal(limits.requests, 50000);
	a.config.dialect = BACKEND_VLLM;
	assert_int_equal(batch_can(&a.config, &limits, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.message, ".jsonl"));
	end();
	begin("ollama");
	assert_int_equal(start(&s, BATCH_POLL, &bad, -1, 0), -EOPNOTSUPP);
	assert_int_equal(wire_connections(w), 0);
	end();
	begin("anthropic");
	assert_int_equal(start(&s, BATCH_UPLOAD, &j, 0, 10), -EINVAL);
	end();
}

/* ---- what is sent ---- */

static const char two_lines[] = "{\"a\":1}\n{\"b\":2}\n";

static struct step upload(const char *type, struct batch_job *j, uint64_t size)
{
	struct step s = { 0 };
	int fd = file_of(two_lines, strlen(two_lines));

	(void)type;
	assert_int_equal(start(&s, BATCH_UPLOAD, j, fd, size), 0);
	await(&s);
	close(fd);
	return s;
}

static void test_form(void **state)
{
	struct batch_job j = job("");
	struct step s;

	(void)state;
	begin("mistral");
	wire_add_json(w, 200, NULL, "{\"id\":\"file-7\"}");
	s = upload("mistral", &j, strlen(two_lines));
	assert_int_equal(s.err.code, 0);
	assert_string_equal(s.result.job.input, "file-7");
	assert_non_null(strstr(wire_request(w, 0), "POST /v1/files HTTP/1.1"));
	assert_non_null(strstr(wire_request(w, 0), "Authorization: Bearer sk-local-test"));
	assert_non_null(strstr(wire_request(w, 0), "Content-Type: multipart/form-data; boundary="));
	assert_null(strstr(wire_request(w, 0), "Content-Type: application/json\r\n"));
	assert_string_equal(
		wire_body(w, 0),
		"--inferfs-batch-file\r\nContent-Disposition: form-data; "
		"name=\"purpose\"\r\n\r\nbatch\r\n"
		"--inferfs-batch-file\r\nContent-Disposition: form-data; name=\"file\"; "
		"filename=\"tag-1.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n"
		"{\"a\":1}\n{\"b\":2}\n\r\n--inferfs-batch-file--\r\n");
	done(&s);
	end();
}

/* It is read from the descriptor in pieces; what cannot be read is no upload. */
static void test_big_form(void **state)
{
	enum { BYTES = 3 << 20 };
	char *text = malloc(BYTES);
	struct batch_job j = job("");
	struct step s = { 0 };
	const char *got;
	int fd;

	(void)state;
	for (size_t i = 0; i < BYTES; i++)
		text[i] = i % 1000 == 999 ? '\n' : (char)('a' + i % 26);
	fd = file_of(text, BYTES);
	begin("openai");
	wire_add_json(w, 200, NULL, "{\"id\":\"f\"}");
	assert_int_equal(start(&s, BATCH_UPLOAD, &j, fd, BYTES), 0);
	await(&s);
	assert_int_equal(s.err.code, 0);
	got = strstr(wire_body(w, 0), "application/jsonl\r\n\r\n");
	assert_non_null(got);
	assert_memory_equal(got + strlen("application/jsonl\r\n\r\n"), text, BYTES);
	done(&s);
	memset(&s, 0, sizeof(s));
	assert_int_equal(start(&s, BATCH_UPLOAD, &j, fd, BYTES + 1), 0); /* shorter than was said */
	await(&s);
	assert_int_equal(s.err.code, EIO);
	assert_non_null(strstr(s.err.message, "cannot be read"));
	done(&s);
	end();
	close(fd);
	free(text);
}

static void test_creations(void **state)
{
	static const struct {
		const char *type, *endpoint, *model, *path, *body, *answer;
	} k[] = {
		{ "openai", "/v1/chat/completions", "m1", "POST /batches ",
		  "{\"completion_window\":\"24h\",\"endpoint\":\"/v1/chat/completions\","
		  "\"input_file_id\":\"in1\",\"metadata\":{\"inferfs\":\"tag-1\"}}",
		  OPENAI("validating", "") },
		{ "mistral", "/v1/fim/completions", "m1", "POST /v1/batch/jobs ",
		  "{\"endpoint\":\"/v1/fim/completions\",\"input_files\":[\"in1\"],\"metadata\":{"
		  "\"inferfs\":\"tag-1\"},\"model\":\"m1\",\"timeout_hours\":24}",
		  MISTRAL("QUEUED", "") },
		{ "gemini", "batchGenerateContent", "models/m1",
		  "POST /v1beta/models/m1:batchGenerateContent ",
		  "{\"batch\":{\"displayName\":\"tag-1\",\"inputConfig\":{\"fileName\":\"files/"
		  "in1\"}}}",
		  GEMINI("BATCH_STATE_PENDING", "") },
		{ "anthropic", "/v1/messages", "", "POST /v1/messages/batches ",
		  "{\"requests\":[{\"a\":1},{\"b\":2}]}", ANTHROPIC("in_progress", "") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		struct batch_job j = job("");
		struct step s = { 0 };
		int fd = file_of(two_lines, strlen(two_lines));

		(void)str_copy(j.group.endpoint, sizeof(j.group.endpoint), k[i].endpoint);
		(void)str_copy(j.group.model, sizeof(j.group.model), k[i].model);
		(void)str_copy(j.group.header, sizeof(j.group.header), "x-own: 1");
		(void)str_copy(j.input, sizeof(j.input), "in1");
		begin(k[i].type);
		wire_add_json(w, 200, NULL, k[i].answer);
		assert_int_equal(start(&s, BATCH_CREATE, &j, fd, strlen(two_lines)), 0);
		await(&s);
		assert_int_equal(s.err.code, 0);
		assert_string_equal(s.result.job.id, "b1");
		assert_true(str_starts(wire_request(w, 0), k[i].path));
		assert_string_equal(wire_body(w, 0), k[i].body);
		assert_non_null(strstr(wire_request(w, 0), "Content-Type: application/json"));
		if (strcmp(k[i].type, "anthropic") == 0)
			assert_non_null(strstr(wire_request(w, 0), "x-own: 1\r\n"));
		close(fd);
		done(&s);
		end();
	}
}

/* ---- a creation whose fate is not known ---- */

static void test_unsure(void **state)
{
	static const struct {
		int status; /* 0: the connection ends */
		int code;
		bool unsure;
		size_t requests;
	} k[] = { { 0, EREMOTEIO, true, 1 },	{ 500, EREMOTEIO, true, 1 },
		  { 503, EREMOTEIO, true, 1 },	{ 408, ETIMEDOUT, true, 1 },
		  { 400, EINVAL, false, 1 },	{ 401, EKEYREJECTED, false, 1 },
		  { 404, ENXIO, false, 1 },	{ 429, EBUSY, false, 5 },
		  { 409, EREMOTEIO, false, 5 }, { 302, EBADMSG, false, 1 },
		  { 200, EBADMSG, true, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		struct batch_job j = job("");
		struct step s;

		(void)str_copy(j.input, sizeof(j.input), "in1");
		begin("mistral");
		if (k[i].status)
			wire_add_json(w, k[i].status, NULL, "{\"message\":\"no\"}");
		else
			wire_add(w, (struct wire_answer){ .bytes = "", .then = WIRE_RESET });
		assert_int_equal(run(&s, BATCH_CREATE, &j), k[i].code);
		if (s.result.unsure != k[i].unsure)
			fail_msg("status %d: unsure %d", k[i].status, s.result.unsure);
		assert_int_equal(wire_requests(w), k[i].requests);
		done(&s);
		end();
	}
}

/* libcurl sends a request again when a kept connection breaks: not this one. */
static void test_once(void **state)
{
	struct batch_job j = job("b1");
	struct step s;

	(void)state;
	(void)str_copy(j.input, sizeof(j.input), "in1");
	begin("openai");
	wire_add_json(w, 200, NULL, OPENAI("in_progress", ""));
	wire_add(w, (struct wire_answer){ .bytes = "", .then = WIRE_RESET });
	assert_int_equal(run(&s, BATCH_POLL, &j), 0);
	done(&s);
	assert_int_equal(run(&s, BATCH_CREATE, &j), EREMOTEIO);
	assert_true(s.result.unsure);
	assert_int_equal(wire_requests(w), 2);
	assert_int_equal(wire_connections(w), 2);
	done(&s);
	end();
}

static void test_no_connection(void **state)
{
	struct batch_job j = job("");
	struct step s;

	(void)state;
	(void)str_copy(j.input, sizeof(j.input), "in1");
	begin("openai");
	ask_free(&a);
	ask_new(&a, ask_config("openai", "http://127.0.0.1:1"));
	batches = infer_batch(a.infer);
	assert_int_equal(run(&s, BATCH_CREATE, &j), ECONNREFUSED);
	assert_false(s.result.unsure);
	assert_int_equal(s.err.attempts, 5);
	done(&s);
	end();
}

/* ---- trying again, and what is gone ---- */

static void test_again(void **state)
{
	struct batch_job j = job("b1");
	struct step s;

	(void)state;
	begin("openai");
	wire_add_json(w, 500, NULL, "{}");
	wire_add_json(w, 429, "retry-after-ms: 3\r\n", "{}");
	wire_add(w, (struct wire_answer){ .bytes = "", .then = WIRE_RESET });
	wire_add_json(w, 200, NULL, OPENAI("in_progress", ""));
	assert_int_equal(run(&s, BATCH_POLL, &j), 0);
	assert_int_equal(wire_requests(w), 4);
	done(&s);
	end();
	begin("openai");
	wire_add_json(w, 429, NULL, "{\"error\":{\"code\":\"insufficient_quota\"}}");
	assert_int_equal(run(&s, BATCH_POLL, &j), EDQUOT);
	assert_int_equal(wire_requests(w), 1);
	done(&s);
	end();
}

static void test_gone(void **state)
{
	static const char *const types[] = { "openai", "mistral", "gemini", "anthropic" };
	struct batch_job j = job("b1");
	struct step s;

	(void)state;
	(void)str_copy(j.input, sizeof(j.input), "f1");
	(void)str_copy(j.output[0], BATCH_NAME_MAX, "f2");
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		begin(types[i]);
		wire_add_json(w, 404, NULL, "{\"error\":{\"message\":\"no such thing\"}}");
		assert_int_equal(run(&s, BATCH_POLL, &j), ENXIO);
		assert_true(s.result.gone);
		assert_non_null(strstr(s.err.message, "not any more"));
		done(&s);
		assert_int_equal(run(&s, BATCH_FETCH, &j), ENXIO);
		assert_true(s.result.gone);
		done(&s);
		assert_int_equal(run(&s, BATCH_REMOVE, &j), 0);
		done(&s);
		assert_int_equal(run(&s, BATCH_CANCEL, &j), 0);
		done(&s);
		end();
	}
	begin("gemini");
	wire_add_json(w, 403, NULL, "{\"error\":{\"message\":\"no permission\"}}");
	assert_int_equal(run(&s, BATCH_REMOVE, &j), 0);
	done(&s);
	assert_int_equal(run(&s, BATCH_POLL, &j), EKEYREJECTED);
	done(&s);
	end();
}

static void test_removal(void **state)
{
	struct batch_job j = job("b1");
	struct step s;

	(void)state;
	(void)str_copy(j.input, sizeof(j.input), "in1");
	(void)str_copy(j.output[1], BATCH_NAME_MAX, "err1");
	begin("openai");
	wire_add_json(w, 200, NULL, "{\"deleted\":true}");
	assert_int_equal(run(&s, BATCH_REMOVE, &j), 0);
	assert_int_equal(wire_requests(w), 2);
	assert_true(str_starts(wire_request(w, 0), "DELETE /files/err1 "));
	assert_true(str_starts(wire_request(w, 1), "DELETE /files/in1 "));
	done(&s);
	j = job("");
	assert_int_equal(run(&s, BATCH_REMOVE, &j), 0); /* nothing to remove */
	assert_int_equal(wire_requests(w), 2);
	done(&s);
	end();
}

/* An upload that was cut off may have left its file there; that of another batch is not ours to delete. */
static void test_strays(void **state)
{
	static const struct {
		const char *type, *pages[2];
		const char *asked[6];
	} k[] = {
		{ "openai",
		  { "{\"data\":[{\"id\":\"x\",\"filename\":\"tag-12.jsonl\"},{\"id\":\"y\",\"filename\":"
		    "\"tag-1.jsonl\"}],\"has_more\":true}",
		    "{\"data\":[{\"id\":\"z\",\"filename\":\"tag-1.jsonl\"},{\"id\":7}]}" },
		  { "DELETE /files/in1 ", "GET /files?purpose=batch&limit=1000 ",
		    "GET /files?purpose=batch&limit=1000&after=y ", "DELETE /files/y ",
		    "DELETE /files/z " } },
		{ "mistral",
		  { "{\"data\":[{\"id\":\"x\",\"filename\":\"tag-1.json\"},{\"id\":\"y\",\"filename\":"
		    "\"tag-1.jsonl\"}]}",
		    NULL },
		  { "DELETE /v1/files/in1 ",
		    "GET /v1/files?purpose=batch&search=tag-1&page=0&page_size=100 ",
		    "DELETE /v1/files/y " } },
		{ "gemini",
		  { "{\"files\":[{\"name\":\"files/x\"},{\"name\":\"files/y\",\"displayName\":\"tag-1\"}],"
		    "\"nextPageToken\":\"p 2\"}",
		    "{\"files\":[{\"name\":\"files/z\",\"displayName\":\"tag-1\"},{\"displayName\":"
		    "\"tag-1\"}]}" },
		  { "DELETE /v1beta/files/in1 ", "GET /v1beta/files?pageSize=100 ",
		    "GET /v1beta/files?pageSize=100&pageToken=p%202 ", "DELETE /v1beta/files/y ",
		    "DELETE /v1beta/files/z " } },
		{ "mistral", /* a list that is not to be had */
		  { "{\"object\":\"list\"}", NULL },
		  { "DELETE /v1/files/in1 ", "GET /v1/files?" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		struct batch_job j = job("");
		struct step s;
		size_t n = 0;

		(void)str_copy(j.input, sizeof(j.input), "in1");
		j.strays = true;
		begin(k[i].type);
		wire_add_json(w, 200, NULL, "{}");
		for (int p = 0; p < 2; p++)
			if (k[i].pages[p])
				wire_add_json(w, 200, NULL, k[i].pages[p]);
		wire_add_json(w, 404, NULL, "{}"); /* gone is fine */
		assert_int_equal(run(&s, BATCH_REMOVE, &j), 0);
		for (; k[i].asked[n]; n++)
			assert_true(str_starts(wire_request(w, n), k[i].asked[n]));
		assert_int_equal(wire_requests(w), n);
		done(&s);
		end();
	}
}

/* An upload that may have arrived before it broke is told, whatever comes of the next attempt. */
static void test_upload_again(void **state)
{
	static const struct {
		int first;
		bool strays;
	} k[] = { { 429, false }, { 500, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		struct batch_job j = job("");
		struct step s;

		begin("openai");
		wire_add_json(w, k[i].first, NULL, "{}");
		wire_add_json(w, 200, NULL, "{\"id\":\"f\"}");
		s = upload("openai", &j, strlen(two_lines));
		assert_int_equal(s.err.code, 0);
		assert_int_equal(wire_requests(w), 2);
		assert_int_equal(s.result.job.strays, k[i].strays);
		done(&s);
		end();
	}
}

/* ---- finding ---- */

static void test_find(void **state)
{
	static const struct {
		const char *type, *first, *second, *path;
		size_t requests;
		const char *id;
	} k[] = {
		{ "openai",
		  "{\"data\":[{\"id\":\"x\",\"metadata\":{\"inferfs\":\"tag-12\"}},"
		  "{\"id\":\"y\",\"metadata\":null}],\"has_more\":true}",
		  "{\"data\":[{\"id\":\"z\",\"status\":\"failed\",\"metadata\":{\"inferfs\":\"tag-1\"}}"
		  "],\"has_more\":true}",
		  "GET /batches?limit=100&after=y ", 2, "z" },
		{ "openai", "{\"data\":[],\"has_more\":false}", NULL, NULL, 1, "" },
		{ "openai", "{\"data\":[],\"has_more\":true}", NULL, NULL, 1, "" },
		{ "mistral",
		  "{\"data\":[{\"id\":\"z\",\"status\":\"QUEUED\",\"created_at\":1,\"metadata\":{"
		  "\"inferfs\":\"tag-1\"}}],\"total\":1}",
		  NULL, NULL, 1, "z" },
		{ "mistral", "{\"object\":\"list\",\"total\":0}", NULL, NULL, 1, "" },
		{ "gemini",
		  "{\"operations\":[{\"name\":\"batches/x\",\"metadata\":{\"displayName\":\"t\"}}],"
		  "\"nextPageToken\":\"p 2\"}",
		  "{\"operations\":[{\"name\":\"batches/z\",\"metadata\":{\"displayName\":\"tag-1\"}}]}",
		  "GET /v1beta/batches?pageSize=100&pageToken=p%202 ", 2, "z" },
		{ "gemini", "{}", NULL, NULL, 1, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		struct batch_job j = job("old");
		struct step s;

		begin(k[i].type);
		wire_add_json(w, 200, NULL, k[i].first);
		if (k[i].second)
			wire_add_json(w, 200, NULL, k[i].second);
		assert_int_equal(run(&s, BATCH_FIND, &j), 0);
		assert_string_equal(s.result.job.id, k[i].id);
		assert_int_equal(wire_requests(w), k[i].requests);
		if (k[i].path)
			assert_true(str_starts(wire_request(w, 1), k[i].path));
		done(&s);
		end();
	}
}

/* A full page of newer ones leads to the next; one that is older than our asking ends it. */
static void test_find_pages(void **state)
{
	struct buf page = BUF_INIT(1 << 20);
	struct batch_job j = job("");
	struct step s;

	(void)state;
	for (int old = 0; old < 2; old++) {
		buf_clear(&page);
		buf_adds(&page, "{\"data\":[");
		for (int i = 0; i < 100; i++)
			buf_addf(&page, "%s{\"id\":\"x%d\",\"created_at\":%d}", i ? "," : "", i,
				 old && i == 99 ? 1700000000 : 1800000100);
		buf_adds(&page, "]}");
		begin("mistral");
		wire_add_json(w, 200, NULL, buf_str(&page));
		wire_add_json(w, 200, NULL, "{\"data\":[]}");
		assert_int_equal(run(&s, BATCH_FIND, &j), 0);
		assert_string_equal(s.result.job.id, "");
		assert_int_equal(wire_requests(w), old ? 1 : 2);
		assert_non_null(strstr(wire_request(w, old ? 0 : 1),
				       old ? "page=0&page_size=100&order_by=-created"
					   : "page=1&page_size=100"));
		done(&s);
		end();
	}
	buf_done(&page);
}

#define MSG(id, status, n, at, url)                                                    \
	"{\"id\":\"" id "\",\"processing_status\":\"" status "\",\"request_counts\":{" \
	"\"processing\":" n "},\"created_at\":\"" at "\",\"results_url\":" url "}"
#define NOW	 "2027-01-15T08:00:30Z"
#define LONG_AGO "2026-01-15T08:00:30Z"

static void test_find_untagged(void **state)
{
	static const struct {
		const char *list, *known;
		const char *peek[2];
		const char *id;
		bool over;
		size_t requests;
	} k[] = {
		/* another size, too old, no time */
		{ MSG("a", "in_progress", "3", NOW,
		      "null") "," MSG("b", "in_progress", "2", "?",
				      "null") "," MSG("c", "in_progress", "2", LONG_AGO, "null"),
		  NULL,
		  { NULL, NULL },
		  "",
		  false,
		  1 },
		/* the oldest of those that run */
		{ MSG("a", "in_progress", "2", NOW, "null") "," MSG("b", "in_progress", "2", NOW,
								    "null"),
		  NULL,
		  { NULL, NULL },
		  "b",
		  false,
		  1 },
		/* but one that is another one of ours */
		{ MSG("a", "in_progress", "2", NOW, "null") "," MSG("b", "in_progress", "2", NOW,
								    "null"),
		  "b",
		  { NULL, NULL },
		  "a",
		  false,
		  1 },
		/* what is over is looked into, and beats what runs */
		{ MSG("a", "in_progress", "2", NOW, "null") "," MSG(
			  "b", "ended", "2", NOW, "\"u\"") "," MSG("c", "ended", "2", NOW, "\"u\""),
		  NULL,
		  { "{\"custom_id\":\"tag-12-0\"}\n{}\n", "{\"custom_id\":\"tag-1-1\"}\n" },
		  "c",
		  true,
		  3 },
		/* results that are none */
		{ MSG("b", "ended", "2", NOW, "\"u\"") "," MSG("c", "ended", "2", NOW, "\"u\""),
		  NULL,
		  { "garbage", "" },
		  "",
		  false,
		  3 },
		{ MSG("b", "ended", "2", NOW, "null"), NULL, { NULL, NULL }, "", false, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		struct batch_job j = job("");
		struct step s = { .known = k[i].known };
		char *list = str_printf("{\"data\":[%s],\"has_more\":false}", k[i].list);

		begin("anthropic");
		wire_add_json(w, 200, NULL, list);
		for (int n = 0; n < 2 && k[i].peek[n]; n++)
			wire_add_json(w, 200, NULL, k[i].peek[n]);
		assert_int_equal(start(&s, BATCH_FIND, &j, -1, 0), 0);
		await(&s);
		assert_int_equal(s.err.code, 0);
		assert_string_equal(s.result.job.id, k[i].id);
		assert_int_equal(batch_state_over(s.result.state) && s.result.job.id[0], k[i].over);
		assert_int_equal(wire_requests(w), k[i].requests);
		free(list);
		done(&s);
		end();
	}
}

/* ---- Gemini's upload ---- */

static void test_resumable(void **state)
{
	struct batch_job j = job("");
	struct step s;
	char *link;

	(void)state;
	begin("gemini");
	link = str_printf("X-Goog-Upload-URL: %s/up/1?id=2\r\n", wire_url(w));
	wire_add_json(w, 200, link, "{}");
	wire_add_json(w, 503, NULL, "{}"); /* begun anew */
	wire_add_json(w, 200, link, "{}");
	wire_add_json(w, 200, NULL, "{\"file\":{\"name\":\"files/f1\",\"state\":\"PROCESSING\"}}");
	wire_add_json(w, 200, NULL, "{\"name\":\"files/f1\",\"state\":\"PROCESSING\"}");
	wire_add_json(w, 200, NULL, "{\"name\":\"files/f1\",\"state\":\"ACTIVE\"}");
	s = upload("gemini", &j, strlen(two_lines));
	assert_int_equal(s.err.code, 0);
	assert_string_equal(s.result.job.input, "f1");
	assert_true(str_starts(wire_request(w, 0), "POST /upload/v1beta/files "));
	assert_non_null(strstr(wire_request(w, 0), "X-Goog-Upload-Protocol: resumable\r\n"));
	assert_non_null(strstr(wire_request(w, 0), "X-Goog-Upload-Header-Content-Length: 16\r\n"));
	assert_true(str_starts(wire_request(w, 2), "POST /upload/v1beta/files "));
	assert_true(str_starts(wire_request(w, 3), "POST /up/1?id=2 "));
	assert_non_null(strstr(wire_request(w, 3), "x-goog-api-key: sk-local-test\r\n"));
	assert_non_null(strstr(wire_request(w, 3), "X-Goog-Upload-Command: upload, finalize\r\n"));
	assert_string_equal(wire_body(w, 3), two_lines);
	assert_true(str_starts(wire_request(w, 4), "GET /v1beta/files/f1 "));
	done(&s);
	end();
	free(link);
	begin("gemini");
	wire_add_json(w, 200, NULL, "{}"); /* no address */
	s = upload("gemini", &j, strlen(two_lines));
	assert_int_equal(s.err.code, EBADMSG);
	done(&s);
	end();
}

static void test_failed_file(void **state)
{
	struct batch_job j = job("");
	struct step s;
	char *link;

	(void)state;
	begin("gemini");
	link = str_printf("X-Goog-Upload-URL: %s/up\r\n", wire_url(w));
	wire_add_json(w, 200, link, "{}");
	wire_add_json(w, 200, NULL, "{\"file\":{\"name\":\"files/f1\",\"state\":\"FAILED\"}}");
	s = upload("gemini", &j, strlen(two_lines));
	assert_int_equal(s.err.code, EREMOTEIO);
	done(&s);
	end();
	free(link);
}

/* ---- results ---- */

static void test_fetch(void **state)
{
	struct batch_job j = job("b1");
	struct step s;

	(void)state;
	(void)str_copy(j.output[0], BATCH_NAME_MAX, "o1");
	(void)str_copy(j.output[1], BATCH_NAME_MAX, "e1");
	begin("openai");
	wire_add_typed(w, 200, "application/octet-stream", "{\"a\":1}\n\n{\"b\":2}", WIRE_KEEP);
	wire_add_typed(w, 200, NULL, "{\"c\":3}\n", WIRE_KEEP);
	assert_int_equal(run(&s, BATCH_FETCH, &j), 0);
	assert_string_equal(buf_str(&s.text), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
	assert_true(str_starts(wire_request(w, 0), "GET /files/o1/content "));
	assert_true(str_starts(wire_request(w, 1), "GET /files/e1/content "));
	done(&s);
	end();
	begin("gemini");
	wire_add_json(w, 404, NULL, "{}"); /* its second place */
	wire_add_typed(w, 200, NULL, "{\"c\":3}\n", WIRE_KEEP);
	assert_int_equal(run(&s, BATCH_FETCH, &j), 0);
	assert_string_equal(buf_str(&s.text), "{\"c\":3}\n");
	assert_true(str_starts(wire_request(w, 0), "GET /v1beta/files/o1:download?alt=media "));
	assert_true(str_starts(wire_request(w, 1), "GET /download/v1beta/files/o1:download?alt="));
	done(&s);
	end();
	j = job("b1");
	begin("anthropic"); /* it ended without results */
	assert_int_equal(run(&s, BATCH_FETCH, &j), 0);
	assert_int_equal(wire_requests(w), 0);
	done(&s);
	end();
}

/* A break in the middle: from the beginning again, and lines come twice. */
static void test_fetch_again(void **state)
{
	struct batch_job j = job("b1");
	struct step s;

	(void)state;
	(void)str_copy(j.output[0], BATCH_NAME_MAX, "o1");
	begin("mistral");
	wire_add(w, (struct wire_answer){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
						   "{\"a\":1}\n{\"b\"",
					  .then = WIRE_CLOSE });
	wire_add_typed(w, 200, NULL, "{\"a\":1}\n{\"b\":2}\n", WIRE_KEEP);
	assert_int_equal(run(&s, BATCH_FETCH, &j), 0);
	assert_string_equal(buf_str(&s.text), "{\"a\":1}\n{\"a\":1}\n{\"b\":2}\n");
	done(&s);
	end();
}

/* The results lie elsewhere: the key does not go there. */
static void test_redirect(void **state)
{
	struct wire *other = wire_new();
	struct batch_job j = job("b1");
	struct step s;
	char *link = str_printf("Location: %s/there?sig=1\r\n", wire_url(other));

	(void)state;
	(void)str_copy(j.output[0], BATCH_NAME_MAX, "o1");
	begin("openai");
	wire_add_json(w, 302, link, "");
	wire_add_typed(other, 200, NULL, "{\"a\":1}\n", WIRE_KEEP);
	assert_int_equal(run(&s, BATCH_FETCH, &j), 0);
	assert_string_equal(buf_str(&s.text), "{\"a\":1}\n");
	assert_non_null(strstr(wire_request(w, 0), "sk-local-test"));
	assert_true(str_starts(wire_request(other, 0), "GET /there?sig=1 "));
	assert_null(strstr(wire_request(other, 0), "sk-local-test"));
	done(&s);
	end();
	free(link);
	begin("openai"); /* round and round */
	link = str_printf("Location: %s/x\r\n", wire_url(w));
	wire_add_json(w, 307, link, "");
	assert_int_equal(run(&s, BATCH_FETCH, &j), EBADMSG);
	done(&s);
	end();
	free(link);
	(void)wire_free(other);
}

/* Whoever has no room gets no more than what is at hand. */
static void test_no_room(void **state)
{
	enum { LINES = 40000, AT_HAND = 8000 };
	struct buf text = BUF_INIT(1 << 24);
	struct step s = { .full = true };
	struct batch_job j = job("b1");

	(void)state;
	(void)str_copy(j.output[0], BATCH_NAME_MAX, "o1");
	for (int i = 0; i < LINES; i++)
		buf_addf(&text, "{\"line\":%d,\"and\":\"%0100d\"}\n", i, i);
	begin("openai");
	wire_add_typed(w, 200, NULL, buf_str(&text), WIRE_KEEP);
	assert_int_equal(start(&s, BATCH_FETCH, &j, -1, 0), 0);
	await_lines(&s, 1);
	usleep(50000); /* no event says that nothing comes */
	pthread_mutex_lock(&s.lock);
	assert_true(s.lines < AT_HAND);
	assert_int_equal(s.ended, 0);
	pthread_mutex_unlock(&s.lock);
	for (;;) {
		size_t before;
		bool over;

		pthread_mutex_lock(&s.lock);
		before = s.lines;
		over = s.ended;
		pthread_mutex_unlock(&s.lock);
		if (over || before >= LINES)
			break;
		batch_go_on(batches, s.call);
		await_lines(&s, before + 1);
	}
	if (!s.ended)
		batch_go_on(batches, s.call);
	await(&s);
	assert_int_equal(s.err.code, 0);
	assert_int_equal(s.lines, LINES);
	assert_string_equal(buf_str(&s.text), buf_str(&text));
	done(&s);
	end();
	buf_done(&text);
}

/* ---- ends from outside ---- */

static void test_stop(void **state)
{
	struct batch_job j = job("b1");
	struct step s = { 0 }, t = { 0 };

	(void)state;
	begin("openai");
	wire_add(w, (struct wire_answer){ .bytes = "", .then = WIRE_HANG });
	assert_int_equal(start(&s, BATCH_POLL, &j, -1, 0), 0);
	assert_true(wire_await(w, 1));
	batch_stop(batches, s.call);
	await(&s);
	assert_int_equal(s.err.code, ECANCELED);
	assert_false(s.result.unsure);
	(void)str_copy(j.input, sizeof(j.input), "in1");
	assert_int_equal(start(&t, BATCH_CREATE, &j, -1, 0), 0);
	assert_true(wire_await(w, 2));
	a.infer = infer_stop(a.infer);
	assert_int_equal(t.ended, 1);
	assert_int_equal(t.err.code, ESHUTDOWN);
	assert_true(t.result.unsure);
	done(&s);
	done(&t);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),	      cmocka_unit_test(test_no_answers),
		cmocka_unit_test(test_unsure),	      cmocka_unit_test(test_once),
		cmocka_unit_test(test_no_connection), cmocka_unit_test(test_again),
		cmocka_unit_test(test_gone),	      cmocka_unit_test(test_states),
		cmocka_unit_test(test_counts),	      cmocka_unit_test(test_form),
		cmocka_unit_test(test_big_form),      cmocka_unit_test(test_creations),
		cmocka_unit_test(test_strays),	      cmocka_unit_test(test_upload_again),
		cmocka_unit_test(test_removal),	      cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_pages),    cmocka_unit_test(test_find_untagged),
		cmocka_unit_test(test_resumable),     cmocka_unit_test(test_failed_file),
		cmocka_unit_test(test_fetch),	      cmocka_unit_test(test_fetch_again),
		cmocka_unit_test(test_redirect),      cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
