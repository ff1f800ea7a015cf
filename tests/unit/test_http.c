/*
 * net/http: every way a transfer can end, seen from the wire; and net/head
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/mono.h"
#include "net/head.h"
#include "net/http.h"
#include "wire.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;

static struct loop *loop;
static struct http *http;
static struct wire *wire;

struct get {
	struct loop_task task;
	struct http_target_spec spec;
	struct http_target *target;
	const char *url, *body;
	uint64_t body_max;
	size_t enough_after; /* bytes; 0: wants all */
	const char *const *headers;
	const char *pieces; /* read as the body, few bytes at a time */
	bool once, counted, gives_up;
	unsigned pauses; /* so many pieces are followed by a pause */
	struct loop_task resume;
	struct http_transfer *transfer;
	char text[8192];
	size_t n;
	int heads, ends;
	struct http_head head;
	struct http_result result;
};

static void on_head(void *arg, const struct http_head *h)
{
	struct get *g = arg;

	g->heads++;
	g->head = *h;
}

static int on_body(void *arg, const char *p, size_t n)
{
	struct get *g = arg;
	size_t room = sizeof(g->text) - g->n - 1;

	memcpy(g->text + g->n, p, n < room ? n : room);
	pthread_mutex_lock(&lock);
	g->n += n < room ? n : room;
	pthread_cond_broadcast(&news);
	pthread_mutex_unlock(&lock);
	if (g->pauses) {
		g->pauses--;
		http_pause(g->transfer);
	}
	return g->enough_after && g->n >= g->enough_after;
}

static long on_read(void *arg, uint64_t off, char *p, size_t n)
{
	struct get *g = arg;
	size_t left = strlen(g->pieces) - off;

	if (g->gives_up)
		return -1;
	n = n < 7 ? n : 7;
	n = n < left ? n : left;
	memcpy(p, g->pieces + off, n);
	return (long)n;
}

static void resume(struct loop_task *t)
{
	http_resume(CONTAINER_OF(t, struct get, resume)->transfer);
}

static void on_end(void *arg, const struct http_result *r)
{
	struct get *g = arg;

	pthread_mutex_lock(&lock);
	g->result = *r;
	g->head = *r->head;
	g->ends++;
	pthread_cond_broadcast(&news);
	pthread_mutex_unlock(&lock);
}

static const struct http_events events = { on_head, on_body, on_end };

static void start(struct loop_task *t)
{
	struct get *g = CONTAINER_OF(t, struct get, task);
	struct http_request r = { .target = g->target,
				  .url = g->url,
				  .body = g->body,
				  .body_len = g->body	  ? strlen(g->body)
					      : g->pieces ? strlen(g->pieces)
							  : 0,
				  .read = g->pieces ? on_read : NULL,
				  .headers = g->headers,
				  .once = g->once,
				  .counted = g->counted,
				  .body_max = g->body_max ? g->body_max : 1 << 20 };

	assert_int_equal(http_start(http, &r, &events, g, &g->transfer), 0);
}

static void post(struct get *g)
{
	if (!g->target)
		g->target = http_target_new(&g->spec);
	g->task.run = start;
	assert_int_equal(loop_post(loop, &g->task), 0);
}

static void await(struct get *g)
{
	pthread_mutex_lock(&lock);
	while (!g->ends)
		pthread_cond_wait(&news, &lock);
	pthread_mutex_unlock(&lock);
}

static void run(struct get *g)
{
	post(g);
	await(g);
}

static void free_http(struct loop_task *t)
{
	struct get *g = CONTAINER_OF(t, struct get, task);

	http = http_free(http);
	pthread_mutex_lock(&lock);
	g->ends = 100;
	pthread_cond_broadcast(&news);
	pthread_mutex_unlock(&lock);
}

static int setup(void **state)
{
	(void)state;
	wire = wire_new();
	loop = loop_new();
	http = http_new(loop);
	return loop && http ? 0 : -1;
}

static int teardown(void **state)
{
	struct get g = { .task.run = free_http };

	(void)state;
	if (http) {
		assert_int_equal(loop_post(loop, &g.task), 0);
		await(&g);
	}
	loop = loop_stop(loop);
	wire = wire_free(wire);
	return 0;
}

static void done(struct get *g)
{
	struct get f = { .task.run = free_http };

	if (http) {
		assert_int_equal(loop_post(loop, &f.task), 0);
		await(&f);
	}
	g->target = http_target_free(g->target);
}

static void fails(struct get *g, enum err_kind kind, bool sent, bool permanent)
{
	run(g);
	if (g->result.kind != kind)
		print_message("%s\n", g->result.detail);
	assert_int_equal(g->result.kind, kind);
	assert_int_equal(g->result.sent, sent);
	assert_int_equal(g->result.permanent, permanent);
	assert_true(g->result.detail[0] != '\0');
	assert_int_equal(g->ends, 1);
	done(g);
}

/* ---- a body that is read, more header lines, an address in the answer ---- */

static void test_read_body(void **state)
{
	static const char *const lines[] = { "X-One: 1", "Content-Type: text/x-odd", NULL };
	struct get g = { .pieces = "twenty-two bytes of it", .headers = lines };

	(void)state;
	g.url = wire_url(wire);
	wire_add_json(wire, 200, "Location: https://h/p?q=1\r\n", "{}");
	run(&g);
	assert_int_equal(g.result.kind, ERR_NONE);
	assert_string_equal(wire_body(wire, 0), g.pieces);
	assert_non_null(strstr(wire_request(wire, 0), "POST / HTTP/1.1"));
	assert_non_null(strstr(wire_request(wire, 0), "Content-Length: 22\r\n"));
	assert_non_null(strstr(wire_request(wire, 0), "X-One: 1\r\n"));
	assert_non_null(strstr(wire_request(wire, 0), "Content-Type: text/x-odd\r\n"));
	assert_null(strstr(wire_request(wire, 0), "urlencoded"));
	assert_string_equal(g.head.link, "https://h/p?q=1");
	/* nothing of it stays with the handle */
	g = (struct get){ .url = g.url, .target = g.target };
	run(&g);
	assert_null(strstr(wire_request(wire, 1), "X-One"));
	assert_non_null(strstr(wire_request(wire, 1), "GET / HTTP/1.1"));
	done(&g);
}

static void test_read_gives_up(void **state)
{
	struct get g = { .pieces = "never sent", .gives_up = true };

	(void)state;
	g.url = wire_url(wire);
	wire_add_json(wire, 200, NULL, "{}");
	run(&g);
	assert_int_not_equal(g.result.kind, ERR_NONE);
	assert_int_equal(g.ends, 1);
	done(&g);
}

/* A kept connection that breaks: sent again from its first byte, unless it may be sent once only. */
static void test_sent_again(void **state)
{
	struct get g = { .pieces = "a body of its own", .url = wire_url(wire) };

	(void)state;
	for (int once = 0; once < 2; once++) {
		size_t before = wire_requests(wire);

		wire_add_json(wire, 200, NULL, "{}");
		wire_add(wire, (struct wire_answer){ .bytes = "", .then = WIRE_RESET });
		wire_add_json(wire, 200, NULL, "{}");
		g.once = false;
		g.ends = 0;
		run(&g);
		g.once = once;
		g.ends = 0;
		run(&g);
		assert_int_equal(g.result.kind, once ? ERR_PROVIDER : ERR_NONE);
		assert_int_equal(wire_requests(wire) - before, once ? 2 : 3);
		if (!once)
			assert_string_equal(wire_body(wire, before + 2), g.pieces);
	}
	done(&g);
}

/* What costs money is not sent again by libcurl itself, and the next one still finds the connection it left. */
static void test_counted_is_not_sent_again(void **state)
{
	struct get g = { .body = "{}", .url = wire_url(wire), .counted = true };
	size_t before = wire_requests(wire), accepted;

	(void)state;
	wire_add_json(wire, 200, NULL, "{}");
	wire_add(wire, (struct wire_answer){ .bytes = "", .then = WIRE_RESET });
	wire_add(wire, (struct wire_answer){ .bytes = "", .then = WIRE_CLOSE });
	for (int i = 0; i < 3; i++)
		wire_add_json(wire, 200, NULL, "{}");
	for (int i = 0; i < 2; i++) {
		g.ends = 0;
		run(&g);
		assert_int_equal(g.result.kind, i ? ERR_PROVIDER : ERR_NONE);
		assert_int_equal(g.result.sent, true);
		assert_int_equal(g.result.permanent, false);
		assert_int_equal(wire_requests(wire) - before, i + 1);
	}
	assert_non_null(strstr(g.result.detail, "kept connection"));
	/* a connection of its own that closes: nothing new */
	g.ends = 0;
	run(&g);
	assert_int_equal(g.result.kind, ERR_PROVIDER);
	assert_int_equal(wire_requests(wire) - before, 3);
	accepted = wire_connections(wire);
	for (int i = 0; i < 3; i++) {
		g.ends = 0;
		run(&g);
		assert_int_equal(g.result.kind, ERR_NONE);
	}
	assert_int_equal(wire_connections(wire), accepted + 1);
	done(&g);
}

static void test_links(void **state)
{
	static const struct {
		const char *line, *link;
	} k[] = { { "Location: /x\r\n", "/x" },
		  { "LOCATION:https://h\r\n", "https://h" },
		  { "x-goog-upload-url: https://h/u\r\n", "https://h/u" },
		  { "Location: a b\r\n", "" },
		  { "Location: \r\n", "" },
		  { "Location: \x80\r\n", "" } };
	char longer[HTTP_LINK_MAX + 40];
	struct head_parser p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		head_init(&p);
		head_line(&p, k[i].line, strlen(k[i].line), 0);
		assert_string_equal(head_done(&p)->link, k[i].link);
	}
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "Location: ", 10);
	head_line(&p, longer, 10 + HTTP_LINK_MAX - 1, 0);
	assert_int_equal(strlen(head_done(&p)->link), HTTP_LINK_MAX - 1);
	head_line(&p, longer, 10 + HTTP_LINK_MAX, 0);
	assert_string_equal(head_done(&p)->link, "");
}

/* A receiver that has no room is not a silent server; what it left is there when it goes on. */
static void test_pause(void **state)
{
	enum { BYTES = 400000 };
	struct get g = { .spec.stall_timeout_s = 0.15, .pauses = 1, .resume.run = resume };
	char *body = malloc(BYTES + 1);

	(void)state;
	memset(body, 'a', BYTES);
	body[BYTES] = '\0';
	wire_add_json(wire, 200, NULL, body);
	g.url = wire_url(wire);
	post(&g);
	pthread_mutex_lock(&lock);
	while (!g.n)
		pthread_cond_wait(&news, &lock);
	pthread_mutex_unlock(&lock);
	usleep(400000); /* longer than the stall timeout: that nothing happens has no event */
	pthread_mutex_lock(&lock);
	assert_int_equal(g.ends, 0);
	pthread_mutex_unlock(&lock);
	assert_int_equal(loop_post(loop, &g.resume), 0);
	await(&g);
	assert_int_equal(g.result.kind, ERR_NONE);
	free(body);
	done(&g);
}

/* ---- before the request is out ---- */

static void test_refused(void **state)
{
	struct get g = { .body = "{}" };
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "%s/x", wire_url(wire));
	wire = wire_free(wire); /* its port is free now */
	g.url = url;
	fails(&g, ERR_REFUSED, false, false);
}

static void test_name_unknown(void **state)
{
	struct get g = { .url = "http://no-such-host.invalid/", .body = "{}" };

	(void)state;
	fails(&g, ERR_UNREACHABLE, false, false);
}

static void test_bad_url(void **state)
{
	struct get g = { .url = "gopher://127.0.0.1/", .body = "{}" };

	(void)state;
	fails(&g, ERR_REQUEST, false, true);
}

static void test_no_tls_there(void **state)
{
	struct get g = { .body = "{}" };
	char url[64];

	(void)state;
	wire_add(wire, (struct wire_answer){
			       .bytes = "no TLS here\r\n\r\n", .then = WIRE_CLOSE, .deaf = true });
	snprintf(url, sizeof(url), "https%s/", wire_url(wire) + 4);
	g.url = url;
	fails(&g, ERR_TLS, false, false);
}

static void test_bad_ca_file(void **state)
{
	struct get g = { .body = "{}", .spec.ca_file = "/nonexistent/ca.pem" };
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "https%s/", wire_url(wire) + 4);
	g.url = url;
	wire_add(wire, (struct wire_answer){ .bytes = "", .then = WIRE_CLOSE, .deaf = true });
	fails(&g, ERR_TLS, false, true);
}

static void test_unix_socket_absent(void **state)
{
	struct get g = { .url = "http://localhost/",
			 .body = "{}",
			 .spec.unix_socket = "/nonexistent.sock" };

	(void)state;
	fails(&g, ERR_REFUSED, false, false);
}

/* A listening socket whose queue is full does not answer SYNs. */
static void test_connect_timeout(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct get g = { .body = "{}", .spec.connect_timeout_s = 0.1 };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0), filler[4];
	char url[64];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	for (int i = 0; i < 4; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(filler[i], (struct sockaddr *)&at, sizeof(at));
	}
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(at.sin_port));
	g.url = url;
	fails(&g, ERR_TIMEOUT, false, false);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	close(fd);
}

/* ---- after the request is out ---- */

static void wire_fails(struct wire_answer a, enum err_kind kind, bool permanent)
{
	struct get g = { .url = wire_url(wire), .body = "{}", .spec.stall_timeout_s = 0.05 };

	wire_add(wire, a);
	fails(&g, kind, true, permanent);
}

static void test_closed_without_answer(void **state)
{
	(void)state;
	wire_fails((struct wire_answer){ .bytes = "", .then = WIRE_CLOSE }, ERR_PROVIDER, false);
}

static void test_reset_without_answer(void **state)
{
	(void)state;
	wire_fails((struct wire_answer){ .bytes = "", .then = WIRE_RESET }, ERR_PROVIDER, false);
}

static void test_short_body(void **state)
{
	(void)state;
	wire_fails((struct wire_answer){ .bytes =
						 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
					 .then = WIRE_CLOSE },
		   ERR_PROVIDER, false);
}

static void test_chunked_body_cut(void **state)
{
	(void)state;
	wire_fails(
		(struct wire_answer){
			.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				 "5\r\nabcde\r\n5\r\nab",
			.then = WIRE_RESET },
		ERR_PROVIDER, false);
}

static void test_bad_chunk(void **state)
{
	(void)state;
	wire_fails(
		(struct wire_answer){
			.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
			.then = WIRE_CLOSE },
		ERR_PROVIDER, false);
}

static void test_no_http(void **state)
{
	(void)state;
	wire_fails((struct wire_answer){ .bytes = "\x01\x02 what is this\r\n\r\n",
					 .then = WIRE_CLOSE },
		   ERR_PROTOCOL, true);
}

static void test_stall_before_answer(void **state)
{
	(void)state;
	wire_fails((struct wire_answer){ .bytes = "", .then = WIRE_HANG }, ERR_TIMEOUT, false);
}

static void test_stall_within_answer(void **state)
{
	(void)state;
	wire_fails((struct wire_answer){ .bytes =
						 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
					 .then = WIRE_HANG },
		   ERR_TIMEOUT, false);
}

static void test_endless_header(void **state)
{
	char *text = malloc(300000);

	(void)state;
	memset(text, 'h', 300000);
	memcpy(text, "HTTP/1.1 200 OK\r\n", 17);
	for (int i = 1000; i < 299000; i += 1000)
		memcpy(text + i, "\r\nX-A: ", 7);
	text[299999] = '\0';
	wire_fails((struct wire_answer){ .bytes = text, .then = WIRE_HANG }, ERR_PROTOCOL, true);
	free(text);
}

static void test_body_too_large(void **state)
{
	struct get g = { .url = wire_url(wire), .body = "{}", .body_max = 100 };
	char body[200];

	(void)state;
	memset(body, 'b', sizeof(body));
	body[199] = '\0';
	wire_add_json(wire, 200, NULL, body);
	fails(&g, ERR_PROTOCOL, true, true);
	assert_int_equal(g.n, 0);
}

/* ---- that is how it should be ---- */

static void test_post(void **state)
{
	static const char *const headers[] = { "Authorization: Bearer k",
					       "Content-Type: application/json", NULL };
	struct get g = { .url = wire_url(wire), .body = "{\"a\":1}", .spec.headers = headers };

	(void)state;
	wire_add_json(
		wire, 200,
		"X-Request-Id: req-1\r\nretry-after: 7\r\nRetry-After-Ms: 1500\r\nx-should-retry: true\r\n",
		"{\"b\":2}");
	run(&g);
	assert_int_equal(g.result.kind, ERR_NONE);
	assert_string_equal(g.text, "{\"b\":2}");
	assert_int_equal(g.heads, 1);
	assert_int_equal(g.head.status, 200);
	assert_string_equal(g.head.content_type, "application/json");
	assert_string_equal(g.head.request_id, "req-1");
	assert_true(g.head.retry_after_s > 1.49 && g.head.retry_after_s < 1.51);
	assert_int_equal(g.head.should_retry, 1);
	assert_memory_equal(wire_request(wire, 0), "POST / HTTP/1.1\r\n", 17);
	assert_non_null(strstr(wire_request(wire, 0), "Authorization: Bearer k\r\n"));
	assert_null(strstr(wire_request(wire, 0), "Expect"));
	assert_string_equal(wire_body(wire, 0), "{\"a\":1}");
	done(&g);
}

static void test_get_and_empty_body(void **state)
{
	struct get g = { .url = wire_url(wire) };

	(void)state;
	wire_add(wire, (struct wire_answer){
			       .bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n"
					"Retry-After: soon\r\n\r\n" });
	run(&g);
	assert_int_equal(g.result.kind, ERR_NONE);
	assert_int_equal(g.heads, 0);
	assert_int_equal(g.head.status, 204);
	assert_true(g.head.retry_after_s < 0);
	assert_int_equal(g.head.should_retry, -1);
	assert_memory_equal(wire_request(wire, 0), "GET / HTTP/1.1\r\n", 16);
	done(&g);
}

static void test_redirect_is_not_followed(void **state)
{
	struct get g = { .url = wire_url(wire), .body = "{}" };

	(void)state;
	wire_add(wire, (struct wire_answer){ .bytes = "HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\n"
						      "Content-Length: 0\r\n\r\n" });
	run(&g);
	assert_int_equal(g.head.status, 307);
	assert_int_equal(wire_requests(wire), 1);
	done(&g);
}

static void test_byte_by_byte(void **state)
{
	struct get g = { .url = wire_url(wire), .body = "{}" };

	(void)state;
	wire_add(wire, (struct wire_answer){
			       .bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
					"5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n",
			       .piece = 1 });
	run(&g);
	assert_string_equal(g.text, "abcdefgh");
	done(&g);
}

static void test_connection_is_used_again(void **state)
{
	struct http_target *t = NULL;

	(void)state;
	wire_add_json(wire, 200, NULL, "{}");
	for (int i = 0; i < 20; i++) {
		struct get g = { .url = wire_url(wire), .body = "{}", .target = t };

		run(&g);
		assert_int_equal(g.result.kind, ERR_NONE);
		t = g.target;
	}
	assert_int_equal(wire_connections(wire), 1);
	done(&(struct get){ .target = t });
}

/* The server closed the kept connection: the next request goes over a new one, unseen. */
static void test_dead_connection_is_replaced(void **state)
{
	struct get a = { .url = wire_url(wire), .body = "{}" }, b = a;

	(void)state;
	wire_add_typed(wire, 200, "application/json", "{}", WIRE_CLOSE);
	wire_add_json(wire, 200, NULL, "{}");
	run(&a);
	b.target = a.target;
	run(&b);
	assert_int_equal(b.result.kind, ERR_NONE);
	done(&a);
}

static void test_enough_keeps_the_connection(void **state)
{
	struct get a = { .url = wire_url(wire), .body = "{}", .enough_after = 3 }, b = a;

	(void)state;
	wire_add_json(wire, 200, NULL, "abcdef");
	run(&a);
	assert_int_equal(a.result.kind, ERR_NONE);
	b.target = a.target;
	run(&b);
	assert_int_equal(b.result.kind, ERR_NONE);
	assert_int_equal(wire_connections(wire), 1);
	done(&a);
}

static void test_enough_from_an_endless_body(void **state)
{
	struct get a = { .url = wire_url(wire), .body = "{}", .enough_after = 3 };
	uint64_t begin = mono_ns();

	(void)state;
	wire_add(wire, (struct wire_answer){
			       .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
			       .then = WIRE_HANG });
	run(&a);
	assert_int_equal(a.result.kind, ERR_NONE);
	assert_true(mono_ns() - begin < 2 * MONO_S);
	assert_int_equal(a.ends, 1);
	done(&a); /* while the rest is still awaited */
}

static void cancel(struct loop_task *t)
{
	struct get *g = CONTAINER_OF(t, struct get, task);

	http_cancel(g->transfer);
	pthread_mutex_lock(&lock);
	g->ends += 50;
	pthread_cond_broadcast(&news);
	pthread_mutex_unlock(&lock);
}

static void test_cancel(void **state)
{
	struct get g = { .url = wire_url(wire), .body = "{}" };

	(void)state;
	wire_add(wire,
		 (struct wire_answer){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
				       .then = WIRE_HANG });
	post(&g);
	assert_true(wire_await(wire, 1));
	g.task.run = cancel;
	assert_int_equal(loop_post(loop, &g.task), 0);
	await(&g);
	done(&g);
	assert_int_equal(g.ends, 50); /* no end came */
}

static void test_free_with_running_transfers(void **state)
{
	struct get g = { .url = wire_url(wire), .body = "{}" };

	(void)state;
	wire_add(wire, (struct wire_answer){ .bytes = "", .then = WIRE_HANG });
	post(&g);
	assert_true(wire_await(wire, 1));
	done(&g);
	assert_int_equal(g.ends, 0);
}

static void test_many_at_once(void **state)
{
	enum { N = 100 };
	struct get *g = calloc(N, sizeof(*g));

	(void)state;
	wire_add(wire,
		 (struct wire_answer){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
				       .gate = true });
	for (int i = 0; i < N; i++) {
		g[i].url = wire_url(wire);
		g[i].body = "{}";
		g[i].target = g[0].target;
		post(&g[i]);
	}
	assert_true(wire_await(wire, N));
	wire_open(wire);
	for (int i = 0; i < N; i++) {
		await(&g[i]);
		assert_string_equal(g[i].text, "ok");
	}
	done(&g[0]);
	free(g);
}

static void test_unix_socket(void **state)
{
	char path[64];
	struct wire *w;
	struct get g = { .url = "http://localhost/v1/x", .body = "{}", .spec.unix_socket = path };

	(void)state;
	snprintf(path, sizeof(path), "/tmp/test_http.%d.sock", getpid());
	(void)unlink(path);
	w = wire_new_unix(path);
	wire_add_json(w, 200, NULL, "{}");
	run(&g);
	assert_int_equal(g.result.kind, ERR_NONE);
	done(&g);
	wire_free(w);
	(void)unlink(path);
}

static void test_http2_is_offered_without_harm(void **state)
{
	struct get g = { .url = wire_url(wire), .body = "{}", .spec.http2 = true };

	(void)state;
	wire_add_json(wire, 200, NULL, "{}");
	run(&g);
	assert_int_equal(g.result.kind, ERR_NONE);
	done(&g);
}

/* ---- net/head ---- */

static void test_retry_after_values(void **state)
{
	static const struct {
		const char *value;
		double s;
	} rows[] = { { "0", 0 },
		     { "7", 7 },
		     { "1.5", 1.5 },
		     { "-1", -1 },
		     { "", -1 },
		     { "soon", -1 },
		     { "inf", -1 },
		     { "nan", -1 },
		     { "1e300", 1e9 },
		     { "Sat, 21 Nov 2026 12:00:30 GMT", 30 },
		     { "Saturday, 21-Nov-26 12:00:30 GMT", 30 },
		     { "Sat Nov 21 12:00:30 2026", 30 },
		     { "Sat, 21 Nov 2026 11:00:00 GMT", 0 },
		     { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
		     { "no date at all", -1 } };
	const uint64_t now = 1795262400ull * 1000000000ull; /* 2026-11-21T12:00:00Z */

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double s = head_retry_after(rows[i].value, now);

		if (s < rows[i].s - 0.001 || s > rows[i].s + 0.001)
			fail_msg("%s: %f", rows[i].value, s);
	}
}

static void feed(struct head_parser *p, const char *line)
{
	head_line(p, line, strlen(line), 0);
}

static void test_odd_header_lines(void **state)
{
	struct head_parser p;
	char longer[1000];

	(void)state;
	head_init(&p);
	feed(&p, "HTTP/2 429 \r\n");
	feed(&p, "no colon\r\n");
	feed(&p, ":\r\n");
	feed(&p, "content-type:text/html;charset=utf-8\r\n");
	feed(&p, "request-id: second\r\n");
	feed(&p, "X-REQUEST-ID: \x01 first \xff\r\n");
	feed(&p, "request-id: third\r\n");
	feed(&p, "x-should-retry: FALSE\r\n");
	feed(&p, "retry-after-ms: -3\r\n");
	feed(&p, "retry-after: 2\r\n");
	assert_int_equal(head_done(&p)->status, 429);
	assert_string_equal(head_done(&p)->content_type, "text/html;charset=utf-8");
	assert_string_equal(head_done(&p)->request_id, "? first ?");
	assert_int_equal(head_done(&p)->should_retry, 0);
	assert_true(head_done(&p)->retry_after_s == 2);
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "content-type: ", 14);
	longer[999] = '\0';
	feed(&p, longer);
	assert_int_equal(strlen(head_done(&p)->content_type), 127);
	feed(&p, "HTTP/1.1 20x\r\n");
	assert_int_equal(head_done(&p)->status, 429);
	feed(&p, "HTTP/1.1 200 OK\r\n"); /* a new head forgets the old one */
	assert_int_equal(head_done(&p)->status, 200);
	assert_string_equal(head_done(&p)->request_id, "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_refused),
		T(test_read_gives_up),
		T(test_sent_again),
		T(test_counted_is_not_sent_again),
		T(test_read_body),
		T(test_pause),
		cmocka_unit_test(test_links),
		T(test_name_unknown),
		T(test_bad_url),
		T(test_no_tls_there),
		T(test_bad_ca_file),
		T(test_unix_socket_absent),
		T(test_connect_timeout),
		T(test_closed_without_answer),
		T(test_reset_without_answer),
		T(test_short_body),
		T(test_chunked_body_cut),
		T(test_bad_chunk),
		T(test_no_http),
		T(test_stall_before_answer),
		T(test_stall_within_answer),
		T(test_endless_header),
		T(test_body_too_large),
		T(test_cancel),
		T(test_free_with_running_transfers),
		T(test_enough_from_an_endless_body),
		T(test_post),
		T(test_get_and_empty_body),
		T(test_redirect_is_not_followed),
		T(test_byte_by_byte),
		T(test_connection_is_used_again),
		T(test_dead_connection_is_replaced),
		T(test_enough_keeps_the_connection),
		T(test_many_at_once),
		T(test_unix_socket),
		T(test_http2_is_offered_without_harm),
		cmocka_unit_test(test_retry_after_values),
		cmocka_unit_test(test_odd_header_lines),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
