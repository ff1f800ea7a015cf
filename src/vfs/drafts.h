/*
 * vfs/drafts.h - the directory of a request file that was never sent: status and ctl
 *
 * Node ids carry the index of the prompts node, which the kernel's reference to the directory keeps.
 * Private to vfs/. Threads: the FUSE thread. Blocks: never.
 */
#ifndef VFS_DRAFTS_H
#define VFS_DRAFTS_H

#include "vfs/inside.h"

/* drafts_dir_entry - the entry of the directory; the caller holds a reference on idx for it */
void drafts_dir_entry(struct vfs *v, uint32_t idx, struct vfs_entry *out);
/* drafts_empty - both names are hidden */
bool drafts_empty(struct vfs *v, uint32_t idx);

#endif
