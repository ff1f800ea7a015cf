/*
 * tests/lib/wire.c - a TCP server that answers each request with scripted bytes
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ANSWERS_MAX = 64, CONNECTIONS_MAX = 512, REQUESTS_MAX = 20000, REQUEST_MAX = 1 << 22 };

struct connection {
	struct wire *wire;
	pthread_t thread;
	int fd;
	bool open;
};

struct wire {
	pthread_mutex_t lock;
	pthread_cond_t news;
	int listen_fd;
	char url[64];
	pthread_t thread;
	struct wire_answer answers[ANSWERS_MAX];
	size_t n_answers;
	struct connection connections[CONNECTIONS_MAX];
	size_t n_connections;
	char *requests[REQUESTS_MAX];
	size_t n_requests, answered, most;
	bool gate_open, ending;
};

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

/* ---- one connection ---- */

static size_t header_end(const char *p, size_t n)
{
	const char *e = memmem(p, n, "\r\n\r\n", 4);

	return e ? (size_t)(e - p) + 4 : 0;
}

static size_t content_length(const char *head)
{
	const char *p = strcasestr(head, "\r\ncontent-length:");

	return p ? strtoul(p + 17, NULL, 10) : 0;
}

/* One request from the connection; NULL at its end. */
static char *read_request(int fd)
{
	size_t n = 0, cap = 2048, head;
	char *text = malloc(cap + 1);

	for (;;) {
		ssize_t got;

		must(text != NULL, "malloc");
		text[n] = '\0';
		head = header_end(text, n);
		if (head && n >= head + content_length(text))
			return text;
		if (n == cap) {
			cap *= 2;
			text = realloc(text, cap + 1);
			must(text && cap <= REQUEST_MAX, "request too large");
		}
		got = recv(fd, text + n, cap - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	free(text);
	return NULL;
}

static bool send_pieces(int fd, const struct wire_answer *a)
{
	size_t len = a->len ? a->len : strlen(a->bytes ? a->bytes : "");
	size_t piece = a->piece ? a->piece : len;

	for (size_t at = 0; at < len;) {
		size_t n = len - at < piece ? len - at : piece;
		ssize_t sent = send(fd, a->bytes + at, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		at += (size_t)sent;
	}
	return true;
}

static struct wire_answer next_answer(struct wire *w, char *request)
{
	struct wire_answer a;
	size_t k;

	pthread_mutex_lock(&w->lock);
	must(w->n_answers > 0 && w->n_requests < REQUESTS_MAX, "wire: no answer was added");
	k = w->n_requests < w->n_answers ? w->n_requests : w->n_answers - 1;
	a = w->answers[k];
	w->requests[w->n_requests++] = request;
	if (w->n_requests - w->answered > w->most)
		w->most = w->n_requests - w->answered;
	pthread_cond_broadcast(&w->news);
	while (a.gate && !w->gate_open && !w->ending)
		pthread_cond_wait(&w->news, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return a;
}

static bool is_deaf(struct wire *w)
{
	bool deaf;

	pthread_mutex_lock(&w->lock);
	deaf = w->n_answers &&
	       w->answers[w->n_requests < w->n_answers ? w->n_requests : w->n_answers - 1].deaf;
	pthread_mutex_unlock(&w->lock);
	return deaf;
}

static void end_connection(struct connection *c, enum wire_then then)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };
	struct wire *w = c->wire;

	pthread_mutex_lock(&w->lock);
	while (then == WIRE_HANG && !w->ending)
		pthread_cond_wait(&w->news, &w->lock);
	if (then == WIRE_RESET)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(c->fd);
	c->open = false;
	pthread_mutex_unlock(&w->lock);
}

static void *serve(void *arg)
{
	struct connection *c = arg;
	struct wire *w = c->wire;

	for (;;) {
		char *request = is_deaf(w) ? strdup("") : read_request(c->fd);
		struct wire_answer a;
		bool sent;

		if (!request)
			break;
		a = next_answer(w, request);
		/* before the bytes go: whoever has them may be back before this thread is */
		pthread_mutex_lock(&w->lock);
		w->answered++;
		pthread_mutex_unlock(&w->lock);
		sent = send_pieces(c->fd, &a);
		if (!sent || a.then != WIRE_KEEP) {
			end_connection(c, a.then);
			return NULL;
		}
	}
	end_connection(c, WIRE_CLOSE);
	return NULL;
}

/* ---- the server ---- */

static void *accept_all(void *arg)
{
	struct wire *w = arg;
	int one = 1;

	for (;;) {
		int fd = accept(w->listen_fd, NULL, NULL);
		struct connection *c;

		if (fd < 0)
			return NULL;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		pthread_mutex_lock(&w->lock);
		must(w->n_connections < CONNECTIONS_MAX, "wire: too many connections");
		c = &w->connections[w->n_connections++];
		*c = (struct connection){ .wire = w, .fd = fd, .open = true };
		must(pthread_create(&c->thread, NULL, serve, c) == 0, "pthread_create");
		pthread_mutex_unlock(&w->lock);
	}
}

static struct wire *start(int fd)
{
	struct wire *w = calloc(1, sizeof(*w));

	must(w != NULL && fd >= 0, "wire");
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->news, NULL);
	w->listen_fd = fd;
	must(listen(fd, 512) == 0, "listen");
	must(pthread_create(&w->thread, NULL, accept_all, w) == 0, "pthread_create");
	return w;
}

struct wire *wire_new(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct wire *w;

	must(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "bind");
	must(getsockname(fd, (struct sockaddr *)&at, &len) == 0, "getsockname");
	w = start(fd);
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%d", ntohs(at.sin_port));
	return w;
}

struct wire *wire_new_unix(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct wire *w;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	must(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "bind");
	w = start(fd);
	snprintf(w->url, sizeof(w->url), "http://localhost");
	return w;
}

struct wire *wire_free(struct wire *w)
{
	if (!w)
		return NULL;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->news);
	pthread_mutex_unlock(&w->lock);
	shutdown(w->listen_fd, SHUT_RDWR);
	pthread_join(w->thread, NULL);
	close(w->listen_fd);
	for (size_t i = 0; i < w->n_connections; i++) {
		pthread_mutex_lock(&w->lock);
		if (w->connections[i].open)
			shutdown(w->connections[i].fd, SHUT_RDWR);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->connections[i].thread, NULL);
	}
	for (size_t i = 0; i < w->n_answers; i++)
		free((void *)(uintptr_t)w->answers[i].bytes);
	for (size_t i = 0; i < w->n_requests; i++)
		free(w->requests[i]);
	pthread_cond_destroy(&w->news);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}

const char *wire_url(const struct wire *w)
{
	return w->url;
}

/* ---- the script ---- */

void wire_add(struct wire *w, struct wire_answer a)
{
	a.len = a.len ? a.len : strlen(a.bytes ? a.bytes : "");
	a.bytes = memcpy(calloc(1, a.len + 1), a.bytes ? a.bytes : "", a.len);
	pthread_mutex_lock(&w->lock);
	must(w->n_answers < ANSWERS_MAX, "wire: too many answers");
	w->answers[w->n_answers++] = a;
	pthread_mutex_unlock(&w->lock);
}

static char *format(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	must(vasprintf(&text, fmt, ap) >= 0, "vasprintf");
	va_end(ap);
	return text;
}

void wire_add_json(struct wire *w, int status, const char *more, const char *body)
{
	char *text = format("HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%s"
			    "Content-Length: %zu\r\n\r\n%s",
			    status, more ? more : "", strlen(body), body);

	wire_add(w, (struct wire_answer){ .bytes = text });
	free(text);
}

void wire_add_typed(struct wire *w, int status, const char *type, const char *body,
		    enum wire_then then)
{
	char *text = format("HTTP/1.1 %d X\r\n%s%s%sContent-Length: %zu\r\n\r\n%s", status,
			    type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "",
			    strlen(body), body);

	wire_add(w, (struct wire_answer){ .bytes = text, .then = then });
	free(text);
}

void wire_add_sse(struct wire *w, const char *events, bool complete, enum wire_then then)
{
	char *text = format("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
			    "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n%s",
			    strlen(events), events, complete ? "0\r\n\r\n" : "");

	if (!*events) {
		free(text);
		text = format("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
			      "Transfer-Encoding: chunked\r\n\r\n%s",
			      complete ? "0\r\n\r\n" : "");
	}
	wire_add(w, (struct wire_answer){ .bytes = text, .then = then });
	free(text);
}

void wire_open(struct wire *w)
{
	pthread_mutex_lock(&w->lock);
	w->gate_open = true;
	pthread_cond_broadcast(&w->news);
	pthread_mutex_unlock(&w->lock);
}

static size_t read_locked(struct wire *w, const size_t *what)
{
	size_t n;

	pthread_mutex_lock(&w->lock);
	n = *what;
	pthread_mutex_unlock(&w->lock);
	return n;
}

size_t wire_requests(struct wire *w)
{
	return read_locked(w, &w->n_requests);
}

size_t wire_connections(struct wire *w)
{
	return read_locked(w, &w->n_connections);
}

size_t wire_most(struct wire *w)
{
	return read_locked(w, &w->most);
}

bool wire_await(struct wire *w, size_t requests)
{
	struct timespec until;
	bool there;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&w->lock);
	while (w->n_requests < requests &&
	       pthread_cond_timedwait(&w->news, &w->lock, &until) != ETIMEDOUT)
		continue;
	there = w->n_requests >= requests;
	pthread_mutex_unlock(&w->lock);
	return there;
}

const char *wire_request(struct wire *w, size_t n)
{
	const char *text;

	pthread_mutex_lock(&w->lock);
	text = n < w->n_requests ? w->requests[n] : "";
	pthread_mutex_unlock(&w->lock);
	return text;
}

const char *wire_body(struct wire *w, size_t n)
{
	const char *text = strstr(wire_request(w, n), "\r\n\r\n");

	return text ? text + 4 : "";
}
