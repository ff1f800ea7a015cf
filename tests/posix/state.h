/* state.h - what is left in a directory, as text
 *
 * The lines are sorted by path, so that the order of readdir (free to every file system) cannot
 * make a difference. Not looked at: times (px_mark is for that), inode numbers, size and links of
 * directories, blocks: they are the file system's own business.
 */
#ifndef TESTS_POSIX_STATE_H
#define TESTS_POSIX_STATE_H

#include "px.h"

/* state_record - append a line for dirfd itself and for everything below it
 *
 *   dirfd   stays the caller's
 */
void state_record(struct px *t, int dirfd);

/* state_remove - rm -rf name below dirfd; errors are left to be seen in the tree */
void state_remove(int dirfd, const char *name);

#endif
