/*
 * A scripted inference provider for tests and benchmarks; see README in this folder.
 *
 * One thread: the loop is in hold.c, requests live in call.c, their answers come from plan.c
 * and the dialects, and flow.c sends them.
 */
#include <getopt.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bodies.h"
#include "buf.h"
#include "call.h"
#include "hold.h"

#define BODY_MAX	  ((size_t)128 << 20)
#define FILE_MAX_SIZE	  65536
#define CONNECTIONS	  16384
#define CONNECTION_MEMORY 65536 /* one write of a stream is at most about this long */

struct options {
	unsigned port;
	const char *cert;
	const char *key;
	const char *log;
};

static FILE *log_file;

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **state)
{
	struct call *c = *state;

	(void)cls;
	(void)version;
	if (!c) {
		*state = call_new(conn, method, url);
		return MHD_YES;
	}
	if (*size) {
		if (c->body.len + *size > BODY_MAX)
			return MHD_NO;
		buf_add(&c->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return call_answer(c);
}

static void on_end(void *cls, struct MHD_Connection *conn, void **state,
		   enum MHD_RequestTerminationCode code)
{
	(void)cls;
	(void)conn;
	if (*state)
		call_free(*state, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	*state = NULL;
}

/* Broken handshakes and cut connections are what tests make on purpose: not for stderr. */
static void on_log(void *cls, const char *fmt, va_list args)
{
	(void)cls;
	if (log_file)
		vfprintf(log_file, fmt, args);
}

static char *read_pem(const char *path)
{
	char *text = calloc(1, FILE_MAX_SIZE);
	FILE *f = fopen(path, "re");

	if (!text || !f || !fread(text, 1, FILE_MAX_SIZE - 1, f)) {
		perror(path);
		exit(1);
	}
	fclose(f);
	return text;
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "tls", required_argument, NULL, 't' },
		{ "log", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (opt == 'p')
			o->port = (unsigned)strtoul(optarg, NULL, 10);
		else if (opt == 'l')
			o->log = optarg;
		else if (opt == 't' && optind < argc)
			o->cert = optarg, o->key = argv[optind++];
		else
			return -1;
	}
	return optind == argc && o->port < 65536 ? 0 : -1;
}

static struct MHD_Daemon *start(const struct options *o)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)o->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, o->cert ? read_pem(o->cert) : NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, o->key ? read_pem(o->key) : NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			 (o->cert ? MHD_USE_TLS : 0);

	return MHD_start_daemon(flags, (uint16_t)o->port, NULL, NULL, on_request, NULL,
				MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_SOCK_ADDR, &at,
				MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
				MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096u, MHD_OPTION_ARRAY,
				o->cert ? tls : none, MHD_OPTION_END);
}

/* A benchmark with thousands of clients must not end at the soft limit of 1024. */
static void raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max < CONNECTIONS + 64 ? r.rlim_max : CONNECTIONS + 64;
	setrlimit(RLIMIT_NOFILE, &r);
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct MHD_Daemon *d;

	if (parse(argc, argv, &o)) {
		fprintf(stderr, "usage: provider [--port N] [--tls CERT KEY] [--log FILE]\n");
		return 2;
	}
	log_file = o.log ? fopen(o.log, "we") : NULL;
	if (log_file)
		setvbuf(log_file, NULL, _IOLBF, 0);
	call_set_log(log_file);
	signal(SIGPIPE, SIG_IGN);
	raise_limit();
	d = hold_init() || bodies_init() ? NULL : start(&o);
	if (!d) {
		fprintf(stderr, "provider: cannot start\n");
		return 1;
	}
	printf("listening %u\n", MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
	fflush(stdout);
	hold_loop(d);
	/* The library aborts when it is stopped with suspended connections: leave it as it is. */
	fflush(NULL);
	_exit(0);
}
