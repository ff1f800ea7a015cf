/*
 * tests/bench/lib/web.h - plain libcurl: the floor of a miss, and the provider server's control addresses
 */
#ifndef BENCH_LIB_WEB_H
#define BENCH_LIB_WEB_H

#include <stddef.h>

struct web;

/* web_new - body: of a request that the daemon sent; each one sent has the digits at `at` replaced */
struct web *web_new(int port, const char *body, size_t at);
/* web_learn - the same with the body of the last request the server saw; digits: where they are in it */
struct web *web_learn(int port, const char *digits);
struct web *web_free(struct web *w);
/* web_body - where its requests go, and what is sent there, for who sends the same */
const char *web_url(const struct web *w);
const char *web_body(const struct web *w, size_t *out_at);
/* web_one - one streamed request on the kept connection, read to its end mark */
void web_one(struct web *w, size_t number);
/* web_many - numbers from, from + 1, ...: n of them, `width` at a time */
void web_many(struct web *w, size_t from, size_t n, size_t width);

enum { WEB_DIGITS = 8 };

/* web_count - inference requests the server has seen so far */
size_t web_count(int port);

/* web_control - POST /_ctl/WHAT with this body (NULL: empty); the answer, malloc'd */
char *web_control(int port, const char *what, const char *body);
/* web_look - GET /_ctl/WHAT */
char *web_look(int port, const char *what);

#endif
