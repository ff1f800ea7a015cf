/*
 * test_engine_disk.c - what only a disk can do: vanish, fill up, be shared, be read with ordinary tools
 */
#include "sample.h"

#include <sys/file.h>

#include "store/disk_name.h"
#include "store/disk_walk.h"
#include "store/registry.h"

static const struct cache_engine *const disk = &engine_disk;

static void *open_at(const char *dir, const char *options, const char *warning)
{
	AUTO_FREE char *url = str_printf("disk:%s%s", dir, options);
	char why[512] = "";
	void *engine = NULL;

	assert_int_equal(disk->open(url, &engine, why, sizeof(why)), 0);
	if (warning)
		assert_non_null(strstr(why, warning));
	else
		assert_string_equal(why, "");
	return engine;
}

static struct cache_key key_no(unsigned n)
{
	struct key k = sample_key(n);
	struct cache_key c;

	memcpy(c.b, k.b, sizeof(c.b));
	return c;
}

static int put(void *engine, unsigned n, const char *text)
{
	struct cache_key k = key_no(n);
	struct cache_bytes b = { (char *)(uintptr_t)text, strlen(text) };

	return disk->put_new(engine, &k, 0, &b, 0, 0);
}

static int get(void *engine, unsigned n)
{
	struct cache_key k = key_no(n);
	struct cache_bytes b = { NULL, 0 };
	int rc = disk->get(engine, &k, 0, 0, 0, &b);

	free(b.data);
	return rc;
}

static int count_entries(int dirfd, const char *path)
{
	int n = 0, fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/* ---- URL ---- */

static void options_not_in_force_are_refused(void **state)
{
	static const struct {
		const char *url, *says;
		int rc;
	} bad[] = {
		{ "disk:", "name a directory", -EINVAL },
		{ "disk:/tmp/x?max_bytes=1G", "max_bytes comes in a later version", -EOPNOTSUPP },
		{ "disk:/tmp/x?prefix=a", "name another directory", -EOPNOTSUPP },
		{ "disk:/tmp/x?sync=perhaps", "sync is yes or no", -EINVAL },
		{ "disk:/tmp/x?syn=yes", "did you mean sync?", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char why[512] = "";
		void *engine = NULL;

		assert_int_equal(disk->open(bad[i].url, &engine, why, sizeof(why)), bad[i].rc);
		assert_null(engine);
		assert_non_null(strstr(why, bad[i].says));
	}
}

/* ---- directories that are not there ---- */

static void down_at_start_and_back(void **state)
{
	AUTO_FREE char *file = str_printf("%s/x", (char *)*state),
		       *dir = str_printf("%s/store", file);
	AUTO_FD int fd = open(file, O_CREAT | O_WRONLY, 0600);
	void *engine;

	assert_true(fd >= 0);
	engine = open_at(dir, "", "cannot be used now");
	assert_int_equal(put(engine, 1, "a"), -ENOTDIR);
	assert_int_equal(get(engine, 1), -ENOTDIR);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(put(engine, 1, "a"), CACHE_OK);
	assert_int_equal(get(engine, 1), CACHE_OK);
	disk->close(engine);
}

static void removed_while_in_use(void **state)
{
	AUTO_FREE char *dir = str_printf("%s/store", (char *)*state);
	void *engine = open_at(dir, "", NULL);
	AUTO_FD int fd = -1;

	assert_int_equal(put(engine, 1, "a"), CACHE_OK);
	assert_int_equal(fdio_remove_tree(AT_FDCWD, dir), 0);
	assert_int_equal(get(engine, 1), CACHE_MISS);
	assert_int_equal(put(engine, 1, "b"), CACHE_OK);
	assert_int_equal(fdio_remove_tree(AT_FDCWD, dir), 0);
	assert_int_equal(put(engine, 2, "c"), CACHE_OK);
	assert_int_equal(get(engine, 2), CACHE_OK);
	assert_int_equal(fdio_remove_tree(AT_FDCWD, dir), 0);
	fd = open(dir, O_CREAT | O_WRONLY, 0600); /* a file where it was */
	assert_true(fd >= 0);
	assert_int_equal(put(engine, 3, "d"), -ENOTDIR);
	assert_true(get(engine, 3) < 0);
	assert_int_equal(unlink(dir), 0);
	assert_int_equal(put(engine, 3, "d"), CACHE_OK);
	disk->close(engine);
}

static void moved_away_and_back(void **state)
{
	AUTO_FREE char *dir = str_printf("%s/store", (char *)*state);
	AUTO_FREE char *away = str_printf("%s/away", (char *)*state);
	void *engine = open_at(dir, "", NULL);

	assert_int_equal(put(engine, 1, "a"), CACHE_OK);
	assert_int_equal(rename(dir, away), 0);
	assert_int_equal(get(engine, 1), CACHE_OK); /* the directory is held, not its name */
	assert_int_equal(rename(away, dir), 0);
	assert_int_equal(get(engine, 1), CACHE_OK);
	disk->close(engine);
}

/* Something mounted over the path, as our own mount may be, does not catch a call. */
static void mounted_over(void **state)
{
	AUTO_FREE char *dir = str_printf("%s/store", (char *)*state);
	void *engine = open_at(dir, "", NULL);

	assert_int_equal(put(engine, 1, "a"), CACHE_OK);
	if (full_disk_mount(dir, "64k")) {
		assert_int_equal(get(engine, 1), CACHE_OK);
		assert_int_equal(put(engine, 2, "b"), CACHE_OK);
		full_disk_unmount(dir);
		assert_int_equal(get(engine, 2), CACHE_OK);
	}
	disk->close(engine);
}

static void relative_directory(void **state)
{
	AUTO_FREE char *before = getcwd(NULL, 0);
	void *engine;

	assert_int_equal(chdir(*state), 0);
	engine = open_at("store/deep", "", NULL);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(put(engine, 1, "a"), CACHE_OK);
	assert_int_equal(chdir(*state), 0);
	assert_int_equal(fdio_remove_tree(AT_FDCWD, "store"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(put(engine, 1, "a"), CACHE_OK); /* made anew where it was, not in / */
	assert_int_equal(access("/store", F_OK), -1);
	assert_int_equal(chdir(before), 0);
	disk->close(engine);
}

/* ---- a disk that takes nothing ---- */

static void full_disk(void **state)
{
	AUTO_FREE char *big = malloc(256 << 10);
	struct cache_key k = key_no(2);
	struct cache_bytes b = { big, 256 << 10 };
	void *engine;
	int fd;

	assert_non_null(big);
	memset(big, 'x', b.len);
	if (!full_disk_mount(*state, "128k"))
		return;
	engine = open_at(*state, "", NULL);
	assert_int_equal(put(engine, 1, "a"), CACHE_OK);
	assert_int_equal(disk->put_new(engine, &k, 0, &b, 0, 0), -ENOSPC);
	fd = open(*state, O_RDONLY | O_DIRECTORY);
	assert_int_equal(count_entries(fd, "tmp"), 0);
	(void)close(fd);
	assert_int_equal(get(engine, 1), CACHE_OK);
	assert_int_equal(get(engine, 2), CACHE_MISS);
	disk->close(engine);
	full_disk_unmount(*state);
}

static void read_only_disk(void **state)
{
	void *engine;

	if (!full_disk_mount(*state, "256k"))
		return;
	engine = open_at(*state, "", NULL);
	assert_int_equal(put(engine, 1, "a"), CACHE_OK);
	disk->close(engine);
	assert_int_equal(mount(NULL, *state, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	engine = open_at(*state, "", "cannot be written");
	assert_int_equal(get(engine, 1), CACHE_OK);
	assert_int_equal(put(engine, 2, "b"), -EROFS);
	assert_int_equal(put(engine, 1, "b"), CACHE_EXISTS);
	disk->close(engine);
	full_disk_unmount(*state);
}

static void fan_out_blocked_by_a_file(void **state)
{
	struct cache_key k = key_no(1);
	void *engine = open_at(*state, "", NULL);
	AUTO_FREE char *path = NULL;
	char leaf[DISK_NAME_MAX];
	AUTO_FD int fd = -1;

	disk_name_leaf(&k, 1, leaf);
	path = str_printf("%s/%s", (char *)*state, leaf);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_true(put(engine, 1, "a") < 0);
	assert_true(get(engine, 1) < 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(put(engine, 1, "a"), CACHE_OK);
	disk->close(engine);
}

/* ---- crashes and other daemons ---- */

static void leftovers_are_swept(void **state)
{
	AUTO_FREE char *tmp = str_printf("%s/tmp", (char *)*state);
	AUTO_FREE char *dead = str_printf("%s/1.0", tmp), *busy = str_printf("%s/2.0", tmp);
	AUTO_FD int dead_fd = -1, busy_fd = -1;

	assert_int_equal(mkdir(tmp, 0700), 0);
	dead_fd = open(dead, O_CREAT | O_WRONLY, 0600);
	busy_fd = open(busy, O_CREAT | O_WRONLY, 0600);
	assert_true(dead_fd >= 0 && busy_fd >= 0);
	assert_int_equal(flock(busy_fd, LOCK_EX), 0); /* another daemon is writing it */
	disk->close(open_at(*state, "", NULL));
	assert_int_equal(access(dead, F_OK), -1);
	assert_int_equal(access(busy, F_OK), 0);
}

/* A writer that is killed at any moment leaves whole objects only, and nothing after the next start. */
static void killed_writers(void **state)
{
	char text[4096];

	memset(text, 'w', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (unsigned round = 0; round < 12; round++) {
		void *engine = open_at(*state, "", NULL);
		AUTO_FD int dir = open(*state, O_RDONLY | O_DIRECTORY);
		int pipefd[2], status;
		char byte;
		pid_t pid;

		assert_int_equal(count_entries(dir, "tmp"), 0);
		assert_int_equal(pipe(pipefd), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			for (unsigned i = 0;; i++)
				if (put(engine, round * 100000 + i, text) != CACHE_OK ||
				    write(pipefd[1], "x", 1) != 1)
					_exit(1);
		}
		(void)close(pipefd[1]);
		for (unsigned i = 0; i < 5 + round * 7; i++)
			assert_int_equal(read(pipefd[0], &byte, 1), 1);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		(void)close(pipefd[0]);
		for (unsigned i = 0; i < 5 + round * 7; i++) {
			struct cache_key k = key_no(round * 100000 + i);
			struct cache_bytes b;

			assert_int_equal(disk->get(engine, &k, 0, 0, 0, &b), CACHE_OK);
			assert_int_equal(b.len, sizeof(text) - 1);
			free(b.data);
		}
		disk->close(engine);
	}
}

static void two_daemons_share(void **state)
{
	void *a = open_at(*state, "", NULL), *b = open_at(*state, "?sync=yes", NULL);

	assert_int_equal(put(a, 1, "a"), CACHE_OK);
	assert_int_equal(put(b, 1, "b"), CACHE_EXISTS);
	assert_int_equal(put(b, 2, "b"), CACHE_OK);
	assert_int_equal(get(a, 2), CACHE_OK);
	disk->close(a);
	assert_int_equal(put(b, 3, "c"), CACHE_OK);
	disk->close(b);
}

/* ---- how it looks from outside ---- */

static void names_and_modes(void **state)
{
	AUTO_FREE char *dir = str_printf("%s/store", (char *)*state), *file = NULL;
	struct cache_key k = key_no(1);
	char hex[65];
	void *engine = open_at(dir, "?ttl=60&timeout_ms=5", NULL);
	struct stat st;

	assert_int_equal(put(engine, 1, "a"), CACHE_OK);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	str_hex(k.b, sizeof(k.b), hex);
	file = str_printf("%s/objects/%.2s/%.2s/%s.0.json", dir, hex, hex + 2, hex);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(disk->set_aside(engine, &k, 0), CACHE_OK);
	free(file);
	file = str_printf("%s/damaged/%s.0.json", dir, hex);
	assert_int_equal(stat(file, &st), 0);
	disk->close(engine);
}

static void other_files_are_not_samples(void **state)
{
	static const char *const names[] = { "README",	   "%s.json",
					     "%s.x.json",  "%s.01.json",
					     "%s.-1.json", "%s.4294967295.json",
					     "%s.0.json~", "%s.0.jsonl",
					     ".%s.0.json", "%s.99999999999.json",
					     "%s..json" };
	struct cache_key k = key_no(1);
	void *engine = open_at(*state, "", NULL);
	struct cache_name out[4];
	char hex[65], other[65];
	uint32_t count;
	size_t n;

	str_hex(k.b, sizeof(k.b), hex);
	assert_int_equal(put(engine, 1, "a"), CACHE_OK);
	for (size_t i = 0; i <= ARRAY_LEN(names); i++) {
		char name[128] = "";
		AUTO_FREE char *path = NULL;
		AUTO_FD int fd = -1;

		memcpy(other, hex, sizeof(other));
		other[0] = hex[0] == 'a' ? 'b' : 'a'; /* right form, wrong place */
		if (i < ARRAY_LEN(names) && strstr(names[i], "%s"))
			(void)snprintf(name, sizeof(name), "%.*s%s%s",
				       (int)(strstr(names[i], "%s") - names[i]), names[i], hex,
				       strstr(names[i], "%s") + 2);
		else
			(void)snprintf(name, sizeof(name), "%s%s", i ? other : "README",
				       i ? ".0.json" : "");
		path = str_printf("%s/objects/%.2s/%.2s/%s", (char *)*state, hex, hex + 2, name);
		fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
		assert_true(fd >= 0);
	}
	assert_int_equal(disk->list(engine, "", NULL, 4, out, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(disk->count(engine, &k, 0, &count), 0);
	assert_int_equal(count, 1);
	disk->close(engine);
}

/* The page is full long before the leaf is read: what is kept must be the lowest names. */
static void many_in_one_leaf(void **state)
{
	enum { N = 2000, PAGE = 10 };
	struct cache_name out[PAGE], last;
	struct cache_key k = key_no(1);
	void *engine = open_at(*state, "", NULL);
	uint32_t next = 0;
	size_t n;

	for (uint32_t i = 0; i < N; i++) {
		struct cache_bytes b = { (char *)(uintptr_t) "x", 1 };

		assert_int_equal(disk->put_new(engine, &k, (i * 7919) % N, &b, 0, 0), CACHE_OK);
	}
	for (const struct cache_name *after = NULL;; after = &last) {
		assert_int_equal(disk->list(engine, "", after, PAGE, out, &n), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(out[i].index, next++);
		if (n < PAGE)
			break;
		last = out[n - 1];
	}
	assert_int_equal(next, N);
	disk->close(engine);
}

/* A hot object is answered without waiting, where the kernel can tell. */
static void nowait_of_a_hot_object(void **state)
{
	struct cache_key k = key_no(1);
	void *engine = open_at(*state, "", NULL);
	struct cache_bytes b;
	int rc;

	assert_int_equal(put(engine, 1, "hot"), CACHE_OK);
	assert_int_equal(get(engine, 1), CACHE_OK);
	rc = disk->get(engine, &k, 0, CACHE_NOWAIT, 0, &b);
	if (rc == CACHE_AGAIN) {
		(void)fprintf(stderr,
			      "SKIPPED: this kernel or file system cannot read without waiting\n");
	} else {
		assert_int_equal(rc, CACHE_OK);
		assert_int_equal(b.len, 3);
		free(b.data);
	}
	disk->close(engine);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(options_not_in_force_are_refused),
		T(down_at_start_and_back),
		T(removed_while_in_use),
		T(moved_away_and_back),
		T(mounted_over),
		T(relative_directory),
		T(full_disk),
		T(read_only_disk),
		T(fan_out_blocked_by_a_file),
		T(leftovers_are_swept),
		T(killed_writers),
		T(two_daemons_share),
		T(names_and_modes),
		T(other_files_are_not_samples),
		T(many_in_one_leaf),
		T(nowait_of_a_hot_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
