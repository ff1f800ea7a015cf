/* test_broker_bulk.c - jobs of many lines over a real ledger and store, with the echo backend */
#include <errno.h>
#include <fcntl.h>
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

#include "base/lock.h"
#include "base/mono.h"
#include "broker_fixture.h"
#include "core/key.h"
#include "jobs/broker_bulk.h"

#define PATIENCE (60 * MONO_S)

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return f ? fixture_open(f) : -1;
}

static int teardown(void **state)
{
	fixture_close(*state);
	free(*state);
	return 0;
}

/* ---- a file, and its check ---- */

struct told {
	struct lock lock;
	struct cond cond;
	bool there, same;
	int code;
	int64_t id;
};

static void told_init(struct told *t)
{
	*t = (struct told){ 0 };
	lock_init(&t->lock, LOCK_NODE);
	cond_init(&t->cond);
}

static void tell(struct told *t, int code, int64_t id, bool same)
{
	lock_take(&t->lock);
	t->there = true;
	t->code = code;
	t->id = id;
	t->same = same;
	cond_broadcast(&t->cond);
	lock_drop(&t->lock);
}

static void listen(struct told *t)
{
	uint64_t until = mono_ns() + PATIENCE;

	lock_take(&t->lock);
	while (!t->there && cond_wait_until(&t->cond, &t->lock, until))
		continue;
	assert_true(t->there);
	lock_drop(&t->lock);
	cond_done(&t->cond);
	lock_done(&t->lock);
}

static void checked(void *arg, const struct broker_accepted *r)
{
	tell(arg, r->code, r->id, r->same);
}

static int temp_file(const char *text, size_t n)
{
	char name[] = "/tmp/inferfs-lines.XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	for (size_t at = 0; at < n;) {
		ssize_t k = write(fd, text + at, n - at);

		assert_true(k > 0);
		at += (size_t)k;
	}
	return fd;
}

struct written {
	const char *path, *suffix, *text;
	const json_t *defaults;
	bool open, held; /* a writer is left; not sent yet */
	size_t n;	 /* 0: strlen */
};

static struct told submit(struct fixture *f, const struct written *w)
{
	size_t n = w->n ? w->n : strlen(w->text);
	int fd = temp_file(w->text, n);
	struct broker_bulk_doc d = { .root = "",
				     .path = w->path ? w->path : "many",
				     .suffix = w->suffix ? w->suffix : ".jsonl",
				     .fd = fd,
				     .defaults = w->defaults,
				     .final = !w->open,
				     .send = !w->held };
	struct told t;

	told_init(&t);
	broker_bulk_check(f->broker, &d, checked, &t);
	listen(&t);
	(void)close(fd);
	return t;
}

static int64_t accept(struct fixture *f, const char *text)
{
	struct told t = submit(f, &(struct written){ .text = text });

	assert_int_equal(t.code, 0);
	assert_true(t.id > 0);
	return t.id;
}

static struct key sha_of(const char *text)
{
	struct key k;

	assert_int_equal(key_of(text, strlen(text), &k), 0);
	return k;
}

/* fixture_final waits ten seconds; jobs may take longer */
struct ending {
	struct broker_waiter w;
	struct told t;
};

static void ended(struct broker_waiter *w)
{
	tell(&((struct ending *)(void *)w)->t, 0, 0, false);
}

static enum broker_state final_of(struct fixture *f, int64_t id)
{
	struct ending x = { .w.wake = ended };
	struct broker_view v = { 0 };

	told_init(&x.t);
	if (broker_wait(f->broker, id, &x.w) < 0)
		tell(&x.t, 0, 0, false);
	listen(&x.t);
	return broker_get(f->broker, id, &v) == 0 ? v.state : 0;
}

/* ---- its files ---- */

static char *slurp(struct fixture *f, int64_t id, enum broker_bulk_file which)
{
	struct broker_bulk_reader *r = NULL;
	struct buf b = BUF_INIT((size_t)1 << 30);
	char *text;
	ssize_t n;

	if (broker_bulk_open(f->broker, id, which, &r) < 0)
		return NULL;
	do {
		assert_int_equal(buf_reserve(&b, 1 << 16), 0);
		n = broker_bulk_read(r, b.data + b.len, 1 << 16, b.len);
		assert_true(n >= 0);
		b.len += (size_t)n;
		b.data[b.len] = '\0';
	} while (n > 0);
	if (which != BULK_PROGRESS)
		assert_int_equal(broker_bulk_size(r), b.len);
	assert_null(broker_bulk_close(r));
	text = strdup(buf_str(&b));
	buf_done(&b);
	return text;
}

/* every line as JSON, in an array */
static json_t *lines_of(struct fixture *f, int64_t id, enum broker_bulk_file which)
{
	char *text = slurp(f, id, which), *at = text, *end;
	json_t *list = json_array();

	assert_non_null(text);
	while ((end = strchr(at, '\n')) != NULL) {
		json_t *o;

		*end = '\0';
		o = json_loads(at, 0, NULL);
		assert_non_null(o);
		json_array_append_new(list, o);
		at = end + 1;
	}
	assert_int_equal(*at, '\0');
	free(text);
	return list;
}

static const char *id_at(const json_t *list, size_t i)
{
	return json_string_value(json_object_get(json_array_get(list, i), "custom_id"));
}

/* what it was asked: echo says it */
static const char *text_at(const json_t *list, size_t i)
{
	static const char said[] = "You said: ";
	const json_t *r = json_object_get(json_array_get(list, i), "response");
	const char *text = json_string_value(
		json_object_get(json_array_get(json_object_get(r, "samples"), 0), "text"));

	assert_non_null(text);
	assert_ptr_equal(strstr(text, said), text);
	return text + sizeof(said) - 1;
}

static const char *errno_at(const json_t *list, size_t i)
{
	return json_string_value(
		json_object_get(json_object_get(json_array_get(list, i), "error"), "errno"));
}

static json_t *usage_of(struct fixture *f, int64_t id)
{
	int r;
	const char *text = fixture_render(f, id, BROKER_USAGE, &r);
	json_t *o = text ? json_loads(text, 0, NULL) : NULL;

	assert_non_null(o);
	return o;
}

static json_int_t usage_n(struct fixture *f, int64_t id, const char *name)
{
	json_t *o = usage_of(f, id);
	json_int_t n = json_integer_value(json_object_get(o, name));

	json_decref(o);
	return n;
}

#define THREE                                          \
	"{\"custom_id\":\"a\",\"prompt\":\"one\"}\n"   \
	"{\"custom_id\":\"b\",\"prompt\":\"two\"}\n\n" \
	"{\"custom_id\":\"c\",\"prompt\":\"three\"}\n"

/* ---- failures first ---- */

static void no_line_is_usable(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *says;
	} cases[] = {
		{ "{\"prompt\":\"x\",}\n", EINVAL, "\"line\":1" },
		{ "\n\nnonsense\n{\n", EINVAL, "line 3" },
		{ "[1]\n", EINVAL, "object" },
		{ "{\"custom_id\":\"a\",\"promt\":\"x\"}\n", EINVAL, "prompt" },
		{ "{\"custom_id\":7,\"prompt\":\"x\"}\n", EINVAL, "custom_id" },
		{ "{\"custom_id\":\"a\",\"body\":3}\n", EINVAL, "body" },
		{ "{\"body\":{\"prompt\":\"x\"},\"url\":\"/v1/poems\"}\n", EINVAL, "url" },
		{ "{\"body\":{\"prompt\":\"x\"},\"method\":\"GET\"}\n", EINVAL, "POST" },
		{ "{\"body\":{\"prompt\":\"x\",\"frobnicate\":1}}\n", EINVAL, "frobnicate" },
		{ "{\"prompt\":\"x\",\"model\":\"nowhere/m\"}\n", ENXIO, "nowhere" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct told t = submit(f, &(struct written){ .text = cases[i].text });
		struct broker_view v;
		const char *error;
		int r;

		assert_int_equal(t.code, cases[i].code);
		assert_int_equal(broker_find(f->broker, "", "many", &v), 0);
		assert_int_equal(v.state, BROKER_REFUSED);
		assert_true(v.bulk);
		error = fixture_render(f, v.id, BROKER_ERROR, &r);
		assert_non_null(error);
		if (!strstr(error, cases[i].says))
			fail_msg("%s: %s", cases[i].text, error);
	}
}

static void unfinished_is_no_error_yet(void **state)
{
	struct told t = submit(*state, &(struct written){ .text = "{\"prompt\":\"a\"}\n{\"pro",
							  .open = true });
	struct broker_view v;

	assert_int_equal(t.code, 0);
	assert_int_equal(t.id, 0);
	assert_int_equal(broker_find(((struct fixture *)*state)->broker, "", "many", &v), -ENOENT);
	t = submit(*state, &(struct written){ .text = "\n \n", .open = false });
	assert_int_equal(t.code, 0);
	assert_int_equal(t.id, 0);
}

static void wrong_lines_do_no_harm(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(
		f, "{\"custom_id\":\"a\",\"prompt\":\"one\"}\n"
		   "{\"custom_id\":\"b\",\"prompt\":\n"
		   "\n"
		   "{\"custom_id\":\"a\",\"prompt\":\"again\"}\n"
		   "{\"prompt\":\"five\"}\n"
		   "{\"custom_id\":\"9\",\"prompt\":\"nine\"}\n"
		   "{\"custom_id\":\"x/y%\\n.\",\"promt\":\"typo\"}\n"
		   "{\"custom_id\":\".h\",\"model\":\"mistral/m\",\"prompt\":\"x\"}\n"
		   "{\"prompt\":\"its number is taken\"}\n"
		   "{\"custom_id\":\"w\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
		   "\"body\":{\"messages\":[{\"role\":\"user\",\"content\":\"wrapped\"}]}}");
	static const char *const ids[] = { "a", "2", "4", "5", "9", "x/y%\n.", ".h", "9", "w" };
	static const char *const errors[] = { NULL,	NULL,	 "EINVAL", NULL, NULL,
					      "EINVAL", "ENXIO", NULL,	   NULL };
	struct broker_view v;
	json_t *out, *bad;

	assert_int_equal(final_of(f, id), BROKER_DONE);
	out = lines_of(f, id, BULK_OUTPUT);
	assert_int_equal(json_array_size(out), 9);
	for (size_t i = 0; i < 9; i++) {
		assert_string_equal(id_at(out, i), ids[i]);
		if (errors[i])
			assert_string_equal(errno_at(out, i), errors[i]);
	}
	assert_string_equal(errno_at(out, 1), "EINVAL");
	assert_string_equal(text_at(out, 0), "one");
	assert_string_equal(text_at(out, 8), "wrapped");
	bad = lines_of(f, id, BULK_ERRORS);
	assert_int_equal(json_array_size(bad), 4);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(bad, 2), "request_id")),
		"many/x/y%\n.");
	assert_int_equal(json_integer_value(json_object_get(
				 json_object_get(json_array_get(bad, 0), "error"), "line")),
			 2);
	json_decref(out);
	json_decref(bad);
	assert_int_equal(broker_bulk_item(f->broker, id, "x%2Fy%25%0A.", &v), 0);
	assert_int_equal(v.state, BROKER_FAILED);
	assert_int_equal(broker_bulk_item(f->broker, id, "%2Eh", &v), 0);
	assert_int_equal(broker_bulk_item(f->broker, id, "9%", &v), 0);
	assert_int_equal(v.state, BROKER_DONE);
	assert_int_equal(broker_bulk_item(f->broker, id, "nobody", &v), -ENOENT);
	assert_int_equal(broker_get(f->broker, id, &v), 0);
	assert_true(v.bulk);
	assert_int_equal(v.bulk_failed, 4);
}

static void long_lines_are_their_own_error(void **state)
{
	struct fixture *f = *state;
	struct buf b = BUF_INIT((size_t)64 << 20);
	struct told t;
	json_t *out;

	(void)buf_adds(&b, "{\"custom_id\":\"a\",\"prompt\":\"one\"}\n{\"prompt\":\"");
	for (size_t i = 0; i < (17u << 20); i++)
		(void)buf_addc(&b, 'x');
	(void)buf_adds(&b, "\"}\n{\"custom_id\":\"c\",\"prompt\":\"three\"}\n");
	t = submit(f, &(struct written){ .text = buf_str(&b), .n = b.len });
	buf_done(&b);
	assert_int_equal(t.code, 0);
	assert_int_equal(final_of(f, t.id), BROKER_DONE);
	out = lines_of(f, t.id, BULK_OUTPUT);
	assert_int_equal(json_array_size(out), 3);
	assert_string_equal(errno_at(out, 1), "EFBIG");
	assert_string_equal(text_at(out, 2), "three");
	json_decref(out);
}

static void a_job_without_success_has_failed(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, "{\"custom_id\":\"a\",\"prompt\":\"x\",\"cache\":\"only\"}\n"
			       "{\"custom_id\":\"b\",\"prompt\":\"y\",\"cache\":\"only\"}\n");
	struct broker_view v;
	const char *error;
	int r;

	assert_int_equal(final_of(f, id), BROKER_FAILED);
	assert_int_equal(broker_get(f->broker, id, &v), 0);
	assert_int_equal(v.code, ENODATA);
	error = fixture_render(f, id, BROKER_ERROR, &r);
	assert_non_null(error);
	assert_non_null(strstr(error, "no line succeeded; the first, "));
}

/* ---- what is good ---- */

static void lines_have_results_in_order(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, THREE);
	struct broker_view v;
	json_t *out;
	char *text, *name = NULL;
	uint64_t size = 0;

	assert_int_equal(final_of(f, id), BROKER_DONE);
	out = lines_of(f, id, BULK_OUTPUT);
	assert_int_equal(json_array_size(out), 3);
	assert_string_equal(id_at(out, 0), "a");
	assert_string_equal(text_at(out, 1), "two");
	assert_string_equal(text_at(out, 2), "three");
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(out, 2), "request_id")), "many/c");
	json_decref(out);
	out = lines_of(f, id, BULK_STREAM);
	assert_int_equal(json_array_size(out), 3);
	json_decref(out);
	text = slurp(f, id, BULK_ERRORS);
	assert_string_equal(text, "");
	free(text);
	text = slurp(f, id, BULK_PROGRESS);
	assert_ptr_equal(strstr(text, "3/3 failed=0 cached=0 cost_usd=0 elapsed_s="), text);
	assert_int_equal(broker_bulk_file_size(f->broker, id, BULK_PROGRESS, &size), 0);
	assert_int_equal(size, strlen(text));
	free(text);
	assert_int_equal(broker_bulk_next_item(f->broker, id, "a", &name, &v), 0);
	assert_string_equal(name, "b");
	assert_int_equal(v.state, BROKER_DONE);
	assert_string_equal(fixture_render(f, v.id, BROKER_TEXT, NULL), "You said: two\n");
	free(name);
	assert_int_equal(broker_bulk_next_item(f->broker, id, "c", &name, &v), -ENOENT);
	assert_int_equal(usage_n(f, id, "bought"), 3);
	assert_int_equal(fixture_counter(f, LEDGER_C_REQUESTS), 3);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 3);
}

static void defaults_and_n_apply(void **state)
{
	struct fixture *f = *state;
	json_t *defaults = json_loads("[{\"system\":\"be short\"}]", 0, NULL);
	struct told t = submit(f, &(struct written){ .text = THREE, .defaults = defaults });
	struct broker_view v;
	int r;

	assert_int_equal(final_of(f, t.id), BROKER_DONE);
	assert_int_equal(broker_bulk_item(f->broker, t.id, "a", &v), 0);
	assert_non_null(strstr(fixture_render(f, v.id, BROKER_REQUEST, &r), "be short"));
	json_decref(defaults);
}

static void the_same_again_buys_nothing(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, THREE);
	struct told t;

	assert_int_equal(final_of(f, id), BROKER_DONE);
	t = submit(f, &(struct written){ .text = THREE });
	assert_int_equal(t.code, 0);
	assert_true(t.same);
	assert_int_equal(t.id, id);
	assert_int_equal(fixture_counter(f, LEDGER_C_REQUESTS), 3);
}

static void a_changed_file_keeps_its_unchanged_lines(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, THREE), next;
	struct broker_view a, v;
	json_t *out;

	assert_int_equal(final_of(f, id), BROKER_DONE);
	assert_int_equal(broker_bulk_item(f->broker, id, "a", &a), 0);
	next = accept(f, "{\"custom_id\":\"c\",\"prompt\":\"drei\"}\n"
			 "{\"custom_id\":\"d\",\"prompt\":\"vier\"}\n"
			 "{\"custom_id\":\"a\",\"prompt\":\"one\"}\n");
	assert_int_not_equal(next, id);
	assert_int_equal(final_of(f, next), BROKER_DONE);
	assert_int_equal(broker_get(f->broker, id, &v), -ENOENT);
	assert_int_equal(broker_bulk_item(f->broker, next, "b", &v), -ENOENT);
	assert_int_equal(broker_bulk_item(f->broker, next, "a", &v), 0);
	assert_int_equal(v.id, a.id);
	out = lines_of(f, next, BULK_OUTPUT);
	assert_int_equal(json_array_size(out), 3);
	assert_string_equal(id_at(out, 0), "c");
	assert_string_equal(text_at(out, 0), "drei");
	assert_string_equal(text_at(out, 2), "one");
	json_decref(out);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 5);
	assert_int_equal(usage_n(f, next, "total"), 3);
}

static void bypass_buys_again_when_written_again(void **state)
{
	static const char text[] = "{\"custom_id\":\"a\",\"prompt\":\"x\",\"cache\":\"bypass\"}\n";
	struct fixture *f = *state;
	int64_t id = accept(f, text), next;

	assert_int_equal(final_of(f, id), BROKER_DONE);
	next = accept(f, text);
	assert_int_not_equal(next, id);
	assert_int_equal(final_of(f, next), BROKER_DONE);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
}

static void retry_asks_failed_lines_again(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, "{\"custom_id\":\"a\",\"prompt\":\"x\",\"cache\":\"only\"}\n"
			       "{\"custom_id\":\"b\",\"prompt\":\"y\"}\n");
	struct broker_view v;
	int64_t single;

	assert_int_equal(final_of(f, id), BROKER_DONE);
	assert_int_equal(broker_find(f->broker, "", "many", &v), 0);
	assert_int_equal(v.bulk_failed, 1);
	assert_int_equal(fixture_check(f, "one", "{\"prompt\":\"x\"}", true, &single), 0);
	assert_int_equal(fixture_final(f, single), BROKER_DONE);
	assert_int_equal(broker_ctl_retry(f->broker, id), 0);
	assert_int_equal(broker_find(f->broker, "", "many", &v), 0);
	assert_int_not_equal(v.id, id);
	assert_int_equal(final_of(f, v.id), BROKER_DONE);
	assert_int_equal(broker_find(f->broker, "", "many", &v), 0);
	assert_int_equal(v.bulk_failed, 0);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
	assert_int_equal(broker_ctl_retry(f->broker, v.id), -EINVAL);
}

static json_int_t index_at(const json_t *list, size_t i, size_t sample)
{
	const json_t *r = json_object_get(json_array_get(list, i), "response");

	return json_integer_value(
		json_object_get(json_array_get(json_object_get(r, "samples"), sample), "index"));
}

#define SAMPLE "{\"prompt\":\"x\",\"namespace\":\"e\"}\n"

static void lines_in_a_namespace_have_samples_of_their_own(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, SAMPLE SAMPLE "{\"custom_id\":\"c\",\"prompt\":\"x\",\"n\":3,"
					     "\"namespace\":\"e\"}\n");
	unsigned seen = 0;
	json_int_t first, second;
	json_t *out;

	assert_int_equal(final_of(f, id), BROKER_DONE);
	out = lines_of(f, id, BULK_OUTPUT);
	first = index_at(out, 0, 0);
	second = index_at(out, 1, 0);
	seen = 1u << first | 1u << second;
	for (size_t i = 0; i < 3; i++)
		seen |= 1u << index_at(out, 2, i);
	assert_int_equal(seen, 31); /* five samples, each handed out once */
	json_decref(out);
	assert_int_equal(usage_n(f, id, "samples"), 5);
	/* the k-th line with that key has what it had, whatever line it is now */
	id = accept(f, "{\"prompt\":\"y\"}\n" SAMPLE SAMPLE);
	assert_int_equal(final_of(f, id), BROKER_DONE);
	out = lines_of(f, id, BULK_OUTPUT);
	assert_int_equal(index_at(out, 1, 0), first);
	assert_int_equal(index_at(out, 2, 0), second);
	json_decref(out);
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES_FRESH), 6);
}

static void equal_lines_share_one_purchase(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, "{\"prompt\":\"x\"}\n{\"prompt\":\"x\"}\n{\"prompt\":\"x\"}\n");

	assert_int_equal(final_of(f, id), BROKER_DONE);
	assert_int_equal(usage_n(f, id, "bought"), 1);
	assert_int_equal(usage_n(f, id, "cached"), 2);
}

/* ---- while it runs ---- */

#define SLOW(id) \
	"{\"custom_id\":\"" id "\",\"prompt\":\"" id "\",\"extra_body\":{\"delay_ms\":600000}}\n"
#define QUICK(id) "{\"custom_id\":\"" id "\",\"prompt\":\"" id "\"}\n"

static void cancelled_lines_are_final(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, QUICK("a") SLOW("b") SLOW("c"));
	struct broker_bulk_reader *r = NULL;
	struct broker_view v;
	json_t *out;

	assert_int_equal(broker_bulk_open(f->broker, id, BULK_OUTPUT, &r), -EAGAIN);
	do
		assert_true(broker_bulk_item(f->broker, id, "a", &v) >= -ENOENT);
	while (broker_bulk_item(f->broker, id, "c", &v) < 0 ||
	       broker_bulk_item(f->broker, id, "a", &v) < 0 || v.state != BROKER_DONE);
	assert_int_equal(broker_ctl_cancel(f->broker, id), 0);
	assert_int_equal(final_of(f, id), BROKER_CANCELLED);
	out = lines_of(f, id, BULK_OUTPUT);
	assert_int_equal(json_array_size(out), 3);
	assert_string_equal(text_at(out, 0), "a");
	assert_string_equal(errno_at(out, 1), "ECANCELED");
	json_decref(out);
	assert_int_equal(broker_ctl_cancel(f->broker, id), -EINVAL);
}

static void a_job_that_is_held_waits(void **state)
{
	struct fixture *f = *state;
	struct told t = submit(f, &(struct written){ .text = THREE, .held = true });
	struct broker_view v;

	assert_int_equal(broker_get(f->broker, t.id, &v), 0);
	assert_int_equal(v.state, BROKER_QUEUED);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 0);
	broker_send(f->broker, t.id);
	assert_int_equal(final_of(f, t.id), BROKER_DONE);
}

static int count_dirs(struct fixture *f)
{
	char cmd[160];
	FILE *p;
	int n = -1;

	(void)snprintf(cmd, sizeof(cmd), "ls %s/jobs | wc -l", f->dir);
	p = popen(cmd, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%d", &n), 1);
	(void)pclose(p);
	return n;
}

static void await_no_dirs(struct fixture *f)
{
	uint64_t until = mono_ns() + PATIENCE;

	while (count_dirs(f) && mono_ns() < until)
		continue;
	assert_int_equal(count_dirs(f), 0);
}

static void a_removed_job_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, QUICK("a") SLOW("b"));
	struct broker_bulk_reader *r = NULL;
	struct broker_view v, item;
	char c;

	do
		(void)broker_bulk_item(f->broker, id, "a", &item);
	while (item.state != BROKER_DONE);
	assert_int_equal(broker_bulk_open(f->broker, id, BULK_STREAM, &r), 0);
	assert_int_equal(fixture_drop(f, "many"), 0);
	assert_int_equal(broker_get(f->broker, id, &v), -ENOENT);
	assert_int_equal(broker_bulk_read(r, &c, 1, 1 << 20), -ECANCELED);
	assert_null(broker_bulk_close(r));
	await_no_dirs(f);
	assert_int_equal(broker_get(f->broker, item.id, &v), -ENOENT);
}

static void a_renamed_job_goes_on(void **state)
{
	struct fixture *f = *state;
	struct told t = submit(f, &(struct written){ .text = THREE, .held = true });
	struct broker_move m = { "", "many", "", "dir/lots", false, false };
	json_t *out;

	assert_int_equal(fixture_move(f, &m), 0);
	broker_send(f->broker, t.id);
	assert_int_equal(final_of(f, t.id), BROKER_DONE);
	out = lines_of(f, t.id, BULK_OUTPUT);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(out, 0), "request_id")),
		"dir/lots/a");
	json_decref(out);
}

static void a_job_moves_into_a_namespace_while_it_runs(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, SLOW("a"));
	struct broker_move m = { "", "many", "exp", "many", false, false };
	struct broker_view v;

	assert_int_equal(fixture_move(f, &m), 0);
	assert_int_equal(broker_find(f->broker, "", "many", &v), -ENOENT);
	assert_int_equal(broker_find(f->broker, "exp", "many", &v), 0);
	assert_int_equal(v.id, id);
	assert_int_equal(v.state == BROKER_QUEUED || v.state == BROKER_RUNNING, 1);
}

struct parked {
	struct broker_bulk_waiter w;
	struct told t;
};

static void woken(struct broker_bulk_waiter *w)
{
	tell(&((struct parked *)(void *)w)->t, 0, 0, false);
}

static void readers_are_woken(void **state)
{
	struct fixture *f = *state;
	struct told t = submit(f, &(struct written){ .text = THREE, .held = true });
	struct broker_bulk_reader *s = NULL, *p = NULL;
	struct parked x = { .w.wake = woken }, y = { .w.wake = woken };
	char line[BROKER_BULK_LINE_MAX + 1] = "";
	char buf[1 << 16];
	ssize_t n;

	assert_int_equal(broker_bulk_open(f->broker, t.id, BULK_STREAM, &s), 0);
	assert_int_equal(broker_bulk_open(f->broker, t.id, BULK_PROGRESS, &p), 0);
	assert_int_equal(broker_bulk_read(s, buf, sizeof(buf), 0), -EAGAIN);
	assert_true(broker_bulk_read(p, line, sizeof(line), 0) > 0);
	assert_int_equal(broker_bulk_read(p, line, sizeof(line), 0), -EAGAIN);
	told_init(&x.t);
	told_init(&y.t);
	assert_int_equal(broker_bulk_wait(s, &x.w), 0);
	assert_int_equal(broker_bulk_wait(p, &y.w), 0);
	assert_true(broker_bulk_unwait(p, &y.w));
	assert_int_equal(broker_bulk_wait(p, &y.w), 0);
	broker_send(f->broker, t.id);
	listen(&x.t);
	listen(&y.t);
	assert_false(broker_bulk_unwait(s, &x.w));
	assert_true(broker_bulk_read(s, buf, sizeof(buf), 0) > 0);
	assert_int_equal(final_of(f, t.id), BROKER_DONE);
	while ((n = broker_bulk_read(p, line, sizeof(line) - 1, 0)) != 0) {
		if (n > 0)
			line[n] = '\0';
	}
	assert_non_null(strstr(line, "3/3 failed=0"));
	assert_int_equal(broker_bulk_wait(p, &y.w), -EALREADY);
	assert_null(broker_bulk_close(s));
	assert_null(broker_bulk_close(p));
}

static void it_goes_on_after_a_crash(void **state)
{
	static const char text[] = QUICK("a") QUICK("b") "{\"custom_id\":\"c\"}\n" SLOW("d")
		QUICK("e");
	struct fixture *f = *state;
	struct key sha = sha_of(text);
	int64_t id = accept(f, text);
	struct broker_view v = { 0 };
	json_t *out;

	do
		(void)broker_bulk_item(f->broker, id, "e", &v);
	while (v.state != BROKER_DONE);
	for (int i = 0; i < 3; i++) {
		struct broker_view again = { 0 };

		fixture_reopen(f, &sha);
		do
			(void)broker_bulk_item(f->broker, id, "d", &again);
		while (again.state != BROKER_RUNNING);
	}
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES), 3);
	assert_int_equal(broker_bulk_item(f->broker, id, "d", &v), 0);
	assert_int_equal(broker_ctl_cancel(f->broker, v.id), 0);
	assert_int_equal(final_of(f, id), BROKER_DONE);
	out = lines_of(f, id, BULK_OUTPUT);
	assert_int_equal(json_array_size(out), 5);
	assert_string_equal(text_at(out, 4), "e");
	assert_string_equal(errno_at(out, 2), "EINVAL");
	assert_string_equal(errno_at(out, 3), "ECANCELED");
	json_decref(out);
	out = lines_of(f, id, BULK_STREAM);
	assert_int_equal(json_array_size(out), 5);
	json_decref(out);
}

static void a_file_that_changed_unmounted_has_failed(void **state)
{
	struct fixture *f = *state;
	int64_t id = accept(f, SLOW("a"));
	struct key other = sha_of("other");

	fixture_reopen(f, &other);
	assert_int_equal(final_of(f, id), BROKER_FAILED);
}

static void left_directories_go(void **state)
{
	struct fixture *f = *state;
	char name[128];
	struct key sha = sha_of("x");

	(void)snprintf(name, sizeof(name), "%s/jobs/1", f->dir);
	assert_int_equal(mkdir(name, 0700), 0);
	fixture_reopen(f, &sha);
	await_no_dirs(f);
}

/* ---- many ---- */

static char *many(size_t n, size_t every_bad)
{
	struct buf b = BUF_INIT((size_t)1 << 30);
	char *text;

	for (size_t i = 1; i <= n; i++)
		(void)buf_addf(&b,
			       every_bad && i % every_bad == 0
				       ? "{\"custom_id\":\"%zu\",\"promt\":\"%zu\"}\n"
				       : "{\"custom_id\":\"%zu\",\"prompt\":\"line %zu\"}\n",
			       i, i);
	text = buf_steal(&b, NULL);
	assert_non_null(text);
	return text;
}

static void thousands_of_lines(void **state)
{
	enum { N = 2000, BAD = 20 };
	struct fixture *f = *state;
	char *text = many(N, BAD);
	int64_t id = accept(f, text);
	json_t *out;

	assert_int_equal(final_of(f, id), BROKER_DONE);
	out = lines_of(f, id, BULK_OUTPUT);
	assert_int_equal(json_array_size(out), N);
	for (size_t i = 0; i < N; i++) {
		char want[32];

		(void)snprintf(want, sizeof(want), "%zu", i + 1);
		assert_string_equal(id_at(out, i), want);
		(void)snprintf(want, sizeof(want), "line %zu", i + 1);
		if ((i + 1) % BAD)
			assert_string_equal(text_at(out, i), want);
		else
			assert_string_equal(errno_at(out, i), "EINVAL");
	}
	json_decref(out);
	out = lines_of(f, id, BULK_STREAM);
	assert_int_equal(json_array_size(out), N);
	json_decref(out);
	assert_int_equal(usage_n(f, id, "bought"), N - N / BAD);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(no_line_is_usable),
		T(unfinished_is_no_error_yet),
		T(wrong_lines_do_no_harm),
		T(long_lines_are_their_own_error),
		T(a_job_without_success_has_failed),
		T(lines_have_results_in_order),
		T(defaults_and_n_apply),
		T(the_same_again_buys_nothing),
		T(a_changed_file_keeps_its_unchanged_lines),
		T(bypass_buys_again_when_written_again),
		T(retry_asks_failed_lines_again),
		T(lines_in_a_namespace_have_samples_of_their_own),
		T(equal_lines_share_one_purchase),
		T(cancelled_lines_are_final),
		T(a_job_that_is_held_waits),
		T(a_removed_job_leaves_nothing),
		T(a_renamed_job_goes_on),
		T(a_job_moves_into_a_namespace_while_it_runs),
		T(readers_are_woken),
		T(it_goes_on_after_a_crash),
		T(a_file_that_changed_unmounted_has_failed),
		T(left_directories_go),
		T(thousands_of_lines),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
