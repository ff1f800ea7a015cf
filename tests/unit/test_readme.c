/*
 * test_readme.c - the README.md of a mount, and the model that is chosen where nobody named one
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/str.h"
#include "main/detect.h"
#include "main/readme.h"

static const char *const variables[] = { "MISTRAL_API_KEY",	 "OPENAI_API_KEY",
					 "OPENAI_BASE_URL",	 "GEMINI_API_KEY",
					 "GOOGLE_API_KEY",	 "ANTHROPIC_API_KEY",
					 "ANTHROPIC_AUTH_TOKEN", "OLLAMA_API_KEY",
					 "OLLAMA_HOST" };

/* what the servers of this machine answer; NULL: nobody listens */
static const char *on_8000, *on_8080, *on_11434;
static unsigned probes;

static int clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		unsetenv(variables[i]);
	setenv("HOME", "/home/someone", 1);
	on_8000 = on_8080 = on_11434 = NULL;
	probes = 0;
	return 0;
}

static int probe(const char *url, struct buf *out)
{
	const char *answer = strstr(url, ":8000/v1/models")   ? on_8000
			     : strstr(url, ":8080/v1/models") ? on_8080
			     : strstr(url, ":11434/api/tags") ? on_11434
							      : NULL;

	probes++;
	return answer ? buf_adds(out, answer) : -ECONNREFUSED;
}

static struct config *config(const char *text)
{
	struct config_source src = { .path = "c.ini", .text = text, .len = strlen(text) };
	struct config *c = NULL;
	struct err e = { 0 };

	if (config_load(&src, &c, &e) < 0)
		print_error("%s\n", e.message);
	assert_non_null(c);
	return c;
}

/* the model for a configuration; NULL: none without doubt */
static void chosen(const char *text, const char *model, const char *choice)
{
	struct config *c = config(text);
	struct detect d = { 0 };
	struct err e = { 0 };

	if (detect_model(c, probe, &d, &e) < 0)
		fail_msg("%s", e.message);
	if (model)
		assert_string_equal(d.model ? d.model : "(none)", model);
	else
		assert_null(d.model);
	if (!strstr(d.choices, choice))
		fail_msg("<%s> is not in <%s>", choice, d.choices);
	detect_done(&d);
	config_free(c);
}

static void refused(const char *text, int code, const char *contains)
{
	struct config *c = config(text);
	struct detect d = { 0 };
	struct err e = { 0 };

	assert_int_equal(detect_model(c, probe, &d, &e), code);
	if (!strstr(e.message, contains))
		fail_msg("<%s> is not in <%s>", contains, e.message);
	config_free(c);
}

static void test_no_backend(void **state)
{
	(void)state;
	refused("", -ENXIO, "MISTRAL_API_KEY");
	refused("", -ENXIO, "echo/echo");
}

static void test_named(void **state)
{
	(void)state;
	chosen("[inferfs]\nmodel = echo/echo\n", "echo/echo", "echo/echo");
	chosen("[inferfs]\nmodel = mistral/m\n", "mistral/m", "echo");
	chosen("[inferfs]\nmodel = fast\n[alias]\nfast = vllm/Qwen/Q\n", "vllm/Qwen/Q", "echo");
	assert_int_equal(probes, 0);
	refused("[inferfs]\nmodel = mistra/m\n", -ENXIO, "do you mean mistral?");
	refused("[inferfs]\nmodel = nobody-knows-it/m\n", -ENXIO, "there is no backend");
	refused("[inferfs]\nmodel = m\n", -EINVAL, "BACKEND/MODEL");
	refused("[inferfs]\nmodel = mistral/\n", -EINVAL, "BACKEND/MODEL");
	refused("[inferfs]\nmodel = /m\n", -EINVAL, "BACKEND/MODEL");
}

static void test_who_pays(void **state)
{
	(void)state;
	setenv("MISTRAL_API_KEY", "key-mmmmmm", 1);
	chosen("", "mistral/mistral-small-latest", "mistral/mistral-small-latest");
	on_8000 = "{\"data\":[{\"id\":\"Qwen/Q\"}]}";
	chosen("", "mistral/mistral-small-latest", "vllm/Qwen/Q");
	setenv("ANTHROPIC_API_KEY", "key-aaaaaa", 1);
	chosen("", NULL, "mistral/mistral-small-latest");
	chosen("", NULL, "anthropic/MODEL");
	unsetenv("ANTHROPIC_API_KEY");
	setenv("GEMINI_API_KEY", "key-gggggg", 1);
	chosen("", NULL, "gemini/MODEL");
	unsetenv("GEMINI_API_KEY");
	setenv("OPENAI_API_KEY", "key-oooooo", 1);
	chosen("", NULL, "openai/MODEL");
	unsetenv("MISTRAL_API_KEY");
	chosen("", NULL, "openai/MODEL");
}

static void test_local_server(void **state)
{
	(void)state;
	on_8080 = "{\"object\":\"list\",\"data\":[{\"id\":\"stories.gguf\"},{\"id\":\"b\"}]}";
	chosen("", "llamacpp/stories.gguf", "llamacpp/stories.gguf, echo/echo");
	on_11434 = "{\"models\":[{\"name\":\"llama3.2\"},{\"name\":\"b\"}]}";
	chosen("", NULL, "ollama/llama3.2");
	on_8080 = NULL;
	chosen("", "ollama/llama3.2", "ollama/llama3.2");
	on_11434 = "{\"models\":null}"; /* a server without models */
	chosen("", NULL, "ollama/MODEL");
}

static void test_not_a_model_server(void **state)
{
	(void)state;
	on_8080 = "<html>some proxy</html>";
	refused("", -ENXIO, "no model to ask");
	on_8080 = "[1]";
	refused("", -ENXIO, "no model to ask");
	on_8080 = "{\"data\":[{\"id\":5}]}";
	chosen("", NULL, "llamacpp/MODEL");
}

/* a configuration says what there is: this machine is not searched */
static void test_configured(void **state)
{
	(void)state;
	on_8000 = "{\"data\":[{\"id\":\"Qwen/Q\"}]}";
	chosen("[backend lab]\ntype = openai\nurl = http://10.0.0.1/v1\n", NULL, "lab/MODEL");
	assert_int_equal(probes, 0);
	setenv("MISTRAL_API_KEY", "key-mmmmmm", 1);
	chosen("[backend ours]\ntype = mistral\n", "ours/mistral-small-latest", "ours/");
}

static char *readme(const char *text)
{
	struct config *c = config(text);
	struct detect d = { 0 };
	struct buf out;
	char *result;

	buf_init(&out, README_MAX);
	assert_int_equal(detect_model(c, probe, &d, NULL), 0);
	assert_int_equal(readme_text(&(struct readme_facts){ "/mnt/llm", c, &d }, &out), 0);
	result = buf_steal(&out, NULL);
	detect_done(&d);
	config_free(c);
	return result;
}

static void contains(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("<%s> is missing in\n%s", what, text);
}

static void test_readme(void **state)
{
	AUTO_FREE char *text = readme(
		"[inferfs]\nmodel = echo/echo\nwait = yes\ncache_mode = refresh\nlossy = yes\n"
		"suffixes = .json .prompt\n[alias]\nfast = echo/echo\n");

	(void)state;
	contains(text, "cd /mnt/llm\n");
	contains(text, "`.json` or `.prompt`.");
	contains(text, "default model: `echo/echo`");
	contains(text, "- `wait`");
	contains(text, "cache mode: refresh");
	contains(text, "`lossy`");
	contains(text, "- `echo`: needs no key; free\n");
	contains(text, "- `mistral`: no key: set MISTRAL_API_KEY");
	contains(text, "- `fast` is `echo/echo`");
	assert_true(str_utf8_valid(text, strlen(text)));
}

static void test_readme_no_secret(void **state)
{
	AUTO_FREE char *text = NULL;

	(void)state;
	setenv("MISTRAL_API_KEY", "very-secret-1", 1);
	setenv("OPENAI_API_KEY", "very-secret-2", 1);
	text = readme("[backend lab]\ntype = openai\nurl = http://me:very-secret-3@10.0.0.1/v1\n"
		      "header = X-Auth: very-secret-4\n");
	contains(text, "- `mistral`: has a key");
	contains(text, "no default model");
	contains(text, "\"model\": \"echo/echo\"");
	assert_null(strstr(text, "very-secret"));
	assert_null(strstr(text, "10.0.0.1"));
}

static void test_readme_too_large(void **state)
{
	struct config *c = config("[inferfs]\nmodel = echo/echo\n");
	struct detect d = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(detect_model(c, probe, &d, NULL), 0);
	assert_int_equal(readme_text(&(struct readme_facts){ "/m", c, &d }, &out), -EFBIG);
	buf_done(&out);
	detect_done(&d);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_backend, clean),
		cmocka_unit_test_setup(test_named, clean),
		cmocka_unit_test_setup(test_who_pays, clean),
		cmocka_unit_test_setup(test_local_server, clean),
		cmocka_unit_test_setup(test_not_a_model_server, clean),
		cmocka_unit_test_setup(test_configured, clean),
		cmocka_unit_test_setup(test_readme, clean),
		cmocka_unit_test_setup(test_readme_no_secret, clean),
		cmocka_unit_test_setup(test_readme_too_large, clean),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	log_close();
	return failed;
}
