/*
 * main/main.c - inferfs: options, configuration, then a mount until it ends
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/log.h"
#include "include/inferfs/version.h"
#include "main/config.h"
#include "main/daemon.h"
#include "main/detect.h"
#include "main/options.h"
#include "main/paths.h"
#include "main/prices.h"
#include "main/serve.h"

#include "base/banned.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, OTHERS_MAX = 64 };

/* all that is known before the first fork */
struct plan {
	struct options options;
	struct config *config;
	struct paths paths;
	struct detect detect;
	struct price_list *prices;
	char *config_path; /* absolute; NULL: there is none */
};

static void plan_done(struct plan *p)
{
	detect_done(&p->detect);
	paths_done(&p->paths);
	p->config = config_free(p->config);
	p->prices = price_free(p->prices);
	options_done(&p->options);
	free(p->config_path);
}

static int load(const struct plan *p, struct config **out, struct err *e)
{
	struct config_source src = {
		.path = p->config_path,
		.settings = p->options.settings,
		.n_settings = p->options.n_settings,
	};

	return config_load(&src, out, e);
}

/* what libcurl will open while the mount is there */
static void list_files(const struct config *c, const char *out[OTHERS_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_backends && n + 4 < OTHERS_MAX; i++) {
		const struct backend_endpoint *at = &c->backends[i].at;
		const char *const files[] = { at->ca_file, at->client_cert, at->client_key,
					      at->unix_socket };

		for (size_t k = 0; k < ARRAY_LEN(files); k++)
			if (files[k])
				out[n++] = files[k];
	}
	out[n] = NULL;
}

static int resolve_paths(struct plan *p, struct err *e)
{
	const char *others[OTHERS_MAX + 1];
	struct paths_input in = {
		.mountpoint = p->options.mountpoint,
		.state = p->options.state,
		.cache = p->config->mount.cache,
		.config = p->config_path,
		.log_file = p->config->mount.log_file,
		.others = others,
	};

	list_files(p->config, others);
	return paths_resolve(&in, &p->paths, e);
}

/* all that can be wrong with what the user wrote, while standard error is still the user's */
static int prepare(struct plan *p, struct err *e)
{
	const char *named = options_config_path(&p->options);
	int rc = named ? paths_expand(named, &p->config_path, e) : paths_config(&p->config_path, e);

	if (rc == 0)
		rc = load(p, &p->config, e);
	if (rc == 0)
		rc = resolve_paths(p, e);
	if (rc == 0)
		rc = prices_load(p->config->prices.file, &p->prices, e);
	if (rc == 0)
		rc = detect_model(p->config, detect_probe, &p->detect, e);
	return rc;
}

static int open_log(const struct plan *p, struct err *e)
{
	enum log_level level = p->options.debug ? LOG_DEBUG : (enum log_level)p->config->mount.log;
	int rc = log_open(p->paths.log_file, level);

	if (rc < 0)
		return err_sys(e, -rc, "the log file %s", p->paths.log_file);
	return 0;
}

/* where a section promises more than this version does, the operator should know */
static void log_later(const struct config *c)
{
	for (const char *l = buf_str(&c->later); *l; l += strcspn(l, "\n") + 1)
		log_msg(LOG_WARNING,
			"configuration: %.*s is read and checked, and not in force in this version",
			(int)strcspn(l, "\n"), l);
}

static void reload(const struct plan *p)
{
	struct config *fresh = NULL;
	struct err e = { 0 };

	if (!p->config_path)
		log_msg(LOG_INFO, "SIGHUP: there is no configuration file to read again");
	else if (load(p, &fresh, &e) < 0)
		log_msg(LOG_ERROR, "SIGHUP: %s; the running configuration stays", e.message);
	else
		log_msg(LOG_INFO,
			"SIGHUP: %s is good; this version cannot change a running mount, so it "
			"takes effect when it is mounted anew",
			p->config_path);
	(void)config_free(fresh); /* returns NULL */
}

static void run_until_end(struct daemon *d, const struct plan *p)
{
	for (;;) {
		switch (daemon_wait(d)) {
		case DAEMON_RELOAD:
			reload(p);
			break;
		case DAEMON_UNMOUNTED:
			log_msg(LOG_INFO, "%s was unmounted", p->paths.mountpoint);
			return;
		default:
			log_msg(LOG_INFO, "ending");
			return;
		}
	}
}

/* in the child: everything from here on may start threads */
static int serve(struct plan *p, struct daemon *d, struct err *e)
{
	struct serve_options o = {
		.config = p->config,
		.paths = &p->paths,
		.detect = &p->detect,
		.prices = p->prices,
		.source = p->options.source && strcmp(p->options.source, "none") != 0
				  ? p->options.source
				  : NULL,
		.fuse_opts = (const char *const *)p->options.fuse_opts,
		.debug = p->options.debug,
		.ended = daemon_wake,
		.arg = d,
	};
	struct serve *s = NULL;
	int rc;

	d->mountpoint = p->paths.mountpoint;
	log_later(p->config);
	if (chdir("/") < 0)
		return err_sys(e, errno, "/");
	rc = serve_start(&o, &s, e);
	if (rc < 0)
		return rc;
	if (d->pipe >= 0 && !p->paths.log_file)
		log_to_syslog();
	log_msg(LOG_INFO, "inferfs %s on %s, default model %s", INFERFS_VERSION,
		p->paths.mountpoint, p->detect.model ? p->detect.model : "(none)");
	/* nobody waits any more: whoever started it has given up */
	if (daemon_ready(d) == 0)
		run_until_end(d, p);
	daemon_hurry(d);
	(void)serve_stop(s); /* returns NULL */
	return 0;
}

static int run(struct plan *p)
{
	struct daemon d = DAEMON_INIT;
	struct err e = { 0 };
	int rc = prepare(p, &e);

	if (rc == 0)
		rc = open_log(p, &e);
	if (rc == 0)
		rc = daemon_fork(&d, p->options.foreground, &e);
	if (rc == 0)
		rc = serve(p, &d, &e);
	if (rc < 0) {
		log_mask(e.message);
		daemon_fail(&d, &e);
	}
	daemon_done(&d);
	return rc < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

static int usage(struct err *e)
{
	(void)fprintf(stderr, "inferfs: %s\nTry \"inferfs --help\".\n", e->message);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct plan p = { 0 };
	struct err e = { 0 };
	int status = EXIT_SUCCESS;

	if (options_parse(argc, argv, &p.options, &e) < 0)
		return usage(&e);
	if (p.options.help) {
		(void)fputs(options_help(), stdout);
	} else if (p.options.version) {
		(void)puts("inferfs " INFERFS_VERSION);
	} else {
		if (!p.options.foreground)
			daemon_close_inherited(p.options.mountpoint);
		daemon_limits(p.options.debug);
		fault_init();
		status = run(&p);
	}
	plan_done(&p);
	log_close();
	return status;
}
