/*
 * tests/lib/wire_ask.c - calls whose events are recorded
 */
#include "wire_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct backend_config ask_config(const char *type, const char *url)
{
	struct backend_config c = {
		.name = strdup(type),
		.type = infer_type(type),
		.at = { .url = url ? strdup(url) : NULL, .key = strdup("sk-local-test") },
		.limits = { .concurrency = 32,
			    .timeout_s = 20,
			    .connect_timeout_s = 5,
			    .stall_timeout_s = 5,
			    .retries = 4,
			    .backoff_ms = 2,
			    .backoff_max_ms = 8 },
	};

	return c;
}

void ask_config_done(struct backend_config *c)
{
	free(c->name);
	free(c->at.url);
	free(c->at.key);
	free(c->at.key_hint);
	free(c->at.unix_socket);
	memset(c, 0, sizeof(*c));
}

void ask_new(struct ask *a, struct backend_config take_config)
{
	struct infer_options o = { .backends = &a->config, .n_backends = 1, .queue_max = 10000 };
	struct err e;

	memset(a, 0, sizeof(*a));
	a->config = take_config;
	if (infer_new(&o, &a->infer, &e)) {
		fprintf(stderr, "infer_new: %s\n", e.message);
		abort();
	}
}

void ask_free(struct ask *a)
{
	a->infer = infer_stop(a->infer);
	ask_config_done(&a->config);
}

static void on_started(void *arg, unsigned attempt)
{
	struct ask_call *c = arg;

	pthread_mutex_lock(&c->lock);
	c->started = attempt;
	pthread_cond_broadcast(&c->news);
	pthread_mutex_unlock(&c->lock);
}

static void on_text(void *arg, unsigned choice, const char *p, size_t n)
{
	struct ask_call *c = arg;

	pthread_mutex_lock(&c->lock);
	if (choice >= c->n || buf_add(&c->texts[choice], p, n))
		abort();
	if (choice)
		n = 0;
	if (n > sizeof(c->text) - 1 - c->text_len)
		n = sizeof(c->text) - 1 - c->text_len;
	memcpy(c->text + c->text_len, p, n);
	c->text_len += n;
	c->pieces++;
	pthread_cond_broadcast(&c->news);
	pthread_mutex_unlock(&c->lock);
}

static void on_restart(void *arg, unsigned attempt, const struct err *why)
{
	struct ask_call *c = arg;

	(void)attempt;
	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < c->n; i++)
		buf_clear(&c->texts[i]);
	c->text_len = 0;
	memset(c->text, 0, sizeof(c->text));
	c->restarts++;
	c->restart = *why;
	pthread_cond_broadcast(&c->news);
	pthread_mutex_unlock(&c->lock);
}

static void on_done(void *arg, struct answer **take_answers, unsigned attempts)
{
	struct ask_call *c = arg;

	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < c->n; i++)
		c->answers[i] = take_answers[i];
	c->answer = c->answers[0];
	c->done = true;
	c->attempts = attempts;
	c->ended++;
	pthread_cond_broadcast(&c->news);
	pthread_mutex_unlock(&c->lock);
}

static void on_failed(void *arg, const struct err *e)
{
	struct ask_call *c = arg;

	pthread_mutex_lock(&c->lock);
	c->err = *e;
	c->attempts = e->attempts;
	c->ended++;
	pthread_cond_broadcast(&c->news);
	pthread_mutex_unlock(&c->lock);
}

static const struct infer_sink sink = { on_started, on_text, on_restart, on_done, on_failed };

int ask_begin(struct ask *a, struct ask_call *c, const char *request, const struct infer_spec *spec)
{
	struct infer_spec s = spec ? *spec : (struct infer_spec){ 0 };
	json_t *effective = json_loads(
		request ? request
			: "{\"format\":1,\"backend\":\"b\",\"endpoint\":\"chat\",\"model\":\"m\","
			  "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
		0, NULL);

	if (!effective)
		abort();
	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->news, NULL);
	c->n = s.n ? s.n : 1;
	c->answers = calloc(c->n, sizeof(struct answer *));
	c->texts = calloc(c->n, sizeof(*c->texts));
	if (!c->answers || !c->texts)
		abort();
	for (unsigned i = 0; i < c->n; i++)
		buf_init(&c->texts[i], 1 << 20);
	s.backend = a->config.name;
	s.request = effective;
	c->request = effective;
	return infer_call(a->infer, &s, &sink, c, &c->call);
}

static int await(struct ask_call *c, const int *ended, const size_t *text, size_t bytes,
		 unsigned started)
{
	struct timespec until;
	int there = 0, rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&c->lock);
	while (!there && rc != ETIMEDOUT) {
		there = ended ? *ended : text ? *text >= bytes : c->started >= started;
		if (!there)
			rc = pthread_cond_timedwait(&c->news, &c->lock, &until);
	}
	pthread_mutex_unlock(&c->lock);
	if (!there) {
		fprintf(stderr, "nothing came within 20 s\n");
		abort();
	}
	return there;
}

int ask_await(struct ask_call *c)
{
	return await(c, &c->ended, NULL, 0, 0);
}

void ask_await_text(struct ask_call *c, size_t bytes)
{
	(void)await(c, NULL, &c->text_len, bytes, 0);
}

void ask_await_started(struct ask_call *c, unsigned n)
{
	(void)await(c, NULL, NULL, 0, n);
}

int ask(struct ask *a, struct ask_call *c, const char *request)
{
	int rc = ask_begin(a, c, request, NULL);

	if (rc)
		return -rc;
	(void)ask_await(c);
	return c->done ? 0 : c->err.code;
}

void ask_done(struct ask_call *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		answer_free(c->answers[i]);
		buf_done(&c->texts[i]);
	}
	free(c->answers);
	free(c->texts);
	c->answer = NULL;
	c->n = 0;
	json_decref(c->request);
	c->request = NULL;
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->news);
}
