/*
 * ctl/main.c - inferctl: the mount for people who do not want to look for the right file
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/follow.h"
#include "ctl/models.h"
#include "ctl/mounts.h"
#include "ctl/stats.h"
#include "ctl/verify.h"
#include "include/inferfs/version.h"

#include "base/banned.h"

static const struct command commands[] = {
	{ "ask", "[TEXT...|-]", "ask one question, print the answer as it comes",
	  "The question is the words, or standard input where there are none or \"-\". If it begins with {\n"
	  "it is a JSON request, else the prompt. Nothing is stored under prompts/; the cache applies.\n",
	  ask_run, 0, -1, 1 },
	{ "wait", "PATH...", "wait until requests are final",
	  "Prints nothing when all are done; for one that failed it says why, and exits 1.\n",
	  follow_wait, 1, -1, 1 },
	{ "watch", "PATH", "print an answer as it comes",
	  "The bytes of the response's file stream, from the first one.\n", follow_watch, 1, 1, 1 },
	{ "status", "[--json] PATH...", "say where requests are",
	  "One line each: draft, queued, running, done, failed or cancelled, and why it failed. With --json\n"
	  "one object each: path, status, usage, error.\n",
	  follow_status, 1, -1, 1 },
	{ "cancel", "PATH...", "end requests that are not final", NULL, follow_cancel, 1, -1, 1 },
	{ "retry", "PATH...", "send failed or cancelled requests again", NULL, follow_retry, 1, -1,
	  1 },
	{ "stats", "[--json]", "what was asked, answered, bought and saved",
	  "The numbers of stats/summary.json, one a line; with --json the file as it is.\n",
	  stats_run, 0, 1, 1 },
	{ "pull", "[--json] NAME", "fetch a model to a backend's own machine (Ollama)",
	  "NAME is [BACKEND/]MODEL; a progress bar on a terminal. Interrupted, the pull goes on.\n",
	  models_pull, 1, 2, 1 },
	{ "delete", "[--json] NAME", "remove a model from a backend's own machine",
	  "NAME is [BACKEND/]MODEL.\n", models_delete, 1, 2, 1 },
	{ "verify", "[DIR]", "check every object of a disk store",
	  "DIR is the store's directory (~/.cache/inferfs). Damaged objects are listed, nothing is changed;\n"
	  "exits 1 when there are some. No mount is needed, and one may be running.\n",
	  verify_run, 0, 1, 0 },
};

static void list_commands(FILE *to)
{
	(void)fputs("usage: inferctl [-m MOUNTPOINT] COMMAND [ARGUMENTS]\n\n", to);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)fprintf(to, "  %-8s %-18s %s\n", commands[i].name, commands[i].args,
			      commands[i].help);
	(void)fputs(
		"  help     [COMMAND]          this list, or more about a command\n"
		"\n"
		"  -m, --mount MOUNTPOINT   which mount: else $INFERFS_MOUNT, else the one around the\n"
		"                           working directory, else the only one there is\n"
		"  -h, --help               this list\n"
		"  -V, --version            the version\n"
		"\n"
		"PATH is a prompt file, a response directory or a file in it, or the request's name.\n"
		"Exit status: 0 done, 1 failed (or damage found), 2 wrong usage.\n",
		to);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown(const char *name)
{
	const char *names[ARRAY_LEN(commands) + 2] = { "help", NULL };
	const char *near;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		names[i + 1] = commands[i].name;
	near = str_nearest(name, names);
	command_say("there is no command \"%s\"%s%s%s; inferctl help lists them", name,
		    near ? " (do you mean " : "", near ? near : "", near ? "?)" : "");
	return COMMAND_USAGE;
}

static int help(const char *name)
{
	const struct command *c = name ? find(name) : NULL;

	if (name && !c)
		return unknown(name);
	if (!c) {
		list_commands(stdout);
		return COMMAND_DONE;
	}
	(void)printf("usage: inferctl [-m MOUNTPOINT] %s %s\n\n%s\n%s%s", c->name, c->args, c->help,
		     c->more ? "\n" : "", c->more ? c->more : "");
	return COMMAND_DONE;
}

static int run(const char *mount, int n, char **args)
{
	const struct command *c = find(args[0]);
	AUTO_FREE char *found = NULL;
	int status;

	if (strcmp(args[0], "help") == 0)
		return help(n > 1 ? args[1] : NULL);
	if (!c)
		return unknown(args[0]);
	if (n - 1 < c->min || (c->max >= 0 && n - 1 > c->max)) {
		command_say("usage: inferctl %s %s", c->name, c->args);
		return COMMAND_USAGE;
	}
	if (c->needs_mount) {
		found = mounts_find(mount);
		if (!found)
			return COMMAND_FAILED;
	}
	status = c->run(found, n - 1, args + 1);
	if (fflush(stdout) != 0 && status == COMMAND_DONE) {
		command_say("standard output cannot be written");
		status = COMMAND_FAILED;
	}
	return status;
}

/* By hand: what stands behind the command is its own, "-" and "-5 degrees" too. */
int main(int argc, char **argv)
{
	const char *mount = NULL;
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		const char *a = argv[i];

		if (strcmp(a, "-h") == 0 || strcmp(a, "--help") == 0)
			return help(NULL);
		if (strcmp(a, "-V") == 0 || strcmp(a, "--version") == 0)
			return puts("inferctl " INFERFS_VERSION) < 0;
		if ((strcmp(a, "-m") == 0 || strcmp(a, "--mount") == 0) && i + 1 < argc)
			mount = argv[++i];
		else if (str_starts(a, "--mount=") && a[8])
			mount = a + 8;
		else if (str_starts(a, "-m") && a[2])
			mount = a + 2;
		else {
			command_say(strcmp(a, "-m") == 0 || strcmp(a, "--mount") == 0
					    ? "%s wants a mount point"
					    : "there is no option %s",
				    a);
			return COMMAND_USAGE;
		}
	}
	if (i == argc) {
		list_commands(stderr);
		return COMMAND_USAGE;
	}
	return run(mount, argc - i, argv + i);
}
