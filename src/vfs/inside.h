/*
 * vfs/inside.h - what the rooms share: the tree's struct, parking, virtual attributes, directories
 *
 * Private to vfs/. Each room keeps its own tables behind an opaque pointer.
 */
#ifndef VFS_INSIDE_H
#define VFS_INSIDE_H

#include <stdatomic.h>

#include "base/pool.h"
#include "vfs/vfs.h"

/* what poll(2) sees on a file that never waits: POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM */
#define VFS_POLL_ALWAYS 0x145u

struct prompts;
struct respblob_kept;
struct jobdir;
struct cachedir;
struct given;
struct hide;
struct models;
struct namespaces;

struct vfs {
	struct broker *broker;
	struct vfs_options o;
	struct vfs_notify notify;
	struct prompts *prompts;
	struct respblob_kept *respblob;
	struct jobdir *jobdir;
	struct cachedir *cachedir;
	struct list opened;
	struct hide *hide;
	struct given *given;
	struct models *models;
	struct namespaces *namespaces;
	uint64_t start_ns;    /* CLOCK_REALTIME of the mount, for names that have no better time */
	atomic_bool stopping; /* whoever is woken from below asks it */
};

/* vfs_fill_attr - attributes of a virtual file or directory: owner, times, blocks; mode with its type */
void vfs_fill_attr(const struct vfs *v, struct stat *st, uint64_t nodeid, mode_t mode,
		   uint64_t size, uint64_t time_ns);

/* one readdir answer under construction */
struct vfs_dir {
	const struct vfs_req *q;
	char *buf;
	size_t cap, len;
	bool full;
};
/* vfs_dir_begin - size is clamped; 0 or -ENOMEM */
int vfs_dir_begin(struct vfs_dir *d, const struct vfs_req *q, size_t size);
/* vfs_dir_add - false: no room, stop (and take back a lookup reference, if one was taken for e) */
bool vfs_dir_add(struct vfs_dir *d, const char *name, const struct vfs_entry *e, uint64_t next_off);
/* vfs_dir_send - answer and free */
void vfs_dir_send(struct vfs_dir *d);

/* vfs_dir_dots - the entries . and .. with cookies 1 and 2 */
void vfs_dir_dots(struct vfs *v, struct vfs_dir *d, uint64_t nodeid, uint64_t off);

/* vfs_reply_bytes - the part of a whole file's bytes that a read asks for */
void vfs_reply_bytes(const struct vfs_req *q, const struct buf *whole, const struct vfs_io *io);
/* vfs_reply_xattr - value, or its size when size is 0, or ERANGE */
void vfs_reply_xattr(const struct vfs_req *q, const void *value, size_t len, size_t size);

/* an operation that may find that it would have to wait for the disk: it is then run again on the pool */
struct vfs_again {
	uint64_t nodeid;
	const char *name; /* NULL: none; copied when deferred */
	struct vfs_file file;
	struct vfs_io io;
	bool plus;
};
/* a vfs_again_fn answers and returns true; with nowait it may return false instead, unanswered */
typedef bool vfs_again_fn(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
			  bool nowait);
void vfs_now_or_later(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
		      vfs_again_fn *fn);

/* an open file that needs more than its node. The kernel sends no release for what is open when the
 * mount ends: vfs_close does it then. Added and removed on the FUSE thread. */
struct vfs_opened {
	struct list link;
	void (*close)(struct vfs *v, struct vfs_opened *o); /* removes it from the list, too */
};
/* vfs_opened_add - list_del(&o->link) when it is closed */
void vfs_opened_add(struct vfs *v, struct vfs_opened *o,
		    void (*close)(struct vfs *v, struct vfs_opened *o));

/* the rooms' own beginnings and ends */
int prompts_new(struct vfs *v, struct err *e);
void prompts_stop(struct vfs *v);
void prompts_free(struct vfs *v);
/* models_stop - whoever waits for a first list is answered; models_close - before the broker goes */
int models_new(struct vfs *v);
void models_stop(struct vfs *v);
void models_close(struct vfs *v);
void models_free(struct vfs *v);
int cachedir_new(struct vfs *v, struct err *e);
void cachedir_free(struct vfs *v);
int namespaces_new(struct vfs *v);
void namespaces_free(struct vfs *v);
struct jobdir *jobdir_new(void);
struct jobdir *jobdir_free(struct jobdir *j);
struct respblob_kept *respblob_new(void);
struct respblob_kept *respblob_free(struct respblob_kept *r);

/* ask.c: the file `ask`; node is its node id */
void ask_open(struct vfs *v, const struct vfs_req *q, int flags);
void ask_read(struct vfs *v, const struct vfs_req *q, const struct vfs_file *f,
	      const struct vfs_io *io);
void ask_write(struct vfs *v, const struct vfs_req *q, const struct vfs_file *f,
	       const struct vfs_io *io);
void ask_release(struct vfs *v, const struct vfs_req *q, const struct vfs_file *f);
void ask_poll(struct vfs *v, const struct vfs_req *q, const struct vfs_file *f, void *poll_handle);

/* responses.c for mirror.c and drafts.c: the entry of a request's directory, and of a name in it */
void responses_dir_entry(struct vfs *v, const struct broker_view *view, struct vfs_entry *out);
/* responses_empty - every name of the directory is hidden: rmdir may have it */
bool responses_empty(struct vfs *v, const struct broker_view *view);
/* responses_hidden_gone - the directory went: forget what was hidden in it */
void responses_forget_hidden(struct vfs *v, int64_t id);

/* mirror_entry - what responses/ has under a name of a prompts directory: 0, -ENOENT; takes a prompts
 * reference for the kernel when the entry is a draft or a directory */
int mirror_entry(struct vfs *v, uint32_t dir, const char *name, struct vfs_entry *out);
/* mirror_dir_entry - of a directory node itself; the caller holds a reference for the kernel */
void mirror_dir_entry(struct vfs *v, uint32_t idx, struct vfs_entry *out);
/* mirror_empty - nothing is listed there that is not hidden */
bool mirror_empty(struct vfs *v, uint32_t dir);

/* prompts.c for the mirror: a directory node's path below prompts/ ("" top), appended; -ENOENT when gone */
int prompts_dir_path(struct vfs *v, uint32_t idx, struct buf *out);
/* prompts_attr - attributes of a node's backing file: 0, -errno */
int prompts_attr(struct vfs *v, uint32_t idx, struct stat *out);
/* prompts_lookup_dir - index of a sub-directory by name with one lookup reference taken: 0, -ENOENT */
int prompts_lookup_dir(struct vfs *v, uint32_t dir, const char *name, uint32_t *out_idx);
/* prompts_lookup_stem - the request file of a stem in a directory: its suffix (cap bytes) and node with
 * one lookup reference; -ENOENT */
struct prompts_found {
	uint32_t idx;
	char suffix[32];
};
int prompts_lookup_stem(struct vfs *v, uint32_t dir, const char *stem, struct prompts_found *out);
#define PROMPTS_SPACE_MAX 128 /* bytes of a namespace's name */
struct prompts_at {
	char root[PROMPTS_SPACE_MAX + 1], suffix[32];
};
/* prompts_path - stem path of a request file node ("any/sky"), the prompts/ it is in and its suffix; -ENOENT
 * when it is gone or no request any more */
int prompts_path(struct vfs *v, uint32_t idx, struct buf *out_path, struct prompts_at *out);
/* prompts_name_space - may a namespace be called so? */
bool prompts_name_space(const char *name);
/* prompts_unref - give back n lookup references */
void prompts_unref(struct vfs *v, uint32_t idx, uint64_t n);
/* prompts_generation - for vfs_entry.generation of nodes derived from idx */
uint64_t prompts_generation(struct vfs *v, uint32_t idx);
/* prompts_scan - what the mirror lists: the mirrored sub-directories and stems of a directory in a stable
 * order, beginning after cookie `off` (0: start); one at a time: 0, -ENOENT at the end */
struct prompts_child {
	char name[256];	 /* directory's name, or the stem */
	char suffix[32]; /* "" for a directory */
	bool dir;
	uint64_t next_off;
};
struct prompts_scan;
int prompts_scan_open(struct vfs *v, uint32_t dir, struct prompts_scan **out);
int prompts_scan_next(struct prompts_scan *s, uint64_t off, struct prompts_child *out);
void prompts_scan_close(struct prompts_scan *s);

/* mirror_forget_name - responses/... of this directory and name is no longer what the kernel may have
 * cached: invalidate, then done(arg). Called by prompts.c before it answers unlink, rename, flush ... */
void mirror_forget_name(struct vfs *v, uint32_t dir, const char *stem, void (*done)(void *arg),
			void *arg);

#endif
