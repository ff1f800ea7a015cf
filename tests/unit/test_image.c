/* test_image.c - images of requests: read at the check, read again before they are sent */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
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

#include "base/auto.h"
#include "base/fdio.h"
#include "broker_fixture.h"
#include "core/stream.h"

#define GIF	 "GIF89a, or as good as one"
#define GIF_DATA "R0lGODlhLCBvciBhcyBnb29kIGFzIG9uZQ=="
#define OTHER	 "GIF89a, another one"
#define ONE	 "{\"prompt\":\"x\",\"images\":[\"a.gif\"]}"
#define INLINE                                                                               \
	"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}," \
	"{\"type\":\"image\",\"data\":\"" GIF_DATA "\"}]}]}"

#define ALONE                                                                            \
	"{\"cache\":\"bypass\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":" \
	"\"image\",\"data\":\"" GIF_DATA "\"}]}]}"

/* a directory of images beside the fixture, and the text that every prompt's file has now */
static struct {
	char dir[64];
	int fd;
	const char *text;
} disk;

static int open_image(void *arg, const char *root, const char *path)
{
	int fd = openat(disk.fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	(void)arg;
	(void)root;
	return fd < 0 ? -errno : fd;
}

static int read_prompt(void *arg, const struct broker_name *name, struct buf *out)
{
	(void)arg;
	(void)name;
	return disk.text ? buf_adds(out, disk.text) : -ENOENT;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	(void)snprintf(disk.dir, sizeof(disk.dir), "/tmp/inferfs-unit.XXXXXX");
	if (!f || !mkdtemp(disk.dir))
		return -1;
	disk.fd = open(disk.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	disk.text = NULL;
	f->files = (struct broker_files){ .open = open_image, .read = read_prompt };
	return fixture_open(f);
}

static int teardown(void **state)
{
	fixture_close(*state);
	free(*state);
	(void)close(disk.fd);
	(void)fdio_remove_tree(AT_FDCWD, disk.dir);
	return 0;
}

static void put(const char *path, const char *bytes)
{
	assert_int_equal(fdio_put(disk.fd, path, bytes, strlen(bytes), 0, 0644), 0);
}

/* so many bytes that begin as a GIF does */
static void put_large(const char *path, off_t size)
{
	int fd;

	put(path, GIF);
	fd = openat(disk.fd, path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	(void)close(fd);
}

static void says(struct fixture *f, int64_t id, const char *what)
{
	const char *error = fixture_render(f, id, BROKER_ERROR, NULL);

	if (!error || !strstr(error, what))
		fail_msg("not \"%s\": %s", what, error ? error : "no error.json");
}

static void refuses(struct fixture *f, const char *json, int code, const char *what)
{
	struct broker_view v = { 0 };

	assert_int_equal(fixture_check(f, "d/q", json, true, NULL), code);
	assert_int_equal(broker_find(f->broker, "", "d/q", &v), 0);
	assert_int_equal(v.state, BROKER_REFUSED);
	says(f, v.id, what);
	assert_int_equal(fixture_counter(f, LEDGER_C_REQUESTS), 0);
}

/* ---- the check ---- */

static void what_is_no_image_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdirat(disk.fd, "d", 0755), 0);
	refuses(f, ONE, EINVAL, "images[0]: \\\"a.gif\\\" does not exist");
	put("a.gif", GIF); /* not in the request's own directory */
	refuses(f, ONE, EINVAL, "does not exist");
	assert_int_equal(mkdirat(disk.fd, "d/a.gif", 0755), 0);
	refuses(f, ONE, EINVAL, "is no regular file");
	assert_int_equal(unlinkat(disk.fd, "d/a.gif", AT_REMOVEDIR), 0);
	assert_int_equal(mkfifoat(disk.fd, "d/a.gif", 0644), 0);
	refuses(f, ONE, EINVAL, "is no regular file");
	assert_int_equal(unlinkat(disk.fd, "d/a.gif", 0), 0);
	put("d/a.gif", "");
	refuses(f, ONE, EINVAL, "no image that models take");
	put("d/a.gif", "<svg/>");
	refuses(f, ONE, EINVAL, "give a PNG, JPEG, GIF or WebP");
	put("d/a.gif", GIF);
	refuses(f,
		"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"path\":\"a.gif\","
		"\"media_type\":\"image/png\"}]}]}",
		EINVAL, "\"field\":\"messages[0].content[0]\"");
}

static void too_many_bytes_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdirat(disk.fd, "d", 0755), 0);
	put_large("d/a.gif", REQUEST_IMAGE_MAX + 1);
	refuses(f, ONE, EFBIG, "is larger than 32 MiB");
	put_large("d/a.gif", REQUEST_IMAGE_SUM / 2 + 1);
	refuses(f, "{\"prompt\":\"x\",\"images\":[\"a.gif\",\"a.gif\"]}", EFBIG,
		"more than 40 MiB together");
	put_large("d/a.gif", REQUEST_IMAGE_MAX);
	assert_int_equal(fixture_check(f, "d/q", ONE, true, NULL), 0);
}

static void a_mount_without_files_refuses_paths(void **state)
{
	struct fixture *f = *state;

	f->files = (struct broker_files){ 0 };
	fixture_reopen(f, NULL);
	put("a.gif", GIF);
	assert_int_equal(fixture_check(f, "q", ONE, true, NULL), EINVAL);
}

/* ---- between the check and the sending ---- */

static int64_t hold(struct fixture *f, const char *path, const char *json)
{
	int64_t id = 0;

	disk.text = json;
	assert_int_equal(fixture_check(f, path, json, false, &id), 0);
	assert_true(id > 0);
	return id;
}

static void an_image_reaches_the_key_and_the_answer(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	put("a.gif", GIF);
	id = hold(f, "q", ONE);
	broker_send(f->broker, id);
	assert_int_equal(fixture_final(f, id), BROKER_DONE);
	assert_non_null(strstr(fixture_render(f, id, BROKER_REQUEST, NULL), "\"sha256\":\""));
	/* another image is another request */
	put("a.gif", OTHER);
	id = hold(f, "p", ONE);
	broker_send(f->broker, id);
	assert_int_equal(fixture_final(f, id), BROKER_DONE);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
	/* the same one is in the cache, where ever it lies */
	assert_int_equal(mkdirat(disk.fd, "e", 0755), 0);
	put("e/a.gif", GIF);
	id = hold(f, "e/r", ONE);
	assert_int_equal(fixture_final(f, id), BROKER_DONE);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
}

static void an_image_that_changed_is_not_sent(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	put("a.gif", GIF);
	id = hold(f, "q", ONE);
	put("a.gif", OTHER);
	broker_send(f->broker, id);
	assert_int_equal(fixture_final(f, id), BROKER_FAILED);
	says(f, id, "was changed after the request was accepted");
	says(f, id, "\"errno\":\"EINVAL\"");
	id = hold(f, "p", ONE);
	assert_int_equal(unlinkat(disk.fd, "a.gif", 0), 0);
	broker_send(f->broker, id);
	assert_int_equal(fixture_final(f, id), BROKER_FAILED);
	says(f, id, "does not exist");
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 0);
}

static void a_moved_prompt_finds_its_image(void **state)
{
	struct fixture *f = *state;
	struct broker_move m = { .root = "", .path = "d/q", .to_root = "", .to_path = "q" };
	int64_t id;

	assert_int_equal(mkdirat(disk.fd, "d", 0755), 0);
	put("d/a.gif", GIF);
	id = hold(f, "d/q", ONE);
	assert_int_equal(fixture_move(f, &m), 0); /* the image stays behind */
	broker_send(f->broker, id);
	assert_int_equal(fixture_final(f, id), BROKER_DONE);
	id = hold(f, "d/q", "{\"prompt\":\"y\",\"images\":[\"a.gif\"]}");
	assert_int_equal(renameat(disk.fd, "d", disk.fd, "e"), 0); /* or goes along */
	m = (struct broker_move){
		.root = "", .path = "d", .to_root = "", .to_path = "e", .tree = true
	};
	assert_int_equal(fixture_move(f, &m), 0);
	broker_send(f->broker, id);
	assert_int_equal(fixture_final(f, id), BROKER_DONE);
}

static void inline_images_come_from_the_file(void **state)
{
	struct fixture *f = *state;
	int64_t id = hold(f, "q", INLINE);

	broker_send(f->broker, id);
	assert_int_equal(fixture_final(f, id), BROKER_DONE);
	id = hold(f, "p", INLINE); /* in the cache: nothing is loaded */
	assert_int_equal(fixture_final(f, id), BROKER_DONE);
	(void)fixture_drop(f, "p");
	id = hold(f, "p", ALONE);
	disk.text = INLINE;
	broker_send(f->broker, id);
	assert_int_equal(fixture_final(f, id), BROKER_FAILED);
	says(f, id, "the prompt file was changed");
}

/* ---- a crash in between ---- */

static void after_a_crash(struct fixture *f, const char *path, const char *json,
			  enum broker_state end)
{
	struct key sha;
	int64_t id = hold(f, path, json);

	assert_int_equal(key_of(json, strlen(json), &sha), 0);
	fixture_reopen(f, &sha);
	assert_int_equal(fixture_final(f, id), end);
}

static void what_was_accepted_is_sent_after_a_crash(void **state)
{
	struct fixture *f = *state;

	put("a.gif", GIF);
	after_a_crash(f, "q", ONE, BROKER_DONE);
	after_a_crash(f, "p", ALONE, BROKER_DONE);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
}

static void an_image_that_changed_over_a_crash_is_not_sent(void **state)
{
	struct fixture *f = *state;
	struct key sha;
	int64_t id;

	put("a.gif", GIF);
	id = hold(f, "q", ONE);
	put("a.gif", OTHER);
	assert_int_equal(key_of(ONE, strlen(ONE), &sha), 0);
	fixture_reopen(f, &sha);
	assert_int_equal(fixture_final(f, id), BROKER_FAILED);
	says(f, id, "was changed");
	/* tried again with the image as it was */
	put("a.gif", GIF);
	assert_int_equal(broker_ctl_retry(f->broker, id), 0);
	{
		struct broker_view v = { 0 };

		assert_int_equal(broker_find(f->broker, "", "q", &v), 0);
		assert_int_equal(fixture_final(f, v.id), BROKER_DONE);
	}
}

/* ---- ask ---- */

static int answer_of(struct broker_ask *a, char *out, size_t cap)
{
	struct stream_reader r = { 0 };
	size_t n = 0, off = 0;
	int k;

	do {
		k = stream_read(broker_ask_stream(a), &r,
				(struct stream_span){ out + off, cap - 1 - off, off }, &n);
		off += k == 0 ? n : 0;
	} while (k == -EAGAIN || (k == 0 && n));
	out[off] = '\0';
	return k;
}

/* the next question of a conversation; consumes history, gives the next one */
static int ask(struct fixture *f, const char *text, json_t **history, const char *want)
{
	struct broker_ask_doc d = { text, strlen(text), *history };
	struct broker_ask *a = NULL;
	struct err e = { 0 };
	char got[512];
	int r = broker_ask(f->broker, &d, &a, &e);

	if (r < 0)
		return r;
	r = answer_of(a, got, sizeof(got));
	if (r == 0) {
		assert_string_equal(got, want);
		json_decref(*history);
		*history = broker_ask_history(a);
		assert_non_null(*history);
	} else {
		AUTO_BUF struct buf error = BUF_INIT(1 << 16);

		assert_int_equal(broker_ask_error(a, &error), 0);
		if (!strstr(buf_str(&error), want))
			fail_msg("%s", buf_str(&error));
	}
	broker_ask_end(a);
	return r;
}

static void a_conversation_about_an_image(void **state)
{
	struct fixture *f = *state;
	json_t *history = NULL;

	assert_int_equal(ask(f, ONE, &history, "does not exist"), -EINVAL);
	assert_int_equal(fixture_counter(f, LEDGER_C_REFUSED), 1);
	put("a.gif", GIF);
	assert_int_equal(ask(f, ONE, &history, "You said: x\n"), 0);
	assert_int_equal(ask(f, "and now?", &history, "You said: and now?\n"), 0);
	assert_int_equal(
		ask(f, "{\"prompt\":\"b\",\"images\":[\"a.gif\"]}", &history, "You said: b\n"), 0);
	put("a.gif", OTHER); /* the earlier turns have the first one */
	assert_int_equal(ask(f, "again", &history, "was changed"), -EINVAL);
	json_decref(history);
	history = NULL;
	assert_int_equal(ask(f, INLINE, &history, "You said: x\n"), 0);
	assert_int_equal(ask(f, "inline goes along", &history, "You said: inline goes along\n"), 0);
	json_decref(history);
}

static void closing_an_ask_while_its_image_is_read(void **state)
{
	struct fixture *f = *state;
	struct broker_ask_doc d = { ONE, strlen(ONE), NULL };
	struct err e = { 0 };

	put("a.gif", GIF);
	for (int i = 0; i < 200; i++) {
		struct broker_ask *a = NULL;

		assert_int_equal(broker_ask(f->broker, &d, &a, &e), 0);
		broker_ask_end(a);
	}
}

static void tool_calls_stay_in_a_conversation(void **state)
{
	struct fixture *f = *state;
	json_t *history = NULL, *call;

	assert_int_equal(ask(f,
			     "{\"prompt\":\"x\",\"extra_body\":{\"tool_calls\":[{\"id\":\"c1\","
			     "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}",
			     &history, ""),
			 0);
	for (int again = 0; again < 2; again++) { /* bought, then from the cache */
		call = json_object_get(json_array_get(json_object_get(history, "messages"), 1),
				       "tool_calls");
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(call, 0), "id")), "c1");
		json_decref(history);
		history = NULL;
		assert_int_equal(
			ask(f,
			    "{\"prompt\":\"x\",\"extra_body\":{\"tool_calls\":[{\"id\":\"c1\","
			    "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}",
			    &history, ""),
			0);
	}
	assert_int_equal(ask(f, "next", &history, "You said: next\n"), 0);
	json_decref(history);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_no_image_is_refused),
		T(too_many_bytes_are_refused),
		T(a_mount_without_files_refuses_paths),
		T(an_image_that_changed_is_not_sent),
		T(an_image_that_changed_over_a_crash_is_not_sent),
		T(an_image_reaches_the_key_and_the_answer),
		T(a_moved_prompt_finds_its_image),
		T(inline_images_come_from_the_file),
		T(what_was_accepted_is_sent_after_a_crash),
		T(a_conversation_about_an_image),
		T(closing_an_ask_while_its_image_is_read),
		T(tool_calls_stay_in_a_conversation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
