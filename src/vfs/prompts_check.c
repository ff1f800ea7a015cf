/* prompts_check.c - a written file as a document: its text, the defaults above it, and the broker's verdict */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fdio.h"
#include "base/str.h"
#include "core/canon.h"
#include "jobs/broker_bulk.h"

#include "base/banned.h"

#define DEFAULTS ".defaults.json"

/* the bytes of an open file from its start, whatever its position is */
static int read_fd(int fd, uint64_t max, struct buf *out)
{
	struct stat st;
	uint64_t off = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	/* the file may change while it is read; what is read is what is checked */
	if (buf_reserve(out, (size_t)st.st_size) < 0)
		return -ENOMEM;
	while (off < (uint64_t)st.st_size) {
		ssize_t n = pread(fd, out->data + out->len, (size_t)st.st_size - (size_t)off,
				  (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EBADF ? -EACCES
					      : -errno; /* could be opened for writing only */
		if (n == 0)
			break;
		out->len += (size_t)n;
		off += (uint64_t)n;
	}
	if (out->data)
		out->data[out->len] = '\0';
	return 0;
}

/* one .defaults.json: 1 appended, 0 there is none, or negative with e */
static int read_defaults(int dirfd, json_t *list, struct err *e)
{
	AUTO_BUF struct buf b = BUF_INIT(PROMPTS_DEFAULTS_MAX);
	AUTO_FD int fd = openat(dirfd, DEFAULTS, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	json_t *one = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? 0
							 : err_sys(e, errno, "it cannot be opened");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	r = read_fd(fd, PROMPTS_DEFAULTS_MAX, &b);
	if (r < 0)
		return err_set(e, ERR_REQUEST, "it cannot be read: %s", strerror(-r));
	if (!b.len)
		return 0; /* just created */
	r = request_check_defaults(b.data, b.len, &one, e);
	if (r < 0)
		return r;
	return json_array_append_new(list, one) < 0 ? -ENOMEM : 1;
}

/* the sentence names the file, and a request under it fails with EINVAL whatever was wrong */
static struct err *blame(struct prompts *p, struct prompts_node *dir, const struct err *why)
{
	AUTO_BUF struct buf path = BUF_INIT(PROMPTS_PATH_MAX);
	struct err *e = malloc(sizeof(*e));
	char root[PROMPTS_SPACE_MAX + 1] = "";

	if (!e)
		return NULL;
	if (!prompts_node_root(p, dir, root) && root[0])
		(void)buf_addf(&path, "namespaces/%s/prompts%s", root, dir->top ? "" : "/");
	(void)prompts_node_path(p, dir, &path); /* then without the directory */
	*e = *why;
	e->kind = ERR_REQUEST;
	e->code = EINVAL;
	err_prefix(e, "%s%s" DEFAULTS ": ", buf_str(&path), path.len ? "/" : "");
	return e;
}

static int gather(struct prompts *p, struct prompts_node *dir, struct prompts_doc *d)
{
	d->defaults = json_array();
	if (!d->defaults)
		return -ENOMEM;
	for (; dir && !d->broken; dir = dir->top ? NULL : prompts_node_get(p, dir->parent)) {
		int fd = prompts_node_dirfd(p, dir);
		struct err e = { 0 };

		if (fd < 0)
			return fd;
		if (read_defaults(fd, d->defaults, &e) < 0) {
			d->broken = blame(p, dir, &e);
			if (!d->broken)
				return -ENOMEM;
		}
	}
	return 0;
}

struct prompts_doc *prompts_check_doc(struct prompts *p, struct prompts_node *n, const char *suffix,
				      int take_fd, bool own)
{
	struct prompts_doc *d = calloc(1, sizeof(*d));
	AUTO_BUF struct buf path = BUF_INIT(PROMPTS_PATH_MAX);

	if (!d) {
		if (own)
			(void)close(take_fd); /* read only from here on */
		return NULL;
	}
	d->node = n;
	d->fd = take_fd;
	d->own_fd = own;
	(void)str_copy(d->suffix, sizeof(d->suffix), suffix);
	if (prompts_node_root(p, n, d->root) < 0 || prompts_node_path(p, n, &path) < 0 ||
	    gather(p, prompts_node_get(p, n->parent), d) < 0)
		return prompts_check_free(d);
	path.data[path.len - strlen(suffix)] = '\0';
	d->path = buf_steal(&path, NULL);
	return d->path ? d : prompts_check_free(d);
}

struct prompts_doc *prompts_check_free(struct prompts_doc *d)
{
	if (!d)
		return NULL;
	if (d->own_fd)
		(void)close(
			d->fd); /* nothing was written through it that close could still report */
	json_decref(d->defaults);
	free(d->broken);
	free(d->path);
	free(d);
	return NULL;
}

uint64_t prompts_check_size(const struct prompts_doc *d)
{
	struct stat st;

	return fstat(d->fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

static void verdict(int code, broker_checked_fn *done, void *arg)
{
	struct broker_accepted r = { .code = code };

	done(arg, &r);
}

/* a text that more bytes could complete is not yet an error, whatever else is wrong */
static bool unfinished(const struct prompts_doc *d, const struct buf *text)
{
	json_t *value = NULL;
	bool more = false;

	if (d->final || strcmp(d->suffix, ".json") != 0)
		return false;
	if (!canon_parse(text->data, text->len, &value, &more, NULL))
		json_decref(value);
	return more;
}

/* why it cannot be a request, before the broker is asked; false: nothing known */
static bool refused(const struct prompts_doc *d, const struct buf *text, int read_result,
		    const struct prompts *p, struct err *e)
{
	if (read_result == -EFBIG)
		(void)err_set(e, ERR_FILE_SIZE, "the file is longer than max_request_bytes (%llu)",
			      (unsigned long long)p->v->o.max_request_bytes);
	else if (read_result < 0)
		(void)err_sys(e, -read_result, "the prompt's file cannot be read");
	else if (d->broken && !unfinished(d, text))
		*e = *d->broken;
	else
		return false;
	return true;
}

/* its lines are read one by one, however many there are */
static void check_job(struct prompts *p, const struct prompts_doc *d, broker_checked_fn *done,
		      void *arg)
{
	struct broker_bulk_doc doc = { .root = d->root,
				       .path = d->path,
				       .suffix = d->suffix,
				       .fd = d->fd,
				       .final = d->final,
				       .send = d->send };

	if (json_array_size(d->defaults))
		doc.defaults = d->defaults;
	broker_bulk_check(p->v->broker, &doc, done, arg);
}

void prompts_check_run(struct prompts *p, struct prompts_doc *d, broker_checked_fn *done, void *arg)
{
	uint64_t max = p->v->o.max_request_bytes;
	AUTO_BUF struct buf text = BUF_INIT((size_t)max + 1);
	struct broker_doc doc = { .root = d->root, .path = d->path, .suffix = d->suffix };
	struct err e = { 0 };
	int r;

	lock_take(&p->lock);
	d->version = d->node->state.version;
	lock_drop(&p->lock);
	r = prompts_name_job(d->suffix) ? 0 : read_fd(d->fd, max, &text);
	if (refused(d, &text, r, p, &e)) {
		broker_check_refuse(p->v->broker, d->root, d->path, d->suffix, &e);
		verdict(e.code, done, arg);
		return;
	}
	if (prompts_name_job(d->suffix)) {
		check_job(p, d, done, arg);
		return;
	}
	doc.form = !strcmp(d->suffix, ".json") ? REQUEST_JSON : REQUEST_TEXT;
	doc.text = buf_str(&text);
	doc.len = text.len;
	doc.defaults = json_array_size(d->defaults) ? d->defaults : NULL;
	doc.final = d->final;
	doc.send = d->send;
	broker_check(p->v->broker, &doc, done, arg);
}

void prompts_check_settle(struct prompts *p, const struct prompts_doc *d,
			  const struct broker_accepted *r)
{
	struct prompts_state *s = &d->node->state;
	LOCK_SCOPE(&p->lock);

	if (!r->code && !r->id && !d->final)
		return; /* unfinished: another writer may continue it */
	s->settled = d->version;
	s->id = r->code ? 0 : r->id;
	s->sent = d->send;
}

int prompts_check_defaults(int fd)
{
	AUTO_BUF struct buf b = BUF_INIT(PROMPTS_DEFAULTS_MAX);
	json_t *value = NULL;
	bool more = false;
	int r;

	r = read_fd(fd, PROMPTS_DEFAULTS_MAX, &b);
	if (r < 0 || !b.len)
		return -r;
	r = canon_parse(b.data, b.len, &value, &more, NULL);
	if (!r)
		json_decref(value);
	if (more)
		return 0;
	value = NULL;
	r = request_check_defaults(b.data, b.len, &value, NULL);
	json_decref(value);
	return -r;
}
