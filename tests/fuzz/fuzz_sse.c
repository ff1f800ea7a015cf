/*
 * fuzz_sse.c - any bytes, cut anywhere: the same events as in one piece, and the same lines for ndjson
 *
 * The first byte says how the rest is cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/head.h"
#include "net/ndjson.h"
#include "net/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static int on_event(void *arg, const char *name, const char *text, size_t len)
{
	must(text[len] == '\0' && strlen(name) < SSE_NAME_MAX);
	must(buf_adds(arg, name) == 0 && buf_addc(arg, '\0') == 0);
	must(buf_add(arg, text, len) == 0 && buf_addc(arg, '\0') == 0);
	return 0;
}

static int on_line(void *arg, const char *line, size_t len)
{
	must(len > 0 && !memchr(line, '\n', len));
	must(buf_add(arg, line, len) == 0 && buf_addc(arg, '\n') == 0);
	return 0;
}

static void run_sse(const char *p, size_t n, size_t piece, struct buf *out)
{
	struct sse s;

	sse_init(&s, 1 << 20);
	for (size_t at = 0; at < n; at += piece)
		must(sse_feed(&s, p + at, n - at < piece ? n - at : piece, on_event, out) == 0);
	must(sse_finish(&s, on_event, out) == 0);
	sse_done(&s);
}

static void run_lines(const char *p, size_t n, size_t piece, struct buf *out)
{
	struct ndjson s;

	ndjson_init(&s, 1 << 20);
	for (size_t at = 0; at < n; at += piece)
		must(ndjson_feed(&s, p + at, n - at < piece ? n - at : piece, on_line, out) == 0);
	must(ndjson_finish(&s, on_line, out) == 0);
	ndjson_done(&s);
}

static void same(void (*run)(const char *p, size_t n, size_t piece, struct buf *out), const char *p,
		 size_t n, size_t piece)
{
	struct buf whole = BUF_INIT(8 << 20), cut = BUF_INIT(8 << 20);

	run(p, n, n ? n : 1, &whole);
	run(p, n, piece, &cut);
	must(whole.len == cut.len && memcmp(buf_str(&whole), buf_str(&cut), whole.len) == 0);
	buf_done(&whole);
	buf_done(&cut);
}

/* The same bytes as header lines: nothing that is kept is longer than its place or unprintable. */
static void run_head(const char *p, size_t n)
{
	struct head_parser h;
	const struct http_head *head;

	head_init(&h);
	for (const char *end = p + n; p < end;) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t len = lf ? (size_t)(lf - p) + 1 : (size_t)(end - p);

		head_line(&h, p, len, 1795262400000000000ull);
		p += len;
	}
	head = head_done(&h);
	must(head->status >= 0 && head->status <= 999 && head->retry_after_s <= 1e9);
	must(strlen(head->content_type) < sizeof(head->content_type));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text;

	if (size < 1 || size > 1 << 18)
		return 0;
	text = (const char *)data + 1;
	same(run_sse, text, size - 1, data[0] % 61u + 1u);
	same(run_lines, text, size - 1, data[0] % 61u + 1u);
	run_head(text, size - 1);
	return 0;
}
