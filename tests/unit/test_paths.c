/*
 * test_paths.c - where things lie, and that none of them lies inside the mount
 */
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
#include "base/mountinfo.h"
#include "base/str.h"
#include "ctl/target.h"
#include "main/paths.h"

static char *top; /* a directory of this test's own, canonical */

static int begin(void **state)
{
	char dir[] = "/tmp/pathsXXXXXX";

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	top = realpath(dir, NULL);
	if (!top || chdir(top) < 0)
		return -1;
	setenv("HOME", top, 1);
	unsetenv("XDG_STATE_HOME");
	unsetenv("XDG_CACHE_HOME");
	unsetenv("XDG_CONFIG_HOME");
	return mkdir("mnt", 0755) || mkdir("other", 0755);
}

static int end(void **state)
{
	int rc;

	(void)state;
	rc = chdir("/") | fdio_remove_tree(AT_FDCWD, top);
	free(top);
	return rc;
}

static void expect(char *take_got, const char *below)
{
	AUTO_FREE char *want = str_printf("%s%s", top, below);
	AUTO_FREE char *got = take_got;

	assert_string_equal(got, want);
}

static void test_expand(void **state)
{
	char *out = NULL;
	struct err e = { 0 };

	(void)state;
	assert_true(paths_expand("~root/x", &out, &e) < 0);
	assert_null(out);
	assert_int_equal(paths_expand("~", &out, NULL), 0);
	expect(out, "");
	assert_int_equal(paths_expand("~/a", &out, NULL), 0);
	expect(out, "/a");
	assert_int_equal(paths_expand("b/c", &out, NULL), 0);
	expect(out, "/b/c");
	assert_int_equal(paths_expand("/b", &out, NULL), 0);
	assert_string_equal(out, "/b");
	free(out);
}

static void test_real(void **state)
{
	char *out = NULL;

	(void)state;
	assert_int_equal(symlink("other", "link"), 0);
	assert_int_equal(paths_real("link/new//./deep/../file", &out, NULL), 0);
	expect(out, "/other/new/file");
	assert_int_equal(paths_real("mnt/", &out, NULL), 0);
	expect(out, "/mnt");
	assert_int_equal(paths_real("/", &out, NULL), 0);
	assert_string_equal(out, "/");
	free(out);
	assert_int_equal(paths_real("/nonexistent/../x", &out, NULL), 0);
	assert_string_equal(out, "/x");
	free(out);
	assert_int_equal(paths_real("/nonexistent/../..", &out, NULL), 0);
	assert_string_equal(out, "/");
	free(out);
	assert_int_equal(symlink("loop", "loop"), 0);
	assert_true(paths_real("loop/x", &out, NULL) < 0);
}

static void test_inside(void **state)
{
	(void)state;
	assert_true(paths_inside("/a/b", "/a/b"));
	assert_true(paths_inside("/a/b", "/a/b/c"));
	assert_false(paths_inside("/a/b", "/a/bc"));
	assert_false(paths_inside("/a/b", "/a"));
	assert_true(paths_inside("/", "/a"));
}

static void test_home(void **state)
{
	char *out = NULL;

	(void)state;
	assert_int_equal(paths_home(PATHS_STATE, &out, NULL), 0);
	expect(out, "/.local/state/inferfs");
	assert_int_equal(paths_home(PATHS_CACHE, &out, NULL), 0);
	expect(out, "/.cache/inferfs");
	setenv("XDG_CACHE_HOME", "/var/x", 1);
	assert_int_equal(paths_home(PATHS_CACHE, &out, NULL), 0);
	assert_string_equal(out, "/var/x/inferfs");
	free(out);
	setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored, says the specification */
	assert_int_equal(paths_home(PATHS_CACHE, &out, NULL), 0);
	expect(out, "/.cache/inferfs");
	unsetenv("HOME");
	unsetenv("XDG_CACHE_HOME");
	if (geteuid() != 0)
		return;
	/* root as mount(8) may start it */
	assert_int_equal(paths_home(PATHS_STATE, &out, NULL), 0);
	assert_string_equal(out, "/var/lib/inferfs");
	free(out);
	assert_int_equal(paths_home(PATHS_CACHE, &out, NULL), 0);
	assert_string_equal(out, "/var/cache/inferfs");
	free(out);
	assert_true(paths_expand("~/x", &out, NULL) < 0);
}

static void test_config(void **state)
{
	char *out = (char *)-1;
	bool system_wide = access("/etc/inferfs/config.ini", F_OK) == 0;

	(void)state;
	assert_int_equal(paths_config(&out, NULL), 0);
	if (system_wide)
		free(out);
	else
		assert_null(out);
	assert_int_equal(fdio_mkdirs(AT_FDCWD, ".config/inferfs", 0755), 0);
	assert_int_equal(fdio_put(AT_FDCWD, ".config/inferfs/config.ini", "", 0, 0, 0644), 0);
	assert_int_equal(paths_config(&out, NULL), 0);
	expect(out, "/.config/inferfs/config.ini");
}

static void test_cache_url(void **state)
{
	static const char *const bad[] = { "",
					   "disk",
					   "/x",
					   "x/y:z",
					   "disc:/x",
					   "disk:",
					   "disk:?ttl=1",
					   "redis://h",
					   "s3://b",
					   "plugin:x",
					   "disk:/a disk:/b",
					   "disk:/a?max_bytes=1" };
	char *out = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(paths_cache(bad[i], &out, NULL) < 0);
	assert_int_equal(paths_cache("disk:/a?ttl=5", &out, NULL), 0);
	assert_string_equal(out, "disk:/a?ttl=5");
	free(out);
	assert_int_equal(paths_cache("tmp:", &out, NULL), 0);
	assert_string_equal(out, "tmp:");
	free(out);
	assert_int_equal(paths_cache("disk:s", &out, NULL), 0);
	{
		AUTO_FREE char *want = str_printf("disk:%s/s", top);

		assert_string_equal(out, want);
	}
	free(out);
}

static void refused(const struct paths_input *in, const char *contains)
{
	struct paths p = { 0 };
	struct err e = { 0 };
	int rc = paths_resolve(in, &p, &e);

	if (rc >= 0 || !strstr(e.message, contains))
		print_error("%d <%s>, wanted <%s>\n", rc, e.message, contains);
	assert_true(rc < 0);
	assert_non_null(strstr(e.message, contains));
	assert_null(p.mountpoint);
}

static void test_mountpoint_refused(void **state)
{
	(void)state;
	refused(&(struct paths_input){ .mountpoint = "none" }, "does not exist");
	assert_int_equal(fdio_put(AT_FDCWD, "file", "", 0, 0, 0644), 0);
	refused(&(struct paths_input){ .mountpoint = "file" }, "not a directory");
	refused(&(struct paths_input){ .mountpoint = "/" }, "cannot be the mount point");
}

static void test_inside_refused(void **state)
{
	const char *const others[] = { "mnt/ca.pem", NULL };

	(void)state;
	refused(&(struct paths_input){ .mountpoint = "mnt", .state = "mnt" },
		"the state directory");
	refused(&(struct paths_input){ .mountpoint = "mnt", .state = "mnt/a/b" },
		"inside the mount point");
	refused(&(struct paths_input){ .mountpoint = "mnt", .state = "other/../mnt/x" }, "state");
	refused(&(struct paths_input){ .mountpoint = "mnt", .cache = "disk:mnt/c" },
		"the cache directory");
	refused(&(struct paths_input){ .mountpoint = "mnt", .config = "mnt/c.ini" },
		"configuration file");
	refused(&(struct paths_input){ .mountpoint = "mnt", .log_file = "mnt/log" },
		"the log file");
	refused(&(struct paths_input){ .mountpoint = "mnt", .others = others }, "mnt/ca.pem");
	assert_int_equal(symlink("mnt", "link"), 0);
	refused(&(struct paths_input){ .mountpoint = "mnt", .state = "link/s" },
		"the state directory");
	refused(&(struct paths_input){ .mountpoint = "link", .state = "mnt/s" },
		"the state directory");
}

/* the other way round: the daemon would meet its own mount in its directories */
static void test_around_refused(void **state)
{
	(void)state;
	refused(&(struct paths_input){ .mountpoint = "mnt", .state = "." },
		"lies inside the state directory");
	refused(&(struct paths_input){ .mountpoint = "mnt", .cache = "disk:." },
		"lies inside the cache");
}

static void test_resolve(void **state)
{
	struct paths p = { 0 };
	struct paths_input in = { .mountpoint = "mnt", .config = "c.ini", .log_file = "~/log" };
	int fd;

	(void)state;
	assert_int_equal(paths_resolve(&in, &p, NULL), 0);
	expect(strdup(p.mountpoint), "/mnt");
	expect(strdup(p.state), "/.local/state/inferfs");
	expect(strdup(p.cache_url + 5), "/.cache/inferfs");
	expect(strdup(p.config), "/c.ini");
	expect(strdup(p.log_file), "/log");
	assert_int_equal(p.n_kept, 4);
	/* nothing is mounted here, so it is one device: the check after mounting says so */
	fd = paths_open_dir(p.state, "prompts", 0755, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(paths_mounted(&p, NULL), -EINVAL);
	paths_done(&p);
	assert_null(p.state);
	paths_done(&p);
	in.cache = "tmp:";
	assert_int_equal(paths_resolve(&in, &p, NULL), 0);
	assert_string_equal(p.cache_url, "tmp:");
	assert_int_equal(p.n_kept, 3);
	paths_done(&p);
}

static void test_open_dir(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(fdio_put(AT_FDCWD, "file", "", 0, 0, 0644), 0);
	assert_true(paths_open_dir("file/x", "prompts", 0755, NULL) < 0);
	umask(0);
	fd = paths_open_dir("s1/s2", "prompts", 0755, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(stat("s1/s2", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat("s1/s2/prompts", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
}

struct seen {
	unsigned n;
	char text[256];
};

static bool note(void *arg, const struct mountinfo *m)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);

	(void)snprintf(s->text + n, sizeof(s->text) - n, "%s=%s;", m->point, m->fstype);
	return ++s->n < 3;
}

static void test_mountinfo(void **state)
{
	char text[] = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
		      "garbage\n"
		      "40 22 0:50 / /home/a\\040b\\134c rw,nosuid master:3 - fuse.inferfs none rw\n"
		      "41 22 0:51 / /x rw - tmpfs tmpfs rw\n"
		      "42 22 0:52 / /never rw - tmpfs tmpfs rw\n";
	struct seen s = { 0, "" };

	(void)state;
	mountinfo_parse(text, note, &s);
	assert_string_equal(s.text, "/=ext4;/home/a b\\c=fuse.inferfs;/x=tmpfs;");
	assert_false(mountinfo_ours("/"));
	assert_false(mountinfo_ours("/nonexistent"));
}

static void test_target_stem(void **state)
{
	static const struct {
		const char *name, *stem;
	} rows[] = {
		{ "sky.json", "sky" },
		{ "a/sky.txt", "a/sky" },
		{ "cheap.batch.jsonl", "cheap" },
		{ "many.jsonl", "many" },
		{ "a.b/c", "a.b/c" },
		{ "a.b.md", "a.b" },
		{ "own.prompt", "own" },
		{ ".hidden", ".hidden" },
		{ "d/.hidden", "d/.hidden" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *copy = strdup(rows[i].name);

		target_stem(copy);
		assert_string_equal(copy, rows[i].stem);
	}
}

/* a tree of plain files stands in for the mount */
static void test_target_find(void **state)
{
	static const char *const names[] = { "prompts/any/sky.json",
					     "responses/any/sky",
					     "responses/any/sky/text",
					     "any/sky",
					     "any/sky.json",
					     "mnt/../prompts/any/sky.json",
					     "responses/any/sky/samples/0/text" };
	AUTO_FREE char *ns = NULL;

	(void)ns;
	(void)state;
	assert_int_equal(fdio_mkdirs(AT_FDCWD, "prompts/any", 0755), 0);
	assert_int_equal(fdio_mkdirs(AT_FDCWD, "responses/any/sky/samples/0", 0755), 0);
	assert_int_equal(fdio_put(AT_FDCWD, "responses/any/sky/status", "done\n", 5, 0, 0644), 0);
	assert_int_equal(fdio_mkdirs(AT_FDCWD, "namespaces/n/prompts", 0755), 0);
	assert_int_equal(fdio_mkdirs(AT_FDCWD, "namespaces/n/responses/q", 0755), 0);
	assert_int_equal(
		fdio_put(AT_FDCWD, "namespaces/n/responses/q/status", "done\n", 5, 0, 0644), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		expect(target_find(top, names[i]), "/responses/any/sky");
	expect(target_find(top, "namespaces/n/prompts/q.json"), "/namespaces/n/responses/q");
	assert_null(target_find(top, "any/none"));
	assert_null(target_find(top, "/etc/passwd"));
	assert_null(target_find(top, "responses/any"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_expand, begin, end),
		cmocka_unit_test_setup_teardown(test_real, begin, end),
		cmocka_unit_test(test_inside),
		cmocka_unit_test_setup_teardown(test_home, begin, end),
		cmocka_unit_test_setup_teardown(test_config, begin, end),
		cmocka_unit_test_setup_teardown(test_cache_url, begin, end),
		cmocka_unit_test_setup_teardown(test_mountpoint_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_inside_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_around_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_resolve, begin, end),
		cmocka_unit_test_setup_teardown(test_open_dir, begin, end),
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_target_stem),
		cmocka_unit_test_setup_teardown(test_target_find, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
