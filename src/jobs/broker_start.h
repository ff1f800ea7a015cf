/*
 * jobs/broker_start.h - how main/ builds and ends the broker
 *
 *   1. broker_new       everything below is open; recovery has not begun
 *   2. broker_recover   after the mount answers: finishes what had been accepted
 *   3. broker_quiet     no new requests; every waiter and stream reader is answered with ESHUTDOWN
 *   4. broker_stop      after the tree is gone: calls are dropped (they are done again after the next
 *                       mount), infer is stopped and the ledger closed, for their last callbacks come
 *                       here; then freed
 *
 * Threads: main's only. Blocks: broker_stop, up to a second.
 */
#ifndef JOBS_BROKER_START_H
#define JOBS_BROKER_START_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "core/request.h"
#include "jobs/broker.h"

struct infer;
struct ledger;
struct price_list;
struct answers;
struct store;

struct broker_alias {
	const char *from, *to;
};

/* how the files under prompts/ are read; both block on the disk and are called on the pool only
 *   open  path below the tree of root, which no link may leave: a descriptor or -errno
 *   read  append the bytes of a prompt's file: 0 or -errno
 *   make_ns  a request names this namespace: its directory is there afterwards. On any thread */
struct broker_files {
	int (*open)(void *arg, const char *root, const char *path);
	int (*read)(void *arg, const struct broker_name *name, struct buf *out);
	int (*make_ns)(void *arg, const char *ns);
	void *arg;
};

struct broker_options {
	struct infer *infer;
	struct ledger *ledger;
	struct answers *answers;
	struct store *store;
	const char
		*model; /* default "BACKEND/MODEL"; NULL: none, then choices names what there is */
	const char *choices; /* for the sentence: "mistral/..., openai/..." */
	const char *scope;   /* "" none */
	enum request_cache cache_mode;
	bool lossy;
	double timeout_s; /* of a request, from the first sending */
	const struct broker_alias *aliases;
	size_t n_aliases;
	unsigned pool_threads;
	struct {
		unsigned size; /* samples of one call that several requests share */
		unsigned
			window_ms; /* equal requests that come so close together do; 0: none wait */
		bool always; /* the user chose the window: it holds for requests for one sample, too */
	} merge;
	const char *const *backends; /* configured names, NULL-terminated */
	const struct price_list *prices;
	struct {		/* of jobs of many lines */
		int jobs_dirfd; /* directory for what they need; 0: such jobs are refused */
		uint64_t max_request_bytes; /* of a line; 0: 16 MiB */
		double batch_poll_min_s,
			batch_poll_max_s; /* between looks at a batch; 0: 10 s, 300 s */
		unsigned
			batch_resubmit; /* a line that was not answered in time goes into so many more batches */
	};
	struct broker_files
		files; /* or later by broker_set_files; none: images by path are refused */
};

/* broker_new - everything in o is borrowed until broker_stop; 0 or -errno with a sentence */
int broker_new(const struct broker_options *o, struct broker **out, struct err *e);
/* broker_set_files - before the first operation; the tree is made after the broker */
void broker_set_files(struct broker *b, const struct broker_files *files);
/* broker_recover - file_sha answers the SHA-256 of the prompt file now (0 or -ENOENT); blocks on the disk */
typedef int broker_file_sha_fn(void *arg, const struct broker_name *name, struct key *out);
void broker_recover(struct broker *b, broker_file_sha_fn *file_sha, void *arg);
void broker_quiet(struct broker *b);
struct broker *broker_stop(struct broker *b);

#endif
