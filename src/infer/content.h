/*
 * infer/content.h - messages, parts and tool calls, for APIs whose messages are not OpenAI's
 *
 *   1. content_images, content_calls   in check: what cannot be said is refused, or dropped
 *   2. the others                      in build: they only read
 *
 * Threads: any; pure. Blocks: never. Source: the request table of the protocol mapping.
 */
#ifndef INFER_CONTENT_H
#define INFER_CONTENT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "infer/body.h"

/* what a provider does with images */
struct content_images {
	bool url;		  /* it fetches addresses */
	bool detail;		  /* it has low and high, one for the whole request */
	const char *const *media; /* the types it takes, NULL-terminated */
};

/* content_images - refuse or drop image parts (fields messages.image, messages.image.detail); 0 or an error */
int content_images(const struct body_check *k, const struct content_images *takes);
/* content_calls - arguments of the history's tool calls are JSON objects; ERR_REQUEST else */
int content_calls(const struct body_check *k);
/* content_needed - ERR_UNSUPPORTED unless some message but a system one says something */
int content_needed(const struct body_check *k);

/* content_is - m has this role; developer is system */
bool content_is(const json_t *m, const char *role);
/* content_text - the string, or the text parts on lines of their own, appended to out (out->failed tells) */
void content_text(const json_t *content, struct buf *out);
/* content_string - content_text as a new string; NULL: out of memory */
json_t *content_string(const json_t *content);
/* content_system - all system messages joined by a blank line; NULL: none says anything, or out of memory
 * (*out_failed) */
json_t *content_system(const json_t *effective, bool *out_failed);
/* content_part_text - the text of a text part, lent; NULL: it is no text, or an empty one */
const json_t *content_part_text(const json_t *part);
/* content_image - base64 text of an image part, lent; NULL: not among images */
const json_t *content_image(const json_t *part, const json_t *images);
/* content_images_there - every image that the messages name by sha256 is among images; ERR_INTERNAL else */
int content_images_there(const struct backend_config *c, const json_t *effective,
			 const json_t *images, struct err *e);
/* content_detail - "low", "high" or NULL, as the first image says */
const char *content_detail(const json_t *effective);
/* content_parameters - the schema of a tool's arguments, or that of none: most services want one always; new
 * reference */
json_t *content_parameters(const json_t *function);
/* content_arguments - a call's arguments as a new object; NULL: they are none */
json_t *content_arguments(const json_t *call);
/* content_extra - a provider's own member of a call: extra_content.PROVIDER.NAME, lent; NULL: none */
const json_t *content_extra(const json_t *call, const char *provider, const char *name);
/* content_schema - the JSON schema that response_format asks for, new, with its description; NULL: none, or
 * out of memory (*out_failed) */
json_t *content_schema(const json_t *effective, bool *out_failed);
/* content_escape - append text percent-encoded for a place in a path or query */
void content_escape(struct buf *out, const char *text);

#endif
