/*
 * ctl/mounts.h - which mount is meant
 *
 * -m, else $INFERFS_MOUNT, else the mount around the working directory, else the only one there is.
 * Threads: one. Blocks: never.
 */
#ifndef CTL_MOUNTS_H
#define CTL_MOUNTS_H

/* mounts_find - malloc'd path of the mount; NULL: none, or in doubt, and it was said */
char *mounts_find(const char *given);
/* mounts_around - the inferfs mount that path lies in; malloc'd; NULL: none */
char *mounts_around(const char *path);

#endif
