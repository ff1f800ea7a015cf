/* test_jobdir.c - items/ of a job: cookies, pages, who goes back, hidden lines, and the way up from a line */
/* LDFLAGS: -Wl,-z,muldefs */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/auto.h"
#include "base/mono.h"
#include "fakes/bulk.c"
#include "vfs/hide.h"
#include "vfs/responses.h"
#include "vfs_reply_fake.h"

#define FIRST 2u /* the cookie of the first line: after the dots */
#define ROOM  4000

static struct vfs *v;
static const char *root; /* of every line; NULL: it cannot be told */
static struct vfs_file file;
static uint64_t items;

int broker_root(struct broker *b, int64_t id, struct buf *out)
{
	(void)b;
	(void)id;
	return root ? buf_adds(out, root) : -ENOENT;
}

static int setup(void **state)
{
	(void)state;
	v = calloc(1, sizeof(*v));
	v->broker = fake_new();
	v->hide = hide_new();
	v->jobdir = jobdir_new();
	list_init(&v->opened);
	fake_bulk_new(3);
	root = "\00241";
	items = resptable_pack(&(struct response_node){ .id = FAKE_JOB, .kind = RESP_JOB_ITEMS });
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_true(list_empty(&v->opened));
	fake_get_more = NULL;
	fake_free();
	hide_free(v->hide);
	assert_null(jobdir_free(v->jobdir));
	assert_null(jobdir_free(NULL));
	free(v);
	return 0;
}

static void open_dir(uint64_t node, int unwanted)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();

	r->unwanted = unwanted;
	jobdir_open(v, &r->q, node);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	file = (struct vfs_file){ .fh = r->open.fh };
	vfs_reply_fake_free(r);
}

static void close_dir(void)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();

	jobdir_release(v, &r->q, items, &file);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	vfs_reply_fake_free(r);
}

/* one page: how many names, and the numbers of the first and last line (0 none) */
struct page {
	int names, first, last;
	bool attributes; /* of all */
};

static struct page page(uint64_t off, size_t room, bool plus)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	struct page p = { .attributes = true };
	const char *s, *end;

	jobdir_read(v, &r->q, items, &file, &(struct vfs_io){ off, room, NULL }, plus);
	assert_int_equal(vfs_reply_fake_wait(r), 0);
	for (s = buf_str(&r->data); *s; s = end + 1) {
		end = strchr(s, '\n');
		assert_non_null(end);
		p.names++;
		if (strncmp(s, "line", 4) != 0)
			continue;
		p.last = atoi(s + 4);
		if (!p.first)
			p.first = p.last;
		p.attributes &= !!memmem(s, (size_t)(end - s), " ind", 4);
	}
	vfs_reply_fake_free(r);
	return p;
}

static void shows(uint64_t off, size_t room, struct page want)
{
	struct page p = page(off, room, false);

	assert_int_equal(p.names, want.names);
	assert_int_equal(p.first, want.first);
	assert_int_equal(p.last, want.last);
}

static void hide_line(int n, bool hidden)
{
	struct broker_view view;
	struct vfs_entry e;

	assert_int_equal(broker_get(v->broker, FAKE_LINE + n, &view), 0);
	responses_dir_entry(v, &view, &e);
	if (hidden)
		hide_add(v->hide, items, e.nodeid);
	assert_int_equal(responses_hidden(v, &view), hidden);
}

/* ---- opening ---------------------------------------------------------------------------------------------- */

static void a_directory_of_something_else(void **state)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	struct response_node n = { .id = FAKE_JOB, .kind = RESP_DIR };

	(void)state;
	open_dir(resptable_pack(&n), 0);
	assert_int_equal(file.fh, 0);
	assert_true(list_empty(&v->opened));
	jobdir_read(v, &r->q, items, &file, &(struct vfs_io){ 0, ROOM, NULL }, false);
	assert_int_equal(vfs_reply_fake_wait(r), EBADF);
	vfs_reply_fake_free(r);
	close_dir();
}

static void an_opener_that_was_interrupted(void **state)
{
	(void)state;
	open_dir(items, -ENOENT); /* no release will come */
	assert_true(list_empty(&v->opened));
}

static void open_when_the_mount_ends(void **state)
{
	struct vfs_opened *o;

	(void)state;
	open_dir(items, 0);
	shows(0, ROOM, (struct page){ 5, 1, 3, false });
	o = LIST_ENTRY(v->opened.next, struct vfs_opened, link);
	o->close(v, o);
	assert_true(list_empty(&v->opened));
}

/* ---- pages ------------------------------------------------------------------------------------------------ */

static void no_lines(void **state)
{
	(void)state;
	bulk.lines = 0;
	open_dir(items, 0);
	shows(0, ROOM, (struct page){ 2, 0, 0, false });
	shows(1, ROOM, (struct page){ 1, 0, 0, false });
	shows(FIRST, ROOM, (struct page){ 0 });
	shows(UINT64_MAX, ROOM, (struct page){ 0 });
	close_dir();
	assert_true(jobdir_empty(v, FAKE_JOB));
}

static void no_room(void **state)
{
	(void)state;
	open_dir(items, 0);
	shows(0, 0, (struct page){ 0 });
	shows(0, 6, (struct page){ 1, 0, 0, false });
	shows(FIRST, 3, (struct page){ 0 });
	shows(FIRST, ROOM, (struct page){ 3, 1, 3, false });
	close_dir();
}

static void from_every_cookie(void **state)
{
	(void)state;
	bulk.lines = 50;
	open_dir(items, 0);
	for (int k = 0; k < 50; k++) /* forwards, backwards and with leaps */
		shows(FIRST + (unsigned)(k * 37 % 50), ROOM,
		      (struct page){ 50 - k * 37 % 50, k * 37 % 50 + 1, 50, false });
	shows(FIRST + 50, ROOM, (struct page){ 0 });
	shows(FIRST + 51, ROOM, (struct page){ 0 });
	close_dir();
}

/* reading on, and back into the last page, asks for each line once: no counting from the beginning */
static void the_last_page_is_remembered(void **state)
{
	uint64_t off = FIRST;
	int asked;

	(void)state;
	bulk.lines = 1000;
	open_dir(items, 0);
	while (off < FIRST + 990) {
		struct page p = page(off, 300, false);

		assert_int_equal(p.first, off - FIRST + 1);
		off += (unsigned)p.names;
	}
	assert_true(bulk.asked < 1300);
	asked = bulk.asked;
	(void)page(off - 3, 300, false);
	assert_true(bulk.asked - asked < 20);
	asked = bulk.asked;
	shows(FIRST + 500, 25, (struct page){ 1, 501, 501, false }); /* far back: counted out */
	assert_true(bulk.asked - asked >= 500);
	close_dir();
}

static void two_readers_have_their_own_places(void **state)
{
	struct vfs_file a, b;

	(void)state;
	bulk.lines = 40;
	open_dir(items, 0);
	a = file;
	open_dir(items, 0);
	b = file;
	assert_true(a.fh != b.fh);
	for (unsigned i = 0; i < 20; i++) {
		file = i & 1 ? a : b;
		shows(FIRST + (i & 1 ? i : 39 - i), 25,
		      (struct page){ 1, (int)(i & 1 ? i : 39 - i) + 1,
				     (int)(i & 1 ? i : 39 - i) + 1, false });
	}
	close_dir();
	file = file.fh == a.fh ? b : a;
	close_dir();
}

static void lines_that_come_while_it_is_read(void **state)
{
	(void)state;
	open_dir(items, 0);
	shows(0, ROOM, (struct page){ 5, 1, 3, false });
	bulk.lines = 6;
	shows(FIRST + 3, ROOM, (struct page){ 3, 4, 6, false });
	bulk.lines = 2; /* written anew, with fewer */
	shows(FIRST + 6, ROOM, (struct page){ 0 });
	shows(0, ROOM, (struct page){ 4, 1, 2, false });
	close_dir();
}

static void attributes_when_asked(void **state)
{
	struct page p;

	(void)state;
	open_dir(items, 0);
	p = page(FIRST, ROOM, true);
	assert_int_equal(p.names, 3);
	assert_true(p.attributes);
	p = page(FIRST, ROOM, false);
	assert_int_equal(p.names, 3);
	assert_false(p.attributes);
	close_dir();
}

/* ---- hidden lines ------------------------------------------------------------------------------------------- */

static void hidden_lines_keep_the_cookies(void **state)
{
	(void)state;
	bulk.lines = 5;
	open_dir(items, 0);
	hide_line(1, true);
	hide_line(4, true);
	hide_line(2, false);
	shows(0, ROOM, (struct page){ 5, 2, 5, false });
	shows(FIRST + 1, ROOM, (struct page){ 3, 2, 5, false });
	shows(FIRST + 3, ROOM, (struct page){ 1, 5, 5, false });
	assert_false(jobdir_empty(v, FAKE_JOB));
	for (int i = 1; i <= 5; i++)
		hide_line(i, true);
	shows(0, ROOM, (struct page){ 2, 0, 0, false });
	assert_true(jobdir_empty(v, FAKE_JOB));
	hide_drop_children(v->hide, items);
	assert_false(jobdir_empty(v, FAKE_JOB));
	shows(0, ROOM, (struct page){ 7, 1, 5, false });
	close_dir();
}

static void one_that_is_left_is_enough(void **state)
{
	(void)state;
	bulk.lines = 100;
	for (int i = 1; i < 100; i++)
		hide_line(i, true);
	assert_false(jobdir_empty(v, FAKE_JOB));
	hide_line(100, true);
	assert_true(jobdir_empty(v, FAKE_JOB));
}

/* ---- the way up --------------------------------------------------------------------------------------------- */

static void nobody_has_looked(void **state)
{
	(void)state;
	assert_int_equal(jobdir_job_of(v, 41), 0);
	assert_int_equal(jobdir_job_of(v, 0), 0);
	assert_int_equal(jobdir_job_of(v, -1), 0);
}

static void a_listing_teaches(void **state)
{
	(void)state;
	open_dir(items, 0);
	shows(0, ROOM, (struct page){ 5, 1, 3, false });
	close_dir();
	assert_int_equal(jobdir_job_of(v, 41), FAKE_JOB);
	assert_int_equal(jobdir_job_of(v, 42), 0);
}

static void roots_that_are_no_line(void **state)
{
	static const char *const roots[] = { NULL, "", "space", "41", "\00141" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		root = roots[i];
		jobdir_learn(v, 7, FAKE_LINE + 1);
		assert_int_equal(jobdir_job_of(v, 41), 0);
		assert_int_equal(jobdir_job_of(v, 0), 0);
	}
}

/* the file's row is a new one after it was written again: the last look counts */
static void the_last_look_counts(void **state)
{
	(void)state;
	for (int64_t job = 7; job < 12; job++) {
		jobdir_learn(v, job, FAKE_LINE + 1);
		assert_int_equal(jobdir_job_of(v, 41), job);
	}
	root = "\0029223372036854775807";
	jobdir_learn(v, 3, FAKE_LINE + 1);
	assert_int_equal(jobdir_job_of(v, INT64_MAX), 3);
	assert_int_equal(jobdir_job_of(v, 41), 11);
}

/* at the limit all are forgotten at once, and learnt again by who looks; the newest is always known */
static void memory_of_ways_is_bounded(void **state)
{
	enum { LIMIT = 1 << 16 };
	char text[32];

	(void)state;
	root = text;
	for (int i = 1; i <= LIMIT + 5; i++) {
		(void)snprintf(text, sizeof(text), "\002%d", i);
		jobdir_learn(v, i, FAKE_LINE + 1);
		assert_int_equal(jobdir_job_of(v, i), i);
		if (i == LIMIT)
			assert_int_equal(jobdir_job_of(v, 1), 1);
	}
	assert_int_equal(jobdir_job_of(v, 1), 0);
	assert_int_equal(jobdir_job_of(v, LIMIT), 0);
	assert_int_equal(jobdir_job_of(v, LIMIT + 1), LIMIT + 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_directory_of_something_else),
		T(an_opener_that_was_interrupted),
		T(open_when_the_mount_ends),
		T(no_lines),
		T(no_room),
		T(from_every_cookie),
		T(the_last_page_is_remembered),
		T(two_readers_have_their_own_places),
		T(lines_that_come_while_it_is_read),
		T(attributes_when_asked),
		T(hidden_lines_keep_the_cookies),
		T(one_that_is_left_is_enough),
		T(nobody_has_looked),
		T(a_listing_teaches),
		T(roots_that_are_no_line),
		T(the_last_look_counts),
		T(memory_of_ways_is_bounded),
	};

	return cmocka_run_group_tests_name("jobdir", tests, NULL, NULL);
}
