/*
 * main/readme.c - the README.md at the top of a mount
 *
 * Whoever opens a mount with an editor or gives it to a program finds here all that is needed to
 * use it. No secret and no path but the mount's own may stand in it.
 */
#include <string.h>

#include "base/str.h"
#include "core/request.h"
#include "main/backends.h"
#include "main/readme.h"

#include "base/banned.h"

static const char intro[] =
	"# A mounted language model\n"
	"\n"
	"This is an inferfs mount. A file written below `prompts/` is a request; its answer appears below\n"
	"`responses/`. Looking around costs nothing: only writing sends.\n"
	"\n"
	"    cd %s\n"
	"    echo '{\"prompt\": \"Why is the sky blue?\"%s}' > prompts/sky.json\n"
	"    cat responses/sky/text\n"
	"\n"
	"`cat` waits until the answer is there; Ctrl-C ends the waiting, not the request.\n"
	"`cat responses/sky/stream` shows the answer as it comes.\n"
	"\n";

static const char names[] =
	"## What is a request\n"
	"\n"
	"- %s\n"
	"- `.json` holds one JSON object; in `.txt` and `.md` the whole file is the prompt.\n"
	"- Never: names that begin with a dot, `README*`, symbolic links, anything below a hidden directory\n"
	"  or below a directory with a file `.noinfer` in it.\n"
	"- It is sent when the last writer has closed it. Writing the same again buys nothing.\n"
	"- `.defaults.json` in a directory holds fields (model, system, temperature, ...) for all requests\n"
	"  below it that do not say otherwise.\n"
	"- `rm prompts/sky.json` removes the request and its response; what was paid for stays in `cache/`.\n"
	"\n"
	"Fields: prompt, messages or input (embeddings), images, system, model, temperature, top_p,\n"
	"max_tokens, stop, seed, tools, response_format, cache, timeout, priority, extra_body and more; an\n"
	"unknown one is an error that names the nearest. inferfs(5) lists them.\n"
	"\n"
	"    echo '{\"prompt\": \"What is this?\", \"images\": [\"cat.png\"]}' > prompts/cat.json\n"
	"    echo '{\"input\": [\"one text\", \"another\"]}' > prompts/vectors.json\n"
	"\n"
	"Images are paths relative to the request's own directory; what they name lies below `prompts/`.\n"
	"\n";

static const char answers[] =
	"## What comes back: responses/sky/\n"
	"\n"
	"| file | content |\n"
	"| --- | --- |\n"
	"| `status` | draft, queued, running, done, failed or cancelled; never waits |\n"
	"| `text` | the answer; opening it waits until it is whole |\n"
	"| `stream` | the answer while it is being generated |\n"
	"| `response.json` | everything about the answer; waits |\n"
	"| `request.json` | what was asked, canonical; its SHA-256 is the key in `cache/` |\n"
	"| `tool_calls.json`, `reasoning` | only when the model gave them |\n"
	"| `embedding.json`, `embedding.npy` | the vectors, for `input`: then there is no `text` |\n"
	"| `usage.json` | tokens, cost, time, attempts |\n"
	"| `error.json` | why it failed: errno, sentence, line and column |\n"
	"| `ctl` | write `cancel` or `retry` |\n"
	"\n"
	"## When something goes wrong\n"
	"\n"
	"Opening `text` fails with the errno of what happened (Invalid argument, Key was rejected by service,\n"
	"Connection timed out, ...), and `error.json` has the sentence. close(2) of a bad request fails as\n"
	"well, but some shells' `echo > file` does not tell: look at `status`.\n"
	"\n"
	"## Other ways to ask\n"
	"\n"
	"- `ask`: open it for reading and writing, write a question, read the answer; nothing is stored\n"
	"  under `prompts/`. In bash: `exec 3<>ask; echo 'Why?' >&3; cat <&3`. Or: `inferctl ask Why?`\n"
	"- `namespaces/NAME/`: made by `mkdir`, with `prompts/` and `responses/` of its own. Inside one no\n"
	"  answer is given twice; another one replays the same answers from the start, from `cache/`.\n"
	"  `usage.json` counts; `rm -r` forgets it. `\"namespace\": \"NAME\"` in a request does the same.\n"
	"- `cache/`: every answer that was paid for, by the SHA-256 of its request; `rm -r` evicts.\n"
	"- `models/BACKEND/MODEL.json`: what each backend offers, with context and price where known.\n"
	"- `backends/NAME/status.json`: health, limits, queue; `stats/summary.json`: tokens and cost.\n"
	"- `inferctl status`, `wait`, `watch`, `cancel`, `retry`, `stats`: the same files for people.\n"
	"\n";

static void mode_line(const struct config *c, struct buf *out)
{
	const struct config_mount *m = &c->mount;

	if (m->wait)
		(void)buf_adds(
			out,
			"- `wait`: closing a `.json` prompt returns when the answer is there.\n");
	if (m->cache_mode != REQUEST_CACHE_USE)
		(void)buf_addf(out, "- cache mode: %s\n",
			       request_cache_name((enum request_cache)m->cache_mode));
	if (m->lossy)
		(void)buf_adds(
			out, "- `lossy`: what a backend cannot express is dropped and listed under "
			     "`dropped`.\n");
	(void)buf_addf(out, "- a request may take %g seconds and have %llu bytes\n", m->timeout_s,
		       (unsigned long long)m->max_request_bytes);
}

/* no address: it may be a private one, and a URL may hold a password */
static void backend_line(const struct backend_config *b, struct buf *out)
{
	const char *state = b->at.key ? "has a key" : b->at.key_hint ? "no key: " : "needs no key";

	(void)buf_addf(out, "- `%s`: %s%s%s\n", b->name, state,
		       !b->at.key && b->at.key_hint ? b->at.key_hint : "",
		       b->free_of_charge ? "; free" : "");
}

static void configuration(const struct readme_facts *f, struct buf *out)
{
	const struct config *c = f->config;

	(void)buf_adds(out, "## This mount\n\n");
	if (f->detect->model)
		(void)buf_addf(out, "- default model: `%s`\n", f->detect->model);
	else
		(void)buf_addf(
			out,
			"- no default model: name one in every request, as `\"model\": \"...\"`. "
			"The choices: %s\n",
			f->detect->choices);
	mode_line(c, out);
	(void)buf_adds(out, "\nBackends (a model is written BACKEND/MODEL):\n\n");
	for (size_t i = 0; i < c->n_backends; i++)
		backend_line(&c->backends[i], out);
	if (c->n_aliases)
		(void)buf_adds(out, "\nAliases:\n\n");
	for (size_t i = 0; i < c->n_aliases; i++)
		(void)buf_addf(out, "- `%s` is `%s`\n", c->aliases[i].from, c->aliases[i].to);
}

static void suffix_line(const struct config *c, struct buf *out)
{
	(void)buf_adds(out, "A regular file whose name ends in");
	for (char **s = c->mount.suffixes; s && *s; s++)
		(void)buf_addf(out, "%s `%s`",
			       s == c->mount.suffixes ? ""
			       : s[1]		      ? ","
						      : " or",
			       *s);
	(void)buf_addc(out, '.');
}

int readme_text(const struct readme_facts *f, struct buf *out)
{
	AUTO_BUF struct buf suffixes = BUF_INIT(4096);
	const char *model = f->detect->model ? "" : ", \"model\": \"echo/echo\"";

	suffix_line(f->config, &suffixes);
	/* out remembers the first failed add */
	(void)buf_addf(out, intro, f->mountpoint, model);
	(void)buf_addf(out, names, buf_str(&suffixes));
	(void)buf_adds(out, answers);
	configuration(f, out);
	return out->failed;
}
