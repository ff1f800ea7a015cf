/* bulk_write.c - result lines, and the two files of them in input order */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mono.h"
#include "core/response.h"
#include "jobs/bulk.h"

#include "base/banned.h"

#define TURN_NS (10 * MONO_MS)
#define CHUNK	((size_t)4096)

/* ---- one line ---- */

static int add_string(const char *s, struct buf *out)
{
	json_t *v = json_string(s);
	AUTO_FREE char *text = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;

	json_decref(v);
	return text ? buf_adds(out, text) : -ENOMEM;
}

/* our own texts are one line and a newline */
static int add_line(const char *text, size_t n, struct buf *out)
{
	while (n && text[n - 1] == '\n')
		n--;
	return n ? buf_add(out, text, n) : buf_adds(out, "null");
}

static int add_response(struct broker *b, const struct ledger_row *row, const char *id,
			struct buf *out)
{
	AUTO_BUF struct buf text = BUF_INIT((size_t)1 << 30);
	struct broker_file_id f = { .id = row->id, .file = BROKER_RESPONSE };
	struct err e = { 0 };
	int r = broker_render(b, &f, &text);

	if (r == 0) {
		(void)buf_adds(out, ",\"response\":");
		(void)add_line(buf_str(&text), text.len, out);
		return buf_adds(out, ",\"error\":null}\n");
	}
	if (r == -ENOMEM)
		return r;
	(void)err_set(&e, ERR_INTERNAL,
		      "the answer is recorded, but its object under the state directory is damaged "
		      "or gone; write the file again with \"cache\":\"bypass\" in this line");
	buf_clear(&text);
	r = response_error_json(&e, id, &text);
	if (r < 0)
		return r;
	(void)buf_adds(out, ",\"response\":null,\"error\":");
	(void)add_line(buf_str(&text), text.len, out);
	return buf_adds(out, "}\n");
}

/* the id that the user chose, or the default */
static char *request_id_of(struct broker *b, const struct ledger_row *row)
{
	struct job_terms t = { 0 };
	char *id;

	(void)terms_read(row->envelope, &t); /* of a line that could not be asked: none */
	id = t.request_id ? strdup(t.request_id) : bulk_line_id(b, row);
	terms_done(&t);
	return id;
}

int bulk_write_line(struct broker *b, const struct ledger_row *row, struct buf *out)
{
	AUTO_FREE char *custom = bulk_line_custom_id(row);
	AUTO_FREE char *id = request_id_of(b, row);
	char hex[KEY_HEX + 1];
	int r;

	if (!custom || !id)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed by the cleanup attribute */
		return -ENOMEM;
	(void)buf_adds(out, "{\"custom_id\":");
	(void)add_string(custom, out);
	(void)buf_adds(out, ",\"request_id\":");
	(void)add_string(id, out);
	key_hex(&row->key, hex);
	if (row->has_key)
		(void)buf_addf(out, ",\"key\":\"%s\"", hex);
	else
		(void)buf_adds(out, ",\"key\":null");
	if (row->state == LEDGER_DONE) {
		r = add_response(b, row, id, out);
	} else {
		(void)buf_adds(out, ",\"response\":null,\"error\":");
		(void)add_line(row->error ? row->error : "", row->error ? strlen(row->error) : 0,
			       out);
		r = buf_adds(out, "}\n");
	}
	return out->failed ? out->failed : r;
}

/* ---- both files: the stream's lines in another order ---- */

static int begin(struct bulk *k)
{
	struct bulk_place at = { k->lines, k->id };
	int out = bulk_spool_open(k->b, at, BULK_SPOOL_OUTPUT_NEW, O_WRONLY | O_CREAT | O_TRUNC);
	int errors = out < 0 ? out
			     : bulk_spool_open(k->b, at, BULK_SPOOL_ERRORS_NEW,
					       O_WRONLY | O_CREAT | O_TRUNC);

	if (out < 0)
		return out;
	bulk_spool_out(&k->pass.output, out);
	if (errors < 0) {
		(void)bulk_spool_end(&k->pass.output); /* begun anew */
		return errors;
	}
	bulk_spool_out(&k->pass.errors, errors);
	bulk_set_done(&k->pass.seen);
	k->pass.written = 0;
	k->pass.first = (struct err){ 0 };
	return 0;
}

/* The first line that failed speaks for all of them when none succeeded. */
static void keep_first(struct bulk *k, const struct buf *line)
{
	struct err *e = &k->pass.first;
	const char *name, *message, *id;
	json_t *o, *error;

	if (e->code)
		return;
	o = json_loads(buf_str(line), 0, NULL);
	error = json_object_get(o, "error");
	name = json_string_value(json_object_get(error, "errno"));
	message = json_string_value(json_object_get(error, "message"));
	id = json_string_value(json_object_get(o, "custom_id"));
	(void)err_set(e, name ? err_by_name(name) : ERR_INTERNAL,
		      "no line succeeded; the first, \"%.60s\": %.300s", id ? id : "",
		      message ? message : "unknown");
	e->line = (unsigned)json_integer_value(json_object_get(error, "line"));
	json_decref(o);
}

/* the line of the stream at an offset, with its newline */
static int read_line(int fd, uint64_t off, struct buf *out)
{
	for (;;) {
		const char *end;
		ssize_t n;

		if (buf_reserve(out, CHUNK) < 0)
			return -ENOMEM;
		n = pread(fd, out->data + out->len, CHUNK, (off_t)(off + out->len));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		end = memchr(out->data + out->len, '\n', (size_t)n);
		out->len = end ? (size_t)(end - out->data) + 1 : out->len + (size_t)n;
		out->data[out->len] = '\0';
		if (end)
			return 0;
	}
}

static int write_one(struct bulk *k, struct buf *line)
{
	uint64_t place = k->pass.places[k->pass.written];
	int r;

	if (!place)
		return -ENOENT;
	buf_clear(line);
	r = read_line(k->stream, (place & ~BULK_PLACE_FAILED) - 1, line);
	if (r == 0)
		r = bulk_spool_add(&k->pass.output, line);
	if (r == 0 && (place & BULK_PLACE_FAILED)) {
		keep_first(k, line);
		r = bulk_spool_add(&k->pass.errors, line);
	}
	k->pass.written += r == 0;
	return r;
}

static int finish(struct bulk *k)
{
	struct bulk_place at = { k->lines, k->id };
	int r = bulk_spool_end(&k->pass.output);

	if (r == 0)
		r = bulk_spool_end(&k->pass.errors);
	if (r == 0)
		r = bulk_spool_rename(k->b, at, BULK_SPOOL_ERRORS_NEW, BULK_SPOOL_ERRORS);
	if (r == 0)
		r = bulk_spool_rename(k->b, at, BULK_SPOOL_OUTPUT_NEW, BULK_SPOOL_OUTPUT);
	return r;
}

/* half a file is no file: a failure begins anew */
static int give_up(struct bulk *k, int error)
{
	(void)bulk_spool_end(&k->pass.output); /* not kept */
	(void)bulk_spool_end(&k->pass.errors);
	return error;
}

int bulk_write_turn(struct bulk *k)
{
	uint64_t until = mono_ns() + TURN_NS;
	AUTO_BUF struct buf line = BUF_INIT((size_t)2 << 30);
	int r = k->pass.output.fd < 0 ? begin(k) : 0;

	if (r < 0)
		return r;
	while (r == 0 && k->pass.written < k->counts.total && mono_ns() < until)
		r = write_one(k, &line);
	if (r == 0 && k->pass.written == k->counts.total)
		r = finish(k);
	else if (r == 0)
		return 1;
	return r < 0 ? give_up(k, r) : 0;
}
