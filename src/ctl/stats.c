/*
 * ctl/stats.c - inferctl stats
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "ctl/command.h"
#include "ctl/stats.h"

#include "base/banned.h"

enum { NUMBER_DIGITS = 12 };

static void print_value(const char *key, json_t *value)
{
	AUTO_FREE char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT |
							 JSON_REAL_PRECISION(NUMBER_DIGITS));

	if (json_is_string(value))
		(void)printf("%-28s %s\n", key, json_string_value(value));
	else
		(void)printf("%-28s %s\n", key, text ? text : "?");
}

int stats_run(const char *mount, int n, char **args)
{
	AUTO_BUF struct buf text = BUF_INIT(COMMAND_FILE_MAX);
	int json = command_flag(&n, args, "--json"), rc;
	json_t *root;

	if (n) {
		command_say("stats: \"%s\" is too many", args[0]);
		return COMMAND_USAGE;
	}
	rc = command_read(mount, "stats/summary.json", &text);
	if (rc < 0) {
		command_say("%s/stats/summary.json: %s", mount, strerror(-rc));
		return COMMAND_FAILED;
	}
	if (json) {
		(void)fwrite(buf_str(&text), 1, text.len, stdout);
		return COMMAND_DONE;
	}
	root = json_loadb(buf_str(&text), text.len, 0, NULL);
	if (!json_is_object(root)) {
		command_say("%s/stats/summary.json is no JSON object", mount);
		json_decref(root);
		return COMMAND_FAILED;
	}
	for (void *it = json_object_iter(root); it; it = json_object_iter_next(root, it))
		print_value(json_object_iter_key(it), json_object_iter_value(it));
	json_decref(root);
	return COMMAND_DONE;
}
