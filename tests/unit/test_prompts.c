/* test_prompts.c - prompts/: a passthrough, and what writing, closing and renaming tell the broker */
/* the fakes come first and win over the real broker that other tests' helpers bring along */
/* LDFLAGS: -Wl,-z,muldefs */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/xattr.h>
#include <cmocka.h>

#include "base/fdio.h"
#include "fakes/bulk.c"
#include "fakes/vfs.c"
#include "vfs/prompts_inside.h"
#include "vfs_reply_fake.h"

#define ROOT VFS_NODE(VFS_PROMPTS, 1)

static const char *const suffixes[] = { ".json", ".txt", ".md", ".jsonl", ".batch.jsonl", NULL };
static char top[64];
static struct vfs *v;

static int setup(void **state)
{
	struct err e;

	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/prompts-XXXXXX");
	assert_non_null(mkdtemp(top));
	v = calloc(1, sizeof(*v));
	v->broker = fake_new();
	fake_bulk_new(0);
	v->o.namespaces_fd = -1;
	v->o.prompts_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	v->o.suffixes = suffixes;
	v->o.max_request_bytes = 1u << 20;
	assert_int_equal(prompts_new(v, &e), 0);
	forgot.len = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_free();
	prompts_free(v);
	close(v->o.prompts_fd);
	assert_int_equal(fdio_remove_tree(AT_FDCWD, top), 0);
	free(v);
	return 0;
}

/* ---- the calls of the kernel, one line each ---------------------------------------------------------- */

static uint64_t look(uint64_t dir, const char *name)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	uint64_t node;

	prompts_ops.lookup(v, &f->q, dir, name);
	node = vfs_reply_fake_wait(f) ? 0 : f->entry.nodeid;
	vfs_reply_fake_free(f);
	return node;
}

static struct vfs_file creat_as(uint64_t dir, const char *name, int flags, uint64_t *out_node)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	struct vfs_file file = { 0, flags };

	prompts_ops.create(v, &f->q, dir, name, 0644, flags);
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	file.fh = f->open.fh;
	if (out_node)
		*out_node = f->entry.nodeid;
	vfs_reply_fake_free(f);
	return file;
}

static struct vfs_file open_as(uint64_t node, int flags)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	struct vfs_file file = { 0, flags };

	prompts_ops.open(v, &f->q, node, flags);
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	file.fh = f->open.fh;
	vfs_reply_fake_free(f);
	return file;
}

static int put(struct vfs_file *file, const char *text, uint64_t off)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	struct vfs_io io = { off, strlen(text), text };
	int r;

	prompts_ops.write(v, &f->q, 0, file, &io);
	r = vfs_reply_fake_wait(f);
	if (!r)
		assert_int_equal(f->size, strlen(text));
	vfs_reply_fake_free(f);
	return r;
}

static int flush(struct vfs_file *file)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	int r;

	prompts_ops.flush(v, &f->q, 0, file);
	r = vfs_reply_fake_wait(f);
	vfs_reply_fake_free(f);
	return r;
}

static void release(struct vfs_file *file)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();

	prompts_ops.release(v, &f->q, 0, file);
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	vfs_reply_fake_free(f);
}

/* create, write, close: what `echo text > name` does; returns close's errno */
static int spit(uint64_t dir, const char *name, const char *text)
{
	uint64_t node = look(dir, name);
	struct vfs_file f = node ? open_as(node, O_WRONLY | O_TRUNC)
				 : creat_as(dir, name, O_WRONLY, NULL);
	int r;

	if (text[0])
		assert_int_equal(put(&f, text, 0), 0);
	r = flush(&f);
	release(&f);
	return r;
}

static int rm(uint64_t dir, const char *name)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	int r;

	(void)look(dir, name);
	prompts_ops.unlink(v, &f->q, dir, name);
	r = vfs_reply_fake_wait(f);
	vfs_reply_fake_free(f);
	return r;
}

static int mv_at(uint64_t a, const char *name, uint64_t b, const char *to, unsigned flags)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	struct vfs_rename r = { a, b, name, to, flags };
	int code;

	(void)look(a, name);
	(void)look(b, to);
	prompts_ops.rename(v, &f->q, &r);
	code = vfs_reply_fake_wait(f);
	vfs_reply_fake_free(f);
	return code;
}

static int mv(const char *name, const char *to)
{
	return mv_at(ROOT, name, ROOT, to, 0);
}

static int mkdir_in(uint64_t dir, const char *name, uint64_t *out)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	int r;

	prompts_ops.mkdir(v, &f->q, dir, name, 0755);
	r = vfs_reply_fake_wait(f);
	if (out)
		*out = f->entry.nodeid;
	vfs_reply_fake_free(f);
	return r;
}

static int chsize(uint64_t node, const struct vfs_file *file, off_t size)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	struct vfs_setattr s = { .to_set = VFS_SET_SIZE,
				 .has_fh = file,
				 .fh = file ? file->fh : 0 };
	int r;

	s.st.st_size = size;
	prompts_ops.setattr(v, &f->q, node, &s);
	r = vfs_reply_fake_wait(f);
	vfs_reply_fake_free(f);
	return r;
}

#define LOG(text) assert_string_equal(fake_log(), text)

/* ---- the passthrough -------------------------------------------------------------------------------- */

static void refused_calls(void **state)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();

	(void)state;
	prompts_ops.mknod(v, &f->q, ROOT, "pipe", S_IFIFO | 0644);
	assert_int_equal(vfs_reply_fake_wait(f), EPERM);
	vfs_reply_fake_free(f);
	f = vfs_reply_fake_new();
	prompts_ops.link(v, &f->q, ROOT, ROOT, "x");
	assert_int_equal(vfs_reply_fake_wait(f), EPERM);
	vfs_reply_fake_free(f);
	assert_int_equal(look(ROOT, "none"), 0);
	assert_int_equal(rm(ROOT, "none"), ENOENT);
	assert_int_equal(mv("none", "other"), ENOENT);
	spit(ROOT, "a", "1");
	assert_int_equal(mv_at(ROOT, "a", ROOT, "b", RENAME_WHITEOUT), EINVAL);
	spit(ROOT, "b", "2");
	assert_int_equal(mv_at(ROOT, "a", ROOT, "b", RENAME_NOREPLACE), EEXIST);
	LOG("");
}

static void bytes_come_back(void **state)
{
	uint64_t node;
	struct vfs_file w = creat_as(ROOT, "file", O_RDWR, &node);
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	struct vfs_io io = { 1, 100, NULL };
	struct stat st;

	(void)state;
	assert_int_equal(put(&w, "hello", 0), 0);
	assert_int_equal(put(&w, "yy", 2), 0);
	prompts_ops.read(v, &f->q, node, &w, &io);
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	assert_string_equal(buf_str(&f->data), "eyyo");
	vfs_reply_fake_free(f);
	assert_int_equal(prompts_attr(v, (uint32_t)VFS_REST(node), &st), 0);
	assert_int_equal(st.st_size, 5);
	release(&w);
	assert_int_equal(look(ROOT, "file"), node);
}

static void removed_file_lives_while_open(void **state)
{
	uint64_t node;
	struct vfs_file w = creat_as(ROOT, "file", O_RDWR, &node);
	struct vfs_file again;
	struct stat st;

	(void)state;
	put(&w, "x", 0);
	assert_int_equal(rm(ROOT, "file"), 0);
	assert_int_equal(prompts_attr(v, (uint32_t)VFS_REST(node), &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(put(&w, "yz", 1), 0);
	assert_int_equal(chsize(node, NULL, 2), 0);
	again = open_as(node, O_RDONLY);
	release(&again);
	release(&w);
	assert_int_equal(look(ROOT, "file"), 0);
	prompts_ops.forget(v, node, 3);
	assert_int_equal(prompts_attr(v, (uint32_t)VFS_REST(node), &st), -ENOENT);
}

static void numbers_are_used_again_with_another_generation(void **state)
{
	uint64_t node = (spit(ROOT, "a", "1"), look(ROOT, "a"));
	uint64_t generation = prompts_generation(v, (uint32_t)VFS_REST(node)), other;

	(void)state;
	prompts_ops.forget(v, node, 100);
	other = (spit(ROOT, "b", "1"), look(ROOT, "b"));
	assert_int_equal(other, node);
	assert_int_not_equal(prompts_generation(v, (uint32_t)VFS_REST(other)), generation);
}

static void changed_behind_the_mount(void **state)
{
	uint64_t node = (spit(ROOT, "a", "1"), look(ROOT, "a"));
	char from[100], to[100];

	(void)state;
	(void)snprintf(from, sizeof(from), "%s/new", top);
	(void)snprintf(to, sizeof(to), "%s/a", top);
	close(open(from, O_CREAT | O_WRONLY, 0644));
	assert_int_equal(rename(from, to), 0);
	assert_int_not_equal(look(ROOT, "a"), node);
}

static void deep_directories(void **state)
{
	AUTO_BUF struct buf path = BUF_INIT(1u << 20);
	uint64_t dir = ROOT, file;

	(void)state;
	for (int i = 0; i < 50; i++)
		assert_int_equal(
			mkdir_in(
				dir,
				"a-name-that-is-long-enough-for-fifty-of-them-to-make-a-path-that-no-"
				"call-takes-in-one-piece-as-that-has-a-limit",
				&dir),
			0);
	assert_int_equal(spit(dir, "deep.json", "{}"), 0);
	/* another 200 directories push these out of the ones that are kept open */
	for (int i = 0; i < 200; i++) {
		char name[16];
		uint64_t d;

		(void)snprintf(name, sizeof(name), "d%d", i);
		assert_int_equal(mkdir_in(ROOT, name, &d), 0);
		assert_int_equal(spit(d, "f", "1"), 0);
	}
	file = look(dir, "deep.json");
	assert_int_not_equal(file, 0);
	assert_int_equal(prompts_dir_path(v, (uint32_t)VFS_REST(dir), &path), 0);
	assert_true(path.len > 4096);
}

static void listing(void **state)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	struct vfs_file d = { 0, O_RDONLY };
	struct vfs_io io = { 0, 100, NULL };
	unsigned seen = 0;

	(void)state;
	for (char name[] = "a"; name[0] <= 'z'; name[0]++)
		spit(ROOT, name, "1");
	prompts_ops.opendir(v, &f->q, ROOT);
	d.fh = f->open.fh;
	vfs_reply_fake_free(f);
	for (bool more = true; more;) {
		f = vfs_reply_fake_new();
		/* a small buffer: the next call goes on where this one ended */
		prompts_ops.readdir(v, &f->q, ROOT, &d, &io, true);
		more = f->data.len > 0;
		for (size_t i = 0; i < f->data.len; i++)
			seen += f->data.data[i] == '\n';
		io.off = ((const uint64_t *)(uintptr_t)d.fh)[1];
		vfs_reply_fake_free(f);
	}
	assert_int_equal(seen, 26 + 2);
	f = vfs_reply_fake_new();
	prompts_ops.releasedir(v, &f->q, ROOT, &d);
	vfs_reply_fake_free(f);
}

static void xattrs(void **state)
{
	uint64_t node = (spit(ROOT, "a", "1"), look(ROOT, "a"));
	struct vfs_xattr x = { "user.color", "red", 3, 0 };
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	int r;

	(void)state;
	prompts_ops.setxattr(v, &f->q, node, &x);
	r = vfs_reply_fake_wait(f);
	vfs_reply_fake_free(f);
	if (r == EOPNOTSUPP)
		skip();
	assert_int_equal(r, 0);
	f = vfs_reply_fake_new();
	x.size = 100;
	prompts_ops.getxattr(v, &f->q, node, &x);
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	assert_string_equal(buf_str(&f->data), "red");
	vfs_reply_fake_free(f);
	f = vfs_reply_fake_new();
	prompts_ops.listxattr(v, &f->q, node, 0);
	assert_true(f->size >= sizeof("user.color"));
	vfs_reply_fake_free(f);
	f = vfs_reply_fake_new();
	prompts_ops.getxattr(v, &f->q, ROOT, &x);
	assert_int_equal(vfs_reply_fake_wait(f), ENODATA);
	vfs_reply_fake_free(f);
}

/* ---- check at close, send after the last close --------------------------------------------------------- */

static void bad_document(void **state)
{
	(void)state;
	assert_int_equal(spit(ROOT, "a.json", "{bad}"), EINVAL);
	/* refused once: the last close has nothing to add */
	LOG("check a");
	assert_string_equal(forgot_names(), "1/a");
	/* a reader's close says nothing */
	struct vfs_file r = open_as(look(ROOT, "a.json"), O_RDONLY);
	assert_int_equal(flush(&r), 0);
	release(&r);
	LOG("");
}

static void good_document(void **state)
{
	(void)state;
	assert_int_equal(spit(ROOT, "a.json", "{1}"), 0);
	LOG("check a; send a");
	assert_string_equal(forgot_names(), "1/a");
	/* the same again */
	assert_int_equal(spit(ROOT, "a.json", "{1}"), 0);
	LOG("check a; send a");
	assert_string_equal(forgot_names(), "");
}

static void many_flushes(void **state)
{
	struct vfs_file f = creat_as(ROOT, "a.json", O_WRONLY, NULL);

	(void)state;
	assert_int_equal(flush(&f), 0); /* sh -c 'echo > f': before any data */
	LOG("");
	put(&f, "{1", 0);
	assert_int_equal(flush(&f), 0); /* unfinished */
	LOG("check a");
	assert_int_equal(flush(&f), 0); /* nothing since */
	LOG("");
	put(&f, "}", 2);
	assert_int_equal(flush(&f), 0);
	assert_int_equal(flush(&f), 0);
	LOG("check a");
	release(&f);
	LOG("send a");
}

static void unfinished_at_the_end(void **state)
{
	(void)state;
	assert_int_equal(spit(ROOT, "a.json", "{1"), 0);
	LOG("check a; check a final send");
	assert_int_equal(name_of("a", false)->view.state, BROKER_REFUSED);
}

static void two_writers(void **state)
{
	uint64_t node;
	struct vfs_file a = creat_as(ROOT, "a.json", O_WRONLY, &node), b = open_as(node, O_RDWR);

	(void)state;
	put(&a, "{1}", 0);
	assert_int_equal(flush(&a), 0);
	release(&a);
	LOG("check a"); /* b may still write */
	assert_int_equal(flush(&b), 0);
	release(&b);
	LOG("send a");
}

static void empty_is_a_draft(void **state)
{
	(void)state;
	assert_int_equal(spit(ROOT, "a.json", ""), 0);
	LOG("");
	spit(ROOT, "a.json", "{1}");
	(void)fake_log();
	/* : > a.json */
	assert_int_equal(spit(ROOT, "a.json", ""), 0);
	LOG("drop a");
}

static void no_request(void **state)
{
	static const char *const names[] = { ".a.json", "README.md", "readme.txt", "a.json~",
					     "data.csv" };
	uint64_t dir, hidden;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(spit(ROOT, names[i], "{bad}"), 0);
	assert_int_equal(mkdir_in(ROOT, "d", &dir), 0);
	assert_int_equal(mkdir_in(dir, ".git", &hidden), 0);
	assert_int_equal(spit(hidden, "a.json", "{bad}"), 0);
	assert_int_equal(spit(dir, ".noinfer", ""), 0);
	assert_int_equal(mkdir_in(dir, "below", &dir), 0);
	assert_int_equal(spit(dir, "a.json", "{bad}"), 0);
	assert_int_equal(rm(dir, "a.json"), 0);
	LOG("");
}

static void jobs_are_checked_by_descriptor(void **state)
{
	char *text = malloc((2u << 20) + 1);

	(void)state;
	assert_int_equal(spit(ROOT, "many.jsonl", "{}\n{}\n"), 0);
	LOG("bulk many; send many");
	assert_int_equal(spit(ROOT, "many.jsonl", "bad"), EINVAL);
	LOG("bulk many");
	assert_int_equal(spit(ROOT, "cheap.batch.jsonl", "{}\n"), 0);
	LOG("bulk cheap; send many");
	assert_int_equal(spit(ROOT, "empty.jsonl", ""), 0);
	LOG("");
	/* longer than any request may be, and not read here */
	memset(text, 'x', 2u << 20);
	text[2u << 20] = '\0';
	assert_int_equal(spit(ROOT, "many.jsonl", text), 0);
	LOG("bulk many; send many");
	free(text);
	assert_int_equal(mv("many.jsonl", "more.txt"), EFBIG);
	assert_int_equal(mv("many.jsonl", "more.jsonl"), 0);
	LOG("move many more");
}

static void jobs_under_broken_defaults(void **state)
{
	(void)state;
	assert_int_equal(spit(ROOT, ".defaults.json", "{\"temperature\":0}"), 0);
	assert_int_equal(spit(ROOT, "many.jsonl", "{}\n"), 0);
	LOG("bulk many; with some defaults; send many");
	assert_int_equal(spit(ROOT, ".defaults.json", "{\"temperature\":\"x\"}"), EINVAL);
	assert_int_equal(spit(ROOT, "many.jsonl", "{}\n{}\n"), EINVAL);
	LOG("refuse many.jsonl EINVAL");
}

static void big_document_goes_to_the_pool(void **state)
{
	char *text = malloc(200001);

	(void)state;
	memset(text, ' ', 200000);
	text[0] = '{';
	text[1] = '}';
	text[200000] = '\0';
	assert_int_equal(spit(ROOT, "a.json", text), 0);
	LOG("check a; send a");
	free(text);
}

static void too_big(void **state)
{
	uint64_t node;
	struct vfs_file f = creat_as(ROOT, "a.json", O_RDWR, &node);

	(void)state;
	assert_int_equal(put(&f, "xx", (1u << 20) - 1), EFBIG);
	assert_int_equal(chsize(node, &f, (1u << 20) + 1), EFBIG);
	assert_int_equal(chsize(node, NULL, (1u << 20) + 1), EFBIG);
	release(&f);
	/* under another name it is just a file, and cannot be renamed to a request */
	f = creat_as(ROOT, "big", O_RDWR, &node);
	assert_int_equal(put(&f, "xx", 1u << 20), 0);
	release(&f);
	assert_int_equal(mv("big", "b.txt"), EFBIG);
	assert_int_equal(mv("big", "b.jsonl"), 0);
}

static void truncated_and_closed(void **state)
{
	uint64_t node;
	struct vfs_file f;

	(void)state;
	spit(ROOT, "a.txt", "some text");
	(void)fake_log();
	node = look(ROOT, "a.txt");
	f = open_as(node, O_WRONLY);
	assert_int_equal(chsize(node, &f, 4), 0);
	assert_int_equal(flush(&f), 0);
	release(&f);
	LOG("check a; send a");
	/* by path alone: counts at the next last close of a writer */
	assert_int_equal(chsize(node, NULL, 2), 0);
	LOG("");
	f = open_as(node, O_WRONLY);
	assert_int_equal(flush(&f), 0);
	release(&f);
	LOG("check a final send");
}

static void touching_changes_nothing(void **state)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	struct vfs_setattr s = { .to_set = VFS_SET_MODE | VFS_SET_MTIME_NOW };
	uint64_t node = (spit(ROOT, "a.txt", "text"), look(ROOT, "a.txt"));
	struct vfs_file w;

	(void)state;
	(void)fake_log();
	s.st.st_mode = 0600;
	prompts_ops.setattr(v, &f->q, node, &s);
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	assert_int_equal(f->attr.st_mode & 07777, 0600);
	vfs_reply_fake_free(f);
	w = open_as(node, O_WRONLY | O_APPEND);
	assert_int_equal(flush(&w), 0);
	release(&w);
	LOG("");
}

/* ---- defaults ----------------------------------------------------------------------------------------- */

static void defaults(void **state)
{
	uint64_t dir;

	(void)state;
	assert_int_equal(mkdir_in(ROOT, "d", &dir), 0);
	assert_int_equal(spit(ROOT, ".defaults.json", "{\"model\":\"echo/echo\"}"), 0);
	assert_int_equal(spit(dir, ".defaults.json", "{\"temperature\":1}"), 0);
	LOG("");
	assert_int_equal(spit(dir, "a.json", "{1}"), 0);
	LOG("check d/a; with 2 defaults; send d/a");
	assert_int_equal(spit(ROOT, "a.json", "{1}"), 0);
	LOG("check a; with 1 defaults; send a");
}

static void broken_defaults(void **state)
{
	uint64_t dir;

	(void)state;
	assert_int_equal(mkdir_in(ROOT, "d", &dir), 0);
	assert_int_equal(spit(dir, ".defaults.json", "{\"tempera"),
			 0); /* unfinished: maybe more comes */
	assert_int_equal(spit(dir, ".defaults.json", "{\"temperature\":\"hot\"}"), EINVAL);
	assert_int_equal(spit(dir, "a.json", "{\"prompt\":1}"), EINVAL);
	LOG("refuse d/a.json EINVAL");
	assert_non_null(strstr(fake.refused, "d/.defaults.json"));
}

/* ---- synchronous -------------------------------------------------------------------------------------- */

static struct vfs_reply_fake *flush_begin(struct vfs_file *file)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();

	prompts_ops.flush(v, &f->q, 0, file);
	return f;
}

static void sync_waits(void **state)
{
	struct vfs_file w = creat_as(ROOT, "a.txt", O_WRONLY | O_SYNC, NULL);
	struct vfs_reply_fake *f;

	(void)state;
	put(&w, "text", 0);
	f = flush_begin(&w);
	LOG("check a send");
	assert_false(vfs_reply_fake_answered(f));
	fake_final(name_of("a", false)->view.id, BROKER_FAILED, EREMOTEIO);
	assert_int_equal(vfs_reply_fake_wait(f), EREMOTEIO);
	vfs_reply_fake_free(f);
	assert_int_equal(flush(&w), 0);
	release(&w);
	LOG("");
}

static void sync_interrupted(void **state)
{
	struct vfs_file w = creat_as(ROOT, "a.txt", O_WRONLY | O_SYNC, NULL);
	struct vfs_reply_fake *f;

	(void)state;
	put(&w, "text", 0);
	f = flush_begin(&w);
	vfs_reply_fake_interrupt(f);
	assert_int_equal(vfs_reply_fake_wait(f), EINTR);
	vfs_reply_fake_free(f);
	/* interrupted before the wait began */
	put(&w, "other", 0);
	f = vfs_reply_fake_new();
	f->interrupted = true;
	prompts_ops.flush(v, &f->q, 0, &w);
	assert_int_equal(vfs_reply_fake_wait(f), EINTR);
	vfs_reply_fake_free(f);
	assert_int_equal(broker_is_final(name_of("a", false)->view.state), false);
	release(&w);
	LOG("check a send; check a send"); /* the request goes on */
}

static void stop_answers(void **state)
{
	struct vfs_file a = creat_as(ROOT, "a.txt", O_WRONLY | O_SYNC, NULL), b;
	struct vfs_reply_fake *f, *g;

	(void)state;
	put(&a, "text", 0);
	f = flush_begin(&a);
	b = creat_as(ROOT, "b.txt", O_WRONLY, NULL);
	put(&b, "text", 0);
	fake_hold();
	g = flush_begin(&b);
	prompts_stop(v);
	assert_int_equal(vfs_reply_fake_wait(f), ESHUTDOWN);
	assert_int_equal(vfs_reply_fake_wait(g), ESHUTDOWN);
	fake_go();
	vfs_reply_fake_free(f);
	vfs_reply_fake_free(g);
	release(&a);
	release(&b);
}

static void wait_option(void **state)
{
	struct vfs_file w = creat_as(ROOT, "a.json", O_WRONLY, NULL);
	struct vfs_reply_fake *f;

	(void)state;
	v->o.wait = true;
	put(&w, "{1", 0);
	assert_int_equal(flush(&w), 0); /* unfinished: nothing to wait for */
	put(&w, "}", 2);
	f = flush_begin(&w);
	assert_false(vfs_reply_fake_answered(f));
	fake_final(name_of("a", false)->view.id, BROKER_DONE, 0);
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	vfs_reply_fake_free(f);
	release(&w);
	LOG("check a send; check a send");
	assert_int_equal(spit(ROOT, "t.txt", "text"), 0); /* only .json */
}

static void *wake_from_elsewhere(void *arg)
{
	fake_final(*(int64_t *)arg, BROKER_DONE, 0);
	return NULL;
}

static void wake_and_interrupt_race(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct vfs_file w = creat_as(ROOT, "a.txt", O_WRONLY | O_SYNC, NULL);
		struct vfs_reply_fake *f;
		struct thread t = { 0 };
		int64_t id;
		char text[32];
		int r;

		(void)snprintf(text, sizeof(text), "text %d", i);
		put(&w, text, 0);
		f = flush_begin(&w);
		id = name_of("a", false)->view.id;
		assert_int_equal(thread_start(&t, "wake", wake_from_elsewhere, &id), 0);
		vfs_reply_fake_interrupt(f);
		r = vfs_reply_fake_wait(f);
		assert_true(r == 0 || r == EINTR);
		thread_join(&t);
		vfs_reply_fake_free(f);
		release(&w);
		assert_int_equal(rm(ROOT, "a.txt"), 0);
	}
}

/* ---- names that change --------------------------------------------------------------------------------- */

static void unlink_drops(void **state)
{
	(void)state;
	spit(ROOT, "a.json", "{1}");
	(void)fake_log();
	(void)forgot_names();
	assert_int_equal(rm(ROOT, "a.json"), 0);
	LOG("drop a");
	assert_string_equal(forgot_names(), "1/a");
}

static void rename_of_requests(void **state)
{
	(void)state;
	spit(ROOT, "a.json", "{1}");
	(void)fake_log();
	(void)forgot_names();
	assert_int_equal(mv("a.json", "b.json"), 0);
	LOG("move a b");
	assert_string_equal(forgot_names(), "1/a 1/b");
	assert_int_equal(mv("b.json", "b.json~"), 0);
	LOG("drop b");
	assert_int_equal(mv("b.json~", "c.json"), 0);
	LOG("check c final send");
	/* read as text it is another request, though its stem is the same */
	assert_int_equal(mv("c.json", "c.txt"), 0);
	LOG("check c final send");
	assert_int_equal(mv("c.txt", "d.md"), 0);
	LOG("drop c; check d final send");
}

static void save_by_renaming(void **state)
{
	(void)state;
	spit(ROOT, "a.json", "{1}");
	spit(ROOT, ".a.json.tmp", "{2}");
	(void)fake_log();
	assert_int_equal(mv(".a.json.tmp", "a.json"), 0);
	LOG("check a final send");
	/* a failing check does not fail the rename */
	spit(ROOT, "tmp", "{bad}");
	assert_int_equal(mv("tmp", "a.json"), 0);
	LOG("check a final send");
	assert_int_equal(name_of("a", false)->view.state, BROKER_REFUSED);
}

static void renamed_while_it_is_written(void **state)
{
	struct vfs_file w = creat_as(ROOT, "tmp", O_WRONLY, NULL);

	(void)state;
	put(&w, "{1}", 0);
	assert_int_equal(flush(&w), 0);
	assert_int_equal(mv("tmp", "a.json"), 0);
	LOG("");
	assert_int_equal(flush(&w), 0);
	release(&w);
	LOG("check a; send a");
}

static void draft_renamed_is_sent(void **state)
{
	char path[100];
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/a.json", top);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	assert_int_equal(write(fd, "{1}", 3), 3);
	close(fd);
	assert_int_equal(mv("a.json", "b.json"), 0);
	LOG("check b final send");
}

static void directories_move_as_a_tree(void **state)
{
	uint64_t d;

	(void)state;
	assert_int_equal(mkdir_in(ROOT, "d", &d), 0);
	spit(d, "a.json", "{1}");
	(void)fake_log();
	(void)forgot_names();
	assert_int_equal(mv("d", "e"), 0);
	LOG("move tree d e");
	assert_string_equal(forgot_names(), "1/d 1/e");
	assert_int_equal(spit(d, "b.json", "{1}"), 0);
	LOG("check e/b; send e/b");
}

static void exchanges(void **state)
{
	uint64_t d, e, a, b;

	(void)state;
	spit(ROOT, "a.json", "{1}");
	spit(ROOT, "b.json", "{2}");
	a = look(ROOT, "a.json");
	b = look(ROOT, "b.json");
	assert_int_equal(mkdir_in(ROOT, "d", &d), 0);
	assert_int_equal(mkdir_in(ROOT, "e", &e), 0);
	(void)fake_log();
	assert_int_equal(mv_at(ROOT, "a.json", ROOT, "b.json", RENAME_EXCHANGE), 0);
	LOG("move a b swap");
	assert_int_equal(look(ROOT, "a.json"), b);
	assert_int_equal(look(ROOT, "b.json"), a);
	assert_int_equal(mv_at(ROOT, "d", ROOT, "e", RENAME_EXCHANGE), 0);
	LOG("move tree d e swap");
	spit(ROOT, "tmp", "{3}");
	assert_int_equal(mv_at(ROOT, "tmp", ROOT, "a.json", RENAME_EXCHANGE), 0);
	LOG("check a final send");
	assert_int_equal(mv_at(ROOT, "a.json", ROOT, "none", RENAME_EXCHANGE), ENOENT);
	/* a directory takes the place of a request, and the file is one no longer */
	assert_int_equal(mv_at(ROOT, "a.json", ROOT, "d", RENAME_EXCHANGE), 0);
	LOG("move tree d a.json; drop a");
}

static void link_in_place_of_a_request(void **state)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();

	(void)state;
	spit(ROOT, "a.json", "{1}");
	(void)fake_log();
	prompts_ops.symlink(v, &f->q, ROOT, "l", "target");
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	vfs_reply_fake_free(f);
	assert_int_equal(mv("l", "a.json"), 0);
	LOG("drop a");
	f = vfs_reply_fake_new();
	prompts_ops.readlink(v, &f->q, look(ROOT, "a.json"));
	assert_string_equal(buf_str(&f->data), "target");
	vfs_reply_fake_free(f);
}

/* ---- order ---------------------------------------------------------------------------------------------- */

static void told_in_order(void **state)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new(), *g;
	struct vfs_rename r = { ROOT, ROOT, "a.json", "b.json", 0 };
	struct vfs_file w = creat_as(ROOT, "a.json", O_WRONLY, NULL), other;

	(void)state;
	put(&w, "{1}", 0);
	fake_hold();
	g = flush_begin(&w);
	prompts_ops.rename(v, &f->q, &r);
	assert_false(vfs_reply_fake_answered(g));
	assert_false(vfs_reply_fake_answered(f));
	LOG("check a"); /* the move waits until the check is recorded */
	assert_true(fake_go_one());
	assert_int_equal(vfs_reply_fake_wait(g), 0);
	LOG("move a b");
	release(&w);
	LOG(""); /* the send, too, waits */
	assert_true(fake_go_one());
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	LOG("send b");
	vfs_reply_fake_free(f);
	vfs_reply_fake_free(g);
	/* what concerns other names does not wait */
	w = creat_as(ROOT, "c.json", O_WRONLY, NULL);
	put(&w, "{1}", 0);
	f = flush_begin(&w);
	other = creat_as(ROOT, "d.json", O_WRONLY, NULL);
	put(&other, "{1}", 0);
	g = flush_begin(&other);
	LOG("check c; check d");
	fake_go();
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	assert_int_equal(vfs_reply_fake_wait(g), 0);
	vfs_reply_fake_free(f);
	vfs_reply_fake_free(g);
	release(&w);
	release(&other);
}

static void directory_waits_for_what_is_in_it(void **state)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new(), *g;
	struct vfs_rename r = { ROOT, ROOT, "d", "e", 0 };
	struct vfs_file w;
	uint64_t d;

	(void)state;
	assert_int_equal(mkdir_in(ROOT, "d", &d), 0);
	w = creat_as(d, "a.json", O_WRONLY, NULL);
	put(&w, "{1}", 0);
	fake_hold();
	g = flush_begin(&w);
	prompts_ops.rename(v, &f->q, &r);
	LOG("check d/a");
	fake_go();
	assert_int_equal(vfs_reply_fake_wait(f), 0);
	assert_int_equal(vfs_reply_fake_wait(g), 0);
	LOG("move tree d e");
	vfs_reply_fake_free(f);
	vfs_reply_fake_free(g);
	release(&w);
}

/* ---- for the mirror ---------------------------------------------------------------------------------------- */

static void mirror_view(void **state)
{
	struct prompts_found found;
	struct prompts_scan *s;
	struct prompts_child c;
	AUTO_BUF struct buf path = BUF_INIT(1000);
	struct prompts_at at;
	uint64_t off = 0;
	unsigned dirs = 0, stems = 0;
	uint32_t idx;

	(void)state;
	spit(ROOT, "a.json", "{1}");
	spit(ROOT, "b.batch.jsonl", "");
	spit(ROOT, "other.csv", "1");
	spit(ROOT, ".hidden.json", "1");
	assert_int_equal(mkdir_in(ROOT, "d", NULL), 0);
	assert_int_equal(mkdir_in(ROOT, ".git", NULL), 0);
	assert_int_equal(prompts_lookup_dir(v, 1, ".git", &idx), -ENOENT);
	assert_int_equal(prompts_lookup_dir(v, 1, "a.json", &idx), -ENOENT);
	assert_int_equal(prompts_lookup_dir(v, 1, "d", &idx), 0);
	prompts_unref(v, idx, 1);
	assert_int_equal(prompts_lookup_stem(v, 1, "b.batch", &found), -ENOENT);
	assert_int_equal(prompts_lookup_stem(v, 1, "other", &found), -ENOENT);
	assert_int_equal(prompts_lookup_stem(v, 1, "b", &found), 0);
	assert_string_equal(found.suffix, ".batch.jsonl");
	assert_int_equal(prompts_path(v, found.idx, &path, &at), 0);
	assert_string_equal(buf_str(&path), "b");
	assert_int_equal(prompts_scan_open(v, 1, &s), 0);
	while (!prompts_scan_next(s, off, &c)) {
		dirs += c.dir;
		stems += !c.dir;
		assert_true(!strcmp(c.name, "a") || !strcmp(c.name, "b") || !strcmp(c.name, "d"));
		off = c.next_off;
	}
	prompts_scan_close(s);
	assert_int_equal(dirs, 1);
	assert_int_equal(stems, 2);
	assert_int_equal(rm(ROOT, "b.batch.jsonl"), 0);
	assert_int_equal(prompts_path(v, found.idx, &path, &at), -ENOENT);
}

static void file_sha(void **state)
{
	struct broker_name n = { "", "a", ".json" };
	struct key a, b;

	(void)state;
	assert_int_equal(vfs_file_sha(v, &n, &a), -ENOENT);
	spit(ROOT, "a.json", "{1}");
	assert_int_equal(vfs_file_sha(v, &n, &a), 0);
	assert_int_equal(key_of("{1}", 3, &b), 0);
	assert_true(key_equal(&a, &b));
	n.root = "space";
	assert_int_equal(vfs_file_sha(v, &n, &a), -ENOENT);
}

static void opener_went_away(void **state)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	uint64_t node = (spit(ROOT, "a", "1"), look(ROOT, "a"));

	(void)state;
	f->unwanted = -ENOENT;
	prompts_ops.open(v, &f->q, node, O_RDWR);
	vfs_reply_fake_free(f);
	f = vfs_reply_fake_new();
	f->unwanted = -ENOENT;
	prompts_ops.create(v, &f->q, ROOT, "b", 0644, O_RDWR);
	assert_null(prompts_node_find(v->prompts, 1, "b"));
	vfs_reply_fake_free(f);
	assert_int_equal(prompts_node_get(v->prompts, VFS_REST(node))->writers, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(refused_calls),
		T(bytes_come_back),
		T(removed_file_lives_while_open),
		T(numbers_are_used_again_with_another_generation),
		T(changed_behind_the_mount),
		T(deep_directories),
		T(listing),
		T(xattrs),
		T(bad_document),
		T(good_document),
		T(many_flushes),
		T(unfinished_at_the_end),
		T(two_writers),
		T(empty_is_a_draft),
		T(no_request),
		T(jobs_are_checked_by_descriptor),
		T(jobs_under_broken_defaults),
		T(big_document_goes_to_the_pool),
		T(too_big),
		T(truncated_and_closed),
		T(touching_changes_nothing),
		T(defaults),
		T(broken_defaults),
		T(sync_waits),
		T(sync_interrupted),
		T(stop_answers),
		T(wait_option),
		T(wake_and_interrupt_race),
		T(unlink_drops),
		T(rename_of_requests),
		T(save_by_renaming),
		T(renamed_while_it_is_written),
		T(draft_renamed_is_sent),
		T(directories_move_as_a_tree),
		T(exchanges),
		T(link_in_place_of_a_request),
		T(told_in_order),
		T(directory_waits_for_what_is_in_it),
		T(mirror_view),
		T(file_sha),
		T(opener_went_away),
	};

	umask(0);
	return cmocka_run_group_tests_name("prompts", tests, NULL, NULL);
}
