/*
 * vfs/responses.h - the names of a response: one table, and the node ids made from it
 *
 * A node id carries the request's id, the kind of file, the sample, how often the request was renamed
 * and whether the name could not be read yet when it was looked up. So a final file needs no table in
 * memory, and what a rename or a retry changes is another inode to the kernel.
 * Private to vfs/. Threads: any. Blocks: never.
 */
#ifndef VFS_RESPONSES_H
#define VFS_RESPONSES_H

#include "jobs/broker_bulk.h"
#include "vfs/inside.h"

enum response_kind {
	RESP_DIR = 1,
	RESP_STATUS,
	RESP_TEXT,
	RESP_STREAM,
	RESP_RESPONSE,
	RESP_REQUEST,
	RESP_USAGE,
	RESP_ERROR,
	RESP_TOOL_CALLS,
	RESP_REASONING,
	RESP_SAMPLES,
	RESP_ENTRY,
	RESP_CTL,
	RESP_SAMPLE,
	RESP_S_TEXT,
	RESP_S_RESPONSE,
	RESP_S_RAW,
	RESP_S_META,
	RESP_EMBEDDING_JSON,
	RESP_EMBEDDING_NPY,
	RESP_S_EMBEDDING_JSON,
	RESP_S_EMBEDDING_NPY,
	RESP_JOB_PROGRESS, /* from here on only of a job of many lines */
	RESP_JOB_STREAM,
	RESP_JOB_OUTPUT,
	RESP_JOB_ERRORS,
	RESP_JOB_ITEMS,
	RESP_KINDS
};

/* when a name is listed, and whether it waits */
enum response_when {
	WHEN_PENDING = 1 << 0,
	WHEN_DONE = 1 << 1,
	WHEN_FAILED = 1 << 2,
	WHEN_REFUSED = 1 << 3,
	WHEN_DRAFT = 1 << 4,
	WHEN_ALWAYS = 0x1f,
	WHEN_IF_ANY = 1 << 5, /* done: only when the answer has it */
	NAME_WAITS = 1 << 6,  /* openable at any time: open waits until final */
	NAME_STREAM = 1 << 7, /* openable at any time: read waits */
	NAME_TEXT = 1 << 8,   /* only where the answer is text */
	NAME_VECTORS = 1 << 9 /* only where it is an embedding */
};

struct response_name {
	enum response_kind kind;
	const char *name; /* NULL: a sample's number */
	mode_t mode;
	unsigned when;
	enum broker_file file; /* what broker_render makes of it */
};

/* the names of one kind of directory */
struct response_names {
	const struct response_name *v;
	size_t n;
};
/* resptable_names - in a response's directory; resptable_job_names - in a job's; resptable_sample_names - in
 * samples/N */
extern const struct response_names resptable_names, resptable_job_names, resptable_sample_names;

/* a node id taken apart */
struct response_node {
	int64_t id;
	enum response_kind kind;
	unsigned sample, gen;
	bool pending;
};
uint64_t resptable_pack(const struct response_node *n);
struct response_node resptable_node(uint64_t nodeid);
/* resptable_name - the table's row of a kind; NULL for the directories */
const struct response_name *resptable_name(enum response_kind kind);
/* resptable_when - the WHEN_ bit of a state */
unsigned resptable_when(enum broker_state s);
/* resptable_word - "queued\n" and so on */
const char *resptable_word(enum broker_state s);
/* resptable_ctl_words - what ctl says now, "" nothing; of a job's line other words apply */
const char *resptable_ctl_words(const struct broker_view *view);
/* resptable_job_file - of a job's node: which of its files that is; false: none of them */
bool resptable_job_file(enum response_kind kind, enum broker_bulk_file *out);
/* resptable_version - for response_node.sample of a job's final files, which a retry makes anew: another inode */
unsigned resptable_version(enum response_kind kind, const struct broker_view *view);

/* a rendered file that readers share */
struct respblob {
	unsigned refs;
	uint64_t nodeid, stamp;
	struct buf b;
};
/* respblob_get - the bytes of a file, rendered once for those who read it at the same time: 0, or as
 * broker_render (-EAGAIN with nowait) */
int respblob_get(struct vfs *v, uint64_t nodeid, bool nowait, struct respblob **out);
void respblob_unref(struct vfs *v, struct respblob *b);
/* respblob_trim - nobody reads this file any more */
void respblob_trim(struct vfs *v, uint64_t nodeid);

/* responses_entry - attributes of one name: 0, -ENOENT, -EAGAIN (nowait: its size is not at hand) */
int responses_entry(struct vfs *v, const struct response_node *n, const struct broker_view *view,
		    bool nowait, struct vfs_entry *out);

/* responses_ctl_words - as resptable_ctl_words, of a line as well */
const char *responses_ctl_words(struct vfs *v, const struct broker_view *view);
/* responses_item - a job's line by its name below items/, unless it is hidden: 0, -ENOENT */
int responses_item(struct vfs *v, int64_t job, const char *name, struct broker_view *out);
/* responses_hidden - a line's directory was hidden in its job's items/ */
bool responses_hidden(struct vfs *v, const struct broker_view *item);

/* jobdir.c: items/ of a job, as long as it may be */
void jobdir_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid);
void jobdir_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, const struct vfs_file *f,
		 const struct vfs_io *io, bool plus);
void jobdir_release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		    const struct vfs_file *f);
#define JOBDIR_ROOT '\002' /* of a line's broker_root; the id of its file's first row follows */
/* jobdir_learn - this line was found in that job; jobdir_job_of - in which job are lines with this number in
 * their root? 0: nobody has looked */
void jobdir_learn(struct vfs *v, int64_t job, int64_t item);
int64_t jobdir_job_of(struct vfs *v, int64_t lines);
/* jobdir_empty - every line's directory is hidden */
bool jobdir_empty(struct vfs *v, int64_t job);

/* respfile_size - of an open file of a job: what its reader sees, whatever its name says by now */
uint64_t respfile_size(const struct vfs_file *f);
/* respfile.c: open, read, write, poll, release of a response's files */
void respfile_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, int flags);
void respfile_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		   const struct vfs_file *f, const struct vfs_io *io);
void respfile_write(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		    const struct vfs_file *f, const struct vfs_io *io);
void respfile_release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_file *f);
void respfile_poll(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		   const struct vfs_file *f, void *poll_handle);

/* respattr.c: extended attributes, and where entry points to */
void respattr_readlink(struct vfs *v, const struct vfs_req *q, uint64_t nodeid);
void respattr_get(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		  const struct vfs_xattr *x);
void respattr_list(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, size_t size);

#endif
