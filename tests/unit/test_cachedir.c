/* test_cachedir.c - cache/: what is stored as files, listed page by page, removed by rmdir */
/* LDFLAGS: -Wl,-z,muldefs */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fakes/broker.c"
#include "fakes/vfs.c"
#include "vfs/cachedir_inside.h"
#include "vfs_reply_fake.h"

#define ROOT VFS_NODE(VFS_CACHE, 0)

static struct vfs *v;

static int setup(void **state)
{
	struct store_options o = {
		.url = "memory:", .timeout_ms = 1000, .breaker_failures = 3, .probe_ms = 500
	};
	struct err e = { 0 };

	(void)state;
	v = calloc(1, sizeof(*v));
	v->broker = fake_new();
	assert_int_equal(store_open(&o, &fake.store, &e), 0);
	v->hide = hide_new();
	v->start_ns = MONO_S;
	assert_int_equal(cachedir_new(v, &e), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_free();
	cachedir_free(v);
	hide_free(v->hide);
	store_close(fake.store);
	free(v);
	return 0;
}

/* a stored sample of the n-th request; out: its key in hex */
static void store_sample(unsigned n, uint32_t index, uint64_t created_ns, char *out_hex)
{
	AUTO_BUF struct buf b = BUF_INIT(1u << 20);
	char request[64], raw[64];
	struct key key;
	json_t *sample = json_pack("{s:s,s:s,s:s}", "text", "the answer", "finish_reason", "stop",
				   "model", "m");
	struct object_parts p = { .key = &key,
				  .index = index,
				  .created_real_ns = created_ns,
				  .request = request,
				  .sample = sample,
				  .raw = raw };
	struct store_offer o = { .key = &key, .index = index, .dirfd = -1 };

	(void)snprintf(request, sizeof(request), "{\"n\":%u}", n);
	(void)snprintf(raw, sizeof(raw), "raw %u %u", n, index);
	p.request_len = strlen(request);
	p.raw_len = strlen(raw);
	assert_int_equal(key_of(request, p.request_len, &key), 0);
	assert_int_equal(object_encode(&p, &b), 0);
	o.bytes = b.data;
	o.len = b.len;
	assert_int_equal(store_put(fake.store, &o), STORE_OK);
	json_decref(sample);
	if (out_hex)
		key_hex(&key, out_hex);
}

static int look_code(uint64_t dir, const char *name, struct vfs_entry *out)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	int r;

	cachedir_ops.lookup(v, &f->q, dir, name);
	r = vfs_reply_fake_wait(f);
	*out = f->entry;
	vfs_reply_fake_free(f);
	return r;
}

static uint64_t look(uint64_t dir, const char *name)
{
	struct vfs_entry e;

	return look_code(dir, name, &e) ? 0 : e.nodeid;
}

/* the entry's directory */
static uint64_t entry_of(const char *hex)
{
	char shard[3] = { hex[0], hex[1], 0 };

	return look(look(ROOT, shard), hex);
}

static char *slurp(uint64_t node, uint64_t off, size_t size)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	struct vfs_file file = { 0 };
	struct vfs_io io = { off, size, NULL };
	char *text;

	cachedir_ops.read(v, &f->q, node, &file, &io);
	text = vfs_reply_fake_wait(f) ? NULL : strdup(buf_str(&f->data));
	vfs_reply_fake_free(f);
	return text;
}

static int rm(uint64_t dir, const char *name)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	int r;

	cachedir_ops.unlink(v, &f->q, dir, name);
	r = vfs_reply_fake_wait(f);
	vfs_reply_fake_free(f);
	return r;
}

static int rd(uint64_t dir, const char *name)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	int r;

	cachedir_ops.rmdir(v, &f->q, dir, name);
	r = vfs_reply_fake_wait(f);
	vfs_reply_fake_free(f);
	return r;
}

/* names in a directory from a cookie on */
static char *list(uint64_t dir, uint64_t off, size_t size, bool plus)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	struct vfs_file file = { 0 };
	struct vfs_io io = { off, size, NULL };
	char *text;

	cachedir_ops.readdir(v, &f->q, dir, &file, &io, plus);
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	text = strdup(buf_str(&f->data));
	vfs_reply_fake_free(f);
	return text;
}

static void assert_list(uint64_t dir, bool plus, const char *want)
{
	char *text = list(dir, 0, 4096, plus);

	assert_string_equal(text, want);
	free(text);
}

static void assert_text(uint64_t node, const char *want)
{
	char *text = slurp(node, 0, 4096);

	assert_string_equal(text, want);
	free(text);
}

static void names_that_are_none(void **state)
{
	static const char *const in_root[] = { "3", "3F", "3g", "3ff", "zz", "request.json" };
	char hex[KEY_HEX + 1], shard[3] = "", want[16];
	uint64_t entry, samples;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(in_root); i++)
		assert_int_equal(look(ROOT, in_root[i]), 0);
	assert_int_equal(look(ROOT, "00"), 0);
	store_sample(1, 0, MONO_S, hex);
	memcpy(shard, hex, 2);
	entry = entry_of(hex);
	assert_int_not_equal(entry, 0);
	hex[63] ^= 1;
	assert_int_equal(look(look(ROOT, shard), hex), 0);
	hex[0] = hex[0] == '0' ? '1' : '0';
	assert_int_equal(look(look(ROOT, shard), hex), 0);
	assert_int_equal(look(entry, "other"), 0);
	samples = look(entry, "samples");
	assert_int_equal(look(samples, "1"), 0);
	assert_int_equal(look(samples, "00"), 0);
	assert_int_equal(look(samples, "-0"), 0);
	assert_int_equal(look(samples, "4294967296"), 0);
	assert_int_equal(look(look(samples, "0"), "status"), 0);
	(void)snprintf(want, sizeof(want), "%s i-d\n", shard);
	assert_list(ROOT, false, want);
}

static void files(void **state)
{
	char hex[KEY_HEX + 1], sum[KEY_HEX + 1], *text;
	struct vfs_entry e;
	struct key key;
	uint64_t entry, sample;

	(void)state;
	store_sample(7, 0, 5 * MONO_S, hex);
	entry = entry_of(hex);
	assert_int_equal(look_code(entry, "request.json", &e), 0);
	text = slurp(e.nodeid, 0, 4096);
	assert_int_equal(e.st.st_size, strlen(text));
	assert_int_equal(key_of(text, strlen(text), &key), 0);
	key_hex(&key, sum);
	assert_string_equal(sum, hex);
	free(text);
	sample = look(look(entry, "samples"), "0");
	assert_int_equal(look_code(sample, "text", &e), 0);
	assert_int_equal(e.st.st_size, strlen("the answer\n"));
	assert_int_equal(e.st.st_mtim.tv_sec, 5);
	assert_int_equal(e.st.st_mode, S_IFREG | 0644);
	assert_text(e.nodeid, "the answer\n");
	text = slurp(e.nodeid, 4, 3);
	assert_string_equal(text, "ans");
	free(text);
	text = slurp(e.nodeid, 400, 3);
	assert_string_equal(text, "");
	free(text);
	assert_text(look(sample, "raw.json"), "raw 7 0");
	text = slurp(look(sample, "meta.json"), 0, 4096);
	assert_non_null(strstr(text, hex));
	assert_non_null(strstr(text, "\"cached\":false"));
	free(text);
	assert_list(entry, true, "request.json in-\nsamples ind\n");
	assert_list(sample, true, "text in-\nresponse.json in-\nraw.json in-\nmeta.json in-\n");
}

static void open_only_for_reading(void **state)
{
	static const int bad[] = { O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC };
	struct vfs_reply_fake *f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		f = vfs_reply_fake_new();
		cachedir_ops.open(v, &f->q, CACHEDIR_NODE(CACHEDIR_TEXT, 1), bad[i]);
		assert_int_equal(vfs_reply_fake_wait(f), EROFS);
		vfs_reply_fake_free(f);
	}
	f = vfs_reply_fake_new();
	cachedir_ops.open(v, &f->q, CACHEDIR_NODE(CACHEDIR_TEXT, 1), O_RDONLY);
	assert_true(f->open.keep_cache && f->open.noflush && !f->open.fh);
	vfs_reply_fake_free(f);
	assert_null(cachedir_ops.mkdir);
	assert_null(cachedir_ops.rename);
}

/* cookies as the readers get them: first 60 bits of the key */
static uint64_t cookie(const char *hex)
{
	char head[16] = { 0 };

	memcpy(head, hex, 15);
	return strtoull(head, NULL, 16);
}

static void paged(void **state)
{
	unsigned seen = 0, shards = 0;
	char *text, *line, *save;

	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		store_sample(i, i % 3, MONO_S, NULL);
	text = list(ROOT, 0, 1u << 16, false);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char shard[3] = { line[0], line[1], 0 };
		uint64_t node = look(ROOT, shard), off = 0;

		shards++;
		for (bool more = true; more;) {
			/* room for one name and a half */
			char *page = list(node, off, 100, true);

			more = page[0];
			if (more) {
				off = cookie(page);
				seen++;
			}
			free(page);
		}
	}
	free(text);
	assert_int_equal(seen, 2000);
	assert_true(shards > 200);
}

static void many_samples_are_one_entry(void **state)
{
	char hex[KEY_HEX + 1], shard[3] = "", want[100], *text;
	uint64_t samples;
	unsigned n = 0;

	(void)state;
	for (uint32_t i = 0; i < 600; i++)
		store_sample(1, i, MONO_S, hex);
	memcpy(shard, hex, 2);
	(void)snprintf(want, sizeof(want), "%s ind\n", hex);
	assert_list(look(ROOT, shard), true, want);
	samples = look(entry_of(hex), "samples");
	text = list(samples, 0, 1u << 16, true);
	for (char *s = text; *s; s++)
		n += *s == '\n';
	assert_int_equal(n, 600);
	free(text);
	text = list(samples, 3 + 597, 4096, false);
	assert_string_equal(text, "598 i-d\n599 i-d\n");
	free(text);
}

static void hide_all(uint64_t sample)
{
	assert_int_equal(rm(sample, "text"), 0);
	assert_int_equal(rm(sample, "response.json"), 0);
	assert_int_equal(rm(sample, "raw.json"), 0);
	assert_int_equal(rm(sample, "meta.json"), 0);
}

static void removal_step_by_step(void **state)
{
	char hex[KEY_HEX + 1], shard[3] = "";
	uint64_t root, entry, samples, sample;

	(void)state;
	store_sample(1, 0, MONO_S, hex);
	memcpy(shard, hex, 2);
	root = look(ROOT, shard);
	entry = look(root, hex);
	samples = look(entry, "samples");
	sample = look(samples, "0");
	assert_int_equal(rd(ROOT, shard), ENOTEMPTY);
	assert_int_equal(rd(root, hex), ENOTEMPTY);
	assert_int_equal(rd(entry, "samples"), ENOTEMPTY);
	assert_int_equal(rd(samples, "0"), ENOTEMPTY);
	assert_int_equal(rm(sample, "text"), 0);
	assert_int_equal(look(sample, "text"), 0);
	assert_list(sample, false, "response.json i--\nraw.json i--\nmeta.json i--\n");
	assert_int_equal(rd(samples, "0"), ENOTEMPTY);
	hide_all(sample);
	assert_int_equal(rd(samples, "0"), 0);
	/* the last one went: the entry answers until it is removed too */
	assert_int_equal(look(root, hex), entry);
	assert_int_not_equal(look(entry, "request.json"), 0);
	assert_int_equal(rd(entry, "samples"), 0);
	assert_int_equal(rm(entry, "request.json"), 0);
	assert_int_equal(rd(root, hex), 0);
	assert_int_equal(look(root, hex), 0);
	assert_int_equal(look(ROOT, shard), root);
	assert_int_equal(rd(ROOT, shard), 0);
	assert_int_equal(look(ROOT, shard), 0);
}

static void dying_for_ten_seconds(void **state)
{
	char hex[KEY_HEX + 1];
	uint64_t entry, samples;

	(void)state;
	mono_test_set(100 * MONO_S, 100 * MONO_S);
	store_sample(1, 0, MONO_S, hex);
	entry = entry_of(hex);
	samples = look(entry, "samples");
	hide_all(look(samples, "0"));
	assert_int_equal(rd(samples, "0"), 0);
	mono_test_set(109 * MONO_S, 109 * MONO_S);
	assert_int_equal(entry_of(hex), entry);
	mono_test_set(111 * MONO_S, 111 * MONO_S);
	assert_int_equal(entry_of(hex), 0);
	mono_test_set(0, 0);
}

static void bought_anew(void **state)
{
	char hex[KEY_HEX + 1];
	uint64_t samples, sample, again;
	struct key key;

	(void)state;
	mono_test_set(100 * MONO_S, 100 * MONO_S);
	store_sample(1, 0, MONO_S, hex);
	samples = look(entry_of(hex), "samples");
	sample = look(samples, "0");
	assert_int_equal(look(samples, "0"), sample);
	/* removed and stored again behind the tree, as cache: refresh does */
	assert_int_equal(key_parse(hex, &key), 0);
	assert_int_equal(store_remove(fake.store, &key, 0), STORE_OK);
	store_sample(1, 0, 2 * MONO_S, hex);
	mono_test_set(102 * MONO_S, 102 * MONO_S);
	again = look(samples, "0");
	assert_int_not_equal(again, 0);
	assert_int_not_equal(again, sample);
	assert_text(look(again, "text"), "the answer\n");
	/* what is left of the old one is not the new one's bytes */
	assert_null(slurp(CACHEDIR_NODE(CACHEDIR_TEXT, CACHEDIR_SLOT(sample)), 0, 100));
	/* hidden and removed, then bought: visible at once */
	hide_all(again);
	assert_int_equal(rd(samples, "0"), 0);
	store_sample(1, 0, 3 * MONO_S, hex);
	assert_int_not_equal(look(look(samples, "0"), "text"), 0);
	mono_test_set(0, 0);
}

static void slots_go_with_the_kernels_last_reference(void **state)
{
	char hex[KEY_HEX + 1];
	uint64_t entry;
	struct vfs_reply_fake *f;

	(void)state;
	store_sample(1, 0, MONO_S, hex);
	entry = entry_of(hex);
	assert_int_not_equal(look(entry, "samples"), 0);
	cachedir_ops.forget(v, entry, 1);
	f = vfs_reply_fake_new();
	cachedir_ops.getattr(v, &f->q, entry, NULL);
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	vfs_reply_fake_free(f);
	cachedir_ops.forget(v, CACHEDIR_NODE(CACHEDIR_SAMPLES, CACHEDIR_SLOT(entry)), 1);
	f = vfs_reply_fake_new();
	cachedir_ops.getattr(v, &f->q, entry, NULL);
	assert_int_equal(vfs_reply_fake_wait(f), ESTALE);
	vfs_reply_fake_free(f);
	assert_int_not_equal(entry_of(hex), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(names_that_are_none),
		T(files),
		T(open_only_for_reading),
		T(paged),
		T(many_samples_are_one_entry),
		T(removal_step_by_step),
		T(dying_for_ten_seconds),
		T(bought_anew),
		T(slots_go_with_the_kernels_last_reference),
	};

	return cmocka_run_group_tests_name("cachedir", tests, NULL, NULL);
}
