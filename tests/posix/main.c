/* posixcmp DIR_A DIR_B - does DIR_A behave as DIR_B does?
 *
 * TAP on standard output. Exit status 0 when every case agrees (known differences aside), 1
 * when one does not, 2 when there was nothing to compare.
 */
#include "px.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "run.h"
#include "state.h"

static const struct px_case *const tables[] = {
	case_open,  case_path,	case_make, case_rename, case_perm,   case_sticky, case_mode,
	case_owner, case_time,	case_link, case_io,	case_size,   case_lock,	  case_mmap,
	case_dir,   case_xattr, case_fs,   case_access, case_design,
};

struct side {
	const char *path;
	int top, base;
	bool fuse, closed;
	struct px *log;
};

struct options {
	const char *filter;
	bool list, keep, strict, verbose;
	struct side side[2];
};

struct count {
	int run, bad, known, skipped;
};

static void usage(FILE *f)
{
	fputs("usage: posixcmp [options] DIR_A DIR_B\n"
	      "Run POSIX cases in a fresh subdirectory of each, compare what is seen. TAP output.\n"
	      "  --list           print the names of the cases (DIR_A and DIR_B are not needed)\n"
	      "  --filter SUBSTR  only the cases whose name has SUBSTR in it\n"
	      "  --strict         a known difference is a failure\n"
	      "  --verbose        print both logs of a case that differs\n"
	      "  --keep           leave the two subdirectories behind\n",
	      f);
}

static bool option(struct options *o, char **argv, int *i)
{
	const char *a = argv[*i];

	if (!strcmp(a, "--list"))
		o->list = true;
	else if (!strcmp(a, "--keep"))
		o->keep = true;
	else if (!strcmp(a, "--strict"))
		o->strict = true;
	else if (!strcmp(a, "--verbose"))
		o->verbose = true;
	else if (!strcmp(a, "--filter") && argv[*i + 1])
		o->filter = argv[++*i];
	else
		return false;
	return true;
}

static bool parse(struct options *o, int argc, char **argv)
{
	int dirs = 0;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-') {
			if (!option(o, argv, &i))
				return false;
		} else if (dirs < 2) {
			o->side[dirs++].path = argv[i];
		} else {
			return false;
		}
	}
	return o->list || dirs == 2;
}

static void subdir(char *out, size_t max)
{
	snprintf(out, max, "posixcmp.%d", (int)getpid());
}

/* A FUSE mount without allow_other answers every other user with EACCES: nothing to compare. */
static bool keeps_others_out(int fd)
{
	struct stat st;
	bool out;

	if (geteuid() != 0 || seteuid(U1))
		return false;
	out = fstatat(fd, ".", &st, 0) != 0;
	return seteuid(0) || out;
}

static bool side_open(struct side *s)
{
	struct statfs fs;
	char name[64];

	subdir(name, sizeof(name));
	s->top = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->top < 0 || fstatfs(s->top, &fs) || mkdirat(s->top, name, 0755)) {
		fprintf(stderr, "posixcmp: %s: %s\n", s->path, strerror(errno));
		return false;
	}
	s->fuse = fs.f_type == FUSE_SUPER_MAGIC;
	s->base = openat(s->top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->log = mmap(NULL, sizeof(*s->log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	s->closed = keeps_others_out(s->base);
	return s->base >= 0 && s->log != MAP_FAILED;
}

static void side_close(struct side *s, bool keep)
{
	char name[64];

	subdir(name, sizeof(name));
	if (s->top > 0 && !keep)
		state_remove(s->top, name);
}

/* The first line in which two logs differ says most; lines before it are equal. */
static void first_difference(const char *a, const char *b)
{
	size_t line = 0;

	for (size_t i = 0; a[i] && a[i] == b[i]; i++)
		if (a[i] == '\n')
			line = i + 1;
	printf(" A: %.*s B: %.*s", (int)strcspn(a + line, "\n"), a + line,
	       (int)strcspn(b + line, "\n"), b + line);
}

static void print_log(const char *side, const char *log)
{
	while (*log) {
		int n = (int)strcspn(log, "\n");

		printf("# %s: %.*s\n", side, n, log);
		log += n + (log[n] == '\n');
	}
}

static const char *skip_reason(const struct options *o, const struct px_case *c)
{
	if ((c->flags & PX_ROOT) && geteuid() != 0)
		return "needs root";
	if ((c->flags & PX_ROOT) && (o->side[0].closed || o->side[1].closed))
		return "other users are not let in (allow_other)";
	if ((c->flags & PX_FUSE) && !o->side[0].fuse)
		return "DIR_A is no FUSE mount";
	return NULL;
}

static void report(const struct options *o, const struct px_case *c, struct count *n)
{
	const struct px *a = o->side[0].log, *b = o->side[1].log;
	bool alone = c->flags & PX_FUSE, broken = a->broken || (!alone && b->broken);

	if (!broken && (alone || !strcmp(a->log, b->log))) {
		printf("ok %d - %s\n", n->run, c->name);
		return;
	}
	printf("not ok %d - %s #", n->run, c->name);
	if (c->known && !o->strict && !broken) {
		printf(" TODO %s;", c->known);
		n->known++;
	} else {
		n->bad++;
	}
	first_difference(a->log, alone ? "" : b->log);
	if (broken)
		printf(" (%s is broken)", a->broken ? "A" : "B");
	putchar('\n');
	if (o->verbose || broken) {
		print_log("A", a->log);
		if (!alone)
			print_log("B", b->log);
	}
}

static void one(const struct options *o, const struct px_case *c, struct count *n)
{
	const char *why = skip_reason(o, c);
	char name[32];

	n->run++;
	if (why) {
		n->skipped++;
		printf("ok %d - %s # SKIP %s\n", n->run, c->name, why);
		return;
	}
	snprintf(name, sizeof(name), "case%04d", n->run);
	run_case(o->side[0].log, c, o->side[0].base, name);
	if (!(c->flags & PX_FUSE))
		run_case(o->side[1].log, c, o->side[1].base, name);
	report(o, c, n);
	for (int i = 0; i < 2 && !o->keep; i++)
		state_remove(o->side[i].base, name);
}

static int each(const struct options *o,
		void (*fn)(const struct options *, const struct px_case *, struct count *),
		struct count *n)
{
	int found = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct px_case *c = tables[i]; c->name; c++) {
			if (o->filter && !strstr(c->name, o->filter))
				continue;
			found++;
			if (fn)
				fn(o, c, n);
		}
	return found;
}

static void print_name(const struct options *o, const struct px_case *c, struct count *n)
{
	(void)o;
	(void)n;
	puts(c->name);
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct count n = { 0 };
	bool ready;

	if (!parse(&o, argc, argv)) {
		usage(stderr);
		return 2;
	}
	if (o.list)
		return each(&o, print_name, &n) ? 0 : 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* before the two base directories are made: a mask that lets others in */
	umask(022);
	ready = side_open(&o.side[0]) && side_open(&o.side[1]);
	if (ready) {
		printf("1..%d\n", each(&o, NULL, &n));
		each(&o, one, &n);
		printf("# %d cases, %d differ, %d known differences, %d skipped\n", n.run, n.bad,
		       n.known, n.skipped);
	}
	side_close(&o.side[0], o.keep);
	side_close(&o.side[1], o.keep);
	return !ready || !n.run ? 2 : n.bad ? 1 : 0;
}
