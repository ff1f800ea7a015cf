/*
 * jobs/image.h - the bytes of images: read and hashed at the check, read and hashed again before sending
 *
 *   1. image_learn    at the check: every file is read once, so that its hash is in the key
 *   2. image_terms    what the ledger keeps: where each image is, never its bytes
 *   3. image_load     the call has its place: the bytes, or EINVAL when they are others by now
 *
 * Private to jobs/. Threads: any. Blocks: image_learn, on the disk; image_load posts to the pool.
 */
#ifndef JOBS_IMAGE_H
#define JOBS_IMAGE_H

#include "jobs/inside.h"

/* image_unknown - are there files to be read before the request has a key? */
bool image_unknown(const struct request *r);
/* image_learn - path: of the prompt below root; its directory is what images are relative to
 * Errors: -EINVAL (no such file, no image, a link that leads out ...), -EFBIG, each naming the image */
int image_learn(struct broker *b, const char *root, const char *path, struct request *r,
		struct err *e);
/* image_terms - fill images and image_dir of the terms, and what an ask (path NULL) keeps; 0, -ENOMEM */
int image_terms(const struct request *r, const char *path, struct job_terms *t,
		struct job_ask *ask);
/* a line of a job whose images go into a batch */
struct image_line {
	const char *root, *path; /* of its file */
	const char *text;	 /* of the line */
	size_t n;
	const json_t *images; /* of its terms */
};
/* image_of_line - now, and as the backends want them: a new object
 * Errors: -EINVAL they are others than those in its key, -ENOMEM */
int image_of_line(struct broker *b, const struct image_line *q, json_t **out, struct err *e);
/* image_load - infer_spec's load; the sink's argument is the purchase */
void image_load(void *purchase, struct infer_call *c);

#endif
