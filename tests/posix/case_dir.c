/* Reading directories: complete, once each, also while they change. */
#include "px.h"

#include <dirent.h>
#include <sys/syscall.h>

enum { MANY = 1000 };

static void fill(struct px *t, const char *dir, int n)
{
	char path[64];

	px_dir(t, dir);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/entry-%04d", dir, i);
		px_need(t, close(open(path, O_CREAT | O_EXCL | O_WRONLY, 0644)) == 0, path);
	}
}

/* Counts per number, so that a name seen twice or never shows. */
struct seen {
	int count[MANY], dots, strange;
};

static void note_entry(struct seen *s, const char *name)
{
	int i = -1;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		s->dots++;
	else if (sscanf(name, "entry-%d", &i) == 1 && i >= 0 && i < MANY)
		s->count[i]++;
	else
		s->strange++;
}

static void note_seen(struct px *t, const struct seen *s, int from, int to)
{
	int never = 0, once = 0, more = 0;

	for (int i = from; i < to; i++) {
		never += s->count[i] == 0;
		once += s->count[i] == 1;
		more += s->count[i] > 1;
	}
	px_note(t, "dots %d strange %d never %d once %d more %d", s->dots, s->strange, never, once,
		more);
}

static void complete(struct px *t)
{
	struct seen s = { 0 };
	struct dirent *e;
	DIR *d;

	fill(t, "d", MANY);
	d = opendir("d");
	px_need(t, d != NULL, "opendir");
	while ((e = readdir(d)))
		note_entry(&s, e->d_name);
	TRY(closedir(d));
	note_seen(t, &s, 0, MANY);
}

/* rm -r: what was already handed out is removed while the rest is still to come */
static void while_deleting(struct px *t)
{
	struct seen s = { 0 };
	struct dirent *e;
	int bad = 0;
	DIR *d;

	fill(t, "d", MANY);
	d = opendir("d");
	px_need(t, d != NULL, "opendir");
	while ((e = readdir(d))) {
		note_entry(&s, e->d_name);
		if (e->d_name[0] != '.')
			bad += unlinkat(dirfd(d), e->d_name, 0) != 0;
	}
	TRY(closedir(d));
	note_seen(t, &s, 0, MANY);
	px_note(t, "bad %d", bad);
	TRY(rmdir("d"));
}

static void while_creating(struct px *t)
{
	struct seen s = { 0 };
	struct dirent *e;
	char name[32];
	int added = 0;
	DIR *d;

	fill(t, "d", 500);
	d = opendir("d");
	px_need(t, d != NULL, "opendir");
	while ((e = readdir(d))) {
		note_entry(&s, e->d_name);
		/* whether the new ones come is free; the old ones must come once each */
		snprintf(name, sizeof(name), "entry-%04d", 500 + added);
		if (added < 100 && !close(openat(dirfd(d), name, O_CREAT | O_WRONLY, 0644)))
			added++;
	}
	TRY(closedir(d));
	s.strange = 0;
	note_seen(t, &s, 0, 500);
	px_note(t, "added %d, now %d", added, px_list(t, "d"));
}

static void while_renaming(struct px *t)
{
	struct seen s = { 0 };
	struct dirent *e;
	DIR *d;
	int n = 0;

	fill(t, "d", 300);
	d = opendir("d");
	px_need(t, d != NULL, "opendir");
	/* moving names out is a removal like any other */
	while ((e = readdir(d))) {
		note_entry(&s, e->d_name);
		if (e->d_name[0] != '.' && ++n % 3 == 0)
			renameat(dirfd(d), e->d_name, AT_FDCWD, "away");
	}
	TRY(closedir(d));
	note_seen(t, &s, 0, 300);
	TRY(unlink("away"));
	/* which ones went depends on the order, which is free */
	for (int i = 0; i < 300; i++) {
		char path[32];

		snprintf(path, sizeof(path), "d/entry-%04d", i);
		n -= unlink(path) == 0;
	}
	px_note(t, "moved away %d", n);
}

static void tell_and_seek(struct px *t)
{
	char first[300] = "", again[300] = "";
	struct dirent *e;
	int wrong = 0;
	long where;
	DIR *d;

	fill(t, "d", 300);
	d = opendir("d");
	px_need(t, d != NULL, "opendir");
	for (int i = 0; i < 200; i++) {
		where = telldir(d);
		e = readdir(d);
		snprintf(first, sizeof(first), "%s", e ? e->d_name : "end");
		seekdir(d, where);
		e = readdir(d);
		snprintf(again, sizeof(again), "%s", e ? e->d_name : "end");
		wrong += strcmp(first, again) != 0;
	}
	px_note(t, "wrong %d", wrong);
	TRY(closedir(d));
}

static void tell_far_back(struct px *t)
{
	char names[50][300];
	long where[50];
	struct dirent *e;
	int wrong = 0, n;
	DIR *d;

	fill(t, "d", MANY);
	d = opendir("d");
	px_need(t, d != NULL, "opendir");
	for (n = 0; n < MANY; n++) {
		if (n % 20 == 0)
			where[n / 20] = telldir(d);
		e = readdir(d);
		if (n % 20 == 0)
			snprintf(names[n / 20], sizeof(names[0]), "%s", e ? e->d_name : "end");
	}
	for (int i = 49; i >= 0; i--) {
		seekdir(d, where[i]);
		e = readdir(d);
		wrong += !e || strcmp(e->d_name, names[i]);
	}
	px_note(t, "wrong %d", wrong);
	TRY(closedir(d));
}

static int count(DIR *d)
{
	int n = 0;

	while (readdir(d))
		n++;
	return n;
}

static void rewind_sees(struct px *t)
{
	DIR *d;

	fill(t, "d", 10);
	d = opendir("d");
	px_need(t, d != NULL, "opendir");
	px_note(t, "first %d", count(d));
	px_note(t, "at the end %d", count(d));
	px_file(t, "d/late", "text");
	TRY(unlink("d/entry-0003"));
	TRY(unlink("d/entry-0004"));
	rewinddir(d);
	px_note(t, "again %d", count(d));
	TRY(lseek(dirfd(d), 0, SEEK_SET));
	px_note(t, "after lseek %d", count(d));
	TRY(closedir(d));
}

static void two_streams(struct px *t)
{
	int a = 0, b = 0;
	DIR *x, *y;

	fill(t, "d", 200);
	x = opendir("d");
	y = opendir("d");
	px_need(t, x && y, "opendir");
	for (int i = 0; i < 50; i++)
		a += readdir(x) != NULL;
	b = count(y);
	a += count(x);
	px_note(t, "one %d two %d", a, b);
	TRY(closedir(x));
	TRY(closedir(y));
}

static void types_and_inodes(struct px *t)
{
	struct dirent **list = NULL;
	int n, agree = 0;

	px_file(t, "f", "text");
	px_dir(t, "d");
	px_link(t, "f", "l");
	px_link(t, "none", "dang");
	n = scandir(".", &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		struct stat st = { 0 };

		px_note(t, "%s type %d", list[i]->d_name, list[i]->d_type);
		if (strcmp(list[i]->d_name, ".."))
			agree += !lstat(list[i]->d_name, &st) && st.st_ino == list[i]->d_ino;
		free(list[i]);
	}
	free(list);
	px_note(t, "inode numbers that agree: %d", agree);
}

static void errors(struct px *t)
{
	px_file(t, "f", "text");
	px_link(t, "none", "dang");
	TRY(opendir("none") ? 0 : -1);
	TRY(opendir("f") ? 0 : -1);
	TRY(opendir("dang") ? 0 : -1);
	TRY(opendir("") ? 0 : -1);
	TRY(fdopendir(open("f", O_RDONLY)) ? 0 : -1);
}

static void small_buffer(struct px *t)
{
	char buf[4096];
	int fd;

	fill(t, "d", 3);
	fd = FD(open("d", O_RDONLY | O_DIRECTORY));
	TRY(syscall(SYS_getdents64, fd, buf, 10));
	/* the full length differs with the order of the names; that there is something does not */
	TRY(syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0);
	TRY(syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	TRY(syscall(SYS_getdents64, open("d/entry-0000", O_RDONLY), buf, sizeof(buf)));
}

static void long_names(struct px *t)
{
	char name[256];
	int bad = 0;

	px_dir(t, "d");
	px_need(t, !chdir("d"), "chdir");
	for (int i = 0; i < 100; i++) {
		memset(name, 'a' + i % 26, 255);
		snprintf(name, 255 - (size_t)(i % 40), "%03d", i);
		name[3] = '-';
		name[255] = 0;
		bad += close(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644)) != 0;
	}
	px_note(t, "bad %d names %d", bad, px_list(t, "."));
}

static void many_directories(struct px *t)
{
	char name[32];
	struct stat st = { 0 };
	int bad = 0;

	px_dir(t, "d");
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "d/sub%d", i);
		bad += mkdir(name, 0755) != 0;
	}
	for (int i = 0; i < 200; i += 2) {
		snprintf(name, sizeof(name), "d/sub%d", i);
		bad += rmdir(name) != 0;
	}
	TRY(stat("d", &st));
	px_note(t, "bad %d, left %d", bad, px_list(t, "d"));
}

static void seen_at_once(struct px *t)
{
	px_dir(t, "d");
	px_note(t, "%d", px_list(t, "d"));
	px_file(t, "d/a", "text");
	px_note(t, "%d", px_list(t, "d"));
	px_need(t, !rename("d/a", "d/b"), "rename");
	px_note(t, "%d", px_list(t, "d"));
	px_link(t, "b", "d/a");
	px_need(t, !unlink("d/b"), "unlink");
	px_note(t, "%d", px_list(t, "d"));
}

static int make_many(void *arg)
{
	char name[32];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "d/%s%d", (const char *)arg, i);
		if (close(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644)))
			return 1;
	}
	return 0;
}

static void made_by_others(struct px *t)
{
	static char a[] = "a", b[] = "b";

	px_dir(t, "d");
	px_note(t, "%d", px_list(t, "d"));
	px_note(t, "child %d", px_child(t, make_many, a));
	px_note(t, "child %d", px_child(t, make_many, b));
	px_note(t, "%d", px_list(t, "d"));
}

static void change_directory(struct px *t)
{
	char buf[4096] = "";
	int fd;

	px_dir(t, "d");
	px_file(t, "f", "text");
	px_link(t, "d", "l");
	TRY(chdir("none"));
	TRY(chdir("f"));
	fd = FD(open("f", O_RDONLY));
	TRY(fchdir(fd));
	TRY(chdir("l"));
	TRY(getcwd(buf, sizeof(buf)) ? 0 : -1);
	px_note(t, "in d: %d", strlen(buf) > 2 && !strcmp(buf + strlen(buf) - 2, "/d"));
	TRY(getcwd(buf, 3) ? 0 : -1);
}

const struct px_case case_dir[] = {
	PX_RUN("readdir a thousand names", complete),
	PX_RUN("readdir while deleting", while_deleting),
	PX_RUN("readdir while creating", while_creating),
	PX_RUN("readdir while renaming away", while_renaming),
	PX_RUN("readdir telldir and seekdir", tell_and_seek),
	PX_RUN("readdir seekdir far back", tell_far_back),
	PX_RUN("readdir rewinddir", rewind_sees),
	PX_RUN("readdir two streams", two_streams),
	PX_RUN("readdir types and inode numbers", types_and_inodes),
	PX_RUN("readdir errors", errors),
	PX_RUN("readdir small buffer", small_buffer),
	PX_RUN("readdir long names", long_names),
	PX_RUN("readdir many directories", many_directories),
	PX_RUN("readdir sees changes at once", seen_at_once),
	PX_RUN("readdir sees other processes' names", made_by_others),
	PX_RUN("chdir and getcwd", change_directory),
	PX_END,
};
