/*
 * infer/parts.h - parts of messages: texts, images, and tool calls with what belongs to other providers
 *
 * A message's content is a string or a list of parts, {"type":"text"} and {"type":"image"}; an image is named
 * by its SHA-256, whose base64 text build's parameter `images` has, or by a URL that the provider fetches.
 * New values are the caller's; NULL: out of memory.
 *
 * Threads: any; pure. Blocks: never. Source: the protocol mapping, rows "text part" to "tool result".
 */
#ifndef INFER_PARTS_H
#define INFER_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "infer/body.h"

/* what a provider cannot take of an image */
enum parts_limit { PARTS_NO_URL = 1, PARTS_NO_DETAIL = 2 };

/* parts_check - refuse, or with lossy drop, what limits (a set of parts_limit) names; 0 or negative errno */
int parts_check(const struct body_check *k, unsigned limits);
/* parts_ready - images has the bytes of every image the messages name; else ERR_INTERNAL */
int parts_ready(const json_t *effective, const json_t *images, struct err *e);
/* parts_is_image - an image, by hash or by URL */
bool parts_is_image(const json_t *part);
/* parts_base64 - an image's bytes as base64; NULL: it is a URL, or not there */
const char *parts_base64(const json_t *part, const json_t *images);
/* parts_url - the image's URL, or its bytes as a data: URI */
json_t *parts_url(const json_t *part, const json_t *images);
/* parts_text - all the text of a content, parts on lines of their own */
json_t *parts_text(const json_t *content);
/* parts_calls - copies of tool calls; of extra_content only what the provider `keep` gave (NULL: nothing) */
json_t *parts_calls(const json_t *calls, const char *keep);
/* parts_openai - messages that body_begin copied get images and tool calls in OpenAI's form; 0 or -ENOMEM */
int parts_openai(json_t *messages, const json_t *images, const char *keep);

#endif
