/*
 * fuzz_bulk_item.c - any bytes as a .jsonl: each line is somebody, and either a request or a sentence that says why
 *
 * The first byte is how long a line may be. Names end up as directories below items/, so they are held against what
 * a file system takes; and every line must be found again at its offset, as a job of a restarted daemon does.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "jobs/bulk_item.h"
#include "seedlines.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES_MAX = 200 };

/* ---- seeds, and what each is when it stands alone as line 9 ---- */

#define WRAPPED(more) "{\"custom_id\":\"w\",\"method\":\"POST\",\"url\":\"/v1/" more "}"
#define BODY	      ",\"body\":{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"

static const struct {
	const char *line, *name; /* below items/ */
	const char *says;	 /* NULL: it is a request */
} seeds[] = {
	{ "{\"custom_id\":\"a\",\"prompt\":\"x\"}", "a", NULL },
	{ "{\"custom_id\":\"a\",\"prompt\":\"y\",\"n\":3,\"namespace\":\"ns\"}", "a", NULL },
	{ "{\"custom_id\":\"b/c\",\"prompt\":\"x\",\"images\":[\"dot.png\"]}", "b%2Fc", NULL },
	{ "{\"custom_id\":\"..\",\"prompt\":\"x\"}", "%2E.", NULL },
	{ "{\"custom_id\":\"%2E.\",\"prompt\":\"x\"}", "%252E.", NULL },
	{ "{\"custom_id\":\"\\t\\u007f\",\"prompt\":\"x\"}", "%09%7F", NULL },
	{ "{\"custom_id\":\"\xc3\xa4 \xe2\x82\xac\",\"prompt\":\"x\"}", "\xc3\xa4 \xe2\x82\xac",
	  NULL },
	{ "{\"custom_id\":\"1\",\"prompt\":\"x\"}", "1", NULL },
	{ "{\"custom_id\":\"2\",\"prompt\":\"x\"}", "2", NULL },
	{ "{\"custom_id\":\"2%\",\"prompt\":\"x\"}", "2%25", NULL },
	{ "{\"custom_id\":null,\"prompt\":\"x\"}", "9", NULL },
	{ "{\"prompt\":\"nobody\"}", "9", NULL },
	{ "  {\"prompt\":\"blanks around it\"}\t\r", "9", NULL },
	{ "{}", "9", NULL }, /* what it lacks is found when it is read as a request */
	{ WRAPPED("chat/completions\"" BODY), "w", NULL },
	{ WRAPPED("completions\",\"body\":{\"prompt\":\"x\"}"), "w", NULL },
	{ WRAPPED("fim/completions\",\"body\":{\"prompt\":\"x\",\"suffix\":\"y\"}"), "w", NULL },
	{ WRAPPED("embeddings\",\"body\":{\"input\":[\"x\"]}"), "w", NULL },
	{ "{\"body\":{\"prompt\":\"x\",\"custom_id\":\"inside\"}}", "9", NULL },
	{ WRAPPED("images\"" BODY), "w", "is none that lines may have" },
	{ WRAPPED("chat/completions\""), "w", "body must be a JSON object" },
	{ WRAPPED("chat/completions\",\"n\":2" BODY), "w", "move \"n\" into the body" },
	{ "{\"url\":7" BODY "}", "9", "url must be a string" },
	{ "{\"method\":\"GET\"" BODY "}", "9", "method must be \"POST\"" },
	{ "{\"body\":[]}", "9", "body must be a JSON object" },
	{ "{\"custom_id\":\"\",\"prompt\":\"x\"}", "9", "not empty" },
	{ "{\"custom_id\":12,\"prompt\":\"x\"}", "9", "must be a string" },
	{ "{\"custom_id\":{\"a\":1},\"prompt\":\"x\"}", "9", "must be a string" },
	{ "{\"custom_id\":\"a\",\"custom_id\":\"b\"}", "9", "has already" },
	{ "{\"custom_id\":\"a\\u0000b\",\"prompt\":\"x\"}", "9", "line 9" },
	{ "{\"custom_id\":\"\\ud800\",\"prompt\":\"x\"}", "9", "line 9" },
	{ "{\"custom_id\":\"\xff\",\"prompt\":\"x\"}", "9", "line 9" },
	{ "{\"prompt\":\"x\"", "9", "line 9" },
	{ "{\"prompt\":\"x\"} {}", "9", "line 9" },
	{ "[]", "9", "must be a JSON object" },
	{ "\"text\"", "9", "must be a JSON object" },
	{ "null", "9", "must be a JSON object" },
	{ "1e999", "9", "line 9" },
	{ "nonsense", "9", "line 9" },
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	for (size_t k = 0; k < ARRAY_LEN(seeds); k++) {
		struct bulk_text t = { .p = seeds[k].line, .n = strlen(seeds[k].line), .no = 9 };
		struct bulk_item i = { 0 };
		bool good;

		must(bulk_item_read(&t, NULL, &i) == 0);
		good = strcmp(i.name, seeds[k].name) == 0 && !i.request == !!seeds[k].says &&
		       (i.request ? !i.e.code : strstr(i.e.message, seeds[k].says) != NULL);
		if (!good) {
			fprintf(stderr, "%s\nis %s, %s\n", seeds[k].line, i.name, i.e.message);
			abort();
		}
		bulk_item_done(&i);
	}
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	return seedlines_mutate(data, size, max, seed, seeds[(seed >> 4) % ARRAY_LEN(seeds)].line);
}

/* ---- the rules ---- */

static bool is_escaped(char c)
{
	return c == '/' || (unsigned char)c < 0x20 || c == 0x7f;
}

/* a name that ls shows and rm takes, and that says which custom_id it was */
static void good_name(const struct bulk_item *i)
{
	const char *id = i->custom_id, *p = i->name;

	must(*p && *p != '.' && strlen(p) <= NAME_MAX);
	if (!i->own_id) {
		size_t n = strlen(i->custom_id);

		must(strncmp(p, id, n) == 0 && (!p[n] || strcmp(p + n, "%") == 0));
		return;
	}
	for (; *p; p++, id++) {
		must(!is_escaped(*p));
		if (*p != '%') {
			must(*p == *id);
			continue;
		}
		must(p[1] && p[2]);
		must((unsigned char)*id == strtoul((char[]){ p[1], p[2], 0 }, NULL, 16));
		p += 2;
	}
	must(!*id);
}

static void good_item(const struct bulk_item *i, const struct bulk_text *t, size_t max)
{
	must(i->no == t->no && i->custom_id && i->name);
	good_name(i);
	must(!i->request == !!i->e.code);
	if (!i->request) {
		seedlines_sentence(&i->e);
		must(i->e.line == t->no);
		must(!t->too_long || strstr(i->e.message, "max_request_bytes"));
	} else {
		must(json_is_object(i->request));
		must(!t->too_long && t->n <= max);
	}
}

/* the same text at its offset again: what a job does that goes on after a crash */
static void again(int fd, const struct bulk_text *t, const struct bulk_item *i)
{
	struct buf b = BUF_INIT((size_t)1 << 20);
	struct bulk_text back = *t;
	struct bulk_item twin;

	must(bulk_scan_one(fd, t->off, t->n, &b) == 0);
	must(b.len == t->n && memcmp(buf_str(&b), t->p, t->n) == 0);
	back.p = buf_str(&b);
	must(bulk_item_read(&back, NULL, &twin) == 0);
	if (i->request) {
		must(json_equal(twin.request, i->request) && twin.own_id == i->own_id);
		must(!i->own_id || strcmp(twin.name, i->name) == 0);
	} else {
		must(!twin.request || strstr(i->e.message, "an earlier line has"));
	}
	bulk_item_done(&twin);
	buf_done(&b);
}

static void alone(char **names, size_t n)
{
	for (size_t k = 0; k + 1 < n; k++)
		must(strcmp(names[k], names[n - 1]) != 0);
}

static void read_file(int fd, size_t size, size_t max)
{
	struct bulk_set seen = { 0 };
	struct bulk_scan scan = { 0 };
	struct bulk_text t, last = { 0 };
	char *names[LINES_MAX];
	size_t n = 0;
	int r = 1;

	bulk_scan_begin(&scan, fd, max);
	while (n < LINES_MAX && (r = bulk_scan_next(&scan, &t)) > 0) {
		struct bulk_item i;

		must(t.no > last.no && t.nth == n && (!n || t.off >= last.off + last.n));
		must(t.off + t.n + t.ended <= size &&
		     (t.ended || t.too_long || t.off + t.n == size));
		must(t.n <= max && (t.too_long || !memchr(t.p, '\n', t.n)));
		must(bulk_item_read(&t, &seen, &i) == 0);
		good_item(&i, &t, max);
		again(fd, &t, &i);
		names[n++] = strdup(i.name);
		must(names[n - 1] != NULL);
		alone(names, n);
		bulk_item_done(&i);
		last = t;
	}
	must(r >= 0);
	must(r || bulk_scan_next(&scan, &t) == 0); /* the end stays the end */
	while (n)
		free(names[--n]);
	bulk_scan_done(&scan);
	bulk_set_done(&seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (size < 1 || size > 1 << 17)
		return 0;
	fd = memfd_create("lines", MFD_CLOEXEC);
	must(fd >= 0);
	must(write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
	read_file(fd, size - 1, data[0] % 4 ? (size_t)data[0] * 8 : (size_t)1 << 16);
	(void)close(fd);
	return 0;
}
