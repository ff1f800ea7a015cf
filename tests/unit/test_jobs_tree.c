/* test_jobs_tree.c - responses/ of a job of many lines: names, waiting, items/, removal; and a thousand samples */
/* LDFLAGS: -Wl,-z,muldefs */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mono.h"
#include "fakes/bulk.c"
#include "vfs/hide.h"
#include "vfs/responses.h"
#include "vfs_reply_fake.h"

static struct vfs *v;
static int told, dropped;

/* ---- what else responses/ asks of the broker ----------------------------------------------------------- */

int broker_render(struct broker *b, const struct broker_file_id *f, struct buf *out)
{
	(void)b;
	return buf_addf(out, "file %d of %lld\n", (int)f->file, (long long)f->id);
}

int broker_path(struct broker *b, int64_t id, struct buf *out)
{
	(void)b;
	return buf_adds(out, id == FAKE_JOB ? "d/many" : id > FAKE_LINE ? "line000001" : "sky");
}

int broker_root(struct broker *b, int64_t id, struct buf *out)
{
	(void)b;
	if (id > FAKE_LINE)
		return buf_addf(out, "\002%d",
				FAKE_JOB - 3); /* the file's first row, that is gone */
	return buf_adds(out, id == FAKE_JOB ? "space" : "");
}

void broker_hold(struct broker *b, int64_t id)
{
	(void)b;
	(void)id;
}

void broker_hold_release(struct broker *b, int64_t id)
{
	(void)b;
	(void)id;
}

static void poll_told(void *impl, void *handle)
{
	(void)impl;
	(void)handle;
	told++;
}

static void poll_dropped(void *impl, void *handle)
{
	(void)impl;
	(void)handle;
	dropped++;
}

static int setup(void **state)
{
	(void)state;
	v = calloc(1, sizeof(*v));
	v->broker = fake_new();
	v->hide = hide_new();
	v->respblob = respblob_new();
	v->jobdir = jobdir_new();
	v->notify.poll = poll_told;
	v->notify.poll_drop = poll_dropped;
	list_init(&v->opened);
	fake_bulk_new(3);
	told = dropped = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_true(list_empty(&v->opened));
	assert_int_equal(bulk.readers, 0);
	mono_test_set(0, 0);
	fake_get_more = NULL;
	fake_free();
	hide_free(v->hide);
	respblob_free(v->respblob);
	jobdir_free(v->jobdir);
	free(v);
	return 0;
}

/* ---- the calls of the kernel ----------------------------------------------------------------------------- */

static uint64_t dir_of(int64_t id)
{
	struct response_node n = { .id = id, .kind = RESP_DIR };

	return resptable_pack(&n);
}
#define JOB dir_of(FAKE_JOB)

static struct vfs_entry seen;

static int look_code(uint64_t dir, const char *name)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	int r;

	responses_ops.lookup(v, &f->q, dir, name);
	r = vfs_reply_fake_wait(f);
	seen = f->entry;
	vfs_reply_fake_free(f);
	return r;
}

static uint64_t look(uint64_t dir, const char *name)
{
	return look_code(dir, name) ? 0 : seen.nodeid;
}

static int open_as(uint64_t node, int flags, struct vfs_file *out, struct vfs_open *out_open)
{
	struct vfs_reply_fake *f = vfs_reply_fake_new();
	int r;

	responses_ops.open(v, &f->q, node, flags);
	r = vfs_reply_fake_wait(f);
	*out = (struct vfs_file){ f->open.fh, flags };
	if (out_open)
		*out_open = f->open;
	vfs_reply_fake_free(f);
	return r;
}

static void release(uint64_t node, struct vfs_file *f)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();

	responses_ops.release(v, &r->q, node, f);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	vfs_reply_fake_free(r);
}

/* a read that may park; it is looked at with answer() */
static struct vfs_reply_fake *begin_read(uint64_t node, const struct vfs_file *f, uint64_t off)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	struct vfs_io io = { off, 1000, NULL };

	responses_ops.read(v, &r->q, node, f, &io);
	return r;
}

static int answer(struct vfs_reply_fake *r, char *text, size_t cap)
{
	int code = vfs_reply_fake_wait(r);

	(void)snprintf(text, cap, "%.*s", (int)r->data.len, buf_str(&r->data));
	vfs_reply_fake_free(r);
	return code;
}

static void reads(uint64_t node, const struct vfs_file *f, uint64_t off, const char *want)
{
	char text[1000];

	assert_int_equal(answer(begin_read(node, f, off), text, sizeof(text)), 0);
	assert_string_equal(text, want);
}

static unsigned polled(uint64_t node, const struct vfs_file *f, void *handle)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	unsigned events;

	responses_ops.poll(v, &r->q, node, f, handle);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	events = (unsigned)r->size;
	vfs_reply_fake_free(r);
	return events;
}

static uint64_t fstat_size(uint64_t node, const struct vfs_file *f)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	uint64_t size;

	responses_ops.getattr(v, &r->q, node, f);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	size = (uint64_t)r->attr.st_size;
	vfs_reply_fake_free(r);
	return size;
}

/* one page from a cookie on: its names, each with a blank behind it */
static size_t page(uint64_t dir, const struct vfs_file *f, uint64_t off, size_t room, char *out,
		   size_t cap)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	struct vfs_io io = { off, room, NULL };
	size_t names = 0, n = 0;
	bool name = true;

	responses_ops.readdir(v, &r->q, dir, f, &io, false);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	for (size_t i = 0; i < r->data.len && n + 1 < cap; i++) {
		char c = r->data.data[i];

		if (c == '\n') {
			out[n++] = ' ';
			names++;
			name = true;
		} else if (c == ' ') {
			name = false;
		} else if (name) {
			out[n++] = c;
		}
	}
	out[n] = '\0';
	vfs_reply_fake_free(r);
	return names;
}

static struct vfs_file open_dir(uint64_t dir)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	struct vfs_file f = { 0 };

	responses_ops.opendir(v, &r->q, dir);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	f.fh = r->open.fh;
	vfs_reply_fake_free(r);
	return f;
}

static void close_dir(uint64_t dir, struct vfs_file *f)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();

	responses_ops.releasedir(v, &r->q, dir, f);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	vfs_reply_fake_free(r);
}

static const char *list(uint64_t dir)
{
	static char out[1 << 16];
	struct vfs_file f = open_dir(dir);

	page(dir, &f, 0, 1 << 16, out, sizeof(out));
	close_dir(dir, &f);
	return out;
}

static int removed(uint64_t dir, const char *name, bool directory)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	int code;

	(directory ? responses_ops.rmdir : responses_ops.unlink)(v, &r->q, dir, name);
	code = vfs_reply_fake_wait(r);
	vfs_reply_fake_free(r);
	return code;
}

#define DOTS ". .. "

/* ---- names -------------------------------------------------------------------------------------------------- */

static void what_is_listed(void **state)
{
	(void)state;
	assert_string_equal(list(JOB), DOTS "status ctl items ");
	fake_job()->state = BROKER_QUEUED;
	assert_string_equal(list(JOB), DOTS "status ctl items ");
	fake_job()->state = BROKER_REFUSED;
	assert_string_equal(list(JOB), DOTS "status ctl error.json ");
	fake_job()->state = BROKER_DONE;
	assert_string_equal(list(JOB), DOTS "status ctl usage.json progress stream output.jsonl "
					    "errors.jsonl items ");
	fake_job()->state = BROKER_FAILED;
	assert_string_equal(list(JOB),
			    DOTS "status ctl error.json usage.json progress stream output.jsonl "
				 "errors.jsonl items ");
	assert_int_equal(look_code(JOB, "text"), ENOENT);
	assert_int_equal(look_code(JOB, "request.json"), ENOENT);
	assert_int_equal(look_code(JOB, "samples"), ENOENT);
}

static void pending_names_are_out_of_date(void **state)
{
	(void)state;
	assert_int_equal(look_code(JOB, "output.jsonl"), 0);
	assert_int_equal(seen.st.st_size, 0);
	assert_int_equal(seen.st.st_mtim.tv_sec, 0);
	assert_true(seen.entry_ttl_s == 0);
	assert_int_equal(look_code(JOB, "usage.json"), ENOENT);
	fake_bulk_append(BULK_OUTPUT, "{}\n");
	fake_bulk_final(BROKER_DONE);
	assert_int_equal(look_code(JOB, "output.jsonl"), 0);
	assert_int_equal(seen.st.st_size, 3);
	assert_int_equal(seen.st.st_mtim.tv_sec, 3);
	/* a retry may come: nothing of a job is for ever */
	assert_true(seen.entry_ttl_s == 0 && seen.attr_ttl_s == 0);
}

static void the_whole_output_waits(void **state)
{
	uint64_t node = look(JOB, "output.jsonl");
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	struct vfs_file f;

	(void)state;
	assert_int_equal(open_as(node, O_RDONLY | O_NONBLOCK, &f, NULL), EAGAIN);
	assert_int_equal(open_as(node, O_RDWR, &f, NULL), EROFS);
	responses_ops.open(v, &r->q, node, O_RDONLY);
	assert_false(vfs_reply_fake_answered(r));
	fake_bulk_append(BULK_OUTPUT, "{\"a\":1}\n");
	assert_false(vfs_reply_fake_answered(r));
	fake_bulk_final(BROKER_DONE);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	f = (struct vfs_file){ r->open.fh, O_RDONLY };
	assert_false(r->open.direct_io);
	assert_false(r->open.keep_cache); /* looked up when it was not final */
	vfs_reply_fake_free(r);
	assert_int_equal(fstat_size(node, &f), 8);
	reads(node, &f, 0, "{\"a\":1}\n");
	reads(node, &f, 6, "}\n");
	reads(node, &f, 8, "");
	release(node, &f);
}

static void a_wait_is_interrupted(void **state)
{
	uint64_t node = look(JOB, "errors.jsonl");
	struct vfs_reply_fake *r = vfs_reply_fake_new();

	(void)state;
	responses_ops.open(v, &r->q, node, O_RDONLY);
	assert_false(vfs_reply_fake_answered(r));
	vfs_reply_fake_interrupt(r);
	assert_int_equal(vfs_reply_fake_wait(r), EINTR);
	vfs_reply_fake_free(r);
	fake_bulk_final(BROKER_DONE);
}

static void a_failed_job_shows_why(void **state)
{
	struct vfs_file f;
	uint64_t node;

	(void)state;
	fake_bulk_append(BULK_OUTPUT, "{\"error\":1}\n");
	fake_bulk_final(BROKER_FAILED);
	node = look(JOB, "output.jsonl");
	assert_int_equal(open_as(node, O_RDONLY, &f, NULL), 0);
	reads(node, &f, 0, "{\"error\":1}\n");
	release(node, &f);
	/* refused: there are no lines, and the errno says why */
	fake_job()->state = BROKER_REFUSED;
	assert_int_equal(open_as(look(JOB, "output.jsonl"), O_RDONLY, &f, NULL), EREMOTEIO);
	assert_int_equal(open_as(look(JOB, "progress"), O_RDONLY, &f, NULL), EREMOTEIO);
}

static void a_retry_makes_other_files(void **state)
{
	struct vfs_open o;
	struct vfs_file f;
	uint64_t a, b;

	(void)state;
	fake_bulk_final(BROKER_DONE);
	a = look(JOB, "output.jsonl");
	assert_int_equal(open_as(a, O_RDONLY, &f, &o), 0);
	assert_true(o.keep_cache);
	release(a, &f);
	fake_job()->changed_ns++;
	b = look(JOB, "output.jsonl");
	assert_int_not_equal(a, b);
	/* pages of the old inode are not those of the new file */
	assert_int_equal(open_as(a, O_RDONLY, &f, &o), 0);
	assert_false(o.keep_cache);
	release(a, &f);
}

static void ctl_words(void **state)
{
	struct vfs_file f;
	uint64_t node = look(JOB, "ctl");

	(void)state;
	assert_int_equal(seen.st.st_size, strlen("cancel\n"));
	assert_int_equal(open_as(node, O_RDONLY, &f, NULL), 0);
	reads(node, &f, 0, "cancel\n");
	release(node, &f);
	fake_job()->state = BROKER_DONE;
	(void)look(JOB, "ctl");
	assert_int_equal(seen.st.st_size, 0);
	fake_job()->bulk_failed = 1;
	(void)look(JOB, "ctl");
	assert_int_equal(seen.st.st_size, strlen("retry\n"));
	/* a line is tried again with its job */
	(void)look(dir_of(FAKE_LINE + 2), "ctl");
	assert_int_equal(seen.st.st_size, 0);
}

/* ---- files that grow ------------------------------------------------------------------------------------------ */

static void stream_is_read_as_it_comes(void **state)
{
	uint64_t node = look(JOB, "stream");
	struct vfs_reply_fake *r;
	struct vfs_open o;
	struct vfs_file f;
	char text[100];

	(void)state;
	assert_int_equal(open_as(node, O_RDONLY, &f, &o), 0);
	assert_true(o.direct_io);
	r = begin_read(node, &f, 0);
	assert_false(vfs_reply_fake_answered(r));
	fake_bulk_append(BULK_STREAM, "one\n");
	assert_int_equal(answer(r, text, sizeof(text)), 0);
	assert_string_equal(text, "one\n");
	fake_bulk_append(BULK_STREAM, "two\n");
	reads(node, &f, 4, "two\n");
	assert_int_equal(fstat_size(node, &f), 8);
	r = begin_read(node, &f, 8);
	vfs_reply_fake_interrupt(r);
	assert_int_equal(answer(r, text, sizeof(text)), EINTR);
	f.flags = O_NONBLOCK;
	assert_int_equal(answer(begin_read(node, &f, 8), text, sizeof(text)), EAGAIN);
	f.flags = 0;
	r = begin_read(node, &f, 8);
	assert_false(vfs_reply_fake_answered(r));
	fake_bulk_final(BROKER_DONE);
	assert_int_equal(answer(r, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	release(node, &f);
}

static void progress_of_two_readers(void **state)
{
	uint64_t node = look(JOB, "progress");
	struct vfs_file a, b;

	(void)state;
	fake_bulk_append(BULK_PROGRESS, "1/3\n");
	assert_int_equal(open_as(node, O_RDONLY, &a, NULL), 0);
	assert_int_equal(open_as(node, O_RDONLY, &b, NULL), 0);
	reads(node, &a, 0, "1/3\n");
	fake_bulk_append(BULK_PROGRESS, "2/3\n");
	reads(node, &a, 4, "2/3\n");
	reads(node, &b, 0, "1/3\n2/3\n");
	fake_bulk_final(BROKER_DONE);
	reads(node, &a, 8, "");
	release(node, &a);
	release(node, &b);
}

static void woken_for_nothing_it_waits_on(void **state)
{
	uint64_t node = look(JOB, "stream");
	struct vfs_reply_fake *r;
	struct vfs_file f;
	char text[100];

	(void)state;
	assert_int_equal(open_as(node, O_RDONLY, &f, NULL), 0);
	r = begin_read(node, &f, 0);
	fake_bulk_wake();
	assert_false(vfs_reply_fake_answered(r));
	bulk.gone = true;
	fake_bulk_wake();
	assert_int_equal(answer(r, text, sizeof(text)), ECANCELED);
	bulk.gone = false;
	/* the mount ends */
	r = begin_read(node, &f, 0);
	v->stopping = true;
	fake_bulk_wake();
	assert_int_equal(answer(r, text, sizeof(text)), ESHUTDOWN);
	/* and nobody closes it any more */
	vfs_close(v);
	assert_true(list_empty(&v->opened));
}

static void poll_is_told_once_and_again_after_a_read(void **state)
{
	uint64_t node = look(JOB, "stream");
	struct vfs_file f;
	int handles[4];

	(void)state;
	assert_int_equal(open_as(node, O_RDONLY, &f, NULL), 0);
	assert_int_equal(polled(node, &f, NULL), 0);
	assert_int_equal(polled(node, &f, &handles[0]), 0);
	assert_int_equal(polled(node, &f, &handles[1]), 0);
	assert_int_equal(dropped, 1);
	fake_bulk_append(BULK_STREAM, "one\n");
	assert_int_equal(told, 1);
	fake_bulk_append(BULK_STREAM, "two\n");
	assert_int_equal(told, 1);
	/* there is something: nothing to tell before that was read */
	assert_int_equal(polled(node, &f, &handles[2]), POLLIN | POLLRDNORM);
	fake_bulk_append(BULK_STREAM, "three\n");
	assert_int_equal(told, 1);
	reads(node, &f, 0, "one\ntwo\nthree\n");
	assert_int_equal(told, 1);
	fake_bulk_append(BULK_STREAM, "four\n");
	assert_int_equal(told, 2);
	reads(node, &f, 14, "four\n");
	assert_int_equal(polled(node, &f, &handles[3]), 0);
	fake_bulk_final(BROKER_DONE);
	assert_int_equal(told, 3);
	reads(node, &f, 19, "");
	assert_int_equal(polled(node, &f, NULL), POLLIN | POLLRDNORM | POLLHUP);
	release(node, &f);
	assert_int_equal(told + dropped, 4);
}

static void final_files_are_always_ready(void **state)
{
	struct vfs_file f;
	uint64_t node;

	(void)state;
	fake_bulk_append(BULK_OUTPUT, "x\n");
	fake_bulk_final(BROKER_DONE);
	node = look(JOB, "output.jsonl");
	assert_int_equal(open_as(node, O_RDONLY, &f, NULL), 0);
	assert_true(polled(node, &f, NULL) & POLLIN);
	release(node, &f);
}

/* ---- items/ ------------------------------------------------------------------------------------------------------ */

static void a_line_is_a_response(void **state)
{
	uint64_t items = look(JOB, "items"), one = look(items, "line000001");
	struct vfs_reply_fake *r = vfs_reply_fake_new();

	(void)state;
	assert_string_equal(list(items), DOTS "line000001 line000002 line000003 ");
	assert_int_equal(jobdir_job_of(v, FAKE_JOB - 3), FAKE_JOB);
	assert_int_equal(jobdir_job_of(v, FAKE_JOB), 0);
	assert_int_equal(one, dir_of(FAKE_LINE + 1));
	assert_int_equal(look_code(items, "line000004"), ENOENT);
	assert_int_equal(look_code(items, "other"), ENOENT);
	assert_int_not_equal(look(one, "text"), 0);
	assert_int_equal(seen.st.st_size, 5);
	assert_string_equal(list(dir_of(FAKE_LINE + 2)),
			    DOTS "status ctl request.json error.json usage.json ");
	/* namespaces/space/responses/d/many/items/line000001/entry */
	responses_ops.readlink(v, &r->q, look(one, "entry"));
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	assert_true(str_starts(buf_str(&r->data), "../../../../../../../cache/"));
	vfs_reply_fake_free(r);
}

#define MANY 100000

static void a_hundred_thousand_are_paged(void **state)
{
	uint64_t items = look(JOB, "items"), off = 2;
	struct vfs_file f = open_dir(items);
	static char out[1 << 16];
	int next = 1;

	(void)state;
	bulk.lines = MANY;
	assert_int_equal(page(items, &f, 0, 1, out, sizeof(out)), 0);
	for (;;) {
		size_t n = page(items, &f, off, 4000, out, sizeof(out));
		char *save, *name = strtok_r(out, " ", &save);

		if (!n)
			break;
		/* the reader's buffer takes only half of it: the kernel asks again from there */
		n = n > 1 ? n / 2 : n;
		for (size_t i = 0; i < n; i++, name = strtok_r(NULL, " ", &save))
			assert_int_equal(atoi(name + 4), next++);
		off += n;
	}
	assert_int_equal(next, MANY + 1);
	/* asked for twice what was listed, and not again from the start for each page */
	assert_true(bulk.asked < 3 * MANY);
	/* back to the start, and somewhere into the middle */
	assert_int_not_equal(page(items, &f, 2, 100, out, sizeof(out)), 0);
	assert_true(str_starts(out, "line000001 "));
	assert_int_not_equal(page(items, &f, 2 + 777, 100, out, sizeof(out)), 0);
	assert_true(str_starts(out, "line000778 "));
	assert_int_equal(page(items, &f, 2 + MANY, 100, out, sizeof(out)), 0);
	assert_int_equal(page(items, &f, UINT64_MAX / 2, 100, out, sizeof(out)), 0);
	close_dir(items, &f);
	/* one that the end of the mount finds open */
	(void)open_dir(items);
	vfs_close(v);
}

/* what rm -r does to a line's directory */
static int rm_line(uint64_t items, int i)
{
	uint64_t line = dir_of(FAKE_LINE + i), samples, one;
	char name[32];

	(void)snprintf(name, sizeof(name), "line%06d", i);
	for (size_t k = 0; k < resptable_names.n; k++)
		if (!S_ISDIR(resptable_names.v[k].mode))
			(void)removed(line, resptable_names.v[k].name, false);
	samples = look(line, "samples");
	one = samples ? look(samples, "0") : 0;
	for (size_t k = 0; one && k < resptable_sample_names.n; k++)
		(void)removed(one, resptable_sample_names.v[k].name, false);
	if (one)
		(void)removed(samples, "0", true);
	(void)removed(line, "samples", true);
	return removed(items, name, true);
}

static void removed_as_a_tree(void **state)
{
	uint64_t items = look(JOB, "items");

	(void)state;
	bulk.lines = 3000;
	fake_bulk_final(BROKER_DONE);
	mono_test_set(MONO_S, MONO_S);
	items = look(JOB, "items");
	assert_int_equal(removed(JOB, "items", true), ENOTEMPTY);
	assert_int_equal(removed(JOB, "items", false), EISDIR);
	assert_int_equal(removed(items, "line000001", true), ENOTEMPTY);
	assert_int_equal(removed(items, "line000001", false), EISDIR);
	assert_int_equal(removed(items, "none", true), ENOENT);
	assert_int_equal(removed(JOB, "status", false), 0);
	for (int i = 1; i <= bulk.lines; i++) {
		/* it takes far longer than ten seconds */
		mono_test_set(MONO_S + (uint64_t)i * MONO_S, MONO_S);
		assert_int_equal(rm_line(items, i), 0);
	}
	assert_int_equal(look_code(items, "line000001"), ENOENT);
	assert_string_equal(list(items), DOTS);
	assert_int_equal(removed(JOB, "items", true), 0);
	for (size_t k = 0; k < resptable_job_names.n; k++)
		(void)removed(JOB, resptable_job_names.v[k].name, false);
	assert_true(responses_empty(v, fake_job()));
	responses_forget_hidden(v, FAKE_JOB);
	assert_int_not_equal(look(items, "line000001"), 0);
}

static void items_of_a_running_job_can_be_hidden(void **state)
{
	(void)state;
	assert_int_equal(removed(JOB, "items", true), 0);
	assert_string_equal(list(JOB), DOTS "status ctl ");
	assert_int_equal(removed(JOB, "status", false), 0);
	assert_int_equal(removed(JOB, "ctl", false), 0);
	assert_true(responses_empty(v, fake_job()));
}

/* ---- samples ------------------------------------------------------------------------------------------------------- */

static void a_thousand_samples(void **state)
{
	uint64_t samples, last, text;
	struct vfs_file f = { 0 };
	static char out[1 << 16];

	(void)state;
	name_of("sky", true)->view = (struct broker_view){
		.id = 9, .state = BROKER_DONE, .n = 1000, .has_request = true, .text_bytes = 3
	};
	samples = look(dir_of(9), "samples");
	last = look(samples, "999");
	assert_int_not_equal(last, 0);
	assert_int_equal(resptable_node(last).sample, 999);
	text = look(last, "text");
	assert_int_equal(resptable_node(text).sample, 999);
	assert_int_not_equal(text, look(look(samples, "0"), "text"));
	for (const char *const *bad = (const char *const[]){ "1000", "+1", "-0", " 1", "01", "1x",
							     "18446744073709551616", NULL };
	     *bad; bad++)
		assert_int_equal(look_code(samples, *bad), ENOENT);
	assert_int_equal(page(samples, &f, 0, 1 << 16, out, sizeof(out)), 1002);
	assert_non_null(strstr(out, " 998 999 "));
	assert_int_equal(removed(samples, "999", true), ENOTEMPTY);
	for (size_t k = 0; k < resptable_sample_names.n; k++)
		(void)removed(last, resptable_sample_names.v[k].name, false);
	assert_int_equal(removed(samples, "999", true), 0);
	assert_int_equal(look_code(samples, "999"), ENOENT);
	assert_int_not_equal(look(samples, "998"), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_listed),
		T(pending_names_are_out_of_date),
		T(the_whole_output_waits),
		T(a_wait_is_interrupted),
		T(a_failed_job_shows_why),
		T(a_retry_makes_other_files),
		T(ctl_words),
		T(stream_is_read_as_it_comes),
		T(progress_of_two_readers),
		T(woken_for_nothing_it_waits_on),
		T(poll_is_told_once_and_again_after_a_read),
		T(final_files_are_always_ready),
		T(a_line_is_a_response),
		T(a_hundred_thousand_are_paged),
		T(removed_as_a_tree),
		T(items_of_a_running_job_can_be_hidden),
		T(a_thousand_samples),
	};

	return cmocka_run_group_tests_name("jobs in the tree", tests, NULL, NULL);
}
