/*
 * tests/bench/leastfs.c - the least a FUSE file system can cost: the daemon's shape, and no work
 *
 *   leastfs MOUNTPOINT BYTES MODE [DIR]     every answer is BYTES times 'x'
 *
 *   prompts/X/kNNNNNN.json          created, written, unlinked
 *   responses/X/kNNNNNN/text        there for every number
 *   ask                             open, write anything, read the answer, close
 *   stat                            each fstat(2) is one message
 *
 * MODE  least    as few messages as the kernel can be talked into
 *       alike    as many as it sends to inferfs, see below
 *       noopen   least, and open(2) is never told: a hit is no message at all. The kernel takes that
 *                for the whole mount, so a file system that has streams cannot have it.
 *       hash     least, but `ask` parses and hashes what is written
 *       work     hash, and `ask` reads and parses a file below DIR, too
 *
 * What a hit by files sends, per operation, counted on inferfs -d over 500 stored keys:
 *
 *   open O_CREAT    GETATTR prompts/X (the unlink before made it stale), LOOKUP, CREATE
 *   write           GETXATTR security.capability, WRITE
 *   close           FLUSH, RELEASE
 *   open text       LOOKUP X, LOOKUP kNNNNNN, LOOKUP text, OPEN
 *   read            READ (a node number of its own for each request, so the page cache is of no use)
 *   close           RELEASE
 *   unlink          GETATTR prompts/X, UNLINK
 *                   (before its answer the kernel is told to drop responses/X/kNNNNNN), 2 to 3 FORGETs
 *
 * Now and then kNNNNNN is looked up twice, as the daemon tells the kernel from another thread.
 *
 * 15 messages that somebody waits for, without RELEASE 13. `least` sends LOOKUP, CREATE, WRITE,
 * RELEASE, OPEN, RELEASE, UNLINK and one FORGET. A warm read is OPEN and RELEASE (inferfs: LOOKUP X
 * before them), `ask` is OPEN, WRITE, READ, READ, RELEASE for both.
 */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOR_EVER 1e9
#define A_WHILE	 1.0

enum { KEYS_MAX = 1 << 20, DOC_MAX = 4096, STORED_MAX = 8192 };

/* a node is kind << 56 | turn << 24 | number; the root is 1 */
enum kind { ROOT, PROMPTS, RESPONSES, ASK, STAT, PROMPTS_X, RESPONSES_X, PROMPT, ANSWER, TEXT };

struct asked { /* an open `ask` */
	size_t at, doc_len;
	bool found;
	char doc[DOC_MAX];
};

static struct fuse_session *session;
static char *answer;
static size_t answer_len;
static bool alike, no_open, hashes;
static int stored = -1;	      /* directory, for mode work */
static bool exists[KEYS_MAX]; /* prompts */
static unsigned short
	turn[KEYS_MAX]; /* how often each was created: a response of its own each time */

static enum kind kind_of(fuse_ino_t ino)
{
	return (enum kind)(ino >> 56);
}

static fuse_ino_t node(enum kind kind, uint64_t number)
{
	return (uint64_t)kind << 56 | number;
}

static void attr_of(fuse_ino_t ino, struct stat *st)
{
	bool dir;

	switch (kind_of(ino)) {
	case ASK:
	case STAT:
	case PROMPT:
	case TEXT:
		dir = false;
		break;
	default:
		dir = true;
	}
	*st = (struct stat){ .st_ino = ino,
			     .st_nlink = 1,
			     .st_uid = getuid(),
			     .st_gid = getgid(),
			     .st_mode = dir ? S_IFDIR | 0755 : S_IFREG | 0644 };
	if (kind_of(ino) == TEXT)
		st->st_size = (off_t)answer_len;
}

static double attr_ttl(fuse_ino_t ino)
{
	switch (kind_of(ino)) {
	case STAT:
		return 0;
	case PROMPTS_X:
	case PROMPT:
		return alike ? A_WHILE : FOR_EVER;
	default:
		return FOR_EVER;
	}
}

static double entry_ttl(fuse_ino_t ino)
{
	switch (kind_of(ino)) {
	case STAT:
		return FOR_EVER;
	case RESPONSES_X:
		return alike ? 0 : FOR_EVER;
	default:
		return attr_ttl(ino);
	}
}

static void entry_of(fuse_ino_t ino, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){ .ino = ino,
					.attr_timeout = attr_ttl(ino),
					.entry_timeout = entry_ttl(ino) };
	attr_of(ino, &e->attr);
}

static size_t number_of(const char *name)
{
	return *name == 'k' ? strtoul(name + 1, NULL, 10) % KEYS_MAX : 0;
}

static fuse_ino_t in_root(const char *name)
{
	static const struct {
		const char *name;
		enum kind kind;
	} names[] = {
		{ "prompts", PROMPTS }, { "responses", RESPONSES }, { "ask", ASK }, { "stat", STAT }
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(name, names[i].name) == 0)
			return node(names[i].kind, 0);
	return 0;
}

static fuse_ino_t find(fuse_ino_t parent, const char *name)
{
	size_t i = number_of(name);

	switch (kind_of(parent)) {
	case ROOT:
		return in_root(name);
	case PROMPTS:
		return name[1] ? 0 : node(PROMPTS_X, (unsigned char)*name);
	case RESPONSES:
		return name[1] ? 0 : node(RESPONSES_X, (unsigned char)*name);
	case PROMPTS_X:
		return exists[i] ? node(PROMPT, i) : 0;
	case RESPONSES_X:
		return *name == 'k' ? node(ANSWER, (alike ? (uint64_t)turn[i] << 24 : 0) | i) : 0;
	case ANSWER:
		return strcmp(name, "text") == 0 ? parent ^ node(ANSWER ^ TEXT, 0) : 0;
	default:
		return 0;
	}
}

static void on_init(void *arg, struct fuse_conn_info *conn)
{
	(void)arg;
	conn->max_write = 1 << 20;
	conn->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_HANDLE_KILLPRIV |
				  FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;
	fuse_ino_t ino = find(parent, name);

	if (!ino) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	entry_of(ino, &e);
	fuse_reply_entry(req, &e);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	(void)ino;
	(void)n;
	fuse_reply_none(req);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	attr_of(ino, &st);
	fuse_reply_attr(req, &st, attr_ttl(ino));
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	(void)ino;
	(void)name;
	(void)size;
	fuse_reply_err(req, alike ? ENODATA : ENOSYS); /* ENOSYS: never asked again */
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct fuse_entry_param e;
	size_t i = number_of(name);

	(void)mode;
	(void)parent;
	exists[i] = true;
	turn[i]++;
	entry_of(node(PROMPT, i), &e);
	fi->noflush = !alike;
	fuse_reply_create(req, &e, fi);
}

/* To tell the kernel from the only thread would be a deadlock if another client looked something up in
 * responses/X meanwhile; here there is one client, and it waits for this. */
static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	exists[number_of(name)] = false;
	if (alike)
		(void)fuse_lowlevel_notify_inval_entry(session,
						       parent ^ node(PROMPTS_X ^ RESPONSES_X, 0),
						       name, strcspn(name, "."));
	fuse_reply_err(req, 0);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->fh = 0;
	fi->noflush = 1;
	if (kind_of(ino) == ASK) {
		fi->fh = (uint64_t)(uintptr_t)calloc(1, sizeof(struct asked));
		fi->direct_io = 1;
	} else {
		fi->keep_cache = 1;
	}
	fuse_reply_open(req, fi);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct asked *a = (struct asked *)(uintptr_t)fi->fh;

	(void)off;
	if (kind_of(ino) == ASK && size <= sizeof(a->doc)) {
		a->at = 0;
		if (hashes)
			memcpy(a->doc, buf, a->doc_len = size);
	}
	fuse_reply_write(req, size);
}

/* ---- modes hash and work ---- */

static void store(const char *path, const char *text)
{
	char dir[64];
	int fd;

	snprintf(dir, sizeof(dir), "%.2s", path);
	(void)mkdirat(stored, dir, 0700);
	snprintf(dir, sizeof(dir), "%.5s", path);
	(void)mkdirat(stored, dir, 0700);
	fd = openat(stored, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd >= 0 &&
	    dprintf(fd,
		    "{\"created\":\"2026-01-01T00:00:00Z\",\"model\":\"echo/echo\",\"text\":"
		    "\"%s\",\"finish_reason\":\"stop\",\"tool_calls\":null,\"usage\":"
		    "{\"input_tokens\":80,\"output_tokens\":80},\"request\":\"%s\"}\n",
		    text, text) < 0)
		perror("leastfs: write");
	close(fd);
}

static ssize_t read_stored(const char *path, char *buf, size_t cap)
{
	int fd = openat(stored, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		store(path, answer);
		return 0;
	}
	n = read(fd, buf, cap);
	close(fd);
	return n;
}

/* What a hit can hardly leave out: parse the question and hash it; and unless answers are kept in memory,
 * open and read what is stored, which inferfs has as JSON. A first question stores. */
static bool look_up(struct asked *a)
{
	json_t *doc = json_loadb(a->doc, a->doc_len, 0, NULL), *kept;
	char *words = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS), buf[STORED_MAX];
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char path[2 * sizeof(hash) + 8];
	size_t at = 0;
	ssize_t n = -1;

	if (words) {
		SHA256((const unsigned char *)words, strlen(words), hash);
		for (size_t i = 0; i < sizeof(hash); i++)
			at += (size_t)snprintf(path + at, sizeof(path) - at,
					       i < 2 ? "%02x/" : "%02x", hash[i]);
		n = stored < 0 ? 0 : read_stored(path, buf, sizeof(buf));
	}
	kept = n > 0 ? json_loadb(buf, (size_t)n, 0, NULL) : NULL;
	a->found = n == 0 || json_string_length(json_object_get(kept, "text")) == answer_len;
	json_decref(kept);
	json_decref(doc);
	free(words);
	return a->found;
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct asked *a = kind_of(ino) == ASK ? (struct asked *)(uintptr_t)fi->fh : NULL;
	size_t at = a ? a->at : (size_t)off, n;

	if (a && hashes && !a->at && !look_up(a)) {
		fuse_reply_err(req, EIO);
		return;
	}
	at = at < answer_len ? at : answer_len;
	n = answer_len - at < size ? answer_len - at : size;
	fuse_reply_buf(req, answer + at, n);
	if (a)
		a->at += n;
}

static void on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, no_open ? ENOSYS : 0);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (kind_of(ino) == ASK)
		free((struct asked *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.getattr = on_getattr,
	.getxattr = on_getxattr,
	.create = on_create,
	.unlink = on_unlink,
	.open = on_open,
	.write = on_write,
	.read = on_read,
	.flush = on_flush,
	.release = on_release,
};

static bool arguments(int argc, char **argv)
{
	if (argc < 4)
		return false;
	answer_len = strtoul(argv[2], NULL, 10);
	alike = strcmp(argv[3], "alike") == 0;
	no_open = strcmp(argv[3], "noopen") == 0;
	hashes = strcmp(argv[3], "hash") == 0 || strcmp(argv[3], "work") == 0;
	if (!alike && !no_open && !hashes && strcmp(argv[3], "least") != 0)
		return false;
	if (strcmp(argv[3], "work") == 0) {
		stored = argc > 4 ? open(argv[4], O_DIRECTORY | O_RDONLY | O_CLOEXEC) : -1;
		if (stored < 0)
			return false;
	}
	answer = calloc(1, answer_len + 1);
	if (answer)
		memset(answer, 'x', answer_len);
	return answer != NULL;
}

int main(int argc, char **argv)
{
	/* `alike` has the kernel check permissions, which is what the GETATTRs are for */
	char option[] = "-o", value[] = "fsname=bench-least,default_permissions";
	char *fuse_argv[] = { argv[0], option, value, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
	int rc = 1;

	if (!arguments(argc, argv)) {
		fprintf(stderr,
			"usage: leastfs MOUNTPOINT BYTES least|alike|noopen|hash|work [DIR]\n");
		return 2;
	}
	if (!alike)
		*strchr(value, ',') = '\0';
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (session && fuse_set_signal_handlers(session) == 0 &&
	    fuse_session_mount(session, argv[1]) == 0) {
		rc = fuse_session_loop(session) != 0;
		fuse_session_unmount(session);
		fuse_remove_signal_handlers(session);
	}
	if (session)
		fuse_session_destroy(session);
	free(answer);
	return rc;
}
