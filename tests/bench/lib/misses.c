/*
 * tests/bench/lib/misses.c - row 4: by libcurl, by a relay, by inferfs
 *
 * All send the daemon's own body, word for word, to the same server and get the same stream.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/misses.h"

static const char *const names[MISSES_WAYS] = { [MISSES_RELAY] = "relay",
						[MISSES_LOG] = "relay-log",
						[MISSES_STORE] = "relay-store" };

static size_t document(size_t number, char *out, size_t cap)
{
	return (size_t)snprintf(
		out, cap,
		"{\"model\":\"prov/bench\",\"prompt\":\"please tell me about item number %0*zu of the list\"}\n",
		(int)WEB_DIGITS, number);
}

static size_t answer(size_t number, char *out, size_t cap)
{
	return (size_t)snprintf(out, cap,
				"echo: please tell me about item number %0*zu of the list\n",
				(int)WEB_DIGITS, number);
}

static size_t transact(const char *path, size_t number, char *got, size_t cap)
{
	char doc[256];
	size_t n = document(number, doc, sizeof(doc)), len = 0;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t r;

	if (fd < 0 || write(fd, doc, n) != (ssize_t)n)
		bench_die("%s: %s", path, strerror(errno));
	while ((r = read(fd, got + len, cap - len)) > 0)
		len += (size_t)r;
	if (r < 0)
		bench_die("%s: %s", path, strerror(errno));
	close(fd);
	return len;
}

static void by_ask(struct misses *m, size_t number)
{
	char want[256], got[1024];
	size_t w = answer(number, want, sizeof(want));
	size_t len = transact(m->ask[MISSES_ASK], number, got, sizeof(got));

	if (len != w || memcmp(got, want, w) != 0)
		bench_die("%s: wrong bytes: %.*s", m->ask[MISSES_ASK], (int)len, got);
}

/* Undecoded: the answer repeats the question, and so its number, as one piece. */
static void by_relay(struct misses *m, enum misses_way way, size_t number)
{
	char digits[WEB_DIGITS + 1], got[1 << 14];
	size_t len = transact(m->ask[way], number, got, sizeof(got) - 1);

	got[len] = '\0';
	snprintf(digits, sizeof(digits), "%0*zu", (int)WEB_DIGITS, number % 100000000);
	if (!strstr(got, digits) || !strstr(got, "data: [DONE]"))
		bench_die("%s: wrong bytes: %s", m->ask[way], got);
}

static void file_names(struct misses *m, size_t number, char prompt[BENCH_PATH],
		       char text[BENCH_PATH])
{
	snprintf(prompt, BENCH_PATH, "%s/prompts/q%08zu.json", m->b->mnt, number);
	snprintf(text, BENCH_PATH, "%s/responses/q%08zu/text", m->b->mnt, number);
}

static void by_files(struct misses *m, size_t number)
{
	char prompt[BENCH_PATH], text[BENCH_PATH], doc[256], want[256];
	size_t n = document(number, doc, sizeof(doc)), w = answer(number, want, sizeof(want));

	file_names(m, number, prompt, text);
	bench_write(prompt, doc, n);
	bench_read(text, want, w);
}

void misses_one(struct misses *m, enum misses_way way, size_t number)
{
	switch (way) {
	case MISSES_CURL:
		web_one(m->web, number);
		break;
	case MISSES_ASK:
		by_ask(m, number);
		break;
	case MISSES_FILES:
		by_files(m, number);
		break;
	default:
		by_relay(m, way, number);
	}
}

void misses_after(struct misses *m, enum misses_way way, size_t number)
{
	char prompt[BENCH_PATH], text[BENCH_PATH];

	if (way != MISSES_FILES)
		return;
	file_names(m, number, prompt, text);
	bench_unlink(prompt);
}

static void start_relay(struct misses *m, enum misses_way way)
{
	char *base = bench_fmt("%s/%s%s", m->b->dir, names[way], m->b->pinned ? "-pinned" : "");
	char *body = bench_fmt("%s/body", base), *dir = bench_fmt("%s/store", base);
	char *keep = way == MISSES_RELAY ? NULL
		     : way == MISSES_LOG ? bench_fmt("log:%s/log", dir)
					 : bench_fmt("files:%s", dir);
	const char *text;
	size_t at;
	char *offset;

	bench_mkdir(dir);
	text = web_body(m->web, &at);
	bench_write(body, text, strlen(text));
	offset = bench_fmt("%zu", at);
	m->mnt[way] = bench_fmt("%s/mnt", base);
	m->ask[way] = bench_fmt("%s/ask", m->mnt[way]);
	m->pid[way] = world_helper(m->b, (const char *[]){ "relay", m->mnt[way], web_url(m->web),
							   body, offset, keep, NULL });
	free(offset);
	free(keep);
	free(dir);
	free(body);
	free(base);
}

void misses_start(struct misses *m, struct bench *b)
{
	*m = (struct misses){ .b = b };
	m->ask[MISSES_ASK] = bench_fmt("%s/ask", b->mnt);
	by_ask(m, 87654321);
	m->web = web_learn(b->port, "87654321");
	start_relay(m, MISSES_RELAY);
	start_relay(m, MISSES_LOG);
	start_relay(m, MISSES_STORE);
}

void misses_end(struct misses *m)
{
	for (size_t way = 0; way < MISSES_WAYS; way++) {
		if (m->pid[way])
			world_helper_end(m->mnt[way], m->pid[way]);
		free(m->mnt[way]);
		free(m->ask[way]);
	}
	web_free(m->web);
}
