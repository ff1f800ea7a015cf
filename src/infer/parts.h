/*
 * infer/parts.h - parts of messages in OpenAI's form: images as addresses, tool calls without what is not ours
 *
 * What every provider needs of a part is in content.h. An image is named by its SHA-256, whose base64 text
 * build's parameter `images` has, or by a URL that the provider fetches. New values are the caller's; NULL:
 * out of memory.
 *
 * Threads: any; pure. Blocks: never. Source: the protocol mapping, rows "text part" to "tool result".
 */
#ifndef INFER_PARTS_H
#define INFER_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "infer/body.h"

/* parts_is_image - an image, by hash or by URL */
bool parts_is_image(const json_t *part);
/* parts_url - the image's URL, or its bytes as a data: URI */
json_t *parts_url(const json_t *part, const json_t *images);
/* parts_text - all the text of a content, parts on lines of their own */
json_t *parts_text(const json_t *content);
/* parts_calls - copies of tool calls; of extra_content only what the provider `keep` gave (NULL: nothing) */
json_t *parts_calls(const json_t *calls, const char *keep);
/* parts_openai - messages that body_begin copied get images and tool calls in OpenAI's form; 0 or -ENOMEM */
int parts_openai(json_t *messages, const json_t *images, const char *keep);

#endif
