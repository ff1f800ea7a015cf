/*
 * tests/bench/lib/row_tree.c - row 6: ls -l and grep -r over a large cache
 *
 * The store is filled with the store's own code from one object that the daemon wrote; the floor is a
 * copy of what M/cache shows, so both trees have the same names and the same bytes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/lib/bench.h"

#include "base/buf.h"
#include "core/canon.h"
#include "store/object.h"
#include "store/store.h"

enum { PASSES = 3, SHARDS = 256 };

/* ---- fill ---- */

static char first_object[BENCH_PATH];

static int see(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)f;
	if (flag == FTW_F && strstr(path, "/objects/"))
		snprintf(first_object, sizeof(first_object), "%s", path);
	return 0;
}

/* One answer by the daemon itself shows what an object looks like. */
static json_t *learn_object(struct bench *b, const char *cache)
{
	char path[BENCH_PATH], *text;
	json_t *v;

	world_mount(b, b->pinned ? "tree-pinned" : "tree", cache);
	snprintf(path, sizeof(path), "%s/prompts/a.txt", b->mnt);
	bench_write(path, "PROMPT\n", 7);
	snprintf(path, sizeof(path), "%s/responses/a/text", b->mnt);
	bench_read(path, "You said: PROMPT\n", 17);
	world_unmount(b);
	if (nftw(cache, see, 16, FTW_PHYS) || !*first_object)
		bench_die("no object below %s", cache);
	text = bench_slurp(first_object, NULL);
	v = json_loads(text, 0, NULL);
	if (!v)
		bench_die("%s is not JSON", first_object);
	bench_unlink(first_object);
	free(text);
	return v;
}

static void put(struct store *s, json_t *object, size_t i)
{
	char prompt[WORDS_PROMPT + 1], *answer = NULL;
	json_t *request = json_object_get(object, "request"),
	       *sample = json_object_get(object, "sample");
	json_t *message = json_array_get(json_object_get(request, "messages"), 0);
	const char *raw = json_string_value(json_object_get(object, "raw"));
	AUTO_BUF struct buf canon = BUF_INIT(1 << 20), bytes = BUF_INIT(1 << 20);
	struct object_parts p = { .created_real_ns = 1700000000000000000u + i,
				  .sample = sample,
				  .raw = raw };
	struct key key;
	int rc;

	words_prompt('t', i, prompt);
	answer = bench_fmt("You said: %s", prompt);
	json_object_set_new(message, "content", json_string(prompt));
	json_object_set_new(sample, "text", json_string(answer));
	rc = canon_write(request, &canon);
	if (!rc)
		rc = key_of(canon.data, canon.len, &key);
	p.key = &key;
	p.request = canon.data;
	p.request_len = canon.len;
	p.raw_len = strlen(raw);
	if (!rc)
		rc = object_encode(&p, &bytes);
	if (!rc)
		rc = store_put(s, &(struct store_offer){ .key = &key,
							 .bytes = bytes.data,
							 .len = bytes.len,
							 .dirfd = -1 });
	if (rc)
		bench_die("store: %d", rc);
	free(answer);
}

static void fill(struct bench *b, const char *cache, size_t n)
{
	json_t *object = learn_object(b, cache);
	char *url = bench_fmt("disk:%s", cache);
	struct err e = { 0 };
	struct store *s;

	if (store_open(&(struct store_options){ .url = url,
						.timeout_ms = 1000,
						.breaker_failures = 3,
						.probe_ms = 500 },
		       &s, &e))
		bench_die("%s: %s", url, e.message);
	for (size_t i = 0; i < n; i++)
		put(s, object, i);
	store_close(s);
	json_decref(object);
	free(url);
}

/* ---- the two commands ---- */

struct tree {
	char *root;
	const char *ls[SHARDS + 3];
	size_t n;
};

static void tree_open(struct tree *t, char *root)
{
	DIR *d = opendir(root);
	struct dirent *e;

	*t = (struct tree){ .root = root, .ls = { "ls", "-l" } };
	if (!d)
		bench_die("%s: %s", root, strerror(errno));
	while ((e = readdir(d)) && t->n < SHARDS)
		if (e->d_name[0] != '.')
			t->ls[2 + t->n++] = bench_fmt("%s/%s", root, e->d_name);
	closedir(d);
}

static void tree_close(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		free((char *)(uintptr_t)t->ls[2 + i]);
	free(t->root);
}

static double timed(const char *const argv[], int want)
{
	uint64_t t0 = bench_ns();
	int status = bench_run(true, argv);

	if (status != want)
		bench_die("%s %s %s: exit status %d", argv[0], argv[1], argv[2], status);
	return (double)(bench_ns() - t0) / 1e9;
}

static double list(struct tree *t)
{
	return timed(t->ls, 0);
}

static double search(struct tree *t)
{
	return timed((const char *[]){ "grep", "-r", "no such words anywhere", t->root, NULL }, 1);
}

static void compare(struct bench *b, const char *name, double (*fn)(struct tree *),
		    struct tree t[2], double target)
{
	double v[2][PASSES], first[2];
	char *title;

	first[0] = fn(&t[0]);
	first[1] = fn(&t[1]);
	for (size_t i = 0; i < PASSES; i++) {
		v[0][i] = fn(&t[0]);
		v[1][i] = fn(&t[1]);
	}
	double floor = bench_median(v[0], PASSES), ours = bench_median(v[1], PASSES);

	world_rss(b);
	table_add(b, (struct table_row){ .name = name,
					 .floor = bench_fmt("%.3f s", floor),
					 .ours = bench_fmt("%.3f s", ours),
					 .unit = "x",
					 .value = ours / floor,
					 .target = target,
					 .rule = TABLE_AT_MOST });
	title = bench_fmt("%s (first pass)", name);
	table_add(b, (struct table_row){ .name = title,
					 .floor = bench_fmt("%.3f s", first[0]),
					 .ours = bench_fmt("%.3f s", first[1]),
					 .unit = "x",
					 .value = first[1] / first[0] });
	free(title);
}

void row_tree(struct bench *b)
{
	const char *want = getenv("BENCH_ENTRIES");
	size_t n = want ? strtoul(want, NULL, 10) : b->quick ? 200 : 100000;
	char *title[2] = { bench_fmt("6 ls -l, %zu entries | ext4", n),
			   bench_fmt("6 grep -r, %zu entries | ext4", n) };
	char *cache = bench_fmt("%s/tree-cache", b->dir),
	     *plain = bench_fmt("%s/tree-plain", b->dir);
	struct tree t[2];
	struct stat st;

	if (stat(plain, &st) < 0) { /* both passes use the same trees */
		bench_note("row 6: filling %zu entries", n);
		fill(b, cache, n);
		world_mount(b, "tree-copy", cache);
		bench_note("row 6: copying the tree");
		timed((const char *[]){ "cp", "-r", bench_fmt("%s/cache", b->mnt), plain, NULL },
		      0);
		bench_note("row 6: comparing the trees");
		timed((const char *[]){ "diff", "-r", bench_fmt("%s/cache", b->mnt), plain, NULL },
		      0);
		world_unmount(b);
	}
	world_mount(b, b->pinned ? "tree-pinned" : "tree", cache);
	tree_open(&t[0], bench_fmt("%s", plain));
	tree_open(&t[1], bench_fmt("%s/cache", b->mnt));
	if (t[0].n != t[1].n)
		bench_die("%zu shards of %zu", t[1].n, t[0].n);
	bench_note("row 6: ls");
	compare(b, title[0], list, t, 2);
	bench_note("row 6: grep");
	compare(b, title[1], search, t, 6);
	world_unmount(b);
	tree_close(&t[0]);
	tree_close(&t[1]);
	free(title[0]);
	free(title[1]);
	free(cache);
	free(plain);
}
