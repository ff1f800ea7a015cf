/* The lines of a batch and what becomes of them; see batches.h. */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>

#include "batches.h"
#include "script.h"

#define HUGE_BLANKS ((size_t)3 << 20)

struct one {
	const char *at;
	size_t len;
	size_t number; /* in the input, so that a test knows which half was run */
};

/* The same order each time, and never that of the input. */
static void shuffle(struct one *list, size_t n)
{
	uint32_t random = 777;

	for (size_t i = n; i > 1; i--) {
		size_t k;
		struct one x = list[i - 1];

		random = random * 1103515245u + 12345u;
		k = (random >> 16) % i;
		list[i - 1] = list[k];
		list[k] = x;
	}
}

static struct one *cut(const struct buf *lines, size_t *out_n)
{
	struct one *list = NULL;
	const char *p = lines->p, *end = lines->p + lines->len;
	size_t n = 0, cap = 0;

	while (p && p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		stop = stop ? stop : end;
		if (stop > p) {
			list = buf_grow(list, &cap, n, sizeof(*list));
			list[n] = (struct one){ p, (size_t)(stop - p), n };
			n++;
		}
		p = stop + 1;
	}
	*out_n = n;
	return list;
}

size_t batches_each_line(struct batch *b,
			 void (*check)(struct batch *b, const char *text, size_t n))
{
	size_t n;
	struct one *list = cut(&b->lines, &n);

	for (size_t i = 0; i < n; i++)
		check(b, list[i].at, list[i].len);
	free(list);
	return n;
}

/* As a request of its own would be answered: its body in out, and its status. */
static int answer(const struct batch *b, json_t *body, const struct one *line, struct buf *out)
{
	static uint64_t id = 1000000;
	struct plan plan = { 0 };
	struct ask ask = { .plan = &plan, .root = body, .id = ++id, .version = b->version };
	const struct buf text = { (char *)(uintptr_t)line->at, line->len, line->len };
	struct refusal why = { .id = id };
	struct buf path = { 0 };
	struct rule *rule;
	int status = 200;

	buf_str(&path, b->dialect->prefix);
	b->wire->path(&path, b);
	dialect_route(&ask, "POST", path.p);
	rule = script_match("POST", path.p, &text);
	if (rule && rule->head.status >= 400) {
		why.status = status = rule->head.status;
		ask.dialect->refuse(out, &why);
	} else if (ask.kind == KIND_NONE || ask.dialect->read(&ask, &why)) {
		status = why.status ? why.status : 404;
		why.status = status;
		ask.dialect->refuse(out, &why);
	} else if (ask.kind == KIND_EMBED) {
		ask.dialect->other(out, &ask);
	} else {
		plan_make(&plan, rule, ask.n ? ask.n : 1);
		ask.dialect->whole(out, &ask);
	}
	script_unref(rule);
	buf_free(&path);
	plan_clear(&plan);
	buf_free(&plan.bytes);
	free(plan.prompts);
	free(plan.pieces);
	free(plan.texts);
	return status;
}

/* Of a batch that did not come to its end every second line was run. */
static enum line_end end_of(const struct batch *b, const struct one *line)
{
	enum line_end end = batches_line_end(line->at, line->len);

	if (end == LINE_ANSWERED && line->number % 2 && b->state == STATE_EXPIRED)
		return LINE_EXPIRED;
	if (end == LINE_ANSWERED && line->number % 2 && b->state == STATE_CANCELLED)
		return LINE_CANCELLED;
	return end;
}

static void write_result(struct batch *b, struct buf *out, const char *id, enum line_end end,
			 int status, const struct buf *body)
{
	size_t before = out->len;

	if (end == LINE_HUGE) {
		buf_reserve(out, HUGE_BLANKS);
		memset(out->p + out->len, ' ', HUGE_BLANKS);
		out->len += HUGE_BLANKS;
	}
	b->wire->result(out, end == LINE_UNKNOWN ? "somebody-elses-17" : id, end, status, body);
	if (end == LINE_GARBLED)
		out->len = before + (out->len - before) / 2;
	buf_str(out, "\n");
}

static void run_line(struct batch *b, const struct one *line, struct buf *good, struct buf *bad)
{
	json_t *o = json_loadb(line->at, line->len, 0, NULL);
	const char *id = json_string_value(json_object_get(o, b->wire->id_name));
	json_t *body = json_object_get(o, b->wire->body_name);
	enum line_end end = end_of(b, line);
	struct buf text = { 0 };
	int status = 200;
	bool apart;

	if (end == LINE_REFUSED) {
		const struct refusal why = { .status = 400, .why = WHY_STATUS };

		b->dialect->refuse(&text, &why);
		status = 400;
	} else if (end != LINE_EXPIRED && end != LINE_CANCELLED) {
		if (b->model[0] && !json_object_get(body, "model") &&
		    !strcmp(b->wire->body_name, "body"))
			json_object_set_new(body, "model", json_string(b->model));
		body = b->wire->wrap ? b->wire->wrap(b, body) : json_incref(body);
		status = answer(b, body, line, &text);
		json_decref(body);
	}
	if (status >= 400)
		end = LINE_REFUSED;
	b->ends[end]++;
	apart = b->wire->errors_apart &&
		(end == LINE_REFUSED || end == LINE_EXPIRED || end == LINE_CANCELLED);
	if (end != LINE_MISSING &&
	    !(b->wire->none_expired && (end == LINE_EXPIRED || end == LINE_CANCELLED)))
		for (int i = 0; i <= (end == LINE_DUPLICATE); i++)
			write_result(b, apart ? bad : good, id ? id : "", end, status, &text);
	buf_free(&text);
	json_decref(o);
}

void batches_run(struct batch *b)
{
	struct buf good = { 0 }, bad = { 0 };
	size_t n;
	struct one *list = cut(&b->lines, &n);

	if (b->wire->none_unless_done && b->state != STATE_DONE)
		n = 0;
	shuffle(list, n);
	for (size_t i = 0; i < n; i++)
		run_line(b, &list[i], &good, &bad);
	if (good.len)
		b->output = batches_add_file("file-out-", good.p, good.len);
	if (bad.len)
		b->errors = batches_add_file("file-err-", bad.p, bad.len);
	if (b->output)
		b->output->looks = 0;
	buf_free(&good);
	buf_free(&bad);
	free(list);
}
