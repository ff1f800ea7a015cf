/*
 * mountinfo.h - what is mounted where, from /proc/self/mountinfo
 *
 * No file system is touched, so a mount whose daemon hangs or died hangs nobody here.
 * Threads: any. Blocks: never. Source: proc(5).
 */
#ifndef BASE_MOUNTINFO_H
#define BASE_MOUNTINFO_H

#include <stdbool.h>

#define MOUNTINFO_OURS "fuse.inferfs" /* the file system type that subtype=inferfs gives */

struct mountinfo {
	const char *point, *fstype; /* escapes resolved; valid during the call */
};

/* mountinfo_fn - false: stop */
typedef bool mountinfo_fn(void *arg, const struct mountinfo *m);
/* mountinfo_each - in order of mounting, later ones cover earlier ones; 0, -errno, -EFBIG over 16 MiB */
int mountinfo_each(mountinfo_fn *fn, void *arg);
/* mountinfo_parse - the same over a text, which is changed */
void mountinfo_parse(char *text, mountinfo_fn *fn, void *arg);
/* mountinfo_ours - the topmost mount at exactly this path is an inferfs */
bool mountinfo_ours(const char *point);

#endif
