/*
 * fdio.h - whole files, safely: read all, write to a temporary name, sync, rename or link
 *
 * dirfd is an open directory or AT_FDCWD. Every function is restarted after EINTR and handles
 * short reads and writes. Errors: negative errno of the system call that failed.
 * Blocks: on the disk. Threads: any.
 */
#ifndef BASE_FDIO_H
#define BASE_FDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* fdio_read_all - append the rest of fd to b; -EFBIG over b->max */
int fdio_read_all(int fd, struct buf *b);
/* fdio_read_file - append the file; -ENOENT ... */
int fdio_read_file(int dirfd, const char *path, struct buf *b);
/* fdio_read_file_nowait - as fdio_read_file, but -EAGAIN instead of waiting for the disk
 * (openat2 RESOLVE_CACHED, preadv2 RWF_NOWAIT; old kernels: -EAGAIN always) */
int fdio_read_file_nowait(int dirfd, const char *path, struct buf *b);
/* fdio_write_all - all n bytes at fd's position */
int fdio_write_all(int fd, const void *p, size_t n);
enum { FDIO_SYNC = 1 << 0, FDIO_EXCL = 1 << 1 };
/* temporary names begin with this; a crash may leave one, which whoever sweeps a directory may remove */
#define FDIO_TMP_PREFIX ".put-"
/* fdio_put - write under a temporary name in path's directory and move to path, so that readers
 * see all or nothing; FDIO_SYNC: fsync file and its directory; FDIO_EXCL: -EEXIST instead of replacing
 * (link). mode as for open(2). No temporary file is left on failure. */
int fdio_put(int dirfd, const char *path, const void *p, size_t n, unsigned flags, mode_t mode);
/* fdio_mkdirs - mkdir -p of a relative or absolute path */
int fdio_mkdirs(int dirfd, const char *path, mode_t mode);
/* fdio_sync_parent - fsync the directory that holds path */
int fdio_sync_parent(int dirfd, const char *path);
/* fdio_remove_tree - rm -r, following no link; -ENOENT is success */
int fdio_remove_tree(int dirfd, const char *path);

#endif
