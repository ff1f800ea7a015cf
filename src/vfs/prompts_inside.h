/*
 * vfs/prompts_inside.h - what the files of the prompts/ room share
 *
 * A node is a name the kernel knows below prompts/ or namespaces/; the bytes lie in the backing
 * directories, which are reached only by *at() calls on descriptors, one component at a time. All are in
 * one table: above the prompts/ of a namespace (a top, as the mount's own is one) are two nodes more, its
 * name and namespaces/ itself, so that files move between tops as between directories.
 *
 *   prompts_node    the table: index -> parent, name, references; descriptors of directories
 *   prompts_name    what is a request; which names cannot live side by side
 *   prompts_make    create, mknod, mkdir, symlink, unlink, rmdir       prompts_rename   rename
 *   prompts_file    open, read, write, flush, release ...              prompts_dir      opendir, readdir
 *   prompts_attr, prompts_xattr                                        prompts_scan     for the mirror
 *   prompts_op      what must be told to the broker, in order          prompts_check    a document's check
 *   prompts_wait    a close that waits for the answer
 *
 * Threads: the table's shape (names, parents, references, handles) is changed by the FUSE thread only,
 * under the lock; it reads it without, others with the lock. State of checks: under the lock for all.
 * The lock is never held over a reply, a call of the broker or of the mirror, or a system call.
 */
#ifndef VFS_PROMPTS_INSIDE_H
#define VFS_PROMPTS_INSIDE_H

#include <jansson.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/pool.h"
#include "vfs/inside.h"

#define PROMPTS_ROOT	     1u
#define PROMPTS_SPACES	     2u /* namespaces/ */
#define PROMPTS_TTL	     1.0
#define PROMPTS_PATH_MAX     (64u << 10) /* of a path given to the broker */
#define PROMPTS_INLINE_MAX   (64u << 10) /* longer documents are read and checked on the pool */
#define PROMPTS_DEFAULTS_MAX (1u << 20)
#define PROMPTS_DIRS	     128 /* open directories kept */

/* the check of a file's bytes; under the lock */
struct prompts_state {
	uint32_t version; /* raised by every change of bytes */
	uint32_t settled; /* the version that was last accepted or refused */
	int64_t id;	  /* accepted, 0 none */
	bool sent;
	unsigned busy; /* operations at the broker that concern this node */
};

/* one for every name that the kernel knows: a hundred thousand of them are twelve megabytes */
struct prompts_node {
	struct map_link by_name;
	char *name;
	struct list handles; /* open files */
	uint64_t ino;
	uint64_t seen_ctime_ns; /* at the last open: are the kernel's pages still good? */
	uint32_t lookups, idx, parent, generation; /* parent 0: root, or gone */
	uint32_t children, pins, writers;
	int fd;		/* O_PATH of what was removed while it was not open, else -1 */
	uint16_t slot;	/* of its descriptor among the open directories, or PROMPTS_DIRS */
	uint16_t fmt;	/* S_IFREG ...; 0: a free slot */
	bool gone, top; /* top: a prompts/, where the broker's paths begin */
	struct prompts_state state;
};

struct prompts_handle {
	struct list link;
	struct prompts_node *node;
	int fd, flags;
	bool wrote; /* bytes, since its last check */
};

struct prompts_chunk;
struct prompts {
	struct vfs *v;
	struct lock lock;
	struct prompts_chunk **chunks;
	uint32_t n_chunks, free_head;
	struct map names;
	struct {
		int fd;
		uint32_t idx;
		bool used;
	} dirs[PROMPTS_DIRS];
	unsigned hand; /* of the clock that chooses which directory to close */
	mode_t umask;
	char *scratch; /* of reads; FUSE thread */
	size_t scratch_cap;
	struct list waiting, running, owing, dead; /* operations; under the lock */
};

/* prompts_node.c */
int prompts_node_init(struct prompts *p);
void prompts_node_done(struct prompts *p);
/* prompts_node_get - NULL: no such node */
struct prompts_node *prompts_node_get(const struct prompts *p, uint64_t idx);
/* prompts_node_find - the node of a name that the kernel knows, or NULL */
struct prompts_node *prompts_node_find(const struct prompts *p, uint32_t parent, const char *name);
/* prompts_node_take - node of a name that is there (st), with one more lookup; NULL: out of memory */
struct prompts_node *prompts_node_take(struct prompts *p, struct prompts_node *parent,
				       const char *name, const struct stat *st);
/* prompts_node_unref - n lookups less; frees it when nothing needs it */
void prompts_node_unref(struct prompts *p, struct prompts_node *n, uint64_t lookups);
/* prompts_node_pin - keep it without a lookup; unpin only on the FUSE thread */
void prompts_node_pin(struct prompts *p, struct prompts_node *n);
void prompts_node_unpin(struct prompts *p, struct prompts_node *n);
/* prompts_node_gone - its name was removed; take_fd: O_PATH or -1 */
void prompts_node_gone(struct prompts *p, struct prompts_node *n, int take_fd);
/* prompts_node_move - its name is another now; what had that name is gone already. 0 or -ENOMEM, then gone */
int prompts_node_move(struct prompts *p, struct prompts_node *n, struct prompts_node *parent,
		      const char *name);
/* prompts_node_dirfd - O_PATH descriptor of a directory, lent until the next call; negative errno */
int prompts_node_dirfd(struct prompts *p, struct prompts_node *dir);
/* prompts_node_fd - a lent descriptor of an open or removed node, or -1 */
int prompts_node_fd(const struct prompts_node *n);
/* prompts_node_at - dirfd and name to reach it by; name "" with AT_EMPTY_PATH when only by descriptor */
int prompts_node_at(struct prompts *p, struct prompts_node *n, const char **out_name);
/* prompts_node_stat - attributes as stored; 0 or negative errno */
int prompts_node_stat(struct prompts *p, struct prompts_node *n, struct stat *out);
/* prompts_node_path - path below its prompts/, appended ("" for the top); -ENOENT when gone, -EFBIG */
int prompts_node_path(const struct prompts *p, const struct prompts_node *n, struct buf *out);
/* prompts_node_root - the broker's name of that prompts/: "" or the namespace's, copied; -ENOENT when gone */
int prompts_node_root(const struct prompts *p, const struct prompts_node *n,
		      char out[PROMPTS_SPACE_MAX + 1]);
/* prompts_node_entry - the kernel's view of a node */
void prompts_node_entry(const struct prompts_node *n, const struct stat *st, struct vfs_entry *out);

/* prompts_name.c */
/* prompts_name_suffix - the suffix of a request name (points into the list), NULL: by its name it is none */
const char *prompts_name_suffix(const char *const *suffixes, const char *name);
/* prompts_name_clash - two names of one directory that would need the same name under responses/ */
bool prompts_name_clash(const char *const *suffixes, const char *a, bool a_dir, const char *b,
			bool b_dir);
/* prompts_name_job - ".jsonl": many requests */
bool prompts_name_job(const char *suffix);
/* prompts_name_sends - no hidden directory and no .noinfer on the way from the root */
bool prompts_name_sends(struct prompts *p, struct prompts_node *dir);
/* prompts_name_request - suffix when a regular file of this name in dir is a request, else NULL */
const char *prompts_name_request(struct prompts *p, struct prompts_node *dir, const char *name);
/* prompts_name_node - the same of a node; NULL also when it is gone or no regular file */
const char *prompts_name_node(struct prompts *p, struct prompts_node *n);
/* prompts_name_conflict - a file or directory of this name would clash with one that is there, except
 * one of that name (may be NULL): 0 or -EEXIST */
int prompts_name_conflict(struct prompts *p, struct prompts_node *dir, const char *name,
			  bool is_dir, const char *except);

/* prompts_make.c: the directories of a namespace; st: of its own */
int prompts_make_space(struct prompts *p, const struct vfs_req *q, const char *name, mode_t mode,
		       struct stat *st);
/* prompts_make_unspace - n's prompts/ is empty: both directories go, and their nodes; -ENOTEMPTY */
int prompts_make_unspace(struct prompts *p, struct prompts_node *n);

/* prompts_file.c */
/* prompts_file_attach - an open file of n; takes fd; NULL: no memory, fd is closed */
struct prompts_handle *prompts_file_attach(struct prompts *p, struct prompts_node *n, int take_fd,
					   int flags);
/* prompts_file_detach - undo it; returns the descriptor, the caller's now */
int prompts_file_detach(struct prompts *p, struct prompts_handle *h);
/* prompts_file_changed - its bytes are others now */
void prompts_file_changed(struct prompts *p, struct prompts_node *n);
/* prompts_file_too_big - a single request's file would be longer than max_request_bytes */
bool prompts_file_too_big(struct prompts *p, struct prompts_node *n, uint64_t size);

/* prompts_op.c: what the broker must be told, one after another where it concerns the same names */
struct prompts_op;
struct prompts_doc;
/* prompts_op_new - naming: names changed, so the kernel is always told to forget, else only when a check
 * says so. NULL: no memory */
struct prompts_op *prompts_op_new(struct prompts *p, bool naming);
/* prompts_op_touch - up to two nodes (NULL: none) whose operations are kept in order with this one */
void prompts_op_touch(struct prompts_op *op, struct prompts_node *n);
/* prompts_op_drop / _move / _check - the next step. NULL instead of a path or doc: no memory was left, the
 * step is left out and the answer is ENOMEM. dir: the directory of the name */
void prompts_op_drop(struct prompts_op *op, const struct prompts_node *dir, char *take_path);
struct prompts_op_names {
	const struct prompts_node *dir, *to_dir;
	char *take_path, *take_to;
	bool tree, swap;
	bool or_check; /* nothing is known under path: do the step after this one, else leave that out */
};
void prompts_op_move(struct prompts_op *op, const struct prompts_op_names *m);
void prompts_op_check(struct prompts_op *op, struct prompts_doc *take_doc);
/* prompts_op_forget_space - a namespace went: its record goes. What the broker says is the answer */
void prompts_op_forget_space(struct prompts_op *op, const char *name);
/* prompts_op_forget - len bytes of name in dir are a name under responses/ that has changed */
void prompts_op_forget(struct prompts_op *op, struct prompts_node *dir, const char *name,
		       size_t len);
/* prompts_op_run - begin, now or when its turn comes; answers q (NULL: nobody waits), frees itself */
void prompts_op_run(struct prompts_op *op, const struct vfs_req *q);
/* prompts_op_cancel - instead of run; op may be NULL */
void prompts_op_cancel(struct prompts_op *op);
/* prompts_op_quiet - nothing is running or waiting that concerns n */
bool prompts_op_quiet(struct prompts *p, struct prompts_node *n);
/* prompts_op_reap - free finished ones; FUSE thread */
void prompts_op_reap(struct prompts *p);

/* prompts_check.c */
struct prompts_doc {
	char root[PROMPTS_SPACE_MAX + 1], *path, suffix[32];
	struct prompts_node *node; /* pinned by the op */
	int fd;
	bool own_fd, final, send;
	bool report;	 /* the answer is the check's outcome */
	bool wait;	 /* and it is given when the request is final */
	bool dirty_only; /* nothing to check if that was done while it waited for its turn */
	json_t *defaults;
	struct err *broken; /* of a .defaults.json, NULL: none */
	uint32_t version;   /* when it was read */
};
/* prompts_check_doc - all that a check needs, gathered now; take_fd: of the file, own: to be closed. NULL: no
 * memory (and the descriptor is closed) */
struct prompts_doc *prompts_check_doc(struct prompts *p, struct prompts_node *n, const char *suffix,
				      int take_fd, bool own);
struct prompts_doc *prompts_check_free(struct prompts_doc *d);
/* prompts_check_size - of the file now */
uint64_t prompts_check_size(const struct prompts_doc *d);
/* prompts_check_run - read and check; done as broker_check's. Blocks on the disk when the file is big */
void prompts_check_run(struct prompts *p, struct prompts_doc *d, broker_checked_fn *done,
		       void *arg);
/* prompts_check_settle - the outcome, into the node's state */
void prompts_check_settle(struct prompts *p, const struct prompts_doc *d,
			  const struct broker_accepted *r);
/* prompts_check_defaults - flush of a .defaults.json: positive errno or 0 */
int prompts_check_defaults(int fd);

/* prompts_wait.c: a parked answer */
struct prompts_wait {
	struct list link; /* prompts.owing */
	struct vfs_req q;
	struct prompts *p;
	bool owes; /* the answer is still to be given; whoever clears it gives it */
	bool setting, waiting, woken, interrupted, stopped;
	unsigned refs;
	int64_t id;
	struct broker_waiter w;
	void (*done)(struct prompts_wait *w); /* nothing uses it any more */
};
/* prompts_wait_owe - put it on the list of those that are answered at the stop */
void prompts_wait_owe(struct prompts *p, struct prompts_wait *w, const struct vfs_req *q);
/* prompts_wait_answer - unless it was answered */
void prompts_wait_answer(struct prompts_wait *w, int code);
/* prompts_wait_final - answer when the request is final, or interrupted; then w->done */
void prompts_wait_final(struct prompts_wait *w, int64_t id);
/* prompts_wait_stop - answer all that are owed with ESHUTDOWN */
void prompts_wait_stop(struct prompts *p);
/* prompts_wait_exiting - the process is ending: nothing can interrupt it */
bool prompts_wait_exiting(pid_t pid);

#endif
