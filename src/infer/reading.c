/*
 * infer/reading.c - what every parser of a provider's answer does
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "infer/failure.h"
#include "infer/reading.h"

#include "base/banned.h"

enum { REASON_MAX = 64, ID_MAX = 256, DEPTH_MAX = 64 };
#define REFUSAL_MAX (1u << 20)

void reading_init(struct reading *r, const struct backend_config *c, struct answer *a,
		  const struct backend_sink *s)
{
	*r = (struct reading){ .config = c, .answer = a };
	if (s)
		r->sink = *s;
	buf_init(&r->refusal, REFUSAL_MAX);
}

void reading_done(struct reading *r)
{
	buf_done(&r->refusal);
}

void reading_note(struct reading *r, int rc)
{
	if (rc && !r->rc)
		r->rc = rc;
}

/* What could not be kept is not shown either: the stream and the final text are the same bytes. */
void reading_text(struct reading *r, const char *p, size_t n)
{
	int rc = n ? buf_add(&r->answer->text, p, n) : 0;

	reading_note(r, rc);
	if (n && !rc && r->sink.text)
		r->sink.text(r->sink.arg, r->choice, p, n);
}

void reading_add(struct reading *r, struct buf *b, const json_t *v)
{
	if (json_is_string(v))
		reading_note(r, buf_add(b, json_string_value(v), json_string_length(v)));
}

static const char *known_reason(const struct reading_word *words, const char *value)
{
	for (; words->theirs; words++)
		if (strcmp(words->theirs, value) == 0)
			return words->ours;
	return NULL;
}

/* An open list: what is not in it goes through as other:VALUE. */
void reading_reason(struct reading *r, const struct reading_word *words, const json_t *v)
{
	char other[REASON_MAX] = "other:", clean[REASON_MAX - 8];
	const char *value = json_string_value(v), *known;

	if (!value)
		return;
	known = known_reason(words, value);
	if (!known) {
		failure_text(clean, sizeof(clean), value, json_string_length(v));
		for (char *c = clean; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		(void)str_copy(other + 6, sizeof(other) - 6, clean); /* fits */
		known = other;
	}
	free(r->answer->finish_reason);
	r->answer->finish_reason = strdup(known);
	reading_note(r, r->answer->finish_reason ? 0 : -ENOMEM);
}

/* The first event names model and id; later ones repeat them or leave them out. */
void reading_once(struct reading *r, char **out, const json_t *v)
{
	char text[ID_MAX];

	if (*out || !json_is_string(v) || !json_string_length(v))
		return;
	failure_text(text, sizeof(text), json_string_value(v), json_string_length(v));
	*out = strdup(text);
	reading_note(r, *out ? 0 : -ENOMEM);
}

void reading_number(int64_t *out, const json_t *v)
{
	if (json_is_integer(v) && json_integer_value(v) >= 0)
		*out = json_integer_value(v);
}

/* A refusal is the answer's text when there is no other, and the model said it as a filter would. */
int reading_end(struct reading *r, struct err *e)
{
	struct answer *a = r->answer;

	if (!r->began)
		return err_set(e, ERR_PROTOCOL, "%s ended its answer without giving one",
			       r->config->name);
	if (r->refusal.len) {
		if (!a->text.len)
			reading_text(r, r->refusal.data, r->refusal.len);
		a->refusal = buf_steal(&r->refusal, NULL);
		free(a->finish_reason);
		a->finish_reason = strdup("content_filter");
	} else if (!a->finish_reason) {
		a->finish_reason = strdup("other:unknown");
	}
	reading_note(r, a->finish_reason ? 0 : -ENOMEM);
	return 0;
}

int reading_sizes(const struct reading *r, struct err *e)
{
	if (!r->rc)
		return 0;
	if (r->rc == -EFBIG)
		return err_set(e, ERR_PROTOCOL,
			       "the answer of %s is larger than this program accepts",
			       r->config->name);
	return err_set(e, ERR_INTERNAL, "no memory for the answer of %s", r->config->name);
}

/* Parts of it are stored inside another object: nested to a parser's limit it could not be read again. */
static bool too_deep(const json_t *v, unsigned left)
{
	const char *name;
	json_t *member;
	size_t i;

	if (!json_is_object(v) && !json_is_array(v))
		return false;
	if (left == 0)
		return true;
	json_array_foreach(v, i, member) {
		if (too_deep(member, left - 1))
			return true;
	}
	json_object_foreach((json_t *)(uintptr_t)v, name, member) {
		if (too_deep(member, left - 1))
			return true;
	}
	return false;
}

json_t *reading_object(const struct reading *r, const char *data, size_t len, struct err *e)
{
	char sample[96];
	json_t *o;

	if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
		data += 3;
		len -= 3;
	}
	o = json_loadb(data, len, JSON_ALLOW_NUL, NULL);
	if (json_is_object(o) && !too_deep(o, DEPTH_MAX))
		return o;
	json_decref(o);
	failure_text(sample, sizeof(sample), data, len);
	(void)err_set(e, ERR_PROTOCOL, "%s answered something that is no plain JSON object: %s",
		      r->config->name, sample);
	return NULL;
}

/* ---- several choices ---- */

int reading_set_init(struct reading_set *s, const struct backend_config *c, struct answer *const *a,
		     unsigned n, const struct backend_sink *sink)
{
	s->v = calloc(n, sizeof(*s->v));
	if (!s->v)
		return -ENOMEM;
	s->n = n;
	for (unsigned i = 0; i < n; i++) {
		reading_init(&s->v[i], c, a[i], sink);
		s->v[i].choice = i;
	}
	return 0;
}

void reading_set_done(struct reading_set *s)
{
	for (unsigned i = 0; i < s->n; i++)
		reading_done(&s->v[i]);
	free(s->v);
	s->v = NULL;
	s->n = 0;
}

void reading_set_next(struct reading_set *s)
{
	s->events++;
}

struct reading *reading_set_route(struct reading_set *s, const json_t *index)
{
	json_int_t i = json_is_integer(index) ? json_integer_value(index) : 0;
	struct reading *r;

	if (i < 0 || i >= s->n)
		return NULL;
	r = &s->v[i];
	if (s->n > 1 && r->event == s->events)
		return NULL;
	r->event = s->events;
	return r;
}

static void copy_word(struct reading *r, char **out, const char *word)
{
	if (*out || !word)
		return;
	*out = strdup(word);
	reading_note(r, *out ? 0 : -ENOMEM);
}

int reading_set_end(struct reading_set *s, struct err *e)
{
	const struct answer *first = s->v[0].answer;
	bool any = false;
	int rc = 0;

	for (unsigned i = 0; i < s->n && !rc; i++) {
		struct reading *r = &s->v[i];

		if (!r->began)
			continue;
		any = true;
		copy_word(r, &r->answer->model, first->model);
		copy_word(r, &r->answer->provider_request_id, first->provider_request_id);
		rc = reading_end(r, e);
	}
	return any ? rc : reading_end(&s->v[0], e);
}

int reading_set_sizes(const struct reading_set *s, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; i < s->n && !rc; i++)
		rc = reading_sizes(&s->v[i], e);
	return rc;
}
