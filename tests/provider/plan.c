/* What the model says; see plan.h. */
#include "plan.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "script.h"

void plan_clear(struct plan *p)
{
	buf_clear(&p->bytes);
	p->nprompts = 0;
	p->npieces = 0;
	p->ntexts = 0;
	p->steps = 0;
	p->choices = 0;
	p->rule = NULL;
	p->words_in = 0;
	p->words_out = 0;
	p->words_thought = 0;
}

void plan_prompt(struct plan *p)
{
	p->prompts = buf_grow(p->prompts, &p->prompts_cap, p->nprompts, sizeof(*p->prompts));
	p->prompts[p->nprompts++] = (struct span){ .at = p->bytes.len };
}

void plan_text(struct plan *p, const char *s, size_t n)
{
	buf_add(&p->bytes, s, n);
	p->prompts[p->nprompts - 1].len += n;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

uint64_t plan_words(const char *s, size_t n)
{
	uint64_t words = 0;
	bool blank = true;

	for (size_t i = 0; i < n; i++) {
		bool now = is_blank(s[i]);

		words += blank && !now;
		blank = now;
	}
	return words;
}

static void open_text(struct plan *p)
{
	p->texts = buf_grow(p->texts, &p->texts_cap, p->ntexts, sizeof(*p->texts));
	p->texts[p->ntexts++] = (struct text){
		.all = { .at = p->bytes.len },
		.first = p->npieces,
	};
}

/* The bytes are already there; only the cut is recorded. */
static void cut_piece(struct plan *p, size_t at, size_t len)
{
	p->pieces = buf_grow(p->pieces, &p->pieces_cap, p->npieces, sizeof(*p->pieces));
	p->pieces[p->npieces++] = (struct span){ .at = at, .len = len };
	p->texts[p->ntexts - 1].count++;
}

static void close_text(struct plan *p)
{
	struct text *t = &p->texts[p->ntexts - 1];

	t->all.len = p->bytes.len - t->all.at;
	if (t->count > p->steps)
		p->steps = t->count;
}

/* A piece is a word with the blanks before it, so that joining the pieces gives the text back. */
static void cut_words(struct plan *p)
{
	size_t from = p->texts[p->ntexts - 1].all.at, i = from;

	while (i < p->bytes.len) {
		while (i < p->bytes.len && is_blank(p->bytes.p[i]))
			i++;
		while (i < p->bytes.len && !is_blank(p->bytes.p[i]))
			i++;
		cut_piece(p, from, i - from);
		from = i;
	}
}

static void add_scripted(struct plan *p, const char *s)
{
	open_text(p);
	buf_str(&p->bytes, s ? s : "");
	cut_words(p);
	close_text(p);
}

static void add_echo(struct plan *p, struct span prompt)
{
	open_text(p);
	buf_str(&p->bytes, "echo: ");
	buf_reserve(&p->bytes, prompt.len); /* the source lies in the same buffer */
	buf_add(&p->bytes, p->bytes.p + prompt.at, prompt.len);
	cut_words(p);
	close_text(p);
}

static void add_pieces(struct plan *p, const json_t *pieces)
{
	size_t i;
	json_t *v;

	open_text(p);
	json_array_foreach(pieces, i, v) {
		size_t at = p->bytes.len;

		buf_add(&p->bytes, json_string_value(v), json_string_length(v));
		cut_piece(p, at, json_string_length(v));
	}
	close_text(p);
}

static void add_numbered(struct plan *p, const char *base)
{
	static atomic_uint given;
	char text[256];

	(void)snprintf(text, sizeof(text), "%.200s #%u", base, atomic_fetch_add(&given, 1));
	add_scripted(p, text);
}

static void add_texts(struct plan *p, const struct rule_text *say)
{
	size_t i;
	json_t *v;

	if (say && say->number && p->nprompts == 1) {
		for (i = 0; i < p->choices; i++)
			add_numbered(p, say->text ? say->text : "sample");
		p->same = false;
	} else if (say && say->pieces) {
		add_pieces(p, say->pieces);
	} else if (say && json_array_size(say->choices)) {
		json_array_foreach(say->choices, i, v) {
			add_scripted(p, json_string_value(v));
		}
		p->same = false;
	} else if (say && (say->text || say->tool_calls)) {
		add_scripted(p, say->text);
	} else {
		for (i = 0; i < p->nprompts; i++)
			add_echo(p, p->prompts[i]);
	}
}

void plan_make(struct plan *p, const struct rule *rule, unsigned n)
{
	const struct rule_text *say = rule ? &rule->say : NULL;

	if (!p->nprompts)
		plan_prompt(p);
	p->rule = rule;
	p->same = true;
	p->choices = n * (unsigned)p->nprompts;
	if (say && say->choices_max > 0 && say->choices_max < (long)p->choices && p->nprompts == 1)
		p->choices = (unsigned)say->choices_max;
	add_texts(p, say);
	for (unsigned c = 0; c < p->choices; c++) {
		const struct text *t = plan_choice(p, c);

		p->words_out += plan_words(plan_at(p, t->all), t->all.len);
	}
	if (say && say->reasoning) {
		p->words_thought = p->choices * plan_words(say->reasoning, strlen(say->reasoning));
		p->words_out += p->words_thought;
	}
	p->finish = say && say->tool_calls ? "tool_calls" : "stop";
	if (say && say->finish)
		p->finish = say->finish;
}

const struct text *plan_choice(const struct plan *p, unsigned choice)
{
	size_t per_prompt = p->choices / p->nprompts;
	size_t at = p->same ? choice / per_prompt : choice;

	/* A script may give fewer texts than the request has choices: the last one repeats. */
	return &p->texts[at < p->ntexts ? at : p->ntexts - 1];
}

const char *plan_finish(const struct plan *p, unsigned choice)
{
	const json_t *own = p->rule ? json_array_get(p->rule->say.finishes, choice) : NULL;

	return json_is_string(own) ? json_string_value(own) : p->finish;
}

const json_t *plan_tools(const struct plan *p)
{
	return p->rule ? p->rule->say.tool_calls : NULL;
}

const char *plan_reasoning(const struct plan *p)
{
	return p->rule ? p->rule->say.reasoning : NULL;
}

const json_t *plan_usage(const struct plan *p)
{
	return p->rule ? p->rule->say.usage : NULL;
}
