/*
 * ctl/target.h - from what a user calls a request to its directory under responses/
 *
 *   MOUNT/prompts/any/sky.json        its prompt
 *   MOUNT/responses/any/sky[/text]    its response, or a file of it
 *   any/sky   any/sky.json            its name, from the mount's prompts/
 *
 * Threads: one. Blocks: never (nothing is opened that waits).
 */
#ifndef CTL_TARGET_H
#define CTL_TARGET_H

/* target_find - malloc'd path of the response's directory; NULL: there is none, and it was said */
char *target_find(const char *mount, const char *path);
/* target_stem - cut the suffix of a request's name, in place: "a/cheap.batch.jsonl" -> "a/cheap" */
void target_stem(char *path);

#endif
