/* image.c - the bytes of images */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "core/base64.h"
#include "jobs/bulk_line.h"
#include "jobs/image.h"
#include "jobs/purchase.h"

#include "base/banned.h"

enum { SOURCES_MAX = 16 }; /* requests that are asked for the bytes of one purchase */
#define READ_MAX   ((size_t)REQUEST_IMAGE_MAX + (64u << 10)) /* reading to the end asks for more */
#define PROMPT_MAX ((size_t)1 << 30) /* max_request_bytes was looked at when it was accepted */

/* ---- one file ---- */

static int refuse(struct err *e, const char *name, const char *path, const char *why)
{
	return err_field(e, ERR_REQUEST, name, "%s: \"%.200s\" %s", name, path, why);
}

/* Sentences for what opening a path says. */
static int cannot_open(struct err *e, const char *name, const char *path, int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return refuse(
			e, name, path,
			"does not exist; give a path relative to the request's own directory");
	case EXDEV:
		return refuse(e, name, path,
			      "leads out of prompts/; copy the image to a place below it");
	case ELOOP:
		return refuse(e, name, path, "is a link that may not be followed; copy the image");
	case ENOSYS:
		return refuse(e, name, path,
			      "cannot be opened safely by this kernel (no openat2); give the image "
			      "as \"data\"");
	default:
		return refuse(e, name, path, strerror(error));
	}
}

static int too_large(struct err *e, const char *name, const char *path)
{
	return err_field(e, ERR_FILE_SIZE, name,
			 "%s: \"%.200s\" is larger than %u MiB; make it smaller", name, path,
			 REQUEST_IMAGE_MAX >> 20);
}

/* dir/path; dir "" is the top of the tree */
static int join(const char *dir, const char *path, struct buf *out)
{
	if (*dir && (buf_adds(out, dir) || buf_addc(out, '/')))
		return out->failed;
	return buf_adds(out, path);
}

static int open_image(struct broker *b, const char *root, const char *dir, const char *path)
{
	AUTO_BUF struct buf whole = BUF_INIT(16 << 10);

	if (join(dir, path, &whole))
		return -ENAMETOOLONG;
	return b->o.files.open ? b->o.files.open(b->o.files.arg, root, buf_str(&whole)) : -ENOENT;
}

struct image_file {
	const char *root, *dir, *path;
	const char *name; /* "images[0]", for sentences */
};

static int read_image(struct broker *b, const struct image_file *f, struct buf *out, struct err *e)
{
	AUTO_FD int fd = open_image(b, f->root, f->dir, f->path);
	struct stat st;
	int r;

	if (fd < 0)
		return cannot_open(e, f->name, f->path, -fd);
	if (fstat(fd, &st) < 0)
		return cannot_open(e, f->name, f->path, errno);
	if (!S_ISREG(st.st_mode))
		return refuse(e, f->name, f->path, "is no regular file");
	if ((uint64_t)st.st_size > REQUEST_IMAGE_MAX)
		return too_large(e, f->name, f->path);
	r = buf_reserve(out, (size_t)st.st_size);
	if (r == 0)
		r = fdio_read_all(fd, out);
	if (r == -EFBIG || (r == 0 && out->len > REQUEST_IMAGE_MAX)) /* it grew meanwhile */
		return too_large(e, f->name, f->path);
	return r < 0 ? cannot_open(e, f->name, f->path, -r) : 0;
}

/* ---- at the check ---- */

bool image_unknown(const struct request *r)
{
	for (size_t i = 0; i < r->n_images; i++)
		if (!r->images[i].known)
			return true;
	return false;
}

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return str_dup_n(path, slash ? (size_t)(slash - path) : 0);
}

int image_learn(struct broker *b, const char *root, const char *path, struct request *r,
		struct err *e)
{
	AUTO_FREE char *dir = dir_of(path);
	int k = dir ? 0 : err_sys(e, ENOMEM, "the images could not be read");

	for (size_t i = 0; i < r->n_images && k == 0; i++) {
		const struct request_image *im = &r->images[i];
		AUTO_BUF struct buf bytes = BUF_INIT(READ_MAX);

		if (im->known)
			continue;
		k = read_image(b,
			       &(struct image_file){ root, dir, json_string_value(im->path),
						     im->field },
			       &bytes, e);
		if (k == 0)
			k = request_image_set(r, i, buf_str(&bytes), bytes.len, e);
		if (k == -ENOMEM)
			err_sys(e, ENOMEM, "the images could not be read");
	}
	return k;
}

static int keep(json_t **object, const char *hex, json_t *value)
{
	if (!*object)
		*object = json_object();
	return json_object_set(*object, hex, value) ? -ENOMEM : 0; /* also when it is NULL */
}

int image_terms(const struct request *r, const char *path, struct job_terms *t, struct job_ask *ask)
{
	char hex[KEY_HEX + 1];
	int k = 0;

	for (size_t i = 0; i < r->n_images && k == 0; i++) {
		const struct request_image *im = &r->images[i];

		key_hex(&im->sha, hex);
		k = keep(&t->images, hex, im->path ? im->path : json_null());
		if (k == 0 && !path && im->data)
			k = keep(&ask->images, hex, im->data);
	}
	if (k == 0 && r->n_images && path && strchr(path, '/')) {
		t->image_dir = dir_of(path);
		k = t->image_dir ? 0 : -ENOMEM;
	}
	return k;
}

/* ---- before sending ---- */

/* one of the requests that wait for this purchase: each may know where the images are */
struct source {
	struct job *job;
	struct broker_name name; /* owned strings, as they are now */
	char *dir;
	json_t *inlined; /* of its prompt's file; NULL: not looked at */
};

struct loading {
	struct pool_task task;
	struct flight *f;
	struct infer_call *call;
	struct source sources[SOURCES_MAX];
	size_t n;
	struct err err; /* why the first source had not what is wanted */
};

static void source_done(struct broker *b, struct source *s)
{
	free((void *)(uintptr_t)s->name.root);
	free((void *)(uintptr_t)s->name.path);
	free((void *)(uintptr_t)s->name.suffix);
	free(s->dir);
	json_decref(s->inlined);
	job_unref(b, s->job);
}

static char *copy_of(const char *s)
{
	return strdup(s ? s : "");
}

static void take_sources(struct loading *l)
{
	LOCK_SCOPE(&l->f->b->lock);
	LIST_EACH(p, &l->f->jobs) {
		struct job *j = LIST_ENTRY(p, struct job, in_flight);
		struct source *s = &l->sources[l->n];

		if (l->n == SOURCES_MAX)
			return;
		const struct job *file = j->line ? bulk_line_file_locked(j->line) : j;

		*s = (struct source){ .job = job_ref(j),
				      .name = { copy_of(file->root), copy_of(file->path),
						copy_of(file->suffix) },
				      .dir = dir_of(file->path ? file->path : "") };
		l->n++;
	}
}

/* the first reason is that of the request that was accepted first */
static int failed(struct loading *l, const struct err *e)
{
	if (!l->err.code)
		l->err = *e;
	return -e->code;
}

static int changed(struct loading *l, const char *path)
{
	struct err e;

	(void)err_set(
		&e, ERR_REQUEST,
		"the image \"%.200s\" was changed after the request was accepted, so nothing was "
		"sent; write the request again",
		path);
	return failed(l, &e);
}

/* is this what was hashed? then as base64 */
static int accept(struct loading *l, const char *hex, const struct buf *bytes, const char *path,
		  struct buf *out)
{
	struct key want, got;

	if (key_parse(hex, &want) < 0 || key_of(buf_str(bytes), bytes->len, &got) < 0 ||
	    !key_equal(&want, &got))
		return changed(l, path);
	return base64_encode(buf_str(bytes), bytes->len, out);
}

static int from_file(struct loading *l, const struct source *s, const char *hex, const char *path,
		     struct buf *out)
{
	const char *dirs[] = { s->dir ? s->dir : "", s->job->terms.image_dir };
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_LEN(dirs) && r < 0; i++) {
		AUTO_BUF struct buf bytes = BUF_INIT(READ_MAX);
		struct err e = { 0 };

		if (i && (!dirs[i] || (s->dir && strcmp(dirs[i], s->dir) == 0)))
			continue; /* it was not moved */
		r = read_image(l->f->b,
			       &(struct image_file){ s->name.root ? s->name.root : "", dirs[i],
						     path, "image" },
			       &bytes, &e);
		if (r < 0)
			r = failed(l, &e);
		else
			r = accept(l, hex, &bytes, path, out);
	}
	return r;
}

/* The bytes of the prompt's file are what was accepted, or the images in it are not either. */
static json_t *inlined_of(struct loading *l, struct source *s)
{
	struct broker *b = l->f->b;
	AUTO_BUF struct buf text = BUF_INIT(PROMPT_MAX);
	struct key sha;

	if (s->job->ask.images || s->inlined)
		return s->inlined ? s->inlined : s->job->ask.images;
	if (s->job->line)
		(void)bulk_line_inline(s->job->line, &s->inlined); /* then NULL */
	else if (b->o.files.read && b->o.files.read(b->o.files.arg, &s->name, &text) == 0 &&
		 key_of(buf_str(&text), text.len, &sha) == 0 &&
		 key_equal(&sha, &s->job->body.file_sha))
		(void)request_image_inline(text.data, text.len, &s->inlined); /* then NULL */
	return s->inlined;
}

static int from_prompt(struct loading *l, struct source *s, const char *hex, struct buf *out)
{
	const json_t *data = json_object_get(inlined_of(l, s), hex);
	struct err e;

	if (data)
		return buf_add(out, json_string_value(data), json_string_length(data));
	(void)err_set(
		&e, ERR_REQUEST,
		"the prompt file was changed after the request with its images was accepted, so "
		"nothing was sent; write it again");
	return failed(l, &e);
}

static int find_one(struct loading *l, const char *hex, struct buf *out)
{
	int r = -EINVAL;

	for (size_t i = 0; i < l->n && r < 0; i++) {
		struct source *s = &l->sources[i];
		const json_t *path = json_object_get(s->job->terms.images, hex);

		buf_clear(out);
		r = json_is_string(path) ? from_file(l, s, hex, json_string_value(path), out)
					 : from_prompt(l, s, hex, out);
	}
	if (r == 0)
		l->err = (struct err){ 0 }; /* one of them had it */
	return r;
}

static int find_all(struct loading *l, json_t *images)
{
	const json_t *wanted = l->sources[0].job->terms.images;
	const char *hex;
	json_t *path;

	json_object_foreach((json_t *)(uintptr_t)wanted, hex, path) {
		AUTO_BUF struct buf text = BUF_INIT((size_t)REQUEST_IMAGE_MAX * 2);
		int r = find_one(l, hex, &text);

		if (r < 0)
			return r;
		if (json_object_set_new(images, hex,
					json_stringn_nocheck(buf_str(&text), text.len)))
			return -ENOMEM;
	}
	return 0;
}

/* ---- for a batch ---- */

static int line_image(struct loading *l, struct source *s, const char *hex, const json_t *path,
		      struct buf *out)
{
	const json_t *data;
	struct err e;

	if (json_is_string(path))
		return from_file(l, s, hex, json_string_value(path), out);
	data = json_object_get(s->inlined, hex);
	if (data)
		return buf_add(out, json_string_value(data), json_string_length(data));
	(void)err_set(&e, ERR_REQUEST, "an image of this line cannot be read again");
	return failed(l, &e);
}

static int line_images(struct loading *l, const struct image_line *q, json_t *images)
{
	struct source *s = &l->sources[0];
	const char *hex;
	json_t *path;
	int r = 0;

	(void)request_image_inline(q->text, q->n, &s->inlined); /* then NULL: none is inline */
	json_object_foreach((json_t *)(uintptr_t)q->images, hex, path) {
		AUTO_BUF struct buf text = BUF_INIT((size_t)REQUEST_IMAGE_MAX * 2);

		r = line_image(l, s, hex, path, &text);
		if (r == 0 && json_object_set_new(images, hex,
						  json_stringn_nocheck(buf_str(&text), text.len)))
			r = -ENOMEM;
		if (r < 0)
			break;
	}
	json_decref(s->inlined);
	return r;
}

int image_of_line(struct broker *b, const struct image_line *q, json_t **out, struct err *e)
{
	AUTO_FREE char *dir = dir_of(q->path);
	AUTO_FREE struct loading *l = calloc(1, sizeof(*l));
	struct job j = { 0 }; /* not moved since it was checked */
	json_t *images = json_object();
	struct flight f = { .b = b };
	int r = dir && l && images ? 0 : -ENOMEM;

	if (r == 0) {
		l->f = &f;
		l->sources[0] =
			(struct source){ .job = &j, .name = { q->root, q->path, "" }, .dir = dir };
		r = line_images(l, q, images);
	}
	if (r == 0) {
		*out = images;
		return 0;
	}
	json_decref(images);
	if (l && l->err.code)
		*e = l->err;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed by the cleanup attribute */
	return r;
}

/* ---- for a call ---- */

static void load_run(struct pool_task *t)
{
	struct loading *l = CONTAINER_OF(t, struct loading, task);
	struct flight *f = l->f;
	struct broker *b = f->b;
	json_t *images = json_object();
	int r = images ? 0 : -ENOMEM;

	take_sources(l);
	if (!l->n && r == 0)
		r = err_set(&l->err, ERR_CANCELLED, "nobody waits for the answer any more");
	if (r == 0)
		r = find_all(l, images);
	if (r < 0 && !l->err.code)
		err_sys(&l->err, -r, "the images could not be read");
	infer_loaded(b->o.infer, l->call, r < 0 ? NULL : images, r < 0 ? &l->err : NULL);
	json_decref(images);
	for (size_t i = 0; i < l->n; i++)
		source_done(b, &l->sources[i]);
	free(l);
	flight_unref(f);
}

void image_load(void *purchase, struct infer_call *c)
{
	struct flight *f = ((struct purchase *)purchase)->f; /* it lives until its call is over */
	struct loading *l = calloc(1, sizeof(*l));
	struct err e;

	if (l) {
		l->task.run = load_run;
		l->f = f;
		l->call = c;
		lock_take(&f->b->lock);
		f->refs++;
		lock_drop(&f->b->lock);
		if (pool_post(f->b->pool, &l->task) == 0)
			return;
		flight_unref(f);
		free(l);
	}
	(void)err_set(&e, ERR_INTERNAL,
		      "the images could not be read: too much waits for the disk");
	infer_loaded(f->b->o.infer, c, NULL, &e);
}
