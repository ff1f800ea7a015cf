/* test_bulk_write.c - result lines, and the two files of them in the order of the input */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "broker_fixture.h"
#include "jobs/bulk.h"

struct stage {
	struct fixture f;
	struct bulk k;
	struct bulk_place at;
};

static int setup(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	*state = s;
	if (!s || fixture_open(&s->f) < 0)
		return -1;
	s->k.b = s->f.broker;
	s->k.lines = s->at.lines = 3;
	s->k.id = s->at.job = 4;
	s->k.stream = s->k.pass.output.fd = s->k.pass.errors.fd = -1;
	return 0;
}

static int teardown(void **state)
{
	struct stage *s = *state;

	(void)bulk_spool_end(&s->k.pass.output);
	(void)bulk_spool_end(&s->k.pass.errors);
	if (s->k.stream >= 0)
		(void)close(s->k.stream);
	free(s->k.pass.places);
	fixture_close(&s->f);
	free(s);
	return 0;
}

/* ---- a stream, its lines in order of completion ---- */

static void open_stream(struct stage *s, size_t lines)
{
	assert_int_equal(bulk_spool_make(s->k.b, s->at.lines), 0);
	s->k.stream = bulk_spool_open(s->k.b, s->at, BULK_SPOOL_STREAM, O_RDWR | O_CREAT | O_TRUNC);
	assert_true(s->k.stream >= 0);
	free(s->k.pass.places);
	s->k.pass.places = calloc(lines + 1, sizeof(*s->k.pass.places));
	assert_non_null(s->k.pass.places);
	s->k.counts.total = lines;
}

static void add(struct stage *s, size_t nth, bool failed, const char *text)
{
	struct buf b = BUF_INIT((size_t)1 << 26);

	assert_int_equal(buf_adds(&b, text), 0);
	assert_int_equal(bulk_spool_append(s->k.stream, s->k.stream_bytes, &b), 0);
	s->k.pass.places[nth] = (s->k.stream_bytes + 1) | (failed ? BULK_PLACE_FAILED : 0);
	s->k.stream_bytes += b.len;
	buf_done(&b);
}

static int write_all(struct stage *s, unsigned *out_turns)
{
	int r;

	*out_turns = 0;
	do
		++*out_turns;
	while ((r = bulk_write_turn(&s->k)) == 1);
	return r;
}

static char *slurp(struct stage *s, enum bulk_file f)
{
	struct buf b = BUF_INIT((size_t)1 << 26);
	int fd = bulk_spool_open(s->k.b, s->at, f, O_RDONLY);

	if (fd < 0)
		return NULL;
	assert_int_equal(fdio_read_all(fd, &b), 0);
	(void)close(fd);
	if (!b.len) {
		buf_done(&b);
		return strdup("");
	}
	return buf_steal(&b, NULL);
}

static void assert_file(struct stage *s, enum bulk_file f, const char *want)
{
	char *text = slurp(s, f);

	if (want)
		assert_non_null(text);
	else
		assert_null(text);
	if (want)
		assert_string_equal(text, want);
	free(text);
}

/* ---- failures first ---- */

static void without_a_directory_nothing_is_written(void **state)
{
	struct stage *s = *state;

	assert_int_equal(bulk_write_turn(&s->k), -ENOENT);
	assert_int_equal(s->k.pass.output.fd, -1);
	assert_int_equal(s->k.pass.errors.fd, -1);
}

static void a_file_that_cannot_be_made_leaves_none_open(void **state)
{
	struct stage *s = *state;

	open_stream(s, 0);
	assert_int_equal(symlinkat("/", s->k.b->o.jobs_dirfd, "3/errors-new.4"), 0);
	assert_int_equal(bulk_write_turn(&s->k), -ELOOP);
	assert_int_equal(s->k.pass.output.fd, -1);
	assert_int_equal(s->k.pass.errors.fd, -1);
	assert_file(s, BULK_SPOOL_OUTPUT, NULL);
	assert_int_equal(unlinkat(s->k.b->o.jobs_dirfd, "3/errors-new.4", 0), 0);
	assert_int_equal(bulk_write_turn(&s->k), 0);
	assert_file(s, BULK_SPOOL_OUTPUT, "");
}

/* the old outputs stay until the new ones are whole, and another try begins anew */
static void a_damaged_stream_changes_no_output(void **state)
{
	static const struct {
		uint64_t place; /* of the second line */
		int code;
	} cases[] = {
		{ 0, -ENOENT },			 /* it has no result */
		{ 1000, -EIO },			 /* behind the end */
		{ BULK_PLACE_FAILED | 5, -EIO }, /* at the end */
		{ UINT64_MAX >> 1, -EINVAL },	 /* no offset of a file */
	};
	struct stage *s = *state;
	unsigned turns;

	open_stream(s, 1);
	add(s, 0, false, "old\n");
	assert_int_equal(write_all(s, &turns), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)close(s->k.stream);
		s->k.stream_bytes = 0;
		open_stream(s, 2);
		add(s, 0, false, "new\n");
		s->k.pass.places[1] = cases[i].place;
		assert_int_equal(write_all(s, &turns), cases[i].code);
		assert_int_equal(s->k.pass.output.fd, -1);
		assert_int_equal(s->k.pass.errors.fd, -1);
		assert_file(s, BULK_SPOOL_OUTPUT, "old\n");
		assert_file(s, BULK_SPOOL_ERRORS, "");
	}
	add(s, 1, true, "half a line");
	assert_int_equal(write_all(s, &turns), -EIO);
	assert_file(s, BULK_SPOOL_OUTPUT, "old\n");
	s->k.stream_bytes = 4;
	add(s, 1, true, "a whole line\n");
	assert_int_equal(write_all(s, &turns), 0);
	assert_file(s, BULK_SPOOL_OUTPUT, "new\na whole line\n"); /* "new" once */
	assert_file(s, BULK_SPOOL_ERRORS, "a whole line\n");
}

/* ---- the two files ---- */

static void lines_come_in_the_order_of_the_input(void **state)
{
	struct stage *s = *state;
	unsigned turns;

	open_stream(s, 5);
	add(s, 3, true, "{\"custom_id\":\"d\"}\n");
	add(s, 0, false, "{\"custom_id\":\"a\"}\n");
	add(s, 4, false, "{\"custom_id\":\"e\"}\n");
	add(s, 1, true, "{\"custom_id\":\"b\"}\n");
	add(s, 2, false, "\n");
	assert_int_equal(write_all(s, &turns), 0);
	assert_file(s, BULK_SPOOL_OUTPUT,
		    "{\"custom_id\":\"a\"}\n{\"custom_id\":\"b\"}\n\n{\"custom_id\":\"d\"}\n"
		    "{\"custom_id\":\"e\"}\n");
	assert_file(s, BULK_SPOOL_ERRORS, "{\"custom_id\":\"b\"}\n{\"custom_id\":\"d\"}\n");
	assert_file(s, BULK_SPOOL_OUTPUT_NEW, NULL);
	assert_file(s, BULK_SPOOL_ERRORS_NEW, NULL);
}

static void lines_are_whole_at_the_edges_of_blocks(void **state)
{
	static const size_t sizes[] = { 4095, 1, 4096, 4097, 8192, 300000, 2, 262144 };
	enum { N = sizeof(sizes) / sizeof(sizes[0]) };
	struct stage *s = *state;
	struct buf line = BUF_INIT((size_t)1 << 20), want = BUF_INIT((size_t)1 << 22);
	unsigned turns;

	open_stream(s, N);
	for (size_t i = N; i-- > 0;) { /* the last one first */
		buf_clear(&line);
		while (line.len + 1 < sizes[i])
			(void)buf_addc(&line, (char)('a' + i));
		(void)buf_addc(&line, '\n');
		add(s, i, false, buf_str(&line));
	}
	for (size_t i = 0; i < N; i++) {
		for (size_t n = 1; n < sizes[i]; n++)
			(void)buf_addc(&want, (char)('a' + i));
		(void)buf_addc(&want, '\n');
	}
	assert_int_equal(write_all(s, &turns), 0);
	assert_file(s, BULK_SPOOL_OUTPUT, buf_str(&want));
	buf_done(&line);
	buf_done(&want);
}

/* other work on the pool has its turn, too */
static void many_lines_take_several_turns(void **state)
{
	enum { N = 60000 };
	struct stage *s = *state;
	struct buf all = BUF_INIT((size_t)1 << 24), want = BUF_INIT((size_t)1 << 24);
	unsigned turns;

	open_stream(s, N);
	for (unsigned i = N; i-- > 0;) {
		s->k.pass.places[i] = (all.len + 1) | (i % 1000 ? 0 : BULK_PLACE_FAILED);
		(void)buf_addf(&all, "line %u\n", i);
	}
	assert_int_equal(bulk_spool_append(s->k.stream, 0, &all), 0);
	assert_int_equal(write_all(s, &turns), 0);
	assert_true(turns > 1);
	for (unsigned i = 0; i < N; i++)
		(void)buf_addf(&want, "line %u\n", i);
	assert_file(s, BULK_SPOOL_OUTPUT, buf_str(&want));
	buf_clear(&want);
	for (unsigned i = 0; i < N; i += 1000)
		(void)buf_addf(&want, "line %u\n", i);
	assert_file(s, BULK_SPOOL_ERRORS, buf_str(&want));
	buf_done(&all);
	buf_done(&want);
}

static void the_first_failure_speaks_for_all(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *says;
		unsigned no;
	} cases[] = {
		{ "{\"custom_id\":\"b\",\"error\":{\"errno\":\"EINVAL\",\"message\":\"no such "
		  "field\",\"line\":7}}\n",
		  EINVAL, "the first, \"b\": no such field", 7 },
		{ "{\"custom_id\":\"b\",\"error\":{\"errno\":\"ENODATA\",\"message\":\"m\"}}\n",
		  ENODATA, "\"b\": m", 0 },
		{ "{\"custom_id\":\"b\",\"error\":null}\n", EIO, "\"b\": unknown", 0 },
		{ "{\"error\":\"text\"}\n", EIO, "\"\": unknown", 0 },
		{ "not JSON\n", EIO, "\"\": unknown", 0 },
		{ "\n", EIO, "\"\": unknown", 0 },
	};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned turns;

		if (s->k.stream >= 0)
			(void)close(s->k.stream);
		s->k.stream_bytes = 0;
		open_stream(s, 3);
		add(s, 2, true, "{\"custom_id\":\"c\",\"error\":{\"errno\":\"EIO\"}}\n");
		add(s, 1, true, cases[i].line);
		add(s, 0, false, "{}\n");
		assert_int_equal(write_all(s, &turns), 0);
		assert_int_equal(s->k.pass.first.code, cases[i].code);
		assert_non_null(strstr(s->k.pass.first.message, cases[i].says));
		assert_int_equal(s->k.pass.first.line, cases[i].no);
	}
}

/* ---- one line ---- */

static json_t *line_of(struct stage *s, const struct ledger_row *row)
{
	struct buf b = BUF_INIT((size_t)1 << 20);
	json_t *o;

	assert_int_equal(bulk_write_line(s->k.b, row, &b), 0);
	assert_ptr_equal(strchr(buf_str(&b), '\n'), buf_str(&b) + b.len - 1);
	o = json_loads(buf_str(&b), JSON_REJECT_DUPLICATES, NULL);
	if (!o)
		fail_msg("%s", buf_str(&b));
	assert_int_equal(json_object_size(o), 5);
	buf_done(&b);
	return o;
}

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static void a_line_says_who_it_is_and_why_not(void **state)
{
	static const struct {
		const char *path, *envelope, *error;
		const char *custom_id, *request_id, *message;
	} cases[] = {
		/* damaged rows: known by their name */
		{ "7", NULL, NULL, "7", "7", NULL },
		{ "7", "{", "", "7", "7", NULL },
		{ "7", "[]", "\n", "7", "7", NULL },
		{ "x%2Fy", "{\"custom_id\":5}", "null\n", "x%2Fy", "x%2Fy", NULL },
		{ "x%2Fy", "{\"custom_id\":\"x/y\",\"line\":3}", "{\"message\":\"no\"}\n", "x/y",
		  "x/y", "no" },
		{ "q", "{\"custom_id\":\"\\\"\\n\\u00e9\\\\\"}", "{\"message\":\"a\\nb\"}",
		  "\"\n\u00e9\\", "\"\n\u00e9\\", "a\nb" },
		{ "a",
		  "{\"custom_id\":\"a\",\"backend\":\"e\",\"model\":\"m\",\"request_id\":\"my "
		  "own\"}",
		  "{\"message\":\"no\"}", "a", "my own", "no" },
	};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ledger_row row = { .state = LEDGER_FAILED,
					  .root = (char *)(uintptr_t) "\0023",
					  .path = (char *)(uintptr_t)cases[i].path,
					  .envelope = (char *)(uintptr_t)cases[i].envelope,
					  .error = (char *)(uintptr_t)cases[i].error };
		json_t *o = line_of(s, &row);

		assert_string_equal(text_of(o, "custom_id"), cases[i].custom_id);
		assert_string_equal(text_of(o, "request_id"), cases[i].request_id);
		assert_true(json_is_null(json_object_get(o, "key")));
		assert_true(json_is_null(json_object_get(o, "response")));
		if (cases[i].message)
			assert_string_equal(text_of(json_object_get(o, "error"), "message"),
					    cases[i].message);
		else
			assert_true(json_is_null(json_object_get(o, "error")));
		json_decref(o);
	}
}

/* an answer that nobody can read is an error of its line, never one of the job */
static void an_answer_that_is_gone_is_an_error_of_its_line(void **state)
{
	struct stage *s = *state;
	struct ledger_row row = { .id = 4711,
				  .state = LEDGER_DONE,
				  .root = (char *)(uintptr_t) "\0023",
				  .path = (char *)(uintptr_t) "a",
				  .has_key = true,
				  .key = { { 0xab } } };
	json_t *o = line_of(s, &row), *e = json_object_get(o, "error");

	assert_true(json_is_null(json_object_get(o, "response")));
	assert_memory_equal(text_of(o, "key"), "ab00", 4);
	assert_int_equal(strlen(text_of(o, "key")), KEY_HEX);
	assert_string_equal(text_of(e, "errno"), "EIO");
	assert_non_null(strstr(text_of(e, "message"), "\"cache\":\"bypass\"")); /* what to do */
	json_decref(o);
}

static void a_line_is_written_whole_or_not(void **state)
{
	struct stage *s = *state;
	struct ledger_row row = { .state = LEDGER_CANCELLED,
				  .root = (char *)(uintptr_t) "\0023",
				  .path = (char *)(uintptr_t) "a",
				  .error = (char *)(uintptr_t) "{\"message\":\"cancelled\"}" };
	struct buf whole = BUF_INIT(4096);
	size_t len;

	assert_int_equal(bulk_write_line(s->k.b, &row, &whole), 0);
	len = whole.len;
	buf_done(&whole);
	for (size_t max = 0; max < len; max++) {
		struct buf b = BUF_INIT(max);

		assert_int_equal(bulk_write_line(s->k.b, &row, &b), -EFBIG);
		buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(without_a_directory_nothing_is_written),
		T(a_file_that_cannot_be_made_leaves_none_open),
		T(a_damaged_stream_changes_no_output),
		T(lines_come_in_the_order_of_the_input),
		T(lines_are_whole_at_the_edges_of_blocks),
		T(many_lines_take_several_turns),
		T(the_first_failure_speaks_for_all),
		T(a_line_says_who_it_is_and_why_not),
		T(an_answer_that_is_gone_is_an_error_of_its_line),
		T(a_line_is_written_whole_or_not),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
