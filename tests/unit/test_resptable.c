/* test_resptable.c - names of a response and the node ids made from them */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/auto.h"
#include "base/mono.h"
#include "vfs/responses.h"

static const struct response_names *const tables[] = { &resptable_names, &resptable_job_names,
						       &resptable_sample_names };

static void same_node(struct response_node a, struct response_node b)
{
	assert_int_equal(a.id, b.id);
	assert_int_equal(a.kind, b.kind);
	assert_int_equal(a.sample, b.sample);
	assert_int_equal(a.gen, b.gen);
	assert_int_equal(a.pending, b.pending);
}

/* ---- node ids -------------------------------------------------------------------------------------------- */

#define ID_MAX ((INT64_C(1) << 40) - 1)

static void a_node_survives_its_id(void **state)
{
	static const struct response_node nodes[] = {
		{ 1, RESP_DIR, 0, 0, false },
		{ ID_MAX, RESP_KINDS - 1, 0x3ff, 0xf, true },
		{ ID_MAX, RESP_DIR, 0, 0, false },
		{ 1, RESP_S_TEXT, 1000, 0, true },
		{ 1, RESP_TEXT, 0, 15, false },
		{ 0x5555555555, RESP_JOB_ITEMS, 0x155, 5, true },
		{ 0xaaaaaaaaaa, RESP_STATUS, 0x2aa, 10, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		uint64_t id = resptable_pack(&nodes[i]);

		assert_int_equal(VFS_ROOM_OF(id), VFS_RESPONSE);
		same_node(resptable_node(id), nodes[i]);
	}
}

/* what does not fit its bits must not run into the next field, nor into the room */
static void too_large_is_cut_not_carried(void **state)
{
	static const struct {
		struct response_node in, out;
	} cuts[] = {
		{ { ID_MAX + 1, RESP_DIR, 3, 2, false }, { 0, RESP_DIR, 3, 2, false } },
		{ { -1, RESP_TEXT, 0, 0, false }, { ID_MAX, RESP_TEXT, 0, 0, false } },
		{ { 9, RESP_TEXT, 0x400, 0, false }, { 9, RESP_TEXT, 0, 0, false } },
		{ { 9, RESP_TEXT, 0xffffffff, 0, false }, { 9, RESP_TEXT, 0x3ff, 0, false } },
		{ { 9, RESP_TEXT, 7, 16, false }, { 9, RESP_TEXT, 7, 0, false } },
		{ { 9, RESP_TEXT, 7, 0xffffffff, false }, { 9, RESP_TEXT, 7, 0xf, false } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		uint64_t id = resptable_pack(&cuts[i].in);

		assert_int_equal(VFS_ROOM_OF(id), VFS_RESPONSE);
		same_node(resptable_node(id), cuts[i].out);
	}
}

static void each_member_makes_another_node(void **state)
{
	const struct response_node plain = { 77, RESP_TEXT, 1, 1, false };
	struct response_node n[5] = { plain, plain, plain, plain, plain };

	(void)state;
	n[0].id++;
	n[1].kind = RESP_STREAM;
	n[2].sample++;
	n[3].gen++;
	n[4].pending = true;
	for (size_t i = 0; i < ARRAY_LEN(n); i++) {
		assert_true(resptable_pack(&n[i]) != resptable_pack(&plain));
		for (size_t k = 0; k < i; k++)
			assert_true(resptable_pack(&n[i]) != resptable_pack(&n[k]));
	}
}

/* a number that nobody packed: the kernel's, after a mount was replaced */
static void any_number_can_be_taken_apart(void **state)
{
	static const uint64_t odd[] = { 0, 1, UINT64_MAX, VFS_NODE(VFS_RESPONSE, 0),
					VFS_NODE(VFS_RESPONSE, (1ULL << 60) - 1) };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct response_node n = resptable_node(odd[i]);

		assert_true(n.id >= 0 && n.id <= ID_MAX);
		assert_true(n.sample <= 0x3ff && n.gen <= 0xf);
		/* a kind beyond the last one has no name and is no job's file */
		if (n.kind == 0 || n.kind >= RESP_KINDS)
			assert_null(resptable_name(n.kind));
	}
}

/* ---- tables ---------------------------------------------------------------------------------------------- */

static void names_and_kinds_are_unique(void **state)
{
	unsigned seen[RESP_KINDS] = { 0 };

	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		for (size_t i = 0; i < tables[t]->n; i++) {
			const struct response_name *a = &tables[t]->v[i];

			assert_true(a->kind > RESP_DIR && a->kind < RESP_KINDS);
			assert_non_null(a->name);
			assert_true(a->name[0] && !strchr(a->name, '/') && a->name[0] != '.');
			for (size_t k = 0; k < i; k++)
				assert_string_not_equal(tables[t]->v[k].name, a->name);
			if (t != 1)
				seen[a->kind]++;
		}
	}
	for (int k = 0; k < RESP_KINDS; k++)
		assert_true(seen[k] <= 1);
}

/* a kind in two tables must be the same name and file, since only one row of it is ever found */
static void shared_rows_agree(void **state)
{
	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		for (size_t i = 0; i < tables[t]->n; i++) {
			const struct response_name *a = &tables[t]->v[i];
			const struct response_name *found = resptable_name(a->kind);

			assert_non_null(found);
			assert_string_equal(found->name, a->name);
			assert_int_equal(found->mode, a->mode);
			assert_int_equal(found->file, a->file);
		}
	}
	assert_null(resptable_name(RESP_DIR));
	assert_null(resptable_name(RESP_SAMPLE));
	assert_null(resptable_name(RESP_KINDS));
	assert_null(resptable_name((enum response_kind)0));
	assert_null(resptable_name((enum response_kind) - 1));
}

static void only_ctl_is_written_and_nothing_is_run(void **state)
{
	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		for (size_t i = 0; i < tables[t]->n; i++) {
			const struct response_name *a = &tables[t]->v[i];

			if (S_ISREG(a->mode))
				assert_int_equal(a->mode & 0111, 0);
			assert_int_equal((a->mode & 0777) == 0600, !strcmp(a->name, "ctl"));
			/* waiting at open and waiting at read exclude each other, as do text and
			 * vectors */
			assert_false((a->when & NAME_WAITS) && (a->when & NAME_STREAM));
			assert_false((a->when & NAME_TEXT) && (a->when & NAME_VECTORS));
			/* what waits for the end is listed at an end */
			if (a->when & (NAME_WAITS | NAME_STREAM))
				assert_true(a->when & WHEN_DONE);
			if (a->when & WHEN_IF_ANY)
				assert_true(a->when & WHEN_DONE);
		}
	}
}

/* the names that a state lists, each with a blank behind it */
static void listed(const struct response_names *names, enum broker_state s, const char *want)
{
	char text[512] = "";

	for (size_t i = 0; i < names->n; i++)
		if (names->v[i].when & resptable_when(s) && !(names->v[i].when & WHEN_IF_ANY)) {
			(void)strncat(text, names->v[i].name, 100);
			(void)strncat(text, " ", 2);
		}
	assert_string_equal(text, want);
}

static void what_each_state_lists(void **state)
{
	(void)state;
	listed(&resptable_names, BROKER_REFUSED, "status ctl error.json ");
	listed(&resptable_names, BROKER_QUEUED, "status ctl request.json ");
	listed(&resptable_names, BROKER_RUNNING, "status ctl request.json ");
	listed(&resptable_names, BROKER_FAILED, "status ctl request.json error.json usage.json ");
	listed(&resptable_names, BROKER_CANCELLED,
	       "status ctl request.json error.json usage.json ");
	listed(&resptable_names, BROKER_DONE,
	       "status ctl request.json usage.json text stream response.json embedding.json "
	       "embedding.npy samples entry ");
	listed(&resptable_job_names, BROKER_REFUSED, "status ctl error.json ");
	listed(&resptable_job_names, BROKER_CANCELLED,
	       "status ctl error.json usage.json progress stream output.jsonl errors.jsonl "
	       "items ");
	listed(&resptable_sample_names, BROKER_RUNNING, "");
	listed(&resptable_sample_names, BROKER_FAILED, "");
	listed(&resptable_sample_names, BROKER_DONE,
	       "text embedding.json embedding.npy response.json raw.json meta.json ");
}

/* ---- words ------------------------------------------------------------------------------------------------ */

static void words_of_states(void **state)
{
	static const struct {
		enum broker_state s;
		unsigned bulk_failed;
		const char *word, *ctl;
	} rows[] = {
		{ BROKER_REFUSED, 0, "failed\n", "" },
		{ BROKER_QUEUED, 0, "queued\n", "cancel\n" },
		{ BROKER_RUNNING, 0, "running\n", "cancel\n" },
		{ BROKER_RUNNING, 3, "running\n", "cancel\n" },
		{ BROKER_DONE, 0, "done\n", "" },
		{ BROKER_DONE, 1, "done\n", "retry\n" },
		{ BROKER_FAILED, 0, "failed\n", "retry\n" },
		{ BROKER_CANCELLED, 0, "cancelled\n", "retry\n" },
		{ (enum broker_state)99, 0, "failed\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct broker_view view = { .state = rows[i].s };

		if (rows[i].bulk_failed)
			view.bulk_failed = rows[i].bulk_failed;
		assert_string_equal(resptable_word(rows[i].s), rows[i].word);
		assert_string_equal(resptable_ctl_words(&view), rows[i].ctl);
	}
}

/* ---- a job's files ------------------------------------------------------------------------------------------ */

static void which_file_of_a_job(void **state)
{
	static const struct {
		enum response_kind kind;
		enum broker_bulk_file f;
	} files[] = {
		{ RESP_JOB_PROGRESS, BULK_PROGRESS },
		{ RESP_JOB_STREAM, BULK_STREAM },
		{ RESP_JOB_OUTPUT, BULK_OUTPUT },
		{ RESP_JOB_ERRORS, BULK_ERRORS },
	};
	unsigned found = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		enum broker_bulk_file f = (enum broker_bulk_file)99;

		assert_true(resptable_job_file(files[i].kind, &f));
		assert_int_equal(f, files[i].f);
	}
	for (int k = 0; k <= RESP_KINDS; k++) {
		enum broker_bulk_file f = (enum broker_bulk_file)99;

		if (resptable_job_file((enum response_kind)k, &f))
			found++;
		else
			assert_int_equal(f, 99); /* an output is untouched on failure */
	}
	assert_int_equal(found, ARRAY_LEN(files));
}

static void a_version_only_of_final_files(void **state)
{
	struct broker_view view = { .state = BROKER_RUNNING, .changed_ns = 5 * MONO_S };

	(void)state;
	assert_int_equal(resptable_version(RESP_JOB_OUTPUT, &view), 0);
	view.state = BROKER_DONE;
	assert_int_equal(resptable_version(RESP_JOB_PROGRESS, &view), 0);
	assert_int_equal(resptable_version(RESP_JOB_STREAM, &view), 0);
	assert_int_equal(resptable_version(RESP_JOB_ITEMS, &view), 0);
	assert_int_equal(resptable_version(RESP_TEXT, &view), 0);
	assert_true(resptable_version(RESP_JOB_ERRORS, &view) > 0);
}

static void a_version_fits_a_node_and_changes(void **state)
{
	struct broker_view view = { .state = BROKER_FAILED };
	unsigned last = 0, changes = 0;

	(void)state;
	for (uint64_t t = 0; t < 2000; t++) {
		struct response_node n = { .id = 7, .kind = RESP_JOB_OUTPUT };

		view.changed_ns = t * 999983;
		n.sample = resptable_version(RESP_JOB_OUTPUT, &view);
		assert_true(n.sample > 0);
		same_node(resptable_node(resptable_pack(&n)), n);
		assert_int_equal(n.sample, resptable_version(RESP_JOB_ERRORS, &view));
		changes += n.sample != last;
		last = n.sample;
	}
	assert_true(changes > 1900); /* 1 in 1023 is the same by chance */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_survives_its_id),
		cmocka_unit_test(too_large_is_cut_not_carried),
		cmocka_unit_test(each_member_makes_another_node),
		cmocka_unit_test(any_number_can_be_taken_apart),
		cmocka_unit_test(names_and_kinds_are_unique),
		cmocka_unit_test(shared_rows_agree),
		cmocka_unit_test(only_ctl_is_written_and_nothing_is_run),
		cmocka_unit_test(what_each_state_lists),
		cmocka_unit_test(words_of_states),
		cmocka_unit_test(which_file_of_a_job),
		cmocka_unit_test(a_version_only_of_final_files),
		cmocka_unit_test(a_version_fits_a_node_and_changes),
	};

	return cmocka_run_group_tests_name("resptable", tests, NULL, NULL);
}
