/*
 * fuse/answer.h - vfs_reply_ops over fuse_req_t
 *
 * One small heap struct a request, freed by its answer, so that a parked request costs nothing but
 * itself. Threads: any. Blocks: never.
 */
#ifndef FUSE_ANSWER_H
#define FUSE_ANSWER_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <stdbool.h>

#include "vfs/reply.h"

/* answer_begin - a request to hand to a room; plus: readdir wants attributes. False: it was answered
 * with ENOMEM */
bool answer_begin(fuse_req_t req, bool plus, struct vfs_req *out);

#endif
