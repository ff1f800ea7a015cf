/* test_vfs_file.c - files under prompts/ beside the FUSE thread: nothing outside can be read that way */
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
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "vfs/inside.h"

static char dir[64];
static struct vfs tree;

static void put(const char *path, const char *bytes)
{
	assert_int_equal(fdio_put(tree.o.prompts_fd, path, bytes, strlen(bytes), 0, 0644), 0);
}

static int setup(void **state)
{
	char path[96];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/inferfs-unit.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/prompts", dir);
	if (mkdir(path, 0755) < 0)
		return -1;
	tree.o.namespaces_fd = -1;
	tree.o.prompts_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)mkdirat(tree.o.prompts_fd, "d", 0755);
	put("a", "inside");
	put("d/b", "below");
	put("../secret", "outside");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)close(tree.o.prompts_fd);
	return fdio_remove_tree(AT_FDCWD, dir);
}

static int opened(const char *path)
{
	int fd = vfs_file_open(&tree, "", path);

	if (fd >= 0)
		(void)close(fd);
	return fd < 0 ? fd : 0;
}

static void link_to(const char *target, const char *name)
{
	assert_int_equal(symlinkat(target, tree.o.prompts_fd, name), 0);
}

static void test_nothing_outside(void **state)
{
	char absolute[96];

	(void)state;
	assert_int_equal(opened("../secret"), -EXDEV);
	assert_int_equal(opened("d/../../secret"), -EXDEV);
	assert_int_equal(opened("/etc/passwd"), -EXDEV);
	link_to("../secret", "escape");
	assert_int_equal(opened("escape"), -EXDEV);
	link_to("../../secret", "d/escape");
	assert_int_equal(opened("d/escape"), -EXDEV);
	(void)snprintf(absolute, sizeof(absolute), "%s/prompts/a", dir);
	link_to(absolute, "absolute"); /* would be inside, but is not looked up from here */
	assert_int_equal(opened("absolute"), -EXDEV);
	link_to("..", "up");
	assert_int_equal(opened("up/secret"), -EXDEV);
	link_to("/proc/self/fd/0", "magic");
	assert_true(opened("magic") < 0);
	link_to("round", "round");
	assert_int_equal(opened("round"), -ELOOP);
	assert_int_equal(opened("none"), -ENOENT);
	assert_int_equal(opened("a/b"), -ENOTDIR);
	assert_int_equal(vfs_file_open(&tree, "other", "a"), -ENOENT);
}

static void test_what_is_there(void **state)
{
	(void)state;
	assert_int_equal(opened("a"), 0);
	assert_int_equal(opened("d/b"), 0);
	assert_int_equal(opened("d/../a"), 0);
	link_to("../a", "d/inside");
	assert_int_equal(opened("d/inside"), 0);
	assert_int_equal(mkfifoat(tree.o.prompts_fd, "fifo", 0644), 0);
	assert_int_equal(opened("fifo"),
			 0); /* at once; that it is no regular file the caller sees */
}

static void test_read(void **state)
{
	struct broker_name n = { "", "a", "" };
	static const char *const suffixes[] = { ".json", ".txt", NULL };
	struct buf b = BUF_INIT(100);

	(void)state;
	tree.o.suffixes = suffixes;
	assert_int_equal(vfs_file_read(&tree, &n, &b), 0);
	assert_string_equal(buf_str(&b), "inside");
	buf_clear(&b);
	put("p.txt", "prompt");
	n = (struct broker_name){ "", "p", ".json" };
	assert_int_equal(vfs_file_read(&tree, &n, &b), 0); /* renamed meanwhile */
	assert_string_equal(buf_str(&b), "prompt");
	n.path = "none";
	assert_int_equal(vfs_file_read(&tree, &n, &b), -ENOENT);
	n = (struct broker_name){ "other", "p", ".txt" };
	assert_int_equal(vfs_file_read(&tree, &n, &b), -ENOENT);
	link_to("p.txt", "l.txt");
	n = (struct broker_name){ "", "l", ".txt" };
	assert_int_equal(vfs_file_read(&tree, &n, &b), -ENOENT); /* no link is a request */
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
