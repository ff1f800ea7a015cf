/*
 * fuzz_batch_line.c - any bytes as the results of a batch: each request gets one result at most, and a good one
 *
 * The first byte chooses the provider and how many requests the batch has. The rest are lines of its output files, in
 * the order they come. A model of the reader, a bit for each request, says which of them may be taken.
 */
#include <errno.h>
#include <stdio.h>

#include "base/auto.h"
#include "base/buf.h"
#include "infer/batch.h"
#include "infer/registry.h"
#include "seedlines.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUESTS_MAX = 19 };

static char name[] = "fuzzed";
static const struct backend_type *const types[] = { &openai_type, &mistral_type, &gemini_type,
						    &anthropic_type };

enum provider { OPENAI, MISTRAL, GEMINI, ANTHROPIC };

/* ---- seeds, and what becomes of each in a batch of two ---- */

#define CHOICE                                                                     \
	"{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello\"}," \
	"\"finish_reason\":\"stop\"}"
#define CHAT(choices) "{\"id\":\"c\",\"model\":\"m\",\"choices\":[" choices "],\"usage\":{}}"
#define HTTP(id, status, body) \
	"{\"custom_id\":\"" id "\",\"response\":{\"status_code\":" status ",\"body\":" body "}}"
#define PART(reason)                                                                         \
	"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hello\"}]},\"finishReason\":" \
	"\"" reason "\"}]}"
#define KEYED(id, rest) "{\"key\":\"" id "\"," rest "}"
#define MESSAGE(stop)                                                                          \
	"{\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":" \
	"\"text\",\"text\":\"Hello\"}],\"stop_reason\":" stop ",\"usage\":{}}"
#define RESULT(id, type, rest) \
	"{\"custom_id\":\"" id "\",\"result\":{\"type\":\"" type "\"" rest "}}"
#define VECTOR \
	"{\"object\":\"list\",\"data\":[{\"index\":0,\"embedding\":[0.5,1]}],\"model\":\"e\"}"

static const struct {
	enum provider at;
	int rc;
	enum batch_line_kind kind;
	const char *line;
} seeds[] = {
	{ OPENAI, 0, BATCH_LINE_ANSWER, HTTP("t-0", "200", CHAT(CHOICE)) },
	{ OPENAI, 0, BATCH_LINE_ANSWER, HTTP("t-1", "200", CHAT(CHOICE)) },
	{ OPENAI, 0, BATCH_LINE_ERROR, HTTP("t-1", "200", CHAT("")) },
	{ OPENAI, 0, BATCH_LINE_ERROR, HTTP("t-1", "200", "{}") },
	{ OPENAI, 0, BATCH_LINE_ERROR, HTTP("t-1", "200", "[]") },
	{ OPENAI, 0, BATCH_LINE_ERROR, HTTP("t-0", "400", "{\"error\":{\"message\":\"no\"}}") },
	{ OPENAI, 0, BATCH_LINE_ERROR, HTTP("t-0", "-1", "{\"error\":\"text\"}") },
	{ OPENAI, 0, BATCH_LINE_ERROR, HTTP("t-0", "99999999999", "7") },
	{ OPENAI, 0, BATCH_LINE_ANSWER, HTTP("t-0", "200", VECTOR) },
	{ OPENAI, 0, BATCH_LINE_EXPIRED,
	  "{\"custom_id\":\"t-0\",\"response\":null,\"error\":{\"code\":\"batch_expired\"}}" },
	{ OPENAI, 0, BATCH_LINE_CANCELLED,
	  "{\"custom_id\":\"t-0\",\"response\":null,\"error\":{\"code\":\"batch_cancelled\"}}" },
	{ OPENAI, 0, BATCH_LINE_ERROR,
	  "{\"custom_id\":\"t-1\",\"response\":null,\"error\":{\"message\":\"a\\nb\\u0000\"}}" },
	{ OPENAI, -ENOENT, 0, HTTP("t-2", "200", CHAT(CHOICE)) },
	{ OPENAI, -ENOENT, 0, HTTP("t-00", "200", CHAT(CHOICE)) },
	{ OPENAI, -ENOENT, 0, HTTP("s-0", "200", CHAT(CHOICE)) },
	{ OPENAI, -ENOENT, 0, HTTP("", "200", CHAT(CHOICE)) },
	{ OPENAI, -EBADMSG, 0, HTTP("t-0", "200", "{") },
	{ OPENAI, -EBADMSG, 0, "{\"custom_id\":\"t-0\",\"response\":[]}" },
	{ OPENAI, -EBADMSG, 0, "{\"custom_id\":[],\"response\":{}}" },
	{ OPENAI, -EBADMSG, 0, "\"t-0\"" },
	{ OPENAI, -EBADMSG, 0, "" },
	{ MISTRAL, 0, BATCH_LINE_ANSWER, HTTP("t-0", "200", CHAT(CHOICE)) },
	{ MISTRAL, 0, BATCH_LINE_ERROR,
	  HTTP("t-1", "422", "{\"detail\":[{\"loc\":[\"body\",\"n\"],\"msg\":\"wrong\"}]}") },
	{ MISTRAL, 0, BATCH_LINE_ERROR, HTTP("t-1", "429", "{\"message\":\"slow\"}") },
	{ GEMINI, 0, BATCH_LINE_ANSWER, KEYED("t-0", "\"response\":" PART("STOP")) },
	{ GEMINI, 0, BATCH_LINE_ANSWER, KEYED("t-1", "\"response\":" PART("MAX_TOKENS")) },
	{ GEMINI, 0, BATCH_LINE_ANSWER, KEYED("t-1", "\"response\":" PART("SAFETY")) },
	{ GEMINI, 0, BATCH_LINE_ERROR, KEYED("t-1", "\"response\":{\"candidates\":[]}") },
	{ GEMINI, 0, BATCH_LINE_ERROR, KEYED("t-0", "\"error\":{\"code\":3,\"message\":\"x\"}") },
	{ GEMINI, 0, BATCH_LINE_CANCELLED, KEYED("t-0", "\"error\":{\"code\":1}") },
	{ GEMINI, 0, BATCH_LINE_ANSWER,
	  "{\"metadata\":{\"key\":\"t-1\"},\"response\":" PART("STOP") "}" },
	{ GEMINI, -EBADMSG, 0, "{\"key\":\"t-0\"}" },
	{ GEMINI, -ENOENT, 0, KEYED("t-9", "\"error\":{}") },
	{ ANTHROPIC, 0, BATCH_LINE_ANSWER,
	  RESULT("t-0", "succeeded", ",\"message\":" MESSAGE("\"end_turn\"")) },
	{ ANTHROPIC, 0, BATCH_LINE_ANSWER,
	  RESULT("t-1", "succeeded", ",\"message\":" MESSAGE("\"max_tokens\"")) },
	{ ANTHROPIC, 0, BATCH_LINE_ERROR,
	  RESULT("t-1", "errored", ",\"error\":{\"error\":{\"type\":\"api_error\"}}") },
	{ ANTHROPIC, 0, BATCH_LINE_ERROR, RESULT("t-1", "errored", ",\"error\":7") },
	{ ANTHROPIC, 0, BATCH_LINE_EXPIRED, RESULT("t-1", "expired", "") },
	{ ANTHROPIC, 0, BATCH_LINE_CANCELLED, RESULT("t-1", "canceled", "") },
	{ ANTHROPIC, -EBADMSG, 0, RESULT("t-1", "succeeded", "") },
	{ ANTHROPIC, -EBADMSG, 0, "{\"custom_id\":\"t-1\",\"result\":{}}}" },
};

static struct batch_reader *open_batch(struct backend_config *c, enum provider at, uint64_t n)
{
	struct batch_job j = { .tag = "t", .requests = n };
	struct batch_reader *r;

	*c = (struct backend_config){ .name = name, .type = types[at] };
	(void)str_copy(j.group.model, sizeof(j.group.model), "m0"); /* it fits */
	r = batch_reader_new(c, &j);
	must(r != NULL);
	return r;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	for (size_t k = 0; k < ARRAY_LEN(seeds); k++) {
		struct backend_config c;
		struct batch_reader *r = open_batch(&c, seeds[k].at, 2);
		struct batch_line line = { 0 };
		struct err e = { 0 };
		int rc = batch_reader_line(r, seeds[k].line, strlen(seeds[k].line), &line, &e);

		if (rc != seeds[k].rc || (rc == 0 && line.kind != seeds[k].kind)) {
			fprintf(stderr, "%s\n%d, kind %d: %s%s\n", seeds[k].line, rc,
				(int)line.kind, e.message, line.err.message);
			abort();
		}
		answer_free(line.take_answer);
		batch_reader_free(r);
	}
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	return seedlines_mutate(data, size, max, seed, seeds[(seed >> 4) % ARRAY_LEN(seeds)].line);
}

/* ---- the rules ---- */

static void good_answer(const struct answer *a)
{
	json_t *sample;

	must(a && a->finish_reason && a->raw.len > 0);
	must(strcmp(a->finish_reason, "error") != 0);
	must(str_utf8_valid(buf_str(&a->text), a->text.len));
	sample = answer_sample(a, "fuzzed", "call");
	must(sample != NULL);
	json_decref(sample);
}

static void good_line(const struct batch_line *l)
{
	if (l->kind == BATCH_LINE_ANSWER) {
		good_answer(l->take_answer);
		return;
	}
	must(!l->take_answer && strcmp(l->err.backend, name) == 0);
	seedlines_sentence(&l->err);
	if (l->kind == BATCH_LINE_ERROR)
		return;
	must(l->retryable); /* nobody has run it */
	must(l->err.kind == (l->kind == BATCH_LINE_EXPIRED ? ERR_TIMEOUT : ERR_CANCELLED));
}

/* returns the requests that have their result */
static uint32_t feed(struct batch_reader *r, const char *p, size_t n, uint32_t had, uint64_t of)
{
	struct batch_line line = { .index = UINT64_MAX };
	struct err e = { 0 };
	int rc = batch_reader_line(r, p, n, &line, &e);

	if (rc == 0) {
		must(line.index < of && !(had & (1u << line.index)));
		good_line(&line);
		had |= 1u << line.index;
		answer_free(line.take_answer);
	} else {
		must(rc == -EBADMSG || rc == -ENOENT || (rc == -EEXIST && had));
		must(line.index == UINT64_MAX && !line.take_answer);
		seedlines_sentence(&e);
	}
	return had;
}

static void check_missing(const struct batch_reader *r, uint32_t had, uint64_t of)
{
	uint64_t want = of;

	must(batch_reader_missing(r, of) == of && batch_reader_missing(r, UINT64_MAX) == of);
	while (want-- > 0) {
		uint64_t first = want;

		while (first < of && (had & (1u << first)))
			first++;
		must(batch_reader_missing(r, want) == first);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct backend_config c;
	struct batch_reader *r;
	uint64_t of;
	uint32_t had = 0;

	if (size < 1 || size > 1 << 17)
		return 0;
	of = data[0] / 4 % (REQUESTS_MAX + 1);
	r = open_batch(&c, data[0] % 4, of);
	for (size_t at = 1; at < size;) {
		struct seedlines_span s = seedlines_at(data, size, at);
		size_t n = s.n - (data[s.at + s.n - 1] == '\n');
		char *text = str_dup_n((const char *)data + s.at, n); /* ASan sees a step too far */

		must(text != NULL);
		had = feed(r, text, n, had, of);
		had = feed(r, text, n, had, of); /* the same again is nobody's */
		at = s.at + s.n;
		free(text);
	}
	check_missing(r, had, of);
	batch_reader_free(r);
	return 0;
}
