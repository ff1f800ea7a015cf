/* test_vfs.c - the tree without FUSE: rooms together, over a real broker and the echo backend */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker_fixture.h"
#include "vfs/vfs.h"
#include "vfs_reply_fake.h"

#define ROOT 1ULL

struct tree {
	struct fixture f;
	struct vfs *v;
	int polled, invalidated;
};

static const char *const suffixes[] = { ".json", ".txt", ".md", ".jsonl", ".batch.jsonl", NULL };

static void inval_entry(void *impl, uint64_t parent, const char *name, void (*done)(void *arg),
			void *arg)
{
	(void)parent;
	(void)name;
	(void)__atomic_add_fetch(&((struct tree *)impl)->invalidated, 1, __ATOMIC_SEQ_CST);
	done(arg);
}

static void poll_told(void *impl, void *handle)
{
	(void)handle;
	(void)__atomic_add_fetch(&((struct tree *)impl)->polled, 1, __ATOMIC_SEQ_CST);
}

static void poll_dropped(void *impl, void *handle)
{
	(void)impl;
	(void)handle;
}

static int setup(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));
	struct vfs_options o = { .max_request_bytes = 1 << 20,
				 .suffixes = suffixes,
				 .readme = "read me\n" };
	char dir[96];
	struct err e = { 0 };

	*state = t;
	if (!t || fixture_open(&t->f) < 0)
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/prompts", t->f.dir);
	if (mkdir(dir, 0755) < 0)
		return -1;
	o.broker = t->f.broker;
	o.prompts_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(dir, sizeof(dir), "%s/namespaces", t->f.dir);
	if (mkdir(dir, 0755) < 0)
		return -1;
	o.namespaces_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (vfs_new(&o, &t->v, &e) < 0)
		return -1;
	vfs_set_notify(t->v, &(struct vfs_notify){ .inval_entry = inval_entry,
						   .poll = poll_told,
						   .poll_drop = poll_dropped,
						   .impl = t });
	return 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;

	vfs_stop(t->v);
	broker_quiet(t->f.broker);
	fixture_close(&t->f); /* the last answers come while the broker ends */
	vfs_free(t->v);
	free(t);
	return 0;
}

/* ---- small calls ---- */

/* node of a path, looked up part by part; 0 and *out_code when a part is not there */
static uint64_t look(struct tree *t, const char *path, struct stat *out, int *out_code)
{
	uint64_t node = ROOT;
	char copy[256], *save, *part;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	for (part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		struct vfs_reply_fake *r = vfs_reply_fake_new();
		int code;

		vfs_ops(node)->lookup(t->v, &r->q, node, part);
		code = vfs_reply_fake_wait(r);
		node = code ? 0 : r->entry.nodeid;
		if (out)
			*out = r->entry.st;
		vfs_reply_fake_free(r);
		if (out_code)
			*out_code = code;
		if (code)
			return 0;
	}
	return node;
}

static int open_node(struct tree *t, uint64_t node, int flags, struct vfs_open *out)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	int code;

	vfs_ops(node)->open(t->v, &r->q, node, flags);
	code = vfs_reply_fake_wait(r);
	if (out)
		*out = r->open;
	vfs_reply_fake_free(r);
	return code;
}

static void release_node(struct tree *t, uint64_t node, uint64_t fh)
{
	struct vfs_file f = { .fh = fh };
	struct vfs_reply_fake *r;

	if (!vfs_ops(node)->release)
		return;
	r = vfs_reply_fake_new();
	vfs_ops(node)->release(t->v, &r->q, node, &f);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	vfs_reply_fake_free(r);
}

static int read_node(struct tree *t, uint64_t node, const struct vfs_file *f, uint64_t off,
		     char *out, size_t cap)
{
	struct vfs_io io = { .off = off, .size = cap - 1 };
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	int code;

	vfs_ops(node)->read(t->v, &r->q, node, f, &io);
	code = vfs_reply_fake_wait(r);
	(void)snprintf(out, cap, "%s", buf_str(&r->data));
	vfs_reply_fake_free(r);
	return code;
}

/* open, read once, release */
static int slurp(struct tree *t, const char *path, char *out, size_t cap)
{
	int code = 0;
	uint64_t node = look(t, path, NULL, &code);
	struct vfs_open o;
	struct vfs_file f;

	out[0] = 0;
	if (!node)
		return code;
	code = open_node(t, node, O_RDONLY, &o);
	if (code)
		return code;
	f = (struct vfs_file){ .fh = o.fh };
	code = read_node(t, node, &f, 0, out, cap);
	release_node(t, node, o.fh);
	return code;
}

/* what a shell's > does; the result of close(2) */
static int write_file(struct tree *t, const char *dir, const char *name, const char *text)
{
	uint64_t parent = look(t, dir, NULL, NULL);
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	struct vfs_io io = { .size = strlen(text), .data = text };
	struct vfs_file f;
	uint64_t node;
	int code;

	vfs_ops(parent)->create(t->v, &r->q, parent, name, S_IFREG | 0644, O_WRONLY | O_CREAT);
	code = vfs_reply_fake_wait(r);
	node = r->entry.nodeid;
	f = (struct vfs_file){ .fh = r->open.fh, .flags = O_WRONLY };
	vfs_reply_fake_free(r);
	if (code)
		return code;
	r = vfs_reply_fake_new();
	vfs_ops(node)->write(t->v, &r->q, node, &f, &io);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	vfs_reply_fake_free(r);
	r = vfs_reply_fake_new();
	vfs_ops(node)->flush(t->v, &r->q, node, &f);
	code = vfs_reply_fake_wait(r);
	vfs_reply_fake_free(r);
	release_node(t, node, f.fh);
	return code;
}

/* the fake writes a word about its attributes behind each name */
static void names_only(const char *listing, char *out, size_t cap)
{
	size_t n = 0;
	bool name = true;

	for (; *listing && n + 1 < cap; listing++) {
		if (*listing == ' ')
			name = false;
		if (*listing == '\n')
			name = true;
		if (name)
			out[n++] = *listing;
	}
	out[n] = 0;
}

static void list(struct tree *t, const char *path, char *out, size_t cap)
{
	uint64_t node = look(t, path, NULL, NULL);
	struct vfs_io io = { .size = 1 << 16 };
	struct vfs_reply_fake *r;
	struct vfs_file f = { 0 };

	if (vfs_ops(node)->opendir) {
		r = vfs_reply_fake_new();
		vfs_ops(node)->opendir(t->v, &r->q, node);
		assert_int_equal(vfs_reply_fake_wait(r), 0);
		f.fh = r->open.fh;
		vfs_reply_fake_free(r);
	}
	r = vfs_reply_fake_new();
	vfs_ops(node)->readdir(t->v, &r->q, node, &f, &io, false);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	names_only(buf_str(&r->data), out, cap);
	vfs_reply_fake_free(r);
	if (vfs_ops(node)->releasedir) {
		r = vfs_reply_fake_new();
		vfs_ops(node)->releasedir(t->v, &r->q, node, &f);
		assert_int_equal(vfs_reply_fake_wait(r), 0);
		vfs_reply_fake_free(r);
	}
}

static int remove_name(struct tree *t, const char *dir, const char *name, bool directory)
{
	uint64_t parent = look(t, dir, NULL, NULL);
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	int code;

	if (directory)
		vfs_ops(parent)->rmdir(t->v, &r->q, parent, name);
	else
		vfs_ops(parent)->unlink(t->v, &r->q, parent, name);
	code = vfs_reply_fake_wait(r);
	vfs_reply_fake_free(r);
	return code;
}

static int write_open(struct tree *t, uint64_t node, const struct vfs_file *f, const char *text)
{
	struct vfs_io io = { .size = strlen(text), .data = text };
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	int code;

	vfs_ops(node)->write(t->v, &r->q, node, f, &io);
	code = vfs_reply_fake_wait(r);
	vfs_reply_fake_free(r);
	return code;
}

static int ctl(struct tree *t, const char *path, const char *word)
{
	uint64_t node = look(t, path, NULL, NULL);
	struct vfs_open o;
	struct vfs_file f;
	int code;

	assert_int_equal(open_node(t, node, O_WRONLY, &o), 0);
	f = (struct vfs_file){ .fh = o.fh };
	code = write_open(t, node, &f, word);
	release_node(t, node, o.fh);
	return code;
}

static void assert_has(const char *listing, const char *const *names)
{
	for (; *names; names++)
		if (!strstr(listing, *names))
			fail_msg("%s is not in:\n%s", *names, listing);
}

#define SLOW "{\"prompt\":\"s\",\"extra_body\":{\"delay_ms\":600000}}"

/* ---- the static part ---- */

static void the_top_of_the_mount(void **state)
{
	static const char *const names[] = { "README.md",  "prompts", "responses", "cache",
					     "backends",   "stats",   "ask",	   "models",
					     "namespaces", NULL };
	struct tree *t = *state;
	char text[4096];
	int code;

	list(t, "", text, sizeof(text));
	assert_has(text, names);
	assert_int_equal(slurp(t, "README.md", text, sizeof(text)), 0);
	assert_string_equal(text, "read me\n");
	assert_int_equal(slurp(t, "stats/summary.json", text, sizeof(text)), 0);
	assert_non_null(strstr(text, "\"requests\": 0"));
	assert_int_equal(slurp(t, "backends/echo/status.json", text, sizeof(text)), 0);
	assert_non_null(strstr(text, "\"in_flight\""));
	list(t, "backends", text, sizeof(text));
	assert_non_null(strstr(text, "echo"));
	list(t, "backends/echo", text, sizeof(text));
	assert_non_null(strstr(text, "status.json"));
	assert_int_not_equal(look(t, "models", NULL, NULL), 0);
	list(t, "namespaces", text, sizeof(text));
	assert_int_equal(look(t, "namespaces/none", NULL, &code), 0);
	assert_int_equal(code, ENOENT);
	assert_int_equal(open_node(t, look(t, "stats/summary.json", NULL, NULL), O_WRONLY, NULL),
			 EROFS);
}

/* ---- one request ---- */

static void a_prompt_goes_in_and_the_answer_comes_out(void **state)
{
	static const char *const done[] = {
		"status",     "text",	 "stream", "response.json", "request.json",
		"usage.json", "samples", "entry",  "ctl",	    NULL
	};
	struct tree *t = *state;
	char text[4096];
	struct stat st;

	assert_int_equal(write_file(t, "prompts", "sky.json", "{\"prompt\":\"why?\"}"), 0);
	assert_int_equal(slurp(t, "responses/sky/text", text, sizeof(text)), 0);
	assert_string_equal(text, "You said: why?\n");
	assert_int_not_equal(look(t, "responses/sky/text", &st, NULL), 0);
	assert_int_equal(st.st_size, strlen(text));
	assert_int_equal(slurp(t, "responses/sky/stream", text, sizeof(text)), 0);
	assert_string_equal(text, "You said: why?\n");
	assert_int_equal(slurp(t, "responses/sky/status", text, sizeof(text)), 0);
	assert_string_equal(text, "done\n");
	assert_int_equal(slurp(t, "responses/sky/samples/0/meta.json", text, sizeof(text)), 0);
	assert_non_null(strstr(text, "\"index\":0"));
	list(t, "responses/sky", text, sizeof(text));
	assert_has(text, done);
	assert_null(strstr(text, "error.json"));
	assert_null(strstr(text, "reasoning"));
	assert_int_equal(slurp(t, "responses/sky/reasoning", text, sizeof(text)), ENOENT);
	list(t, "responses/sky/samples", text, sizeof(text));
	assert_string_equal(text, ".\n..\n0\n");
	assert_int_equal(ctl(t, "responses/sky/ctl", "retry"), EINVAL);
	assert_int_equal(open_node(t, look(t, "responses/sky/text", NULL, NULL), O_RDWR, NULL),
			 EROFS);
}

static void the_entry_points_into_the_cache(void **state)
{
	struct tree *t = *state;
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	char text[4096], path[256];
	uint64_t node;
	struct key key;

	assert_int_equal(write_file(t, "prompts", "e.json", "{\"prompt\":\"e\"}"), 0);
	assert_int_equal(slurp(t, "responses/e/text", text, sizeof(text)), 0);
	node = look(t, "responses/e/entry", NULL, NULL);
	vfs_ops(node)->readlink(t->v, &r->q, node);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	assert_memory_equal(buf_str(&r->data), "../../cache/", 12);
	(void)snprintf(path, sizeof(path), "%.80s/request.json", buf_str(&r->data) + 6);
	vfs_reply_fake_free(r);
	assert_int_equal(slurp(t, path, text, sizeof(text)), 0);
	assert_int_equal(key_of(text, strlen(text), &key), 0);
	key_hex(&key, text);
	assert_non_null(strstr(path, text));
}

static void a_draft_and_a_refusal(void **state)
{
	struct tree *t = *state;
	char text[4096];

	assert_int_equal(write_file(t, "prompts", "d.json", ""), 0);
	assert_int_equal(slurp(t, "responses/d/status", text, sizeof(text)), 0);
	assert_string_equal(text, "draft\n");
	assert_int_equal(slurp(t, "responses/d/text", text, sizeof(text)), ENODATA);
	list(t, "responses/d", text, sizeof(text));
	assert_string_equal(text, ".\n..\nstatus\nctl\n");
	assert_int_equal(write_file(t, "prompts", "b.json", "{\"prompt\":}"), EINVAL);
	assert_int_equal(slurp(t, "responses/b/text", text, sizeof(text)), EINVAL);
	assert_int_equal(slurp(t, "responses/b/stream", text, sizeof(text)), EINVAL);
	assert_int_equal(slurp(t, "responses/b/error.json", text, sizeof(text)), 0);
	assert_non_null(strstr(text, "\"line\":1"));
	list(t, "responses/b", text, sizeof(text));
	assert_string_equal(text, ".\n..\nstatus\nctl\nerror.json\n");
	list(t, "responses", text, sizeof(text));
	assert_non_null(strstr(text, "d\n"));
	assert_non_null(strstr(text, "b\n"));
}

/* ---- waiting ---- */

static void a_pending_request_does_not_hold_those_who_look(void **state)
{
	struct tree *t = *state;
	char text[4096];
	struct stat st;
	uint64_t node;

	assert_int_equal(write_file(t, "prompts", "p.json", SLOW), 0);
	list(t, "responses/p", text, sizeof(text));
	assert_string_equal(text, ".\n..\nstatus\nctl\nrequest.json\n");
	node = look(t, "responses/p/text", &st, NULL);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_mtim.tv_sec, 0);
	assert_int_equal(open_node(t, node, O_RDONLY | O_NONBLOCK, NULL), EAGAIN);
	assert_int_equal(slurp(t, "responses/p/ctl", text, sizeof(text)), 0);
	assert_string_equal(text, "cancel\n");
}

static void waiting_in_open_is_interruptible(void **state)
{
	struct tree *t = *state;
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	uint64_t node;

	assert_int_equal(write_file(t, "prompts", "p.json", SLOW), 0);
	node = look(t, "responses/p/text", NULL, NULL);
	vfs_ops(node)->open(t->v, &r->q, node, O_RDONLY);
	assert_false(vfs_reply_fake_answered(r));
	vfs_reply_fake_interrupt(r);
	assert_int_equal(vfs_reply_fake_wait(r), EINTR);
	vfs_reply_fake_free(r);
	r = vfs_reply_fake_new(); /* interrupted before it was parked */
	vfs_reply_fake_interrupt(r);
	vfs_ops(node)->open(t->v, &r->q, node, O_RDONLY);
	assert_int_equal(vfs_reply_fake_wait(r), EINTR);
	vfs_reply_fake_free(r);
}

static void cancelling_wakes_everybody(void **state)
{
	struct tree *t = *state;
	struct vfs_reply_fake *opening = vfs_reply_fake_new(), *reading = vfs_reply_fake_new();
	struct vfs_io io = { .size = 100 };
	struct vfs_open o;
	struct vfs_file f;
	uint64_t text, stream;
	char got[256];

	assert_int_equal(write_file(t, "prompts", "p.json", SLOW), 0);
	text = look(t, "responses/p/text", NULL, NULL);
	stream = look(t, "responses/p/stream", NULL, NULL);
	vfs_ops(text)->open(t->v, &opening->q, text, O_RDONLY);
	assert_int_equal(open_node(t, stream, O_RDONLY, &o), 0);
	f = (struct vfs_file){ .fh = o.fh };
	vfs_ops(stream)->read(t->v, &reading->q, stream, &f, &io);
	assert_false(vfs_reply_fake_answered(reading));
	assert_int_equal(ctl(t, "responses/p/ctl", "cancel\n"), 0);
	assert_int_equal(vfs_reply_fake_wait(opening), ECANCELED);
	assert_int_equal(vfs_reply_fake_wait(reading), ECANCELED);
	vfs_reply_fake_free(opening);
	vfs_reply_fake_free(reading);
	release_node(t, stream, o.fh);
	assert_int_equal(slurp(t, "responses/p/status", got, sizeof(got)), 0);
	assert_string_equal(got, "cancelled\n");
	assert_int_equal(slurp(t, "responses/p/text", got, sizeof(got)), ECANCELED);
	assert_int_equal(ctl(t, "responses/p/ctl", "nonsense"), EINVAL);
}

static void poll_on_a_stream(void **state)
{
	struct tree *t = *state;
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	uint64_t node;
	struct vfs_open o;
	struct vfs_file f;
	char got[64];

	assert_int_equal(write_file(t, "prompts", "p.json", SLOW), 0);
	node = look(t, "responses/p/stream", NULL, NULL);
	assert_int_equal(open_node(t, node, O_RDONLY, &o), 0);
	f = (struct vfs_file){ .fh = o.fh, .flags = O_NONBLOCK };
	assert_int_equal(read_node(t, node, &f, 0, got, sizeof(got)), EAGAIN);
	vfs_ops(node)->poll(t->v, &r->q, node, &f, &got);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	assert_int_equal(r->size, 0); /* nothing to read: it sleeps */
	vfs_reply_fake_free(r);
	assert_int_equal(t->polled, 0);
	assert_int_equal(ctl(t, "responses/p/ctl", "cancel"), 0);
	for (int i = 0; i < 1000 && !__atomic_load_n(&t->polled, __ATOMIC_SEQ_CST); i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(t->polled, 1);
	release_node(t, node, o.fh);
}

static void an_attempt_to_stop_answers_all(void **state)
{
	struct tree *t = *state;
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	uint64_t node;

	assert_int_equal(write_file(t, "prompts", "p.json", SLOW), 0);
	node = look(t, "responses/p/response.json", NULL, NULL);
	vfs_ops(node)->open(t->v, &r->q, node, O_RDONLY);
	vfs_stop(t->v);
	broker_quiet(t->f.broker);
	assert_int_equal(vfs_reply_fake_wait(r), ESHUTDOWN);
	vfs_reply_fake_free(r);
}

/* ---- removal ---- */

static void rm_r_of_a_response(void **state)
{
	struct tree *t = *state;
	char text[4096], *save, *name;
	int code;

	assert_int_equal(write_file(t, "prompts", "x.json", "{\"prompt\":\"x\"}"), 0);
	assert_int_equal(slurp(t, "responses/x/text", text, sizeof(text)), 0);
	assert_int_equal(remove_name(t, "responses", "x", true), ENOTEMPTY);
	assert_int_equal(remove_name(t, "responses", "x", false), EISDIR);
	for (const char *const *n = (const char *const[]){ "text", "response.json", "raw.json",
							   "meta.json", NULL };
	     *n; n++)
		assert_int_equal(remove_name(t, "responses/x/samples/0", *n, false), 0);
	assert_int_equal(remove_name(t, "responses/x/samples", "0", true), 0);
	assert_int_equal(remove_name(t, "responses/x", "samples", true), 0);
	list(t, "responses/x", text, sizeof(text));
	for (name = strtok_r(text, "\n", &save); name; name = strtok_r(NULL, "\n", &save))
		if (name[0] != '.')
			assert_int_equal(remove_name(t, "responses/x", name, false), 0);
	assert_int_equal(remove_name(t, "responses", "x", true), 0);
	assert_int_equal(look(t, "responses/x", NULL, &code), 0);
	assert_int_equal(code, ENOENT);
	assert_int_not_equal(look(t, "prompts/x.json", NULL, NULL), 0);
	assert_int_equal(write_file(t, "prompts", "y.txt", "another"), 0);
	assert_int_equal(slurp(t, "responses/y/text", text, sizeof(text)), 0);
	assert_string_equal(text, "You said: another\n");
}

static void a_removed_prompt_takes_its_response_along(void **state)
{
	struct tree *t = *state;
	char text[4096];
	int code;

	assert_int_equal(write_file(t, "prompts", "x.json", "{\"prompt\":\"x\"}"), 0);
	assert_int_equal(slurp(t, "responses/x/text", text, sizeof(text)), 0);
	assert_int_not_equal(look(t, "responses/x", NULL, NULL), 0); /* now it is final */
	assert_int_equal(remove_name(t, "prompts", "x.json", false), 0);
	assert_true(t->invalidated > 0); /* the kernel had it for long */
	assert_int_equal(look(t, "responses/x", NULL, &code), 0);
	assert_int_equal(code, ENOENT);
}

/* ---- extended attributes ---- */

static void attributes(void **state)
{
	struct tree *t = *state;
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	struct vfs_xattr x = { .name = "user.inferfs.model", .size = 100 };
	char text[256];
	uint64_t node;

	assert_int_equal(write_file(t, "prompts", "x.json", "{\"prompt\":\"x\"}"), 0);
	assert_int_equal(slurp(t, "responses/x/text", text, sizeof(text)), 0);
	node = look(t, "responses/x", NULL, NULL);
	vfs_ops(node)->getxattr(t->v, &r->q, node, &x);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	assert_string_equal(buf_str(&r->data), "echo");
	vfs_reply_fake_free(r);
	r = vfs_reply_fake_new();
	x.size = 2;
	vfs_ops(node)->getxattr(t->v, &r->q, node, &x);
	assert_int_equal(vfs_reply_fake_wait(r), ERANGE);
	vfs_reply_fake_free(r);
	r = vfs_reply_fake_new();
	vfs_ops(node)->listxattr(t->v, &r->q, node, 0);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	assert_true(r->size > 100);
	vfs_reply_fake_free(r);
}

/* ---- ask ---- */

/* the text comes in pieces; 0 is the end */
static void read_to_end(struct tree *t, uint64_t node, const struct vfs_file *f, char *out,
			size_t cap)
{
	size_t n = 0, more;

	do {
		assert_int_equal(read_node(t, node, f, n, out + n, cap - n), 0);
		more = strlen(out + n);
		n += more;
	} while (more);
}

static void a_conversation(void **state)
{
	struct tree *t = *state;
	uint64_t node = look(t, "ask", NULL, NULL);
	struct vfs_open o;
	struct vfs_file f;
	char got[512];

	assert_int_equal(open_node(t, node, O_WRONLY, NULL), EINVAL);
	assert_int_equal(open_node(t, node, O_RDWR, &o), 0);
	f = (struct vfs_file){ .fh = o.fh };
	assert_int_equal(read_node(t, node, &f, 0, got, sizeof(got)), ENODATA);
	assert_int_equal(write_open(t, node, &f, "hel"), 0);
	assert_int_equal(write_open(t, node, &f, "lo"), 0);
	read_to_end(t, node, &f, got, sizeof(got));
	assert_string_equal(got, "You said: hello\n");
	assert_int_equal(write_open(t, node, &f, "{\"prompt\":1}"), 0);
	assert_int_equal(read_node(t, node, &f, 0, got, sizeof(got)), EINVAL);
	assert_int_equal(read_node(t, node, &f, 0, got, sizeof(got)), 0);
	assert_non_null(strstr(got, "\"errno\":\"EINVAL\""));
	assert_int_equal(write_open(t, node, &f, SLOW), 0);
	f.flags = O_NONBLOCK;
	assert_int_equal(read_node(t, node, &f, 0, got, sizeof(got)), EAGAIN);
	assert_int_equal(write_open(t, node, &f, "too early"), EBUSY);
	release_node(t, node, o.fh);
	assert_int_equal(open_node(t, node, O_RDONLY, &o), 0);
	f = (struct vfs_file){ .fh = o.fh };
	assert_int_equal(read_node(t, node, &f, 0, got, sizeof(got)), 0);
	assert_string_equal(got, "");
	release_node(t, node, o.fh);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_top_of_the_mount),
		T(a_prompt_goes_in_and_the_answer_comes_out),
		T(the_entry_points_into_the_cache),
		T(a_draft_and_a_refusal),
		T(a_pending_request_does_not_hold_those_who_look),
		T(waiting_in_open_is_interruptible),
		T(cancelling_wakes_everybody),
		T(poll_on_a_stream),
		T(an_attempt_to_stop_answers_all),
		T(rm_r_of_a_response),
		T(a_removed_prompt_takes_its_response_along),
		T(attributes),
		T(a_conversation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
