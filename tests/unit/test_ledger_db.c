/*
 * test_ledger_db.c - what may be wrong with the file, the directory and the disk; kill -9
 */
#include "ledger_fixture.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

static void expect_refused(const char *dir, int rc, const char *says)
{
	struct ledger_options o = { .dir = dir };
	struct ledger *l = NULL;
	struct err e = { 0 };

	assert_int_equal(ledger_open(&o, &l, &e), rc);
	assert_null(l);
	if (!strstr(e.message, says))
		(void)fprintf(stderr, "%s\n", e.message);
	assert_non_null(strstr(e.message, says));
	assert_non_null(strstr(e.message, dir));
}

static char *db_of(const char *dir)
{
	return str_printf("%s/ledger.db", dir);
}

static void sql(const char *dir, const char *statement)
{
	AUTO_FREE char *path = db_of(dir);
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, statement, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void write_at(const char *path, off_t off, const void *p, size_t n)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, n, off), n);
}

static void read_bytes(const char *path, struct buf *b)
{
	assert_int_equal(fdio_read_file(AT_FDCWD, path, b), 0);
}

/* ---- refusals ---- */

static void a_second_daemon(void **state)
{
	struct ledger *l = ledger_at(*state, LEDGER_GROUP);
	AUTO_FREE char *pid = str_printf("process %ld", (long)getpid());

	expect_refused(*state, -EBUSY, pid);
	(void)put_row(l, "", "a"); /* the first one is not disturbed */
	ledger_close(l);
	ledger_close(ledger_at(*state, LEDGER_GROUP));
}

static void other_files(void **state)
{
	static const char notes[] = "my notes, which nobody must lose";
	AUTO_FREE char *path = db_of(*state);
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);

	write_at(path, 0, notes, sizeof(notes));
	expect_refused(*state, -EINVAL, "is not the ledger of an inferfs mount");
	read_bytes(path, &b);
	assert_int_equal(b.len, sizeof(notes));
	assert_memory_equal(b.data, notes, b.len);
	assert_int_equal(truncate(path, 3), 0);
	expect_refused(*state, -EINVAL, "is not the ledger");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refused(*state, -EISDIR, "cannot be opened");
	assert_int_equal(rmdir(path), 0);
	sql(*state, "CREATE TABLE addresses(name TEXT)");
	expect_refused(*state, -EINVAL, "is the database of another program");
	sql(*state, "SELECT name FROM addresses");
}

static void newer_version(void **state)
{
	ledger_close(ledger_at(*state, LEDGER_GROUP));
	sql(*state, "PRAGMA user_version=3");
	expect_refused(*state, -EOPNOTSUPP,
		       "written by a newer inferfs (schema 3, this one knows 2)");
	sql(*state, "PRAGMA user_version=2; DROP TABLE unstored");
	expect_refused(*state, -EINVAL, "is damaged");
}

static void damaged_file(void **state)
{
	AUTO_FREE char *path = db_of(*state), *junk = malloc(4096);
	struct ledger *l = ledger_at(*state, LEDGER_GROUP);
	struct stat st;

	assert_non_null(junk);
	memset(junk, 0xa5, 4096);
	for (int i = 0; i < 200; i++) {
		AUTO_FREE char *name = str_printf("a/%d", i);

		(void)put_row(l, "", name);
	}
	ledger_close(l);
	assert_int_equal(stat(path, &st), 0);
	for (off_t page = 1; page < st.st_size / 4096; page += 3) {
		AUTO_BUF struct buf whole = BUF_INIT(16 << 20);

		read_bytes(path, &whole);
		write_at(path, page * 4096, junk, 4096);
		expect_refused(*state, -EINVAL, "is damaged");
		write_at(path, 0, whole.data, whole.len);
	}
	assert_int_equal(truncate(path, st.st_size / 2), 0);
	expect_refused(*state, -EINVAL, "is damaged");
	assert_int_equal(truncate(path, 100), 0);
	expect_refused(*state, -EINVAL, "is damaged");
	write_at(path, 24, junk, 76);
	expect_refused(*state, -EINVAL, "");
}

static void directory_cannot_be_made(void **state)
{
	AUTO_FREE char *file = str_printf("%s/file", (char *)*state),
		       *dir = str_printf("%s/x", file);

	write_at(file, 0, "x", 1);
	expect_refused(dir, -ENOTDIR, "cannot be made");
}

/* ---- modes ---- */

static void everything_is_private(void **state)
{
	static const char *const files[] = { "ledger.db", "ledger.db-wal", "ledger.db-shm",
					     "ledger.journal.0", "lock" };
	AUTO_FREE char *dir = str_printf("%s/a/state", (char *)*state);
	struct ledger *l;
	struct stat st;
	mode_t before = umask(0);

	l = ledger_at(dir, LEDGER_GROUP);
	(void)umask(before);
	(void)put_row(l, "", "a");
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_FREE char *path = str_printf("%s/%s", dir, files[i]);

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	ledger_close(l);
	assert_int_equal(chmod(dir, 0755), 0);
	ledger_close(ledger_at(dir, LEDGER_NONE));
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void every_durability(void **state)
{
	static const enum ledger_durability all[] = { LEDGER_EACH, LEDGER_NONE, LEDGER_GROUP };

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct ledger *l = ledger_at(*state, all[i]);
		AUTO_FREE char *name = str_printf("d/%zu", i);
		int64_t id = put_row(l, "", name);

		ledger_close(l);
		l = ledger_at(*state, LEDGER_GROUP);
		assert_int_equal(id_of(l, "", name), id);
		ledger_close(l);
	}
}

/* ---- a full disk ---- */

static void full_disk(void **state)
{
	AUTO_FREE char *big = malloc(300 << 10);
	AUTO_FREE char *filler = str_printf("%s/filler", (char *)*state);
	struct ledger_change c;
	struct ledger *l;
	int64_t first, id;
	int rc = 0, fd, rounds = 0;

	assert_non_null(big);
	memset(big, 'x', 300 << 10);
	if (!full_disk_mount(*state, "4m"))
		return;
	l = ledger_at(*state, LEDGER_GROUP);
	first = put_row(l, "", "first");
	fd = open(filler, O_CREAT | O_WRONLY, 0600);
	while (write(fd, big, 4096) > 0)
		;
	while (!rc && rounds++ < 100) {
		c = put_change(l, "", "big", LEDGER_ACCEPTED);
		c.request = big;
		c.request_len = 300 << 10;
		ledger_count(l, LEDGER_C_REQUESTS, 1);
		rc = post(l, &c, 1);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(id_of(l, "", "first"), first);
	assert_int_equal(id_of(l, "", "big"), 0);
	assert_int_equal(ftruncate(fd, 0), 0); /* room again: it goes on */
	(void)close(fd);
	assert_int_equal(post(l, &c, 1), 0);
	assert_int_equal(id_of(l, "", "big"), c.row.id);
	id = put_row(l, "", "after");
	ledger_close(l);
	l = ledger_at(*state, LEDGER_GROUP);
	assert_int_equal(id_of(l, "", "after"), id);
	assert_int_equal(id_of(l, "", "first"), first);
	ledger_close(l);
	full_disk_unmount(*state);
}

static void full_disk_at_start(void **state)
{
	char page[4096];
	AUTO_FREE char *filler = str_printf("%s/filler", (char *)*state);
	int fd;

	memset(page, 'x', sizeof(page));
	if (!full_disk_mount(*state, "512k"))
		return;
	fd = open(filler, O_CREAT | O_WRONLY, 0600);
	while (write(fd, page, sizeof(page)) > 0)
		;
	(void)close(fd);
	expect_refused(*state, -ENOSPC, "cannot be");
	assert_int_equal(unlink(filler), 0);
	ledger_close(ledger_at(*state, LEDGER_GROUP));
	full_disk_unmount(*state);
}

/* A quota on one file stops the WAL in the middle of a transaction. */
static void file_size_limit(void **state)
{
	struct rlimit before, small;
	AUTO_FREE char *big = calloc(1, 4 << 20);
	struct ledger *l = ledger_at(*state, LEDGER_GROUP);
	struct ledger_change c[2];

	assert_non_null(big);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 1 << 20;
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)put_row(l, "", "a");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	c[0] = put_change(l, "", "b", LEDGER_DONE);
	c[1] = put_change(l, "", "c", LEDGER_ACCEPTED);
	c[1].request = big;
	c[1].request_len = 4 << 20;
	assert_true(post(l, c, 2) < 0);
	assert_int_equal(id_of(l, "", "b"), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(post(l, c, 2), 0);
	assert_int_equal(id_of(l, "", "b"), c[0].row.id);
	ledger_close(l);
}

/* ---- kill -9 ---- */

/* what the child tells through a pipe, for every posting whose done() was called */
struct told {
	int64_t id;
	uint32_t n;
};

static int tell_fd;
static struct ledger *child_ledger;

struct posting {
	struct ledger_post p; /* first */
	struct ledger_change c[3];
	struct ledger_handout h[2];
	char path[32];
	uint32_t n;
};

static void post_next(struct posting *p);

static void child_done(struct ledger_post *p, int result)
{
	struct posting *ours = (struct posting *)p;
	struct told t = { ours->c[0].row.id, ours->n };

	if (result || write(tell_fd, &t, sizeof(t)) != sizeof(t))
		_exit(1);
	post_next(ours);
}

/* Two rows and an object: all of them or none. */
static void post_next(struct posting *p)
{
	static _Atomic uint32_t n;

	p->n = n++;
	(void)snprintf(p->path, sizeof(p->path), "p/%u", p->n);
	for (uint32_t i = 0; i < 2; i++)
		p->h[i] = (struct ledger_handout){ .pos = i, .key = sample_key(p->n), .index = i };
	p->c[0] = put_change(child_ledger, "", p->path, LEDGER_DONE);
	p->c[0].handouts = p->h;
	p->c[0].n_handouts = 2;
	p->c[1] = put_change(child_ledger, "twin", p->path, LEDGER_ACCEPTED);
	p->c[1].request = p->path;
	p->c[1].request_len = strlen(p->path);
	p->c[2] = (struct ledger_change){ .op = LEDGER_OP_UNSTORED, .object = p->h[1] };
	p->p = (struct ledger_post){ .changes = p->c, .n_changes = 3, .done = child_done };
	ledger_post(child_ledger, &p->p);
}

static void child_main(const char *dir, int fd, unsigned width)
{
	struct posting *p = calloc(width, sizeof(*p));

	tell_fd = fd;
	child_ledger = ledger_at(dir, LEDGER_GROUP);
	for (unsigned i = 0; i < width; i++)
		post_next(&p[i]);
	for (;;)
		(void)pause();
}

static void check_posting(struct ledger *l, uint32_t n, bool must)
{
	AUTO_FREE char *path = str_printf("p/%u", n);
	struct key key = sample_key(n);
	int64_t id = id_of(l, "", path), twin = id_of(l, "twin", path);
	struct ledger_handout *h = NULL;
	size_t n_h = 0, len;
	char *req;

	assert_int_equal(id != 0, twin != 0); /* none half */
	if (must)
		assert_true(id != 0);
	assert_int_equal(ledger_named(l, &key, 1, 0), id != 0);
	if (!id)
		return;
	assert_int_equal(ledger_handouts(l, id, &h, &n_h), 0);
	assert_int_equal(n_h, 2);
	free(h);
	assert_int_equal(ledger_request(l, twin, &req, &len), 0);
	assert_int_equal(len, strlen(path));
	free(req);
}

static void count_object(const struct ledger_handout *h, void *arg)
{
	(void)h;
	++*(size_t *)arg;
}

static void count_row(struct ledger_row *r, void *arg)
{
	(void)r;
	++*(size_t *)arg;
}

static void kill_and_look(const char *top, unsigned round)
{
	AUTO_FREE char *dir = str_printf("%s/%u", top, round);
	size_t after = 3 + (size_t)round * 37, n_told = 0, objects = 0, rows = 0;
	struct told t[2000];
	struct ledger *l;
	int pipefd[2], status;
	int64_t max_id = 0;
	pid_t pid;

	assert_int_equal(pipe(pipefd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		child_main(dir, pipefd[1], 1 + round % 8);
	(void)close(pipefd[1]);
	while (n_told < after && read(pipefd[0], &t[n_told], sizeof(t[0])) == sizeof(t[0]))
		n_told++;
	assert_int_equal(kill(pid, SIGKILL), 0);
	/* what it had still told: that counts, too */
	while (n_told < ARRAY_LEN(t) && read(pipefd[0], &t[n_told], sizeof(t[0])) == sizeof(t[0]))
		n_told++;
	(void)close(pipefd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && n_told >= after);
	l = ledger_at(dir, LEDGER_GROUP);
	for (size_t i = 0; i < n_told; i++) {
		check_posting(l, t[i].n, true);
		max_id = t[i].id > max_id ? t[i].id : max_id;
	}
	for (uint32_t n = 0; n < n_told + 20; n++)
		check_posting(l, n, false);
	assert_true(ledger_next_id(l) > max_id);
	assert_int_equal(ledger_each_unstored(l, count_object, &objects), 0);
	assert_int_equal(ledger_each_accepted(l, count_row, &rows), 0);
	assert_int_equal(objects, rows);
	assert_true(objects >= n_told);
	ledger_close(l);
}

static void killed_at_any_moment(void **state)
{
	for (unsigned round = 0; round < 20; round++)
		kill_and_look(*state, round);
}

/* Failures in the middle of rounds that many share: each result is its own. */
struct mixed {
	struct ledger_post p; /* first */
	struct ledger_change c[2];
	char path[16];
	int want, got;
};

static void mixed_done(struct ledger_post *p, int result)
{
	((struct mixed *)p)->got = result;
}

static void mixed_rounds(void **state)
{
	enum { N = 3000 };
	struct ledger *l = ledger_at(*state, LEDGER_NONE);
	AUTO_FREE struct mixed *m = calloc(N, sizeof(*m));

	assert_non_null(m);
	for (int i = 0; i < N; i++) {
		(void)snprintf(m[i].path, sizeof(m[i].path), "m/%d", i);
		m[i].c[0] = put_change(l, "", m[i].path, LEDGER_DONE);
		m[i].c[1] = put_change(l, "x", m[i].path, LEDGER_DONE);
		if (i % 3 == 1) {
			m[i].c[1].row.id = m[i].c[0].row.id;
			m[i].want = -EEXIST;
		}
		m[i].got = 1;
		m[i].p = (struct ledger_post){ .changes = m[i].c,
					       .n_changes = 2,
					       .done = mixed_done };
		ledger_post(l, &m[i].p);
	}
	ledger_close(l);
	l = ledger_at(*state, LEDGER_NONE);
	for (int i = 0; i < N; i++) {
		assert_int_equal(m[i].got, m[i].want);
		assert_int_equal(id_of(l, "", m[i].path), m[i].want ? 0 : m[i].c[0].row.id);
	}
	ledger_close(l);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_second_daemon),
		T(other_files),
		T(newer_version),
		T(damaged_file),
		T(directory_cannot_be_made),
		T(everything_is_private),
		T(every_durability),
		T(full_disk),
		T(full_disk_at_start),
		T(file_size_limit),
		T(mixed_rounds),
		T(killed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
