/* test_namespaces.c - namespaces/: made, listed, used as prompts/ is, moved between, removed */
/* LDFLAGS: -Wl,-z,muldefs */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/fdio.h"
#include "fakes/broker.c"
#include "fakes/vfs.c"
#include "vfs/hide.h"
#include "vfs/prompts_inside.h"
#include "vfs_reply_fake.h"

#define SPACES	 VFS_NODE(VFS_NAMESPACES, 2)
#define ROOT	 VFS_NODE(VFS_PROMPTS, 1)
#define LOG(txt) assert_string_equal(fake_log(), txt)

static const char *const suffixes[] = { ".json", ".txt", ".md", NULL };
static char top[64];
static struct vfs *v;

static int dir_at(const char *name)
{
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	assert_int_equal(mkdir(path, 0755), 0);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int setup(void **state)
{
	struct err e;

	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/namespaces-XXXXXX");
	assert_non_null(mkdtemp(top));
	v = calloc(1, sizeof(*v));
	v->broker = fake_new();
	v->o.prompts_fd = dir_at("prompts");
	v->o.namespaces_fd = dir_at("namespaces");
	v->o.suffixes = suffixes;
	v->o.max_request_bytes = 1u << 20;
	v->hide = hide_new();
	list_init(&v->opened);
	assert_int_equal(prompts_new(v, &e), 0);
	assert_int_equal(namespaces_new(v), 0);
	forgot.len = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mono_test_set(0, 0);
	fake_free();
	namespaces_free(v);
	prompts_free(v);
	hide_free(v->hide);
	close(v->o.prompts_fd);
	close(v->o.namespaces_fd);
	assert_int_equal(fdio_remove_tree(AT_FDCWD, top), 0);
	free(v);
	return 0;
}

/* ---- the calls of the kernel ------------------------------------------------------------------------- */

static const struct vfs_room_ops *ops(uint64_t node)
{
	return VFS_ROOM_OF(node) == VFS_NAMESPACES ? &namespaces_ops : &prompts_ops;
}

/* one call with an answer; evaluates to its errno */
#define CALL(op, ...)                                                                 \
	({                                                                            \
		struct vfs_reply_fake *f_ = vfs_reply_fake_new();                     \
		int r_;                                                               \
		(op)(v, &f_->q, __VA_ARGS__);                                         \
		r_ = vfs_reply_fake_wait(f_);                                         \
		got = f_->entry;                                                      \
		got_open = f_->open;                                                  \
		got_attr = f_->attr;                                                  \
		(void)snprintf(got_text, sizeof(got_text), "%.*s", (int)f_->data.len, \
			       buf_str(&f_->data));                                   \
		vfs_reply_fake_free(f_);                                              \
		r_;                                                                   \
	})
static struct vfs_entry got;
static struct vfs_open got_open;
static struct stat got_attr;
static char got_text[1000];

static uint64_t look(uint64_t dir, const char *name)
{
	return CALL(ops(dir)->lookup, dir, name) ? 0 : got.nodeid;
}

static int make(uint64_t dir, const char *name)
{
	return CALL(ops(dir)->mkdir, dir, name, 0755);
}

static int remove_dir(uint64_t dir, const char *name)
{
	return CALL(ops(dir)->rmdir, dir, name);
}

static int remove_file(uint64_t dir, const char *name)
{
	(void)look(dir, name);
	return CALL(ops(dir)->unlink, dir, name);
}

static int spit(uint64_t dir, const char *name, const char *text)
{
	struct vfs_file f = { 0, O_WRONLY };
	struct vfs_io io = { 0, strlen(text), text };
	int r;

	assert_int_equal(CALL(prompts_ops.create, dir, name, 0644, O_WRONLY), 0);
	f.fh = got_open.fh;
	assert_int_equal(CALL(prompts_ops.write, 0, &f, &io), 0);
	r = CALL(prompts_ops.flush, 0, &f);
	assert_int_equal(CALL(prompts_ops.release, 0, &f), 0);
	return r;
}

static const char *list(uint64_t dir)
{
	struct vfs_file f = { 0 };
	struct vfs_io io = { 0, 4096, NULL };

	assert_int_equal(CALL(namespaces_ops.opendir, dir), 0);
	f.fh = got_open.fh;
	assert_int_equal(CALL(namespaces_ops.readdir, dir, &f, &io, false), 0);
	struct vfs_reply_fake *done = vfs_reply_fake_new();
	namespaces_ops.releasedir(v, &done->q, dir, &f);
	vfs_reply_fake_free(done);
	/* the names alone */
	for (char *from = got_text, *to = got_text, *end; *from; from = end + 1) {
		size_t n = strcspn(from, " \n");

		end = strchr(from, '\n');
		memmove(to, from, n);
		to[n] = '\n';
		to += n + 1;
		if (!end[1])
			*to = end[1];
	}
	return got_text;
}

/* the node of namespaces/NAME and of the prompts/ in it */
static uint64_t space(const char *name, uint64_t *out_prompts)
{
	uint64_t n;

	if (!look(SPACES, name))
		assert_int_equal(make(SPACES, name), 0);
	n = look(SPACES, name);
	assert_int_not_equal(n, 0);
	if (out_prompts)
		*out_prompts = look(n, "prompts");
	return n;
}

/* ---- tests ------------------------------------------------------------------------------------------- */

static void names_that_cannot_be(void **state)
{
	char longest[130];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[129] = '\0';
	assert_int_equal(make(SPACES, longest), EINVAL);
	assert_int_equal(make(SPACES, ".x"), EINVAL);
	assert_int_equal(make(SPACES, "a b"), EINVAL);
	assert_int_equal(make(SPACES, "a\xc3\xa4"), EINVAL);
	longest[128] = '\0';
	assert_int_equal(make(SPACES, longest), 0);
	assert_int_equal(make(SPACES, "-._A9z"), 0);
	assert_int_equal(make(SPACES, "-._A9z"), EEXIST);
	assert_int_equal(vfs_file_make_ns(v, "../x"), -EINVAL);
	/* a directory of such a name, put there behind the mount, is none */
	assert_int_equal(mkdirat(v->o.namespaces_fd, "a b", 0755), 0);
	assert_int_equal(look(SPACES, "a b"), 0);
	assert_int_equal(look(SPACES, "none"), 0);
	LOG("");
}

static void what_is_in_one(void **state)
{
	uint64_t p, n = space("x", &p);

	(void)state;
	assert_string_equal(list(SPACES), "x\n");
	assert_string_equal(list(n), "prompts\nresponses\nusage.json\n");
	assert_int_equal(VFS_ROOM_OF(p), VFS_PROMPTS);
	assert_int_equal(look(n, "responses"), VFS_NODE(VFS_MIRROR, VFS_REST(p)));
	assert_int_equal(look(n, "other"), 0);
	assert_int_equal(make(n, "other"), EPERM);
	assert_int_equal(make(n, "prompts"), EEXIST);
	assert_int_equal(CALL(namespaces_ops.rename, NULL), EPERM);
}

static void usage(void **state)
{
	uint64_t n = space("x", NULL), u = look(n, "usage.json");
	struct vfs_file f = { 0, O_RDONLY };
	struct vfs_io io = { 0, 100, NULL };

	(void)state;
	mono_test_set(5 * MONO_S, 5 * MONO_S);
	assert_int_equal(CALL(namespaces_ops.open, u, O_RDWR), EROFS);
	assert_int_equal(CALL(namespaces_ops.getattr, u, NULL), 0);
	assert_int_equal(got_attr.st_size, strlen("{\"of\":\"x\"}\n"));
	time_t then = got_attr.st_mtim.tv_sec;
	mono_test_set(9 * MONO_S, 9 * MONO_S);
	assert_int_equal(CALL(namespaces_ops.getattr, u, NULL), 0);
	assert_int_equal(got_attr.st_mtim.tv_sec, then);
	assert_int_equal(CALL(namespaces_ops.open, u, O_RDONLY), 0);
	f.fh = got_open.fh;
	assert_int_equal(CALL(namespaces_ops.read, u, &f, &io), 0);
	assert_string_equal(got_text, "{\"of\":\"x\"}\n");
	assert_int_equal(CALL(namespaces_ops.release, u, &f), 0);
	/* left open when the mount ends */
	assert_int_equal(CALL(namespaces_ops.open, u, O_RDONLY), 0);
	vfs_close(v);
	assert_true(list_empty(&v->opened));
}

static void requests_have_its_root(void **state)
{
	uint64_t p, d;

	(void)state;
	space("x", &p);
	assert_int_equal(spit(p, "a.json", "{1}"), 0);
	LOG("check x:a; send x:a");
	assert_int_equal(spit(ROOT, "a.json", "{1}"), 0);
	LOG("check a; send a");
	assert_int_equal(make(p, "d"), 0);
	d = look(p, "d");
	assert_int_equal(spit(d, "b.txt", "hello"), 0);
	LOG("check x:d/b; send x:d/b");
	assert_int_equal(spit(d, "c.json", "{bad}"), EINVAL);
	LOG("check x:d/c");
	assert_int_equal(remove_file(d, "b.txt"), 0);
	LOG("drop x:d/b");
	assert_int_equal(spit(p, ".defaults.json", "{\"temperature\":1}"), 0);
	assert_int_equal(spit(d, "e.json", "{1}"), 0);
	LOG("check x:d/e; with 1 defaults; send x:d/e");
	/* they are that tree's alone */
	assert_int_equal(spit(ROOT, "e.json", "{1}"), 0);
	LOG("check e; send e");
}

static void defaults_that_are_broken_name_their_file(void **state)
{
	uint64_t p;

	(void)state;
	space("x", &p);
	assert_int_equal(spit(p, ".defaults.json", "{\"temperature\":\"hot\"}"), EINVAL);
	assert_int_equal(spit(p, "a.json", "{1}"), EINVAL);
	assert_true(str_starts(fake.refused, "namespaces/x/prompts/.defaults.json: "));
}

static int move(uint64_t from, const char *name, uint64_t to, const char *to_name)
{
	struct vfs_rename r = { from, to, name, to_name, 0 };

	(void)look(from, name);
	return CALL(prompts_ops.rename, &r);
}

static void moves_between(void **state)
{
	uint64_t x, y;

	(void)state;
	space("x", &x);
	space("y", &y);
	assert_int_equal(spit(ROOT, "a.json", "{1}"), 0);
	LOG("check a; send a");
	assert_int_equal(move(ROOT, "a.json", x, "a.json"), 0);
	LOG("move a x:a");
	assert_int_equal(move(x, "a.json", y, "b.json"), 0);
	LOG("move x:a y:b");
	assert_int_equal(look(x, "a.json"), 0);
	assert_int_not_equal(look(y, "b.json"), 0);
	assert_int_equal(make(ROOT, "d"), 0);
	assert_int_equal(spit(look(ROOT, "d"), "c.json", "{1}"), 0);
	LOG("check d/c; send d/c");
	assert_int_equal(move(ROOT, "d", x, "e"), 0);
	LOG("move tree d x:e");
	assert_int_equal(spit(look(x, "e"), "f.json", "{1}"), 0);
	LOG("check x:e/f; send x:e/f");
	/* .json became .txt under the same stem, but elsewhere: another request */
	assert_int_equal(move(look(x, "e"), "f.json", y, "f.txt"), 0);
	LOG("drop x:e/f; check y:f final send");
}

/* what rm -r does, names in the order in which they are listed */
static void removed_as_a_tree(void **state)
{
	uint64_t p, n = space("x", &p);

	(void)state;
	assert_int_equal(spit(p, "a.json", "{1}"), 0);
	LOG("check x:a; send x:a");
	assert_int_equal(remove_dir(SPACES, "x"), ENOTEMPTY);
	assert_int_equal(remove_dir(n, "prompts"), ENOTEMPTY);
	assert_int_equal(remove_file(p, "a.json"), 0);
	assert_int_equal(remove_dir(n, "prompts"), 0);
	assert_string_equal(list(n), "responses\nusage.json\n");
	assert_int_equal(look(n, "prompts"), 0);
	assert_int_equal(remove_dir(n, "responses"), 0);
	assert_int_equal(remove_dir(n, "usage.json"), ENOTDIR);
	assert_int_equal(remove_file(n, "usage.json"), 0);
	assert_int_equal(remove_file(n, "responses"), ENOENT);
	LOG("drop x:a");
	assert_int_equal(remove_dir(SPACES, "x"), 0);
	LOG("forget x");
	assert_string_equal(list(SPACES), "");
	assert_int_equal(look(SPACES, "x"), 0);
	assert_int_equal(remove_dir(SPACES, "x"), ENOENT);
	/* whoever stands in it finds it empty */
	assert_int_equal(look(n, "usage.json"), 0);
	assert_int_equal(CALL(prompts_ops.create, p, "b.json", 0644, O_WRONLY), ENOENT);
	LOG("");
}

static void an_empty_one_needs_no_unlink(void **state)
{
	uint64_t n;

	(void)state;
	space("x", NULL);
	assert_int_equal(remove_dir(SPACES, "x"), 0);
	LOG("forget x");
	/* made anew, nothing of it is hidden */
	n = space("x", NULL);
	assert_string_equal(list(n), "prompts\nresponses\nusage.json\n");
}

static void hidden_names_come_back(void **state)
{
	uint64_t n = space("x", NULL);

	(void)state;
	mono_test_set(MONO_S, MONO_S);
	assert_int_equal(remove_dir(n, "prompts"), 0);
	assert_int_equal(make(n, "prompts"), EEXIST);
	mono_test_set(MONO_S + HIDE_NS, MONO_S);
	assert_int_not_equal(look(n, "prompts"), 0);
}

static void something_else_is_in_it(void **state)
{
	uint64_t n = space("x", NULL);

	(void)state;
	assert_int_equal(mkdirat(v->o.namespaces_fd, "x/more", 0755), 0);
	assert_int_equal(remove_dir(SPACES, "x"), ENOTEMPTY);
	LOG("");
	assert_int_not_equal(look(n, "prompts"), 0);
}

static void one_that_a_request_named(void **state)
{
	uint64_t n;
	struct buf b = BUF_INIT(100);

	(void)state;
	assert_int_equal(look(SPACES, "new"), 0);
	assert_int_equal(vfs_file_make_ns(v, "new"), 0);
	assert_int_equal(vfs_file_make_ns(v, "new"), 0);
	n = look(SPACES, "new");
	assert_int_not_equal(n, 0);
	assert_int_equal(spit(look(n, "prompts"), "a.txt", "hello"), 0);
	assert_int_equal(vfs_file_read(v, &(struct broker_name){ "new", "a", ".txt" }, &b), 0);
	assert_string_equal(buf_str(&b), "hello");
	assert_int_equal(vfs_file_read(v, &(struct broker_name){ "", "a", ".txt" }, &b), -ENOENT);
	assert_int_equal(vfs_file_open(v, "new", "../../../prompts"), -EXDEV);
	assert_int_equal(vfs_file_open(v, "none", "a.txt"), -ENOENT);
	buf_done(&b);
	/* half of it made, by hand or before a crash */
	assert_int_equal(mkdirat(v->o.namespaces_fd, "half", 0755), 0);
	assert_int_not_equal(look(look(SPACES, "half"), "prompts"), 0);
}

static void forgotten_nodes_are_freed(void **state)
{
	uint64_t p, n = space("x", &p);
	uint32_t generation = v->prompts->free_head;

	(void)state;
	(void)look(n, "responses");
	prompts_ops.forget(v, p, 100);
	namespaces_ops.forget(v, n, 100);
	assert_null(prompts_node_get(v->prompts, VFS_REST(n)));
	assert_int_not_equal(v->prompts->free_head, generation);
	namespaces_ops.forget(v, SPACES, 100);
	assert_non_null(prompts_node_get(v->prompts, PROMPTS_SPACES));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(names_that_cannot_be),
		T(what_is_in_one),
		T(usage),
		T(requests_have_its_root),
		T(defaults_that_are_broken_name_their_file),
		T(moves_between),
		T(removed_as_a_tree),
		T(an_empty_one_needs_no_unlink),
		T(hidden_names_come_back),
		T(something_else_is_in_it),
		T(one_that_a_request_named),
		T(forgotten_nodes_are_freed),
	};

	umask(0);
	return cmocka_run_group_tests_name("namespaces", tests, NULL, NULL);
}
