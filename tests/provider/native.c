/* What the dialects share that are not OpenAI's; see native.h. */
#include "native.h"

#include <string.h>

#include "script.h"

void native_text(struct ask *ask, const json_t *text)
{
	if (json_is_string(text))
		plan_text(ask->plan, json_string_value(text), json_string_length(text));
}

void native_chosen(struct ask *ask, size_t chosen)
{
	struct plan *p = ask->plan;
	struct span prompt = p->prompts[chosen];

	for (size_t i = 0; i < p->nprompts; i++)
		p->words_in += plan_words(plan_at(p, p->prompts[i]), p->prompts[i].len);
	p->nprompts = 1;
	p->prompts[0] = prompt;
}

int native_refuse(struct refusal *why, enum why reason, const char *field, const char *text)
{
	*why = (struct refusal){ reason == WHY_MODEL ? 404 : 400, reason, field, text, NULL, 0 };
	return -1;
}

const char *native_unknown(const json_t *o, const char *const *known)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)o, name, v) {
		const char *const *k = known;

		while (*k && strcmp(*k, name))
			k++;
		if (!*k)
			return name;
	}
	return NULL;
}

void native_dump(struct buf *b, const json_t *v)
{
	size_t n = json_dumpb(v, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);

	buf_reserve(b, n + 1);
	b->len += json_dumpb(v, b->p + b->len, n, JSON_COMPACT | JSON_ENCODE_ANY);
	b->p[b->len] = '\0';
}

static const json_t *call_at(const struct ask *ask, size_t k)
{
	return json_array_get(plan_tools(ask->plan), k);
}

void native_arguments(const struct ask *ask, size_t k, struct buf *out)
{
	const json_t *args = json_object_get(call_at(ask, k), "arguments");

	buf_clear(out);
	if (json_is_string(args))
		buf_add(out, json_string_value(args), json_string_length(args));
	else if (args)
		native_dump(out, args);
	else
		buf_str(out, "{}");
}

const char *native_call_name(const struct ask *ask, size_t k)
{
	const char *name = json_string_value(json_object_get(call_at(ask, k), "name"));

	return name ? name : "";
}

const char *native_call_id(const struct ask *ask, size_t k, char *own)
{
	const char *id = json_string_value(json_object_get(call_at(ask, k), "id"));

	ask->dialect->call_id(own, ask->id, k);
	return id ? id : own;
}

void native_sentence(struct buf *b, const struct refusal *r)
{
	switch (r->why) {
	case WHY_KEY:
		buf_str(b, "invalid key");
		break;
	case WHY_JSON:
		buf_str(b, "The request body is not valid JSON.");
		break;
	case WHY_PATH:
		buf_str(b, "Not found");
		break;
	case WHY_MODEL:
		buf_fmt(b, "model: %s", r->text);
		break;
	case WHY_MISSING:
		buf_fmt(b, "%s: Field required", r->field);
		break;
	case WHY_UNKNOWN:
		buf_fmt(b, "%s: Extra inputs are not permitted", r->field);
		break;
	case WHY_VALUE:
		buf_fmt(b, "%s: %s", r->field, r->text);
		break;
	case WHY_STATUS:
		buf_fmt(b, "Scripted status %d.", r->status);
		break;
	}
}

bool native_error(struct events *ev, const struct ask *ask, size_t step, const char *name)
{
	const struct rule *r = ask->plan->rule;

	if (!r || !r->flow.error_event || r->flow.error_at != (long)step)
		return false;
	events_begin(ev, r->flow.error_name ? r->flow.error_name : name);
	native_dump(&ev->b, r->flow.error_event);
	events_end(ev, (long)step);
	return true;
}
