/*
 * The same requests through every dialect: what a user wrote, what was hashed, what was sent
 *
 * tests/data/contract/requests.json has the requests as users write them; tests/data/contract/DIALECT.json what each
 * becomes there: the effective request, path, header and body (or the field that is refused, and what is
 * sent with lossy). Those files were compared with the protocol pages by people; a change in them is a change
 * of what is sent, and asks for the same care.
 *
 *   test_contract                 the tests
 *   test_contract --write         makes the DIALECT.json anew; read the difference before you commit it
 *   test_contract --bodies FILE   every body as a line {"name","provider","path","extra","body"}
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contract.h"
#include "contract_batch.h"
#include "core/base64.h"
#include "core/canon.h"
#include "core/request.h"
#include "infer/single.h"

enum { DIALECTS_MAX = 8 };

static json_t *requests;
static struct contract_book books[DIALECTS_MAX];
static FILE *bodies;
static size_t n_bodies;

/* one request on its way through one dialect */
struct trip {
	const struct contract_dialect *dialect;
	struct backend_config config;
	const char *name;
	json_t *effective, *images;
};

/* ---- from text to the effective request ---- */

static void bring_images(struct trip *t, struct request *r, const char *text, const json_t *files)
{
	if (r->n_images && r->images[0].data)
		assert_int_equal(request_image_inline(text, strlen(text), &t->images), 0);
	else
		t->images = json_object();
	for (size_t i = 0; i < r->n_images; i++) {
		const char *path = json_string_value(r->images[i].path);
		const json_t *data = path ? json_object_get(files, path) : NULL;
		struct buf bytes = BUF_INIT(1 << 20);
		char hex[KEY_HEX + 1];
		struct err e;

		if (!path)
			continue;
		assert_non_null(data);
		assert_int_equal(base64_decode(json_string_value(data), json_string_length(data),
					       &bytes, NULL),
				 0);
		assert_int_equal(request_image_set(r, i, bytes.data, bytes.len, &e), 0);
		key_hex(&r->images[i].sha, hex);
		json_object_set(t->images, hex, (json_t *)(uintptr_t)data);
		buf_done(&bytes);
	}
}

static void begin(struct trip *t, const json_t *entry)
{
	const char *own = json_string_value(
		json_object_get(json_object_get(entry, "models"), t->dialect->name));
	struct request_target target = { .backend = t->dialect->name,
					 .model = own ? own : t->dialect->model };
	char *text = json_dumps(json_object_get(entry, "request"), JSON_COMPACT);
	struct request_source src = { text, strlen(text), REQUEST_JSON, NULL };
	struct request *r = NULL;
	struct err e = { 0 };

	t->config = contract_config(t->dialect);
	if (request_parse(&src, &r, NULL, &e))
		fail_msg("%s: %s", t->name, e.message);
	bring_images(t, r, text, json_object_get(entry, "files"));
	if (!t->config.at.default_url)
		target.url = t->config.at.url;
	if (t->config.type->numbers.default_max_tokens && r->endpoint != REQUEST_EMBEDDING)
		target.default_max_tokens =
			t->config.type->numbers.default_max_tokens(target.model);
	assert_int_equal(request_effective(r, &target, &t->effective), 0);
	request_free(r);
	free(text);
}

static void end(struct trip *t)
{
	json_decref(t->effective);
	json_decref(t->images);
}

/* ---- what is sent ---- */

static void note_body(const struct trip *t, const char *more, const char *path,
		      const struct buf *body)
{
	bool extra = json_object_get(t->effective, "extra_body") != NULL;
	json_t *line = json_pack("{s:s+, s:s, s:s, s:b}", "name", t->name, more, "provider",
				 t->dialect->provider, "path", path, "extra", extra);
	char *head = json_dumps(line, JSON_COMPACT);

	/* the body's own bytes: no number is read and written once more */
	fprintf(bodies, "%.*s,\"body\":%s}\n", (int)strlen(head) - 1, head, buf_str(body));
	n_bodies++;
	free(head);
	json_decref(line);
}

static void note_json(const struct trip *t, const char *path, const json_t *body)
{
	char *text = contract_text(body);
	struct buf b = BUF_INIT(1 << 26);

	assert_int_equal(buf_adds(&b, text), 0);
	note_body(t, " (in a batch)", path, &b);
	buf_done(&b);
	free(text);
}

static void note_batch(const struct trip *t)
{
	struct contract_batch b;

	contract_batch_make(&t->config, t->effective, t->images, &b);
	if (b.line)
		note_json(t, b.line_path, b.line);
	if (b.create)
		note_json(t, b.create_path, b.create);
	contract_batch_done(&b);
}

/* How many samples one call may ask for; a body that asks for as many is that of one sample and the number. */
static unsigned several(const struct trip *t, const struct backend_body *one)
{
	const struct backend_type *type = t->config.type;
	unsigned max =
		type->numbers.samples_max ? type->numbers.samples_max(&t->config, t->effective) : 1;
	struct backend_body out = { 0 };
	struct err e;

	if (max < 2)
		return max;
	if (type->build(&t->config, &(struct backend_ask){ t->effective, t->images, max }, &out,
			&e))
		fail_msg("%s: %s: %s", t->dialect->name, t->name, e.message);
	if (bodies)
		note_body(t, " (several samples)", out.path, &out.body);
	assert_string_equal(out.path, one->path);
	assert_string_not_equal(buf_str(&out.body), buf_str(&one->body));
	assert_int_equal(single_body(&out.body), 0);
	assert_string_equal(buf_str(&out.body), buf_str(&one->body));
	buf_done(&out.body);
	return max;
}

/* {"path","header","body"}: that the body is the canonical form of itself makes comparing it comparing bytes */
static json_t *sent(struct trip *t)
{
	struct backend_body out = { 0 };
	char *before = contract_text(t->effective), *after, *again;
	unsigned samples;
	json_t *body, *o;
	struct err e = { 0 };

	if (t->config.type->build(&t->config, &(struct backend_ask){ t->effective, t->images, 1 },
				  &out, &e))
		fail_msg("%s: %s: %s", t->dialect->name, t->name, e.message);
	samples = several(t, &out);
	after = contract_text(t->effective);
	assert_string_equal(before, after); /* others read it too */
	if (canon_parse(out.body.data, out.body.len, &body, NULL, &e))
		fail_msg("%s: %s: %s", t->dialect->name, t->name, e.message);
	again = contract_text(body);
	assert_string_equal(again, buf_str(&out.body));
	if (bodies) {
		note_body(t, "", out.path, &out.body);
		note_batch(t);
	}
	o = json_pack("{s:s, s:b, s:o}", "path", out.path, "stream", out.stream, "body", body);
	if (samples > 1)
		json_object_set_new(o, "samples", json_integer(samples));
	if (out.header[0])
		json_object_set_new(o, "header", json_string(out.header));
	free(before);
	free(after);
	free(again);
	buf_done(&out.body);
	return o;
}

static void check_parts(struct contract_book *b, const char *name, json_t *take_parts)
{
	static const char *const order[] = { "refused", "dropped", "effective", "path", "header",
					     "stream",	"samples", "body",	NULL };

	for (const char *const *part = order; *part; part++) {
		json_t *v = json_object_get(take_parts, *part);

		if (v)
			contract_check(b, name, *part, json_incref(v));
	}
	json_decref(take_parts);
}

/* What a person would see, and what is sent when the field may be dropped. */
static json_t *refused(struct trip *t, const struct err *e)
{
	json_t *dropped = json_array(), *parts;
	struct err again = { 0 };
	int rc = t->config.type->check(&t->config, t->effective, dropped, true, &again);

	if (rc) { /* lossy or not: there is nothing to drop */
		parts = json_object();
		json_decref(dropped);
	} else {
		assert_int_equal(t->config.type->check(&t->config, t->effective, NULL, false,
						       &again),
				 0); /* what is left is expressed whole */
		parts = sent(t);
		json_object_set_new(parts, "dropped", dropped);
	}
	json_object_set_new(parts, "refused",
			    json_pack("{s:s, s:s, s:s}", "error", err_name(e->code), "field",
				      e->field, "message", e->message));
	return parts;
}

static void through(struct contract_book *b, const struct contract_dialect *d, const char *name,
		    const json_t *entry)
{
	struct trip t = { .dialect = d, .name = name };
	json_t *untouched, *parts;
	struct err e = { 0 };
	int rc;

	begin(&t, entry);
	untouched = json_deep_copy(t.effective);
	rc = t.config.type->check(&t.config, t.effective, NULL, false, &e);
	if (rc) {
		assert_int_equal(rc, -e.code);
		assert_string_equal(e.message[0] ? e.backend[0] ? e.backend : d->name : "",
				    d->name);
		json_decref(t.effective);
		t.effective = json_incref(untouched);
		parts = refused(&t, &e);
	} else {
		parts = sent(&t);
		json_object_set(parts, "effective", t.effective);
	}
	check_parts(b, name, parts);
	json_decref(untouched);
	end(&t);
}

static void test_request(void **state)
{
	const char *name = *state;
	const json_t *entry = json_object_get(requests, name);

	for (size_t i = 0; i < contract_dialects_n; i++)
		through(&books[i], &contract_dialects[i], name, entry);
}

static void test_no_strays(void **state)
{
	size_t strays = 0;

	(void)state;
	assert_true(json_object_size(requests) >= 60);
	for (size_t i = 0; i < contract_dialects_n; i++)
		strays += contract_close(&books[i]);
	assert_int_equal(strays, 0);
}

/* ---- the program ---- */

static int run(void)
{
	size_t n = json_object_size(requests) + 1, i = 0;
	struct CMUnitTest *tests = calloc(n, sizeof(*tests));
	const char *name;
	json_t *entry;
	int rc;

	json_object_foreach(requests, name, entry) {
		tests[i++] = (struct CMUnitTest){ .name = name,
						  .test_func = test_request,
						  .initial_state = (void *)(uintptr_t)name };
	}
	tests[i] = (struct CMUnitTest){ .name = "every expectation is asked for",
					.test_func = test_no_strays };
	rc = _cmocka_run_group_tests("contract", tests, n, NULL, NULL);
	free(tests);
	return rc;
}

int main(int argc, char **argv)
{
	bool write = argc == 2 && strcmp(argv[1], "--write") == 0;
	int rc;

	if (argc == 3 && strcmp(argv[1], "--bodies") == 0) {
		bodies = fopen(argv[2], "w");
		if (!bodies) {
			perror(argv[2]);
			return 1;
		}
	} else if (argc > 1 && !write) {
		fprintf(stderr, "usage: %s [--write | --bodies FILE]\n", argv[0]);
		return 2;
	}
	requests = contract_json(CONTRACT_DATA "requests.json");
	assert_true(contract_dialects_n <= DIALECTS_MAX);
	for (size_t i = 0; i < contract_dialects_n; i++)
		contract_open(&books[i], contract_dialects[i].name, write);
	rc = run();
	json_decref(requests);
	if (bodies && fclose(bodies))
		rc = 1;
	if (bodies)
		fprintf(stderr, "%zu bodies\n", n_bodies);
	return rc;
}
