/*
 * fuzz_reply.c - any bytes as an answer of a provider: an answer in good order, or an error in words
 *
 * The first byte chooses: backend type, whole body or events, and the status for the error readers.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "infer/failure.h"
#include "infer/registry.h"
#include "net/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char name[] = "fuzzed";
static struct backend_config config = { .name = name };

struct reading {
	void *reply;
	struct answer *answer;
	struct err err;
	size_t streamed;
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

	must(n > 0 && r->streamed + n <= r->answer->text.len);
	must(memcmp(r->answer->text.data + r->streamed, p, n) == 0);
	r->streamed += n;
}

static int on_event(void *arg, const char *event, const char *text, size_t len)
{
	struct reading *r = arg;

	r->rc = config.type->event(r->reply, event, text, len, false, &r->err);
	return r->rc;
}

static void check_answer(struct reading *r)
{
	json_t *sample;

	must(r->answer->finish_reason && r->streamed == r->answer->text.len);
	must(str_utf8_valid(buf_str(&r->answer->text), r->answer->text.len));
	sample = answer_sample(r->answer, "fuzzed", "call");
	must(sample != NULL);
	json_decref(sample);
}

static void read_answer(const char *p, size_t n, int whole)
{
	struct reading r = { .answer = answer_new() };
	struct backend_sink sink = { .text = on_text, .arg = &r };
	struct sse sse;

	r.reply = config.type->reply_new(&config, r.answer, &sink);
	must(r.reply && r.answer);
	sse_init(&sse, 1 << 20);
	if (whole)
		r.rc = config.type->event(r.reply, "", p, n, true, &r.err);
	else if (sse_feed(&sse, p, n, on_event, &r) == 0 && sse_finish(&sse, on_event, &r) == 0)
		r.rc = config.type->end(r.reply, &r.err) == 0 ? 1
							      : -1; /* 0: that is an end there */
	must(r.rc != 0); /* an end mark or a failure, in every case */
	if (r.rc > 0)
		check_answer(&r);
	else
		good_sentence(&r.err);
	sse_done(&sse);
	config.type->reply_free(r.reply);
	answer_free(r.answer);
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
	read_answer(text, size - 1, data[0] & 2);
	read_error(text, size - 1, status[data[0] / 4 % 6]);
	free(text);
	return 0;
}
