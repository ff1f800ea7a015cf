/*
 * ctl/models.c - inferctl pull, delete
 *
 * The order is a line written to backends/NAME/ctl; how far it is stands in status.json beside it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "ctl/command.h"
#include "ctl/models.h"

#include "base/banned.h"

enum { LOOK_MS = 200, BAR_CELLS = 30 };

/* what is wanted of whom */
struct wish {
	const char *mount, *action, *model;
	char *backend;
	bool json, terminal;
};

static bool has_ctl(const char *mount, const char *backend)
{
	AUTO_FREE char *path = str_printf("%s/backends/%s/ctl", mount, backend);

	return path && access(path, F_OK) == 0;
}

/* "ollama" where it takes orders, else the only backend that does */
static char *only_backend(const char *mount)
{
	AUTO_FREE char *path = str_printf("%s/backends", mount);
	DIR *d = path ? opendir(path) : NULL;
	char *found = NULL;
	struct dirent *e;
	int n = 0;

	if (has_ctl(mount, "ollama")) {
		if (d)
			(void)closedir(d); /* only read */
		return strdup("ollama");
	}
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || !has_ctl(mount, e->d_name))
			continue;
		free(found);
		found = strdup(e->d_name);
		n++;
	}
	if (d)
		(void)closedir(d); /* only read */
	if (n == 1)
		return found;
	free(found);
	command_say(n ? "several backends keep models here; write BACKEND/NAME"
		      : "no backend here keeps models on its own machine (type = ollama does)");
	return NULL;
}

/* "ollama/llama3.2:1b", or a name whose first part is no such backend */
static int read_target(struct wish *w, const char *text)
{
	const char *slash = strchr(text, '/');

	w->model = text;
	if (slash && slash > text) {
		w->backend = str_dup_n(text, (size_t)(slash - text));
		if (w->backend && has_ctl(w->mount, w->backend)) {
			w->model = slash + 1;
			return 0;
		}
		free(w->backend);
	}
	w->backend = only_backend(w->mount);
	return w->backend ? 0 : -1;
}

static int give_order(const struct wish *w)
{
	AUTO_FREE char *path = str_printf("%s/backends/%s/ctl", w->mount, w->backend);
	AUTO_FREE char *line = str_printf("%s %s\n", w->action, w->model);
	AUTO_FD int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;

	if (fd < 0 || !line || write(fd, line, strlen(line)) < 0) {
		int code = errno;

		command_say("%s: %s", path ? path : w->backend,
			    code == EBUSY ? "too many orders run already; wait for one of them"
					  : strerror(code));
		return -1;
	}
	return 0;
}

/* the newest order of this kind; a new reference or NULL */
static json_t *look(const struct wish *w)
{
	AUTO_FREE char *name = str_printf("backends/%s/status.json", w->backend);
	AUTO_BUF struct buf text = BUF_INIT(COMMAND_FILE_MAX);
	json_t *root, *found = NULL, *o;
	size_t i;

	if (!name || command_read(w->mount, name, &text) < 0)
		return NULL;
	root = json_loadb(buf_str(&text), text.len, 0, NULL);
	json_array_foreach(json_object_get(root, "orders"), i, o) {
		const char *action = json_string_value(json_object_get(o, "action"));
		const char *model = json_string_value(json_object_get(o, "model"));

		if (action && model && strcmp(action, w->action) == 0 &&
		    strcmp(model, w->model) == 0)
			found = o;
	}
	json_incref(found);
	json_decref(root);
	return found;
}

static void print_bytes(double n, char *out, size_t cap)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	size_t u = 0;

	while (n >= 1000 && u + 1 < ARRAY_LEN(units)) {
		n /= 1000;
		u++;
	}
	(void)snprintf(out, cap, u ? "%.1f %s" : "%.0f %s", n, units[u]);
}

/* One line that is drawn over itself on a terminal; elsewhere a line for each change of words. */
static void show(const struct wish *w, const json_t *o, char last[256])
{
	const char *status = json_string_value(json_object_get(o, "status"));
	double total = json_number_value(json_object_get(o, "total"));
	double done = json_number_value(json_object_get(o, "completed"));
	char bar[BAR_CELLS + 1], have[32], all[32];
	int cells = total > 0 ? (int)(done / total * BAR_CELLS) : 0;

	if (!w->terminal) {
		if (!w->json && status && *status && strcmp(status, last) != 0)
			(void)fprintf(stderr, "%s\n", status);
		(void)str_copy(last, 256, status ? status : ""); /* as long as the server's word */
		return;
	}
	for (int i = 0; i < BAR_CELLS; i++)
		bar[i] = i < cells ? '#' : '.';
	bar[BAR_CELLS] = '\0';
	print_bytes(done, have, sizeof(have));
	print_bytes(total, all, sizeof(all));
	if (total > 0)
		(void)fprintf(stderr, "\r\033[K%s [%s] %3.0f%% %s of %s", status ? status : "", bar,
			      done / total * 100, have, all);
	else
		(void)fprintf(stderr, "\r\033[K%s", status ? status : "");
}

static int finish(const struct wish *w, const json_t *o, const char *state)
{
	const char *error = json_string_value(json_object_get(o, "error"));
	bool good = strcmp(state, "done") == 0;

	if (w->terminal)
		(void)fputs("\r\033[K", stderr);
	if (w->json) {
		AUTO_FREE char *text = json_dumps(o, JSON_COMPACT);

		(void)printf("%s\n", text ? text : "{}");
	} else if (good) {
		(void)printf("%s/%s: %s\n", w->backend, w->model,
			     strcmp(w->action, "pull") == 0 ? "pulled" : "deleted");
	}
	if (!good)
		command_say("%s", error ? error : "it failed");
	return good ? COMMAND_DONE : COMMAND_FAILED;
}

static int follow(const struct wish *w)
{
	const struct timespec pause = { 0, LOOK_MS * 1000000L };
	char last[256] = "";

	for (;;) {
		json_t *o = look(w);
		const char *state = json_string_value(json_object_get(o, "state"));
		int rc;

		if (!state) {
			json_decref(o);
			command_say("the order is not in backends/%s/status.json any more",
				    w->backend);
			return COMMAND_FAILED;
		}
		if (strcmp(state, "running") != 0) {
			rc = finish(w, o, state);
			json_decref(o);
			return rc;
		}
		show(w, o, last);
		json_decref(o);
		(void)nanosleep(&pause, NULL); /* cut short by a signal is fine */
	}
}

static int run(const char *mount, const char *action, int n, char **args)
{
	struct wish w = { .mount = mount, .action = action };
	int rc;

	w.json = command_flag(&n, args, "--json");
	w.terminal = !w.json && isatty(STDERR_FILENO);
	if (n != 1) {
		command_say("%s wants one model: [BACKEND/]NAME", action);
		return COMMAND_USAGE;
	}
	if (read_target(&w, args[0]) < 0)
		return COMMAND_FAILED;
	rc = give_order(&w) < 0 ? COMMAND_FAILED : follow(&w);
	free(w.backend);
	return rc;
}

int models_pull(const char *mount, int n, char **args)
{
	return run(mount, "pull", n, args);
}

int models_delete(const char *mount, int n, char **args)
{
	return run(mount, "delete", n, args);
}
