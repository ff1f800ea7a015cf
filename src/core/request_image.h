/*
 * request_image.h - images in messages: from what the user wrote to a hash and a place
 *
 *   1. request_image_part      one part of a message, checked: {"type":"image", path | url | data, ...}
 *   2. request_image_collect   parts with data get their hash and type; parts with a path are listed in
 *                              the request until request_image_set brings their bytes
 *   3. request_image_done
 *
 * Private to core/request*.c, but for what request.h has of it.
 * Threads: any. Blocks: never.
 */
#ifndef CORE_REQUEST_IMAGE_H
#define CORE_REQUEST_IMAGE_H

#include <jansson.h>

#include "base/err.h"
#include "core/request.h"

/* request_image_part - an `image` or `image_url` part; -EINVAL naming the member below path */
int request_image_part(const char *path, const json_t *part, json_t **out, struct err *e);
/* request_image_name - is this a path that may be given? NULL or what is wrong, for the sentence */
const char *request_image_name(const json_t *v);
/* request_image_named - the part of a path given in `images` */
json_t *request_image_named(const json_t *path);
/* request_image_collect - the parts of body.messages; short_form: the last message's images came from
 * the field `images`, so errors name that */
int request_image_collect(struct request *r, bool short_form, struct err *e);
void request_image_done(struct request *r);

#endif
