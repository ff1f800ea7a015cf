/*
 * tests/bench/relay.c - the least a FUSE file system can add to a request: nothing but the relay
 *
 *   relay MOUNTPOINT URL BODY AT [files:DIR | log:FILE]
 *
 * One thread, one epoll(7). What is written to `ask` gives eight digits, after its first "number "; file
 * BODY is sent to URL with them at offset AT, and the stream that comes back is what a read gets,
 * undecoded, when it is complete. It can also be kept, after the reader has got it and before he learns
 * that it is the end: as inferfs does, written to DIR/tmp, renamed into a directory by two bytes of a hash,
 * nothing synced; or at the end of one file.
 */
#define FUSE_USE_VERSION 312
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOR_EVER 1e9
#define MARK	 "number "

enum { ASK_INO = 2, DIGITS = 8, ANSWER_MAX = 1 << 14, EVENTS = 64 };

struct call { /* an open `ask`, and the handle that it used; kept for the next one */
	struct call *next;
	CURL *easy;
	char *body;
	fuse_req_t parked;
	size_t len, at, room; /* what came, what was read, what the parked read can take */
	bool flying, closed;
	char got[ANSWER_MAX];
};

static struct fuse_session *session;
static CURLM *multi;
static struct curl_slist *headers;
static struct call *idle;
static const char *url;
static char *template;
static size_t template_len, digits_at;
static int watcher = -1, dir = -1, log_file = -1;
static int64_t due = -1; /* when curl wants to be called, ms */
static unsigned long names;
static unsigned flying;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- calls ---- */

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct call *c = arg;

	if (c->len + n * size > sizeof(c->got))
		return 0;
	memcpy(c->got + c->len, p, n * size);
	c->len += n * size;
	return n * size;
}

static struct call *call_new(void)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c || !(c->easy = curl_easy_init()) || !(c->body = malloc(template_len + 1))) {
		fputs("relay: out of memory\n", stderr);
		exit(1);
	}
	memcpy(c->body, template, template_len + 1);
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->body);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)template_len);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	return c;
}

static struct call *call_take(void)
{
	struct call *c = idle;

	if (!c)
		return call_new();
	idle = c->next;
	c->parked = NULL;
	c->len = c->at = 0;
	c->flying = c->closed = false;
	return c;
}

static void call_drop(struct call *c)
{
	c->next = idle;
	idle = c;
}

/* A call that failed ends as an empty answer, which no reader takes for one. */
static void call_give(struct call *c)
{
	size_t n = c->len - c->at < c->room ? c->len - c->at : c->room;

	fuse_reply_buf(c->parked, c->got + c->at, n);
	c->parked = NULL;
	c->at += n;
}

/* ---- the store ---- */

static void call_append(const struct call *c)
{
	if (write(log_file, c->got, c->len) != (ssize_t)c->len)
		perror("relay: error: append");
}

static void call_store(const struct call *c)
{
	uint64_t hash = strtoull(c->body + digits_at, NULL, 10) * UINT64_C(0x9E3779B97F4A7C15);
	char tmp[32], path[64], parent[16];
	int fd;

	snprintf(tmp, sizeof(tmp), "tmp/%lu", ++names);
	snprintf(path, sizeof(path), "%02x/%02x/%016jx%08lu.json", (unsigned)(hash >> 56),
		 (unsigned)(hash >> 48 & 0xff), (uintmax_t)hash, names);
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, c->got, c->len) != (ssize_t)c->len)
		perror("relay: error: store");
	if (renameat(dir, tmp, dir, path) < 0) {
		snprintf(parent, sizeof(parent), "%.2s", path);
		(void)mkdirat(dir, parent, 0700);
		snprintf(parent, sizeof(parent), "%.5s", path);
		(void)mkdirat(dir, parent, 0700);
		if (renameat(dir, tmp, dir, path) < 0)
			perror("relay: error: rename");
	}
	close(fd);
}

/* ---- curl in an epoll ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct epoll_event e = { .data.fd = fd };

	(void)easy;
	(void)arg;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(watcher, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	e.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	epoll_ctl(watcher, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
	if (!known)
		curl_multi_assign(multi, fd, &watcher);
	return 0;
}

static int on_timer(CURLM *m, long ms, void *arg)
{
	(void)m;
	(void)arg;
	due = ms < 0 ? -1 : now_ms() + ms;
	return 0;
}

static void collect(void)
{
	struct call *c;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(multi, &left))) {
		long status = 0;

		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		if (m->data.result != CURLE_OK || status != 200)
			c->len = 0;
		curl_multi_remove_handle(multi, c->easy);
		c->flying = false;
		flying--;
		if (c->parked)
			call_give(c);
		if (dir >= 0)
			call_store(c);
		if (log_file >= 0)
			call_append(c);
		if (c->closed)
			call_drop(c);
	}
}

static void call_send(struct call *c, const char *digits)
{
	int running;

	memcpy(c->body + digits_at, digits, DIGITS);
	c->len = c->at = 0;
	c->flying = true;
	flying++;
	curl_multi_add_handle(multi, c->easy);
	curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
	due = due >= 0 && due <= now_ms() ? -1 : due;
}

/* ---- the mount ---- */

static void attr_of(fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat){ .st_ino = ino, .st_nlink = 1 };
	st->st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0600;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .ino = ASK_INO,
				      .attr_timeout = FOR_EVER,
				      .entry_timeout = FOR_EVER };

	(void)parent;
	if (strcmp(name, "ask") != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	attr_of(ASK_INO, &e.attr);
	fuse_reply_entry(req, &e);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	attr_of(ino, &st);
	fuse_reply_attr(req, &st, FOR_EVER);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->fh = (uint64_t)(uintptr_t)call_take();
	fi->direct_io = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

/* Sent before the writer hears of it: the server has begun when he comes to read. */
static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct call *c = (struct call *)(uintptr_t)fi->fh;
	const char *mark = memmem(buf, size, MARK, strlen(MARK));

	(void)ino;
	(void)off;
	if (!mark || buf + size < mark + strlen(MARK) + DIGITS || c->flying) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	call_send(c, mark + strlen(MARK));
	fuse_reply_write(req, size);
	collect();
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct call *c = (struct call *)(uintptr_t)fi->fh;

	(void)ino;
	(void)off;
	c->parked = req;
	c->room = size;
	if (!c->flying)
		call_give(c);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call *c = (struct call *)(uintptr_t)fi->fh;

	(void)ino;
	c->closed = true;
	if (!c->flying)
		call_drop(c);
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
	.lookup = on_lookup,
	.getattr = on_getattr,
	.open = on_open,
	.write = on_write,
	.read = on_read,
	.release = on_release,
};

/* ---- one loop ---- */

/* One message for one client, who sends nothing before he is answered; all there are for many. */
static bool serve_kernel(struct fuse_buf *buf)
{
	do {
		int n = fuse_session_receive_buf(session, buf);

		if (n == -EINTR || n == -EAGAIN)
			return true;
		if (n <= 0)
			return false;
		fuse_session_process_buf(session, buf);
	} while (flying > 1);
	return true;
}

static void serve_socket(const struct epoll_event *e)
{
	int running, mask = (e->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			    (e->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			    (e->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

	curl_multi_socket_action(multi, e->data.fd, mask, &running);
}

static void loop(int kernel)
{
	struct fuse_buf buf = { .mem = NULL };
	struct epoll_event ev[EVENTS];
	int running;

	while (!fuse_session_exited(session)) {
		int64_t wait = due < 0 ? -1 : due - now_ms();
		int n = epoll_wait(watcher, ev, EVENTS, due >= 0 && wait < 0 ? 0 : (int)wait);

		for (int i = 0; i < n; i++)
			if (ev[i].data.fd != kernel)
				serve_socket(&ev[i]);
		if (due >= 0 && now_ms() >= due) {
			due = -1;
			curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
		}
		collect();
		for (int i = 0; i < n; i++)
			if (ev[i].data.fd == kernel && !serve_kernel(&buf))
				fuse_session_exit(session);
	}
	free(buf.mem);
}

static bool run(void)
{
	int fd = fuse_session_fd(session);
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Authorization: Bearer bench");
	headers = curl_slist_append(headers, "Expect:");
	multi = curl_multi_init();
	watcher = epoll_create1(EPOLL_CLOEXEC);
	if (!multi || watcher < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &e) < 0)
		return false;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	loop(fd);
	return true;
}

static bool keep_in(const char *where)
{
	const char *path = strchr(where, ':');

	if (!path)
		return false;
	if (strncmp(where, "log:", 4) == 0) {
		log_file = open(path + 1, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		return log_file >= 0;
	}
	dir = open(path + 1, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	(void)mkdirat(dir, "tmp", 0700);
	return dir >= 0;
}

static bool arguments(int argc, char **argv)
{
	FILE *f = argc > 4 ? fopen(argv[3], "r") : NULL;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		return false;
	n = getdelim(&template, &cap, '\0', f);
	fclose(f);
	url = argv[2];
	digits_at = strtoul(argv[4], NULL, 10);
	if (n < 0 || digits_at + DIGITS > (size_t)n)
		return false;
	template_len = (size_t)n;
	return argc < 6 || keep_in(argv[5]);
}

int main(int argc, char **argv)
{
	char option[] = "-o", value[] = "fsname=bench-relay,default_permissions";
	char *fuse_argv[] = { argv[0], option, value, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
	int rc = 1;

	if (!arguments(argc, argv)) {
		fprintf(stderr, "usage: relay MOUNTPOINT URL BODY AT [files:DIR | log:FILE]\n");
		return 2;
	}
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (session && fuse_set_signal_handlers(session) == 0 &&
	    fuse_session_mount(session, argv[1]) == 0) {
		rc = !run();
		fuse_session_unmount(session);
		fuse_remove_signal_handlers(session);
	}
	if (session)
		fuse_session_destroy(session);
	return rc;
}
