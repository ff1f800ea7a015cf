/*
 * canon_parse.c - strict JSON: our scanner tells what is wrong and where, jansson makes the value
 *
 * jansson alone cannot say "more bytes could complete this", counts columns in characters, and
 * allows deeper values; so the text is scanned first, and jansson's own errors are the rare rest
 * (a member twice, a number too large for a double).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "core/canon.h"

#include "base/banned.h"

enum want {
	WANT_VALUE,
	WANT_VALUE_OR_END, /* after [ */
	WANT_NAME,	   /* after a comma in an object */
	WANT_NAME_OR_END,  /* after { */
	WANT_COLON,
	WANT_COMMA_OR_END
};

struct scan {
	const char *text;
	size_t len, pos;
	unsigned depth;
	bool in_object[CANON_DEPTH_MAX];
	enum want want;
	bool unfinished;
	struct buf patched;  /* see keep_as_real; empty: the text as it is */
	size_t copied;	     /* of text into patched */
	const char *problem; /* NULL while all is well */
	size_t at;	     /* of the problem */
};

#define ENDS "the text ends before "

static bool bad(struct scan *s, size_t at, const char *problem)
{
	s->problem = problem;
	s->at = at;
	return false;
}

static bool ends(struct scan *s, const char *problem)
{
	s->unfinished = true;
	return bad(s, s->len, problem);
}

static bool at_end(const struct scan *s)
{
	return s->pos == s->len;
}

static char peek(const struct scan *s)
{
	return at_end(s) ? '\0' : s->text[s->pos];
}

static bool digit_here(const struct scan *s)
{
	return !at_end(s) && s->text[s->pos] >= '0' && s->text[s->pos] <= '9';
}

/* Fewer than isspace(3) takes. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blank(struct scan *s)
{
	while (!at_end(s) && is_blank(s->text[s->pos]))
		s->pos++;
}

/* Four hex digits; false with unfinished set when the text ends within them. */
static bool scan_hex4(struct scan *s, unsigned *out)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++, s->pos++) {
		char c = peek(s);

		if (at_end(s))
			return ends(s, ENDS "the end of a \\u escape; the rest is missing");
		if (c >= '0' && c <= '9')
			v = v << 4 | (unsigned)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			v = v << 4 | (unsigned)((c | 32) - 'a' + 10);
		else
			return bad(s, s->pos, "\\u wants four hexadecimal digits");
	}
	*out = v;
	return true;
}

/* After a high surrogate: its other half must follow. */
static bool scan_low_half(struct scan *s, size_t at)
{
	static const char next[] = "\\u";
	unsigned low;

	for (int i = 0; i < 2; i++, s->pos++) {
		if (at_end(s))
			return ends(s, ENDS "the second half of a surrogate pair");
		if (s->text[s->pos] != next[i])
			return bad(
				s, at,
				"half a surrogate pair; write both halves or the character itself");
	}
	if (!scan_hex4(s, &low))
		return false;
	if (low < 0xDC00 || low > 0xDFFF)
		return bad(s, at,
			   "half a surrogate pair; write both halves or the character itself");
	return true;
}

static bool scan_unicode(struct scan *s, size_t at)
{
	unsigned v;

	if (!scan_hex4(s, &v))
		return false;
	if (v == 0)
		return bad(s, at, "\\u0000 is not allowed in a string; remove it");
	if (v >= 0xDC00 && v <= 0xDFFF)
		return bad(s, at,
			   "half a surrogate pair; write both halves or the character itself");
	return v < 0xD800 || v > 0xDBFF || scan_low_half(s, at);
}

static bool scan_escape(struct scan *s)
{
	size_t at = s->pos++;
	char c = peek(s);

	if (at_end(s))
		return ends(s, ENDS "the end of an escape; the rest is missing");
	s->pos++;
	if (c == 'u')
		return scan_unicode(s, at);
	if (!c || !strchr("\"\\/bfnrt", c))
		return bad(s, at, "unknown escape; write \\\\ for a backslash");
	return true;
}

static bool scan_string(struct scan *s)
{
	s->pos++;
	while (!at_end(s)) {
		unsigned char c = (unsigned char)s->text[s->pos];
		int n;

		if (c == '"') {
			s->pos++;
			return true;
		}
		if (c < 0x20)
			return bad(s, s->pos,
				   "a control character inside a string; write a line break as "
				   "\\n, a tab as \\t, or close the string before it");
		if (c == '\\') {
			if (!scan_escape(s))
				return false;
			continue;
		}
		n = c < 0x80 ? 1 : str_utf8_next(s->text + s->pos, s->len - s->pos, NULL);
		if (n == 0)
			return ends(s, ENDS "the end of a character; the rest is missing");
		if (n < 0)
			return bad(s, s->pos, "a byte that is not UTF-8; save the file as UTF-8");
		s->pos += (size_t)n;
	}
	return ends(s, ENDS "the end of a string; a closing quote is missing");
}

static bool scan_digits(struct scan *s, const char *problem)
{
	if (at_end(s))
		return ends(s, ENDS "the end of a number; the rest is missing");
	if (!digit_here(s))
		return bad(s, s->pos, problem);
	while (digit_here(s))
		s->pos++;
	return true;
}

static bool fits_64(const char *p, const char *end)
{
	bool minus = *p == '-';
	uint64_t v = 0, max = (uint64_t)INT64_MAX + minus;

	for (p += minus; p < end; p++) {
		unsigned d = (unsigned)(*p - '0');

		if (v > (max - d) / 10)
			return false;
		v = v * 10 + d;
	}
	return true;
}

/* A double of 2^63 to 1e21 is written canonically without point or exponent, and what we wrote we
 * must read: such digits are that double, and jansson is told so with ".0". Any other integer
 * beyond 64 bits would be sent as another number than was written. */
static bool keep_as_real(struct scan *s, size_t at)
{
	size_t n = s->pos - at;
	char digits[32], back[32];

	if (n >= sizeof(digits))
		return false;
	memcpy(digits, s->text + at, n);
	digits[n] = '\0';
	if (canon_number(strtod(digits, NULL), back) || strcmp(digits, back) != 0)
		return false;
	(void)buf_add(&s->patched, s->text + s->copied,
		      s->pos - s->copied); /* failed is looked at */
	(void)buf_adds(&s->patched, ".0");
	s->copied = s->pos;
	return true;
}

static bool scan_number(struct scan *s)
{
	size_t at = s->pos;
	bool whole = true;

	if (peek(s) == '-')
		s->pos++;
	if (peek(s) == '0')
		s->pos++;
	else if (!scan_digits(s, "a number wants a digit here"))
		return false;
	if (digit_here(s))
		return bad(s, at, "a number must not begin with 0; remove the zero");
	if (peek(s) == '.') {
		s->pos++;
		whole = false;
		if (!scan_digits(s, "a number wants a digit after the point"))
			return false;
	}
	if (!at_end(s) && (peek(s) | 32) == 'e') {
		s->pos++;
		whole = false;
		if (peek(s) == '+' || peek(s) == '-')
			s->pos++;
		if (!scan_digits(s, "a number wants a digit in its exponent"))
			return false;
	}
	if (whole && !fits_64(s->text + at, s->text + s->pos) && !keep_as_real(s, at))
		return bad(s, at, "an integer beyond 64 bits; write a smaller one");
	return true;
}

static bool scan_word(struct scan *s)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t left = s->len - s->pos;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]), m = left < n ? left : n;

		if (memcmp(s->text + s->pos, words[i], m) != 0)
			continue;
		if (m < n)
			return ends(s, ENDS "the end of true, false or null; the rest is missing");
		s->pos += n;
		return true;
	}
	return bad(s, s->pos,
		   "expected a value: a string in double quotes, a number, true, false, null, "
		   "a list or an object");
}

static bool open_nested(struct scan *s, bool object)
{
	if (s->depth == CANON_DEPTH_MAX)
		return bad(s, s->pos, "nested deeper than 64 levels; make it flatter");
	s->in_object[s->depth++] = object;
	s->pos++;
	s->want = object ? WANT_NAME_OR_END : WANT_VALUE_OR_END;
	return true;
}

static bool close_nested(struct scan *s)
{
	s->depth--;
	s->pos++;
	s->want = WANT_COMMA_OR_END;
	return true;
}

static bool step_value(struct scan *s)
{
	char c = peek(s);

	if (c == '{' || c == '[')
		return open_nested(s, c == '{');
	if (c == ']' && s->want == WANT_VALUE_OR_END)
		return close_nested(s);
	if (c == ']' && s->depth && !s->in_object[s->depth - 1])
		return bad(s, s->pos,
			   "expected a value after the comma; remove the comma before ]");
	s->want = WANT_COMMA_OR_END;
	if (c == '"')
		return scan_string(s);
	return c == '-' || digit_here(s) ? scan_number(s) : scan_word(s);
}

static bool step_name(struct scan *s)
{
	char c = peek(s);

	if (c == '}' && s->want == WANT_NAME_OR_END)
		return close_nested(s);
	if (c == '}')
		return bad(s, s->pos,
			   "expected a member name after the comma; remove the comma before }");
	if (c != '"')
		return bad(s, s->pos,
			   "expected a member name in double quotes or the end of the object");
	s->want = WANT_COLON;
	return scan_string(s);
}

static bool step_colon(struct scan *s)
{
	if (peek(s) != ':')
		return bad(s, s->pos, "expected a colon after the member name");
	s->pos++;
	s->want = WANT_VALUE;
	return true;
}

static bool step_comma(struct scan *s)
{
	bool object = s->in_object[s->depth - 1];

	if (peek(s) == (object ? '}' : ']'))
		return close_nested(s);
	if (peek(s) != ',')
		return bad(s, s->pos,
			   object ? "expected a comma or the end of the object"
				  : "expected a comma or the end of the list");
	s->pos++;
	s->want = object ? WANT_NAME : WANT_VALUE;
	return true;
}

static bool scan_step(struct scan *s)
{
	switch (s->want) {
	case WANT_VALUE:
	case WANT_VALUE_OR_END:
		return step_value(s);
	case WANT_NAME:
	case WANT_NAME_OR_END:
		return step_name(s);
	case WANT_COLON:
		return step_colon(s);
	case WANT_COMMA_OR_END:
	default:
		return step_comma(s);
	}
}

static bool scan_document(struct scan *s)
{
	for (;;) {
		skip_blank(s);
		if (s->want == WANT_COMMA_OR_END && !s->depth)
			return at_end(s) || bad(s, s->pos,
						"expected nothing more after the end of the "
						"document; remove what follows");
		if (at_end(s) && !s->depth)
			return ends(s, "the text is empty; write a JSON object");
		if (at_end(s))
			return ends(s, s->in_object[s->depth - 1]
					       ? ENDS "the end of an object; a closing } is missing"
					       : ENDS "the end of a list; a closing ] is missing");
		if (!scan_step(s))
			return false;
	}
}

static void place_of(const char *text, size_t at, unsigned *out_line, unsigned *out_column)
{
	unsigned line = 1, column = 1;

	for (size_t i = 0; i < at; i++) {
		column = text[i] == '\n' ? 1 : column + 1;
		line += text[i] == '\n';
	}
	*out_line = line;
	*out_column = column;
}

int canon_parse_fail(const char *text, size_t at, const char *problem, struct err *e)
{
	unsigned line, column;

	place_of(text, at, &line, &column);
	(void)err_set(e, ERR_REQUEST, "line %u, column %u: %s", line, column, problem);
	if (e) {
		e->line = line;
		e->column = column;
	}
	return -EINVAL;
}

/* jansson stops behind the name that is there twice; people look for where it begins. */
static size_t name_before(const char *text, size_t at)
{
	if (at < 2 || text[at - 1] != '"')
		return at;
	for (size_t i = at - 1; i-- > 0;)
		if (text[i] == '"' && (!i || text[i - 1] != '\\'))
			return i;
	return at;
}

static size_t number_before(const char *text, size_t at)
{
	while (at && text[at - 1] && strchr("0123456789+-.eE", text[at - 1]))
		at--;
	return at;
}

static int tell_jansson(const char *text, size_t len, const json_error_t *je, struct err *e)
{
	size_t at = je->position > 0 && (size_t)je->position <= len ? (size_t)je->position : 0;

	switch (json_error_code(je)) {
	case json_error_duplicate_key:
		return canon_parse_fail(
			text, name_before(text, at),
			"a member name that this object has already; keep one of the two", e);
	case json_error_numeric_overflow:
		return canon_parse_fail(text, number_before(text, at),
					"a number too large for a double; write a smaller one", e);
	default:
		return -ENOMEM; /* whatever it says: the scanner has seen that the rest is right */
	}
}

static int load(struct scan *s, json_t **out, struct err *e)
{
	struct buf *b = &s->patched;
	json_error_t je;
	json_t *v;

	if (b->len || b->failed)
		(void)buf_add(b, s->text + s->copied, s->len - s->copied); /* looked at here */
	if (b->failed)
		return -ENOMEM;
	if (b->len) {
		s->text = b->data;
		s->len = b->len;
	}
	v = json_loadb(s->text, s->len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
	if (!v)
		return tell_jansson(s->text, s->len, &je, e);
	*out = v;
	return 0;
}

int canon_parse(const char *text, size_t len, json_t **out, bool *out_unfinished, struct err *e)
{
	struct scan s = { .text = text, .len = len, .want = WANT_VALUE };
	int rc;

	buf_init(&s.patched, 2 * len + 64);

	if (out_unfinished)
		*out_unfinished = false;
	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		return canon_parse_fail(text, 0,
					"a byte order mark; save the file as UTF-8 without it", e);
	if (!scan_document(&s)) {
		if (out_unfinished)
			*out_unfinished = s.unfinished;
		buf_done(&s.patched);
		return canon_parse_fail(text, s.at, s.problem, e);
	}
	rc = load(&s, out, e);
	buf_done(&s.patched);
	return rc;
}

bool canon_parse_locate(const char *text, size_t len, const char *name, unsigned *out_line,
			unsigned *out_column)
{
	struct scan s = { .text = text, .len = len, .want = WANT_VALUE };
	size_t n = strlen(name);
	bool found = false;

	buf_init(&s.patched, 2 * len + 64);
	do {
		const char *p;

		skip_blank(&s);
		p = text + s.pos;
		if (s.depth != 1 || s.want < WANT_NAME || s.want > WANT_NAME_OR_END)
			continue;
		if (len - s.pos >= n + 2 && p[0] == '"' && !memcmp(p + 1, name, n) &&
		    p[n + 1] == '"') {
			place_of(text, s.pos, out_line, out_column);
			found = true;
		}
	} while (!found && !at_end(&s) && scan_step(&s) && s.depth);
	buf_done(&s.patched);
	return found;
}
