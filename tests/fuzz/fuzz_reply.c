/*
 * fuzz_reply.c - any bytes as an answer of a provider: an answer in good order, or an error in words
 *
 * The first byte chooses: backend type, whole body or events, how many samples were asked for, and the status for
 * the error readers.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "infer/choices.h"
#include "infer/failure.h"
#include "infer/registry.h"
#include "net/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char name[] = "fuzzed";
static struct backend_config config = { .name = name };

enum { SAMPLES = 3 };

struct reading {
	void *reply;
	struct choices choices;
	struct err err;
	size_t streamed[SAMPLES];
	int rc;
};

static void must(int ok)
{
	if (!ok)
		abort();
}

static void good_sentence(const struct err *e)
{
	must(e->code > 0 && e->message[0]);
	must(str_utf8_valid(e->message, strlen(e->message)));
	for (const char *p = e->message; *p; p++)
		must((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void on_text(void *arg, unsigned choice, const char *p, size_t n)
{
	struct reading *r = arg;
	const struct buf *text;

	must(choice < r->choices.n);
	text = &r->choices.v[choice]->text;
	must(n > 0 && r->streamed[choice] + n <= text->len);
	must(memcmp(text->data + r->streamed[choice], p, n) == 0);
	r->streamed[choice] += n;
}

/* As an attempt does it: the parser first, then what it took is kept. */
static int on_event(void *arg, const char *event, const char *text, size_t len)
{
	struct reading *r = arg;

	r->rc = config.type->event(r->reply, event, text, len, false, &r->err);
	if (r->rc >= 0)
		must(choices_event(&r->choices, text, len) == 0);
	return r->rc;
}

static void check_answer(const struct reading *r, unsigned i)
{
	const struct answer *a = r->choices.v[i];
	json_t *sample;

	must(a->finish_reason && r->streamed[i] == a->text.len);
	must(str_utf8_valid(buf_str(&a->text), a->text.len));
	sample = answer_sample(a, "fuzzed", "call");
	must(sample != NULL);
	json_decref(sample);
}

static void check_answers(struct reading *r)
{
	unsigned good, there = 0;
	const char *why;

	good = choices_end(&r->choices, &why);
	for (unsigned i = 0; good && i < r->choices.n; i++)
		if (r->choices.v[i]) {
			check_answer(r, i);
			there++;
		}
	must(there == good && good <= r->choices.came && r->choices.came >= 1);
}

static void read_answer(const char *p, size_t n, int whole, unsigned samples)
{
	struct reading r = { 0 };
	struct backend_sink sink = { .text = on_text, .arg = &r };
	struct buf body = BUF_INIT(1 << 20);
	struct sse sse;

	must(choices_init(&r.choices, samples) == 0);
	r.reply = config.type->reply_new(&config, r.choices.v, samples, &sink);
	must(r.reply != NULL);
	sse_init(&sse, 1 << 20);
	must(buf_add(&body, p, n) == 0);
	if (whole) {
		r.rc = config.type->event(r.reply, "", p, n, true, &r.err);
		if (r.rc > 0)
			must(choices_whole(&r.choices, &body) == 0);
	} else if (sse_feed(&sse, p, n, on_event, &r) == 0 && sse_finish(&sse, on_event, &r) == 0) {
		r.rc = config.type->end(r.reply, &r.err) == 0 ? 1
							      : -1; /* 0: that is an end there */
	}
	must(r.rc != 0); /* an end mark or a failure, in every case */
	if (r.rc > 0)
		check_answers(&r);
	else
		good_sentence(&r.err);
	sse_done(&sse);
	config.type->reply_free(r.reply);
	choices_done(&r.choices);
	buf_done(&body);
}

static void read_error(const char *p, size_t n, int status)
{
	struct backend_failure f = { .status = status, .body = p, .len = n, .should_retry = -1 };
	struct err e;

	(void)failure_reply(&config, &f, &e);
	good_sentence(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct backend_type *const types[] = { &mistral_type, &openai_type,
							    &gemini_type, &anthropic_type };
	static const int status[] = { 400, 404, 422, 429, 500, 302 };
	char *text;

	if (size < 1 || size > 1 << 18)
		return 0;
	text = str_dup_n((const char *)data + 1,
			 size - 1); /* exactly as long: ASan sees a step too far */
	must(text != NULL);
	config.type = types[(data[0] & 1) | ((data[0] >> 6) & 2)];
	read_answer(text, size - 1, data[0] & 2, 1 + data[0] / 4 / 6 % SAMPLES);
	read_error(text, size - 1, status[data[0] / 4 % 6]);
	free(text);
	return 0;
}
