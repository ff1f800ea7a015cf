/*
 * test_options.c - the command line
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "main/config_keys.h"
#include "main/options.h"

enum { ARGS_MAX = 16 };

/* a line is words separated by blanks; "\1" stands for a blank inside a word */
static int parse(const char *line, struct options *out, struct err *e)
{
	char *args[ARGS_MAX + 2] = { (char[]){ "inferfs" }, NULL };
	AUTO_FREE char *copy = strdup(line);
	int n = 1, rc;

	for (char *save = NULL, *w = strtok_r(copy, " ", &save); w && n <= ARGS_MAX;
	     w = strtok_r(NULL, " ", &save)) {
		for (char *p = w; *p; p++)
			if (*p == '\1')
				*p = ' ';
		args[n++] = w;
	}
	rc = options_parse(n, args, out, e);
	return rc;
}

static struct options good(const char *line)
{
	struct options o = { 0 };
	struct err e = { 0 };
	int rc = parse(line, &o, &e);

	if (rc < 0)
		print_error("%s: %s\n", line, e.message);
	assert_int_equal(rc, 0);
	return o;
}

static void refused(const char *line, const char *contains)
{
	struct options o = { 0 };
	struct err e = { 0 };
	int rc = parse(line, &o, &e);

	if (rc >= 0 || !strstr(e.message, contains))
		print_error("%s: %d <%s>, wanted <%s>\n", line, rc, e.message, contains);
	assert_int_equal(rc, -EINVAL);
	assert_non_null(strstr(e.message, contains));
	assert_null(o.mountpoint);
}

static bool has_fuse(const struct options *o, const char *word)
{
	for (size_t i = 0; i < o->n_fuse_opts; i++)
		if (strcmp(o->fuse_opts[i], word) == 0)
			return true;
	return false;
}

static const char *setting(const struct options *o, const char *key)
{
	const char *found = NULL;

	for (size_t i = 0; i < o->n_settings; i++)
		if (strcmp(o->settings[i].key, key) == 0)
			found = o->settings[i].value ? o->settings[i].value : "(alone)";
	return found;
}

static void test_refused(void **state)
{
	(void)state;
	refused("", "no mount point");
	refused("-f", "no mount point");
	refused("a b c", "\"c\" is one argument too many");
	refused("-x m", "no option -x");
	refused("--frobnicate m", "no option --frobnicate");
	refused("m -o", "-o wants options");
	refused("-o config= m", "config wants a value");
	refused("-o config m", "config wants a value");
	refused("-o state m", "state wants a value");
	refused("-o modle=a/b m", "do you mean model?");
	refused("-o cachemode=use m", "do you mean cache_mode?");
	refused("-o wiat m", "do you mean wait?");
	refused("-o conf=x m", "do you mean config?");
	refused("a.ini m -o config=b.ini", "two configuration files");
}

static void test_mountpoint(void **state)
{
	struct options o = good("/mnt/llm");

	(void)state;
	assert_string_equal(o.mountpoint, "/mnt/llm");
	assert_null(o.source);
	assert_null(options_config_path(&o));
	assert_false(o.foreground || o.debug || o.help || o.version);
	assert_true(has_fuse(&o, "default_permissions"));
	assert_true(has_fuse(&o, "subtype=inferfs"));
	assert_int_equal(o.n_fuse_opts, 2);
	options_done(&o);
	assert_null(o.mountpoint);
	options_done(&o);
}

/* as mount(8) runs it: source, mount point, then -o with what it adds for root */
static void test_mount_helper(void **state)
{
	struct options o = good(
		"none /mnt/llm -o rw,allow_other,model=echo/echo,dev,suid,noauto,_netdev,x-systemd.automount");

	(void)state;
	assert_string_equal(o.source, "none");
	assert_string_equal(o.mountpoint, "/mnt/llm");
	assert_null(options_config_path(&o));
	assert_string_equal(setting(&o, "model"), "echo/echo");
	assert_true(has_fuse(&o, "allow_other"));
	assert_false(has_fuse(&o, "dev") || has_fuse(&o, "suid") || has_fuse(&o, "rw"));
	assert_int_equal(o.n_fuse_opts, 3);
	options_done(&o);
	o = good("/etc/x.ini /mnt/llm");
	assert_string_equal(options_config_path(&o), "/etc/x.ini");
	options_done(&o);
	o = good("none m -o config=c.ini");
	assert_string_equal(options_config_path(&o), "c.ini");
	options_done(&o);
	o = good("c.ini m -o config=c.ini");
	assert_string_equal(options_config_path(&o), "c.ini");
	options_done(&o);
}

static void test_flags(void **state)
{
	struct options o = good("-f m");

	(void)state;
	assert_true(o.foreground && !o.debug);
	options_done(&o);
	o = good("m -d");
	assert_true(o.foreground && o.debug);
	options_done(&o);
	o = good("--foreground --debug m");
	assert_true(o.foreground && o.debug);
	options_done(&o);
	o = good("-h");
	assert_true(o.help);
	options_done(&o);
	o = good("--help a b c");
	assert_true(o.help);
	options_done(&o);
	o = good("-V");
	assert_true(o.version);
	options_done(&o);
	o = good("--version");
	assert_true(o.version);
	options_done(&o);
}

static void test_words(void **state)
{
	struct options o =
		good("-o wait,log=debug,log_file=/l m -omodel=a/b,state=/s -o ,,timeout=5,");

	(void)state;
	assert_string_equal(setting(&o, "wait"), "(alone)");
	assert_string_equal(setting(&o, "log"), "debug");
	assert_string_equal(setting(&o, "log_file"), "/l");
	assert_string_equal(setting(&o, "model"), "a/b");
	assert_string_equal(setting(&o, "timeout"), "5");
	assert_string_equal(o.state, "/s");
	assert_int_equal(o.n_settings, 5);
	options_done(&o);
	/* the last one counts; whether that may be so is the configuration's business */
	o = good("-o model=a/b,model=c/d,state=/1,state=/2 m");
	assert_string_equal(setting(&o, "model"), "c/d");
	assert_string_equal(o.state, "/2");
	options_done(&o);
}

static void test_backslash(void **state)
{
	struct options o = good("-o cache=disk:/a\\,b\\\\c,state=/x\\,y,fsname=p\\,q m");

	(void)state;
	assert_string_equal(setting(&o, "cache"), "disk:/a,b\\c");
	assert_string_equal(o.state, "/x,y");
	/* libfuse takes the backslashes off itself */
	assert_true(has_fuse(&o, "fsname=p\\,q"));
	options_done(&o);
	o = good("-o suffixes=.json\1.txt m\\");
	assert_string_equal(setting(&o, "suffixes"), ".json .txt");
	assert_string_equal(o.mountpoint, "m\\");
	options_done(&o);
	o = good("-o scope=a\\ m");
	assert_string_equal(setting(&o, "scope"), "a\\");
	options_done(&o);
}

/* unknown words are libfuse's to judge; ours are ours whatever libfuse thinks of them */
static void test_libfuse(void **state)
{
	struct options o = good(
		"-o ro,max_read=131072,auto_unmount,noatime,something_else=5,nonempty,default_permissions,"
		"subtype=other,comment=x,x-gvfs-show m");

	(void)state;
	assert_true(has_fuse(&o, "ro"));
	assert_true(has_fuse(&o, "max_read=131072"));
	assert_true(has_fuse(&o, "auto_unmount"));
	assert_true(has_fuse(&o, "something_else=5"));
	assert_true(has_fuse(&o, "nonempty"));
	assert_false(has_fuse(&o, "subtype=other"));
	assert_int_equal(o.n_fuse_opts, 8);
	assert_null(o.fuse_opts[8]);
	options_done(&o);
}

/* every key of [inferfs] is an option, and the help names each of them */
static void test_help_is_complete(void **state)
{
	static const char *const words[] = { "config=",	    "state=",
					     "cache=",	    "model=",
					     "wait",	    "cache_mode=",
					     "lossy",	    "scope=",
					     "durability=", "max_request_bytes=",
					     "suffixes=",   "queue=",
					     "timeout=",    "share_namespaces=",
					     "log=",	    "log_file=",
					     "budget_usd=", "budget_usd_per_day=",
					     "allow_other", "--foreground",
					     "--debug",	    "--help",
					     "--version",   "-o " };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_non_null(strstr(options_help(), words[i]));
	for (const char *p = options_help(); *p; p += *p == '\n') {
		assert_true(strcspn(p, "\n") <= 100);
		p += strcspn(p, "\n");
	}
}

/* a key that is in the table is in the manual, and what the help names is in inferfs(1) */
static void test_manual_is_complete(void **state)
{
	static const char *const sections[] = { "inferfs", "backend",	"merge", "batch",
						"store",   "namespace", "prices" };
	AUTO_BUF struct buf page1 = BUF_INIT(1 << 20);
	AUTO_BUF struct buf page5 = BUF_INIT(1 << 20);

	(void)state;
	if (fdio_read_file(AT_FDCWD, "src/man/inferfs.1", &page1) < 0)
		skip(); /* not run from the top of the source */
	assert_int_equal(fdio_read_file(AT_FDCWD, "src/man/inferfs.5", &page5), 0);
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		const struct config_keys_section *s = config_keys_section(sections[i]);

		for (const struct config_keys_row *r = s->rows; r->name; r++) {
			if (!strstr(page5.data, r->name))
				fail_msg("%s of [%s] is not in inferfs(5)", r->name, sections[i]);
			if (i == 0 &&
			    (!strstr(page1.data, r->name) || !strstr(options_help(), r->name)))
				fail_msg("%s is not in inferfs(1) or in the help", r->name);
		}
	}
}

static void test_many_words(void **state)
{
	char many[2048] = "-o ";

	(void)state;
	for (int i = 0; i < 300; i++)
		strcat(many, "a,");
	strcat(many, " m");
	refused(many, "more than 256");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	     cmocka_unit_test(test_mountpoint),
		cmocka_unit_test(test_mount_helper), cmocka_unit_test(test_flags),
		cmocka_unit_test(test_words),	     cmocka_unit_test(test_backslash),
		cmocka_unit_test(test_libfuse),	     cmocka_unit_test(test_help_is_complete),
		cmocka_unit_test(test_many_words),   cmocka_unit_test(test_manual_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
