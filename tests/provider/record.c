/* Received requests; see record.h. */
#include "record.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define KEPT	   20000
#define BODY_MAX   65536
#define BODIES_MAX ((size_t)256 << 20) /* of all kept bodies; the oldest go first */
#define SHA_SIZE   32

/* `head` holds method, path, then header names and values, each ended by NUL. */
struct record {
	struct buf head;
	char *body; /* NULL when it was too long or had to go */
	size_t body_len;
	uint64_t seq;
	uint64_t first_ns;
	bool aborted;
	bool hashed;
	unsigned char sha[SHA_SIZE];
};

static struct record ring[KEPT];
static uint64_t newest;	     /* seq of the last request, 0 = none */
static uint64_t oldest_body; /* all bodies before this seq are gone */
static uint64_t posts, aborted;
static size_t bodies_size;

/* Not at once for short bodies: hashing every request would show in benchmarks. */
static void hash_body(struct record *r, const void *body)
{
	if (r->hashed)
		return;
	EVP_Digest(body ? body : "", r->body_len, r->sha, NULL, EVP_sha256(), NULL);
	r->hashed = true;
}

static void drop_body(struct record *r)
{
	if (!r->body)
		return;
	bodies_size -= r->body_len;
	free(r->body);
	r->body = NULL;
}

static void keep_body(struct record *r, const struct buf *body)
{
	r->body_len = body->len;
	r->hashed = false;
	if (body->len > BODY_MAX) {
		hash_body(r, body->p);
		return;
	}
	r->body = malloc(body->len + 1);
	if (!r->body)
		abort();
	if (body->len)
		memcpy(r->body, body->p, body->len);
	bodies_size += body->len;
	while (bodies_size > BODIES_MAX && oldest_body < r->seq) {
		struct record *old = &ring[oldest_body++ % KEPT];

		if (old->body)
			hash_body(old, old->body);
		drop_body(old);
	}
}

static enum MHD_Result add_header(void *cls, enum MHD_ValueKind kind, const char *key,
				  const char *value)
{
	struct buf *head = cls;

	(void)kind;
	buf_add(head, key, strlen(key) + 1);
	buf_add(head, value ? value : "", value ? strlen(value) + 1 : 1);
	return MHD_YES;
}

uint64_t record_add(struct MHD_Connection *conn, const char *method, const char *path,
		    const struct buf *body, uint64_t first_ns)
{
	struct record *r = &ring[++newest % KEPT];

	drop_body(r);
	buf_clear(&r->head);
	buf_add(&r->head, method, strlen(method) + 1);
	buf_add(&r->head, path, strlen(path) + 1);
	MHD_get_connection_values(conn, MHD_HEADER_KIND, add_header, &r->head);
	r->seq = newest;
	r->first_ns = first_ns;
	r->aborted = false;
	keep_body(r, body);
	posts += !strcmp(method, "POST");
	return newest;
}

void record_aborted(uint64_t seq)
{
	aborted++;
	if (ring[seq % KEPT].seq == seq)
		ring[seq % KEPT].aborted = true;
}

uint64_t record_aborted_count(void)
{
	return aborted;
}

static uint64_t oldest_kept(void)
{
	return newest > KEPT ? newest - KEPT + 1 : 1;
}

static const char *next_string(const char *s)
{
	return s + strlen(s) + 1;
}

uint64_t record_count(const char *path)
{
	uint64_t n = 0;

	if (!path || !*path)
		return posts;
	for (uint64_t seq = oldest_kept(); seq <= newest; seq++)
		n += strstr(next_string(ring[seq % KEPT].head.p), path) != NULL;
	return n;
}

static void dump_body(struct buf *out, struct record *r)
{
	json_t *text;

	buf_fmt(out, "\"body_len\":%zu,\"body_sha256\":\"", r->body_len);
	hash_body(r, r->body);
	for (int i = 0; i < SHA_SIZE; i++)
		buf_fmt(out, "%02x", r->sha[i]);
	buf_str(out, "\",\"body\":");
	/* Uploads may be binary, and this answer must stay JSON. */
	text = r->body ? json_stringn(r->body, r->body_len) : NULL;
	if (text)
		buf_json(out, r->body, r->body_len);
	else
		buf_str(out, "null");
	json_decref(text);
}

static void dump_one(struct buf *out, struct record *r)
{
	const char *method = r->head.p, *path = next_string(method), *s = next_string(path);

	buf_fmt(out, "{\"id\":%llu,\"method\":", (unsigned long long)r->seq);
	buf_jstr(out, method);
	buf_str(out, ",\"path\":");
	buf_jstr(out, path);
	buf_str(out, ",\"headers\":{");
	for (bool first = true; s < r->head.p + r->head.len; first = false) {
		buf_str(out, first ? "" : ",");
		buf_jstr(out, s);
		buf_str(out, ":");
		s = next_string(s);
		buf_jstr(out, s);
		s = next_string(s);
	}
	buf_fmt(out, "},\"t_first_ns\":%llu,\"aborted\":%s,", (unsigned long long)r->first_ns,
		r->aborted ? "true" : "false");
	dump_body(out, r);
	buf_str(out, "}");
}

void record_dump(struct buf *out, uint64_t last)
{
	uint64_t seq = oldest_kept();

	if (last < newest && newest - last + 1 > seq)
		seq = newest - last + 1;
	buf_fmt(out, "{\"count\":%llu,\"requests\":[", (unsigned long long)newest);
	for (bool first = true; seq <= newest; seq++, first = false) {
		buf_str(out, first ? "" : ",\n");
		dump_one(out, &ring[seq % KEPT]);
	}
	buf_str(out, "]}");
}

void record_reset(void)
{
	for (size_t i = 0; i < KEPT; i++) {
		drop_body(&ring[i]);
		ring[i].seq = 0;
	}
	newest = 0;
	oldest_body = 0;
	posts = 0;
	aborted = 0;
}
