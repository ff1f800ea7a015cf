/*
 * infer/choices with the parsers of replies: several samples of one call, however the network delivers them
 *
 * A reply is read as an attempt reads it; a stream that breaks anywhere is no answer to anybody.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/choices.h"
#include "infer/registry.h"
#include "infer/single.h"
#include "net/sse.h"

enum { N = 3 };

static char name[] = "b", url[] = "http://127.0.0.1:1/v1";
static struct backend_config config;

struct reader {
	struct choices choices;
	void *reply;
	struct sse sse;
	struct buf shown[N];
	struct err err;
	int rc;
	unsigned good;
	const char *why;
};

static void on_text(void *arg, unsigned choice, const char *p, size_t n)
{
	struct reader *r = arg;

	assert_in_range(choice, 0, N - 1);
	assert_int_equal(buf_add(&r->shown[choice], p, n), 0);
}

static int on_event(void *arg, const char *event, const char *data, size_t len)
{
	struct reader *r = arg;

	r->rc = config.type->event(r->reply, event, data, len, false, &r->err);
	if (r->rc >= 0 && (len < 6 || memcmp(data, "[DONE]", 6) != 0))
		assert_int_equal(choices_event(&r->choices, data, len), 0);
	return r->rc;
}

static void begin(struct reader *r, unsigned n)
{
	struct backend_sink sink = { .text = on_text, .arg = r };

	memset(r, 0, sizeof(*r));
	assert_int_equal(choices_init(&r->choices, n), 0);
	for (unsigned i = 0; i < N; i++)
		buf_init(&r->shown[i], 1 << 20);
	r->reply = config.type->reply_new(&config, r->choices.v, n, &sink);
	assert_non_null(r->reply);
	sse_init(&r->sse, 1 << 20);
}

static void close_reply(struct reader *r)
{
	config.type->reply_free(r->reply);
	r->reply = NULL;
	sse_done(&r->sse);
	if (r->rc != 1)
		return;
	r->good = choices_end(&r->choices, &r->why);
	for (unsigned i = 0; i < r->choices.n; i++)
		if (r->choices.v[i])
			assert_string_equal(buf_str(&r->shown[i]), buf_str(&r->choices.v[i]->text));
}

/* 1: it is whole; else negative */
static int streamed(struct reader *r, unsigned n, const char *bytes, size_t len, size_t piece)
{
	begin(r, n);
	for (size_t at = 0, k; at < len && !r->rc; at += k) {
		k = piece && piece < len - at ? piece : len - at;
		(void)sse_feed(&r->sse, bytes + at, k, on_event, r);
	}
	if (!r->rc)
		(void)sse_finish(&r->sse, on_event, r);
	if (!r->rc)
		r->rc = config.type->end(r->reply, &r->err) ? -1 : 1;
	close_reply(r);
	return r->rc;
}

static int whole(struct reader *r, unsigned n, const char *body)
{
	struct buf bytes = BUF_INIT(1 << 20);

	begin(r, n);
	assert_int_equal(buf_adds(&bytes, body), 0);
	r->rc = config.type->event(r->reply, "", bytes.data, bytes.len, true, &r->err);
	if (r->rc == 1)
		assert_int_equal(choices_whole(&r->choices, &bytes), 0);
	close_reply(r);
	buf_done(&bytes);
	return r->rc;
}

static void done(struct reader *r)
{
	choices_done(&r->choices);
	for (unsigned i = 0; i < N; i++)
		buf_done(&r->shown[i]);
}

static void is(const struct reader *r, unsigned i, const char *text, const char *reason)
{
	const struct answer *a = r->choices.v[i];

	if (!text) {
		assert_null(a);
		return;
	}
	assert_non_null(a);
	assert_string_equal(buf_str(&a->text), text);
	assert_string_equal(a->finish_reason, reason);
}

static void use(const struct backend_type *type)
{
	config = (struct backend_config){ .name = name, .type = type, .at = { .url = url } };
}

/* ---- OpenAI's form ---- */

#define HEAD	"data: {\"id\":\"i\",\"model\":\"m\",\"choices\":["
#define END	"]}\n\n"
#define C(i, t) "{\"index\":" #i ",\"delta\":{\"content\":\"" t "\"}}"
#define F(i, w) "{\"index\":" #i ",\"delta\":{},\"finish_reason\":\"" w "\"}"
#define BILL                                                                            \
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":8," \
	"\"completion_tokens_details\":{\"reasoning_tokens\":4}}}\n\n"
#define DONE "data: [DONE]\n\n"

static const char interleaved[] = HEAD C(0, "a") END HEAD C(2, "c") END HEAD C(1, "b")
	END HEAD C(2, "C") END HEAD C(0, "\xc3\xbc") END HEAD F(1, "length") END HEAD F(0, "stop")
		END HEAD F(2, "stop") END BILL DONE;
/* no byte is said twice, and pieces come in other packets */
static const char coalesced[] = HEAD C(0, "a") "," C(1, "b") "," C(2, "c")
	END HEAD C(2, "C") "," C(0, "\xc3\xbc")
		END HEAD F(0, "stop") "," F(1, "length") "," F(2, "stop") END BILL DONE;

static void all_three(const struct reader *r)
{
	assert_int_equal(r->good, 3);
	is(r, 0, "a\xc3\xbc", "stop");
	is(r, 1, "b", "length");
	is(r, 2, "cC", "stop");
	for (unsigned i = 0; i < N; i++) {
		assert_string_equal(r->choices.v[i]->model, "m");
		assert_string_equal(r->choices.v[i]->provider_request_id, "i");
		assert_int_equal(r->choices.v[i]->usage.input, i ? 0 : 5);
		assert_int_equal(r->choices.v[i]->usage.output, i ? 2 : 4);
		assert_int_equal(r->choices.v[i]->usage.reasoning, i ? 1 : 2);
		assert_int_equal(r->choices.v[i]->usage.cached_input, -1);
	}
	assert_int_equal(r->choices.usage.output, 8);
}

static void everywhere(const char *bytes, void (*check)(const struct reader *r))
{
	struct reader r;

	for (size_t piece = 0; piece < 24; piece++) {
		if (streamed(&r, N, bytes, strlen(bytes), piece) != 1)
			fail_msg("%s", r.err.message);
		check(&r);
		done(&r);
	}
}

/* At the end of an event and in its middle. */
static void never_cut(const char *bytes)
{
	struct reader r;
	size_t n = strlen(bytes);

	for (size_t at = 0; at + 4 < n && strpbrk(bytes + at, "{["); at++) {
		if (streamed(&r, N, bytes, at, 0) == 1)
			fail_msg("cut at byte %zu it is whole: ...%s", at, bytes + at);
		assert_true(r.err.code > 0 && r.err.message[0]);
		done(&r);
	}
}

static void test_streams(void **state)
{
	(void)state;
	use(&openai_type);
	everywhere(interleaved, all_three);
	everywhere(coalesced, all_three);
	never_cut(interleaved);
	never_cut(coalesced);
	use(&mistral_type);
	everywhere(interleaved, all_three);
	everywhere(coalesced, all_three);
	never_cut(interleaved);
}

static void read_stream(struct reader *r, const char *bytes)
{
	if (streamed(r, N, bytes, strlen(bytes), 0) != 1)
		fail_msg("%s", r->err.message);
}

static void test_short(void **state)
{
	struct reader r;

	(void)state;
	use(&openai_type);
	read_stream(&r, HEAD C(1, "b") END HEAD F(1, "stop") END BILL DONE);
	assert_int_equal(r.good, 1);
	assert_int_equal(r.choices.came, 1);
	is(&r, 0, NULL, NULL);
	is(&r, 1, "b", "stop");
	is(&r, 2, NULL, NULL);
	/* the lowest that came has all of it, and what the first event said of all */
	assert_int_equal(r.choices.v[1]->usage.input, 5);
	assert_int_equal(r.choices.v[1]->usage.output, 8);
	assert_string_equal(r.choices.v[1]->model, "m");
	done(&r);
	assert_int_equal(streamed(&r, N, DONE, strlen(DONE), 0), -EBADMSG); /* nothing at all */
	done(&r);
}

static void test_one_fails(void **state)
{
	struct reader r;

	(void)state;
	use(&openai_type);
	read_stream(&r, HEAD C(0, "a") END HEAD C(1, "b") END HEAD F(0, "error")
				END HEAD F(1, "stop") END BILL DONE);
	assert_int_equal(r.good, 1);
	assert_int_equal(r.choices.came, 2);
	is(&r, 0, NULL, NULL);
	is(&r, 1, "b", "stop");
	assert_int_equal(r.choices.v[1]->usage.output, 8);
	done(&r);
	read_stream(&r, HEAD F(0, "error") "," F(2, "error") END DONE);
	assert_int_equal(r.good, 0);
	done(&r);
}

static void test_strange_indices(void **state)
{
	struct reader r;

	(void)state;
	use(&openai_type);
	/* beyond n, below 0, no number, twice in an event, and after its end */
	read_stream(&r,
		    HEAD C(3, "x") "," C(-1, "y") "," C(4294967296, "z") "," C(1, "b") "," C(1, "B")
			    END HEAD C("1", "q") END HEAD F(1, "stop")
				    END HEAD C(1, "late") "," F(1, "length") END HEAD F(0, "stop")
					    END DONE);
	is(&r, 0, "q", "stop"); /* a place that is no number is the first */
	is(&r, 1, "b", "stop");
	is(&r, 2, NULL, NULL);
	done(&r);
	/* a server that numbers nothing: one answer, the others let go */
	assert_int_equal(
		whole(&r, N,
		      "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"},"
		      "{\"message\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}"),
		1);
	assert_int_equal(r.good, 1);
	is(&r, 0, "a", "stop");
	done(&r);
	read_stream(&r, HEAD C(0, "a") END HEAD F(0, "stop") END HEAD C(0, "b")
				END HEAD F(0, "stop") END DONE);
	assert_int_equal(r.good, 1);
	is(&r, 0, "a", "stop");
	done(&r);
}

static void test_calls(void **state)
{
	struct reader r;

	(void)state;
	use(&openai_type);
	read_stream(&r,
		    HEAD "{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\","
			 "\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}},"
			 "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":"
			 "{\"name\":\"g\",\"arguments\":\"{\"}}]}}" END HEAD
			 "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":"
			 "{\"arguments\":\"}\"}}]},\"finish_reason\":\"tool_calls\"}" END HEAD
			 "{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":"
			 "{\"arguments\":\" }\"}}]},\"finish_reason\":\"tool_calls\"}" END DONE);
	assert_int_equal(r.good, 2);
	for (unsigned i = 0; i < 2; i++) {
		const json_t *f =
			json_object_get(json_array_get(r.choices.v[i]->tool_calls, 0), "function");

		assert_string_equal(json_string_value(json_object_get(f, "name")), i ? "f" : "g");
		assert_string_equal(json_string_value(json_object_get(f, "arguments")),
				    i ? "{ }" : "{}");
	}
	done(&r);
}

/* ---- raw ---- */

static void test_raw(void **state)
{
	struct reader r;

	(void)state;
	use(&openai_type);
	read_stream(&r,
		    "data: {\"choices\":[" C(0, "a") "," C(
			    1, "b") "],\"x\":1.5}\n\n"
				    "data: {\"choices\": [" F(
					    1, "stop") "]}\n\n"
						       "data: {\"choices\":[" F(0, "stop") "," F(
							       7, "stop") "]}\n\n" BILL DONE);
	assert_string_equal(
		buf_str(&r.choices.v[0]->raw),
		"{\"choices\":[" C(
			0,
			"a") "],\"x\":1.5}\n"
			     "{\"choices\":[" F(
				     0,
				     "stop") "]}\n"
					     "{\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":8,"
					     "\"completion_tokens_details\":{\"reasoning_tokens\":4}}}\n");
	assert_string_equal(
		buf_str(&r.choices.v[1]->raw),
		"{\"choices\":[" C(
			1,
			"b") "],\"x\":1.5}\n"
			     "{\"choices\": [" F(
				     1,
				     "stop") "]}\n" /* its own bytes */
					     "{\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":8,"
					     "\"completion_tokens_details\":{\"reasoning_tokens\":4}}}\n");
	done(&r);
	/* usage beside a choice (Mistral): the others have the last such event without it */
	read_stream(&r,
		    "data: {\"choices\":[" F(
			    0,
			    "stop") "],\"usage\":{\"prompt_tokens\":1}}\n\n"
				    "data: {\"choices\":[" F(
					    1,
					    "stop") "],\"usage\":{\"prompt_tokens\":2}}\n\n" DONE);
	assert_string_equal(
		buf_str(&r.choices.v[0]->raw),
		"{\"choices\":[" F(0, "stop") "],\"usage\":{\"prompt_tokens\":1}}\n"
					      "{\"choices\":[],\"usage\":{\"prompt_tokens\":2}}\n");
	assert_string_equal(buf_str(&r.choices.v[1]->raw),
			    "{\"choices\":[" F(1, "stop") "],\"usage\":{\"prompt_tokens\":2}}\n");
	done(&r);
}

/* One answer: every byte as it came, other choices and all. */
static void test_raw_of_one(void **state)
{
	static const char body[] =
		" {\"choices\" : [ {\"message\":{\"content\":\"a\"},\"finish_reason\":"
		"\"stop\"}, {\"index\":1,\"message\":{\"content\":\"b\"}} ] }\n";
	struct reader r;

	(void)state;
	use(&openai_type);
	assert_int_equal(whole(&r, 1, body), 1);
	assert_string_equal(buf_str(&r.choices.v[0]->raw), body);
	done(&r);
	assert_int_equal(streamed(&r, 1, interleaved, strlen(interleaved), 0), 1);
	assert_non_null(strstr(buf_str(&r.choices.v[0]->raw), C(2, "C")));
	done(&r);
}

static void test_whole(void **state)
{
	struct reader r;

	(void)state;
	use(&openai_type);
	assert_int_equal(
		whole(&r, N,
		      "{\"id\":\"i\",\"choices\":[{\"index\":1,\"message\":{\"content\":\"b\"},\"finish_reason\":"
		      "\"stop\"},{\"index\":0,\"text\":\"a\",\"finish_reason\":\"length\"},{\"index\":1,"
		      "\"message\":{\"content\":\"c\"}}],\"usage\":{\"prompt_tokens\":3,"
		      "\"completion_tokens\":3}}"),
		1);
	assert_int_equal(r.good, 2);
	is(&r, 0, "a", "length");
	is(&r, 1, "b", "stop");
	is(&r, 2, NULL, NULL);
	assert_int_equal(r.choices.v[0]->usage.output, 2);
	assert_int_equal(r.choices.v[1]->usage.output, 1);
	assert_string_equal(
		buf_str(&r.choices.v[0]->raw),
		"{\"id\":\"i\",\"choices\":[{\"index\":0,\"text\":\"a\",\"finish_reason\":"
		"\"length\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":3}}\n");
	done(&r);
}

/* ---- Gemini's ---- */

#define G(i, t) "{\"index\":" #i ",\"content\":{\"parts\":[{\"text\":\"" t "\"}]}}"
#define E(i, w) "{\"index\":" #i ",\"content\":{\"parts\":[]},\"finishReason\":\"" w "\"}"
#define GH	"data: {\"modelVersion\":\"m\",\"responseId\":\"i\",\"candidates\":["
#define GE                                                                        \
	"],\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":4," \
	"\"thoughtsTokenCount\":4}}\n\n"

static const char candidates[] = GH "{\"content\":{\"parts\":[{\"text\":\"a\"}]}}," G(2, "c")
	GE GH G(1, "b") GE GH G(2, "C") "," G(0, "\xc3\xbc") GE GH E(1, "MAX_TOKENS")
		GE GH E(0, "STOP") "," E(2, "STOP") GE;

static void all_candidates(const struct reader *r)
{
	assert_int_equal(r->good, 3);
	is(r, 0, "a\xc3\xbc", "stop");
	is(r, 1, "b", "length");
	is(r, 2, "cC", "stop");
	assert_int_equal(r->choices.v[0]->usage.input, 5);
	assert_int_equal(r->choices.v[1]->usage.input, 0);
	assert_int_equal(r->choices.v[0]->usage.output, 4);
	assert_int_equal(r->choices.v[2]->usage.output, 2);
	assert_string_equal(r->choices.v[2]->provider_request_id, "i");
}

static void test_gemini(void **state)
{
	struct reader r;

	(void)state;
	use(&gemini_type);
	everywhere(candidates, all_candidates);
	never_cut(candidates);
	read_stream(&r, GH G(0, "a") "," G(1, "b") GE GH E(1, "OTHER") "," E(0, "STOP") GE);
	assert_int_equal(r.good, 1);
	is(&r, 0, "a", "stop");
	is(&r, 1, NULL, NULL);
	done(&r);
	read_stream(&r, GH E(0, "OTHER") "," E(1, "MALFORMED_FUNCTION_CALL") GE);
	assert_int_equal(r.good, 0);
	assert_string_equal(r.why, "OTHER");
	done(&r);
	/* the question is refused, whoever answers */
	read_stream(&r, "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n");
	assert_int_equal(r.good, 3);
	is(&r, 2, "The prompt was blocked: SAFETY", "content_filter");
	done(&r);
	/* a proxy that does not stream */
	assert_int_equal(
		whole(&r, N,
		      "[{\"candidates\":[" G(0, "a") "," G(1, "b") "]},{\"candidates\":[" E(
			      0, "STOP") "," E(1, "STOP") "]}]"),
		1);
	assert_int_equal(r.good, 2);
	is(&r, 1, "b", "stop");
	assert_string_equal(buf_str(&r.choices.v[1]->raw),
			    "{\"candidates\":[" G(1, "b") "]}\n"
							  "{\"candidates\":[" E(1, "STOP") "]}\n");
	done(&r);
}

/* Those that have one message: the others are missing. */
static void test_anthropic(void **state)
{
	struct reader r;

	(void)state;
	use(&anthropic_type);
	assert_int_equal(whole(&r, N,
			       "{\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"stop_reason\":"
			       "\"end_turn\"}"),
			 1);
	assert_int_equal(r.good, 1);
	is(&r, 0, "a", "stop");
	is(&r, 1, NULL, NULL);
	done(&r);
}

/* ---- what is asked for ---- */

static unsigned max_of(const struct backend_type *type, enum backend_dialect dialect, bool own,
		       const char *request)
{
	json_t *o = json_loads(request, 0, NULL);
	unsigned n;

	assert_non_null(o);
	use(type);
	config.dialect = dialect;
	config.at.default_url = own;
	n = type->numbers.samples_max ? type->numbers.samples_max(&config, o) : 1;
	json_decref(o);
	return n;
}

static void test_samples_max(void **state)
{
	static const char chat[] = "{\"endpoint\":\"chat\"}";
	static const char *const ones[] = {
		"{\"endpoint\":\"embedding\"}",
		"{\"endpoint\":\"fim\"}",
		"{\"endpoint\":\"responses\"}",
		"{\"endpoint\":\"chat\",\"extra_body\":{\"n\":2}}",
		"{\"endpoint\":\"chat\",\"extra_body\":{\"prediction\":{}}}",
		"{\"endpoint\":\"chat\",\"extra_body\":{\"generationConfig\":{\"candidateCount\":1}}}",
	};

	(void)state;
	assert_int_equal(max_of(&openai_type, BACKEND_OPENAI, true, chat), 128);
	assert_int_equal(max_of(&openai_type, BACKEND_VLLM, false, chat), 128);
	assert_int_equal(max_of(&openai_type, BACKEND_LLAMACPP, false, chat), 4);
	assert_int_equal(
		max_of(&openai_type, BACKEND_OPENAI, true, "{\"endpoint\":\"completion\"}"), 128);
	assert_int_equal(max_of(&openai_type, BACKEND_OPENAI, true,
				"{\"endpoint\":\"completion\",\"extra_body\":{\"best_of\":3}}"),
			 1);
	assert_int_equal(max_of(&openai_type, BACKEND_OPENAI, true,
				"{\"endpoint\":\"chat\",\"temperature\":0}"),
			 128);
	assert_int_equal(max_of(&openai_type, BACKEND_VLLM, false,
				"{\"endpoint\":\"chat\",\"temperature\":0}"),
			 1);
	assert_int_equal(max_of(&mistral_type, 0, true, chat), 128);
	assert_int_equal(max_of(&gemini_type, 0, true, chat), 8);
	assert_int_equal(max_of(&echo_type, 0, false, chat), 128);
	assert_int_equal(max_of(&anthropic_type, 0, true, chat), 1);
	assert_int_equal(max_of(&ollama_type, 0, true, chat), 1);
	for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++) {
		assert_int_equal(max_of(&openai_type, BACKEND_OPENAI, true, ones[i]), 1);
		assert_int_equal(max_of(&mistral_type, 0, true, ones[i]), 1);
		if (i != 1 && i != 2) /* it has no such endpoints */
			assert_int_equal(max_of(&gemini_type, 0, true, ones[i]), 1);
	}
}

static void built(const json_t *effective, unsigned n, struct backend_body *out)
{
	struct err e;

	memset(out, 0, sizeof(*out));
	if (config.type->build(&config, &(struct backend_ask){ effective, NULL, n }, out, &e))
		fail_msg("%s", e.message);
}

/* The number is in the body and nowhere else, and taken out again the body is that of one sample. */
static void test_bodies(void **state)
{
	static const struct backend_type *const types[] = { &openai_type, &mistral_type,
							    &gemini_type };
	static const char *const says[] = { "\"n\":3,", "\"n\":3,", "\"candidateCount\":3" };
	json_t *o = json_loads("{\"endpoint\":\"chat\",\"model\":\"m\",\"messages\":[{\"role\":"
			       "\"user\",\"content\":\"hi\"}]}",
			       0, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct backend_body one, three, none;

		use(types[i]);
		built(o, 1, &one);
		built(o, 3, &three);
		built(o, 0, &none);
		assert_string_equal(buf_str(&one.body), buf_str(&none.body));
		assert_non_null(strstr(buf_str(&three.body), says[i]));
		assert_null(strstr(buf_str(&one.body), says[i]));
		assert_int_equal(single_body(&three.body), 0);
		assert_string_equal(buf_str(&three.body), buf_str(&one.body));
		buf_done(&one.body);
		buf_done(&three.body);
		buf_done(&none.body);
	}
	json_decref(o);
}

static void test_single(void **state)
{
	struct single s = { 0 };
	char model[16];

	(void)state;
	assert_false(single_has(&s, "m"));
	single_add(&s, NULL);
	single_add(&s, "m");
	single_add(&s, "m");
	assert_int_equal(s.next, 1);
	assert_true(single_has(&s, "m") && !single_has(&s, "n") && !single_has(&s, NULL));
	for (unsigned i = 0; i < SINGLE_MAX; i++) {
		snprintf(model, sizeof(model), "m%u", i);
		single_add(&s, model);
		assert_true(single_has(&s, model));
	}
	assert_false(single_has(&s, "m")); /* the oldest */
	single_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),	    cmocka_unit_test(test_short),
		cmocka_unit_test(test_one_fails),   cmocka_unit_test(test_strange_indices),
		cmocka_unit_test(test_calls),	    cmocka_unit_test(test_raw),
		cmocka_unit_test(test_raw_of_one),  cmocka_unit_test(test_whole),
		cmocka_unit_test(test_gemini),	    cmocka_unit_test(test_anthropic),
		cmocka_unit_test(test_samples_max), cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_single),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
