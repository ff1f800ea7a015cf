/*
 * object.c - one stored sample: canonical bytes, checked without parsing where that is possible
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "core/canon.h"
#include "include/inferfs/cache_engine.h"
#include "store/object.h"
#include "store/object_parse.h"

#include "base/banned.h"

#define SHA_OPEN ",\"sha256\":\""
#define TTL_OPEN ",\"ttl\":"

enum {
	SHA_OPEN_LEN = sizeof(SHA_OPEN) - 1,
	SHA_LEN = SHA_OPEN_LEN + KEY_HEX + 1,
	TTL_OPEN_LEN = sizeof(TTL_OPEN) - 1,
	TTL_DIGITS_MAX = 19
};

/* ---- writing ---- */

static int add_value(struct buf *out, const json_t *v)
{
	return v ? canon_write(v, out) : -ENOMEM;
}

static int add_raw(struct buf *out, const char *raw, size_t n)
{
	json_t *v = json_stringn_nocheck(n ? raw : "", n);
	int rc = add_value(out, v);

	json_decref(v);
	return rc;
}

/* Members in the order that canonical form wants: sorted by name. */
static int add_head(const struct object_parts *p, struct buf *out)
{
	char created[32], hex[KEY_HEX + 1];
	int rc;

	str_iso8601(p->created_real_ns, created, sizeof(created));
	key_hex(p->key, hex);
	rc = buf_addf(out, "{\"created\":\"%s\",\"format\":%d,\"index\":%u,\"key\":\"%s\",\"raw\":",
		      created, OBJECT_FORMAT, p->index, hex);
	if (!rc)
		rc = add_raw(out, p->raw, p->raw_len);
	(void)buf_adds(out, ",\"request\":"); /* out->failed tells */
	(void)buf_add(out, p->request, p->request_len);
	(void)buf_adds(out, ",\"sample\":");
	if (!rc)
		rc = add_value(out, p->sample);
	return rc ? rc : out->failed;
}

/* What follows the checksum is known before it, so the whole is hashed in two pieces as it lies. */
static int add_tail(const struct object_parts *p, struct buf *out, size_t start)
{
	char tail[TTL_OPEN_LEN + TTL_DIGITS_MAX + 3] = "}", hex[KEY_HEX + 1];
	struct key sum;
	int rc;

	if (p->ttl_s)
		(void)snprintf(tail, sizeof(tail), TTL_OPEN "%llu}", (unsigned long long)p->ttl_s);
	rc = key_of2(out->data + start, out->len - start, tail, strlen(tail), &sum);
	if (rc)
		return rc;
	key_hex(&sum, hex);
	return buf_addf(out, SHA_OPEN "%s\"%s\n", hex, tail);
}

/* An object that no check would accept must not be stored in the first place. */
static int check_parts(const struct object_parts *p)
{
	struct key k;
	int rc = key_of(p->request, p->request_len, &k);

	if (rc)
		return rc;
	if (!key_equal(&k, p->key) || !json_is_object(p->sample) || p->ttl_s > INT64_MAX)
		return -EINVAL;
	if (p->raw_len > CACHE_OBJECT_MAX)
		return -EFBIG;
	return p->raw_len && !str_utf8_valid(p->raw, p->raw_len) ? -EINVAL : 0;
}

int object_encode(const struct object_parts *p, struct buf *out)
{
	size_t start = out->len;
	int rc = check_parts(p);

	if (rc)
		return rc;
	rc = add_head(p, out);
	if (!rc)
		rc = add_tail(p, out, start);
	if (!rc && out->len - start > CACHE_OBJECT_MAX)
		rc = -EFBIG;
	if (rc && out->data) {
		out->len = start;
		out->data[start] = '\0';
	}
	return rc;
}

/* ---- the check without parsing ---- */

struct cursor {
	const char *p, *end;
};

static bool eat(struct cursor *c, const char *literal)
{
	size_t n = strlen(literal);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, literal, n) != 0)
		return false;
	c->p += n;
	return true;
}

/* From behind the opening quote to behind the closing one. */
static bool skip_string(struct cursor *c)
{
	const char *from = c->p, *q, *b;

	for (; (q = memchr(c->p, '"', (size_t)(c->end - c->p))); c->p = q + 1) {
		for (b = q; b > from && b[-1] == '\\'; b--)
			;
		if ((q - b) % 2 == 0) {
			c->p = q + 1;
			return true;
		}
	}
	return false;
}

static bool skip_object(struct cursor *c)
{
	size_t depth = 0;

	if (c->p == c->end || *c->p != '{')
		return false;
	while (c->p < c->end) {
		char ch = *c->p++;

		if (ch == '"' && !skip_string(c))
			return false;
		if (ch == '{' || ch == '[')
			depth++;
		if ((ch == '}' || ch == ']') && --depth == 0)
			return true;
	}
	return false;
}

/* Where the checksum member lies in a canonical object: [cut, resume). */
static bool find_sum(const char *b, size_t n, size_t *out_cut, size_t *out_resume)
{
	size_t at, i;

	if (n < SHA_LEN + 3 || b[n - 1] != '\n' || b[n - 2] != '}')
		return false;
	at = i = n - 2;
	while (i > 0 && b[i - 1] >= '0' && b[i - 1] <= '9')
		i--;
	if (i < at && i >= TTL_OPEN_LEN && !memcmp(b + i - TTL_OPEN_LEN, TTL_OPEN, TTL_OPEN_LEN))
		at = i - TTL_OPEN_LEN;
	if (at < SHA_LEN || b[at - 1] != '"' ||
	    memcmp(b + at - SHA_LEN, SHA_OPEN, SHA_OPEN_LEN) != 0)
		return false;
	*out_cut = at - SHA_LEN;
	*out_resume = at;
	return true;
}

static bool sum_matches(const char *b, size_t n)
{
	size_t cut, resume;
	struct key want, got;
	char hex[KEY_HEX + 1];

	if (!find_sum(b, n, &cut, &resume))
		return false;
	memcpy(hex, b + cut + SHA_OPEN_LEN, KEY_HEX);
	hex[KEY_HEX] = '\0';
	return key_parse(hex, &want) == 0 &&
	       key_of2(b, cut, b + resume, n - 1 - resume, &got) == 0 && key_equal(&want, &got);
}

static bool request_matches(const char *p, size_t n, const struct key *key)
{
	struct key k;

	return key_of(p, n, &k) == 0 && key_equal(&k, key);
}

/* False says only that the long way has to decide: another member order is legal. */
static bool fast_check(const char *b, size_t n, const struct key *key, uint32_t index)
{
	struct cursor c = { b, b + n };
	char mark[160], hex[KEY_HEX + 1];
	const char *request;

	key_hex(key, hex);
	(void)snprintf(mark, sizeof(mark),
		       "\",\"format\":%d,\"index\":%u,\"key\":\"%s\",\"raw\":\"", OBJECT_FORMAT,
		       index, hex);
	if (!sum_matches(b, n) || !eat(&c, "{\"created\":\"") || n < 64)
		return false;
	c.p = memchr(c.p, '"', 40);
	if (!c.p || !eat(&c, mark) || !skip_string(&c) || !eat(&c, ",\"request\":"))
		return false;
	request = c.p;
	return skip_object(&c) && request_matches(request, (size_t)(c.p - request), key) &&
	       eat(&c, ",\"sample\":");
}

/* ---- the long way ---- */

static int damaged(struct err *e, const char *why)
{
	return err_set(e, ERR_PROTOCOL, "the stored object is damaged: %s", why);
}

/* Reals beyond the 64-bit integers are written without a point, which jansson takes for integers
 * too large; then every number is read as a real, which loses nothing of theirs. */
static int load(const char *b, size_t n, json_t **out)
{
	static const size_t flags = JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
	json_error_t je;
	json_t *v = json_loadb(b, n, flags, &je);

	if (!v && json_error_code(&je) == json_error_numeric_overflow)
		v = json_loadb(b, n, flags | JSON_DECODE_INT_AS_REAL, &je);
	if (!v)
		return json_error_code(&je) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	*out = v;
	return 0;
}

static int hash_canonical(const json_t *v, struct key *out)
{
	AUTO_BUF struct buf b = BUF_INIT((size_t)CACHE_OBJECT_MAX * 2);
	int rc = canon_write(v, &b);

	return rc ? rc : key_of(b.data, b.len, out);
}

static int slow_sum(const json_t *o, struct err *e)
{
	const char *hex = json_string_value(json_object_get(o, "sha256"));
	struct key want, got;
	json_t *rest;
	int rc;

	if (!hex || key_parse(hex, &want))
		return damaged(e, "no checksum");
	rest = json_copy((json_t *)(uintptr_t)o); /* jansson's signature; o is not changed */
	if (!rest || json_object_del(rest, "sha256")) {
		json_decref(rest);
		return -ENOMEM;
	}
	rc = hash_canonical(rest, &got);
	json_decref(rest);
	if (rc == -ENOMEM)
		return rc;
	return rc || !key_equal(&want, &got) ? damaged(e, "the checksum does not match") : 0;
}

static int slow_check(const json_t *o, const struct key *key, struct err *e)
{
	struct key k;
	int rc = slow_sum(o, e);

	if (rc)
		return rc;
	rc = hash_canonical(json_object_get(o, "request"), &k);
	if (rc == -ENOMEM)
		return rc;
	return rc || !key_equal(&k, key) ? damaged(e, "its request is another one's") : 0;
}

/* Numbers may have been read as reals. */
static int get_count(const json_t *o, const char *name, uint64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(o, name);
	double d;

	if (json_is_integer(v)) {
		if (json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
			return -EBADMSG;
		*out = (uint64_t)json_integer_value(v);
		return 0;
	}
	d = json_real_value(v);
	if (!json_is_real(v) || d < 0 || d > (double)(1ULL << 53) || d > (double)max ||
	    d != (double)(uint64_t)d)
		return -EBADMSG;
	*out = (uint64_t)d;
	return 0;
}

static int digits(const char *s, int n, int64_t *out)
{
	int64_t v = 0;

	for (int i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EBADMSG;
		v = v * 10 + (s[i] - '0');
	}
	*out = v;
	return 0;
}

/* Days since 1970 of a proleptic Gregorian date; the year begins in March, so leap days come last. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
	int64_t era_day;

	y -= m <= 2;
	era_day = y * 365 + y / 4 - y / 100 + y / 400;
	return era_day + (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1 - 719468;
}

/* "2026-11-21T02:03:04.567Z" is the only form that objects are written with. */
static int parse_created(const char *s, uint64_t *out)
{
	/* where its numbers are */
	static const struct {
		int at, n, least, most;
	} parts[] = { { 0, 4, 1970, 9999 }, { 5, 2, 1, 12 },  { 8, 2, 1, 31 },	{ 11, 2, 0, 23 },
		      { 14, 2, 0, 59 },	    { 17, 2, 0, 60 }, { 20, 3, 0, 999 } };
	static const char form[] = "0000-00-00T00:00:00.000Z";
	int64_t v[ARRAY_LEN(parts)], t;

	if (strlen(s) != sizeof(form) - 1)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(form) - 1; i++)
		if (form[i] != '0' && s[i] != form[i])
			return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		if (digits(s + parts[i].at, parts[i].n, &v[i]) || v[i] < parts[i].least ||
		    v[i] > parts[i].most)
			return -EBADMSG;
	t = ((days_of(v[0], v[1], v[2]) * 24 + v[3]) * 60 + v[4]) * 60 + v[5];
	if ((uint64_t)t >= UINT64_MAX / MONO_S)
		return -EBADMSG;
	*out = (uint64_t)t * MONO_S + (uint64_t)v[6] * MONO_MS;
	return 0;
}

static int get_key(const json_t *o, struct key *out)
{
	const char *hex = json_string_value(json_object_get(o, "key"));

	return hex && key_parse(hex, out) == 0 ? 0 : -EBADMSG;
}

static int fill(json_t *v, struct object *o)
{
	const json_t *raw = json_object_get(v, "raw");
	uint64_t format, index;

	o->json = v;
	o->request = json_object_get(v, "request");
	o->sample = json_object_get(v, "sample");
	o->created = json_string_value(json_object_get(v, "created"));
	if (!json_is_object(o->request) || !json_is_object(o->sample) || !json_is_string(raw) ||
	    !o->created)
		return -EBADMSG;
	o->raw = json_string_value(raw);
	o->raw_len = json_string_length(raw);
	if (get_key(v, &o->key) || get_count(v, "format", OBJECT_FORMAT, &format) ||
	    format != OBJECT_FORMAT || get_count(v, "index", UINT32_MAX - 1, &index) ||
	    parse_created(o->created, &o->created_real_ns))
		return -EBADMSG;
	o->index = (uint32_t)index;
	return json_object_get(v, "ttl") ? get_count(v, "ttl", INT64_MAX, &o->ttl_s) : 0;
}

static int check_value(json_t *v, const struct key *key, uint32_t index, struct object *o)
{
	if (fill(v, o))
		return -EBADMSG;
	return o->index == index && key_equal(&o->key, key) ? 0 : -ESTALE;
}

static int parse_object(const char *bytes, size_t len, bool fast, json_t **out, struct err *e)
{
	int rc;

	if (len > CACHE_OBJECT_MAX || !len || bytes[len - 1] != '\n' ||
	    memchr(bytes, '\n', len) != bytes + len - 1)
		return damaged(e, "it is not one whole line");
	rc = fast ? object_parse(bytes, len - 1, out) : -EBADMSG;
	if (rc == -EBADMSG)
		rc = load(bytes, len, out);
	return rc == -EBADMSG ? damaged(e, "it is not JSON") : rc;
}

int object_decode(const char *bytes, size_t len, const struct key *key, uint32_t index,
		  struct object *out, struct err *e)
{
	bool fast = fast_check(bytes, len, key, index);
	struct object o = { 0 };
	json_t *v = NULL;
	int rc = parse_object(bytes, len, fast, &v, e);

	if (rc)
		return rc;
	rc = check_value(v, key, index, &o);
	if (rc)
		rc = damaged(e,
			     rc == -ESTALE ? "it is another one" : "a member is missing or wrong");
	else if (!fast)
		rc = slow_check(v, key, e);
	if (rc) {
		json_decref(v);
		return rc;
	}
	*out = o;
	return 0;
}

int object_check(const char *bytes, size_t len, const struct key *key, uint32_t index,
		 struct err *e)
{
	struct object o;
	int rc;

	if (fast_check(bytes, len, key, index))
		return 0;
	rc = object_decode(bytes, len, key, index, &o, e);
	if (!rc)
		object_done(&o);
	return rc;
}

int object_request(const struct object *o, struct buf *out)
{
	return canon_write(o->request, out);
}

void object_done(struct object *o)
{
	if (!o)
		return;
	json_decref(o->json);
	memset(o, 0, sizeof(*o));
}

int object_expired(const struct object *o, uint64_t default_ttl_s, uint64_t now_real_ns)
{
	uint64_t ttl = o->ttl_s ? o->ttl_s : default_ttl_s;

	return ttl && now_real_ns > o->created_real_ns &&
	       (now_real_ns - o->created_real_ns) / MONO_S >= ttl;
}
