/* respattr.c - user.inferfs.* on a response's directory and files; where its entry is in cache/ */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "vfs/responses.h"

#include "base/banned.h"

#define PREFIX "user.inferfs."

static const char *const names[] = { "status",	      "key",	    "request_id",    "model",
				     "cached",	      "duplicated", "finish_reason", "input_tokens",
				     "output_tokens", "cost_usd",   "namespace",     "route" };

static int value_of(struct vfs *v, int64_t id, const char *name, struct buf *out)
{
	struct broker_view view;
	int r;

	if (strcmp(name, "status") != 0)
		return broker_render_xattr(v->broker, id, name, out);
	r = broker_get(v->broker, id, &view);
	if (r == 0)
		r = buf_adds(out, resptable_word(view.state));
	if (r == 0)
		out->len--; /* the word without its newline */
	return r;
}

void respattr_get(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		  const struct vfs_xattr *x)
{
	AUTO_BUF struct buf value = BUF_INIT(1 << 16);
	/* ls -l then asks no other file here for a label or an ACL */
	int r = str_starts(x->name, "user.") ? -ENODATA : -EOPNOTSUPP;

	if (str_starts(x->name, PREFIX))
		r = value_of(v, resptable_node(nodeid).id, x->name + strlen(PREFIX), &value);
	if (r < 0)
		vfs_reply_err(q, r == -ENOENT ? ENODATA : -r);
	else
		vfs_reply_xattr(q, buf_str(&value), value.len, x->size);
}

/* ".." for each directory from a response up to the top of the mount */
static int climb(struct vfs *v, int64_t id, struct buf *out)
{
	AUTO_BUF struct buf root = BUF_INIT(8192), path = BUF_INIT(1 << 16);
	int r = broker_root(v->broker, id, &root);

	if (!r)
		r = broker_path(v->broker, id, &path);
	if (r < 0)
		return r;
	(void)buf_adds(out, "../../"); /* its own, and responses/; of a line: and items/ */
	for (const char *p = buf_str(&path); *p; p++)
		if (*p == '/')
			(void)buf_adds(out, "../");
	if (buf_str(&root)[0] == JOBDIR_ROOT)
		return climb(v, jobdir_job_of(v, strtoll(buf_str(&root) + 1, NULL, 10)), out);
	return buf_adds(out, root.len ? "../../" : ""); /* namespaces/NAME/ */
}

void respattr_readlink(struct vfs *v, const struct vfs_req *q, uint64_t nodeid)
{
	AUTO_BUF struct buf target = BUF_INIT(1 << 18);
	int64_t id = resptable_node(nodeid).id;
	struct broker_view view;
	char hex[KEY_HEX + 1];
	int r = broker_get(v->broker, id, &view);

	if (r == 0)
		r = climb(v, id, &target);
	if (r == 0) {
		key_hex(&view.key, hex);
		r = buf_addf(&target, "cache/%.2s/%s", hex, hex);
	}
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		q->ops->link(q->impl, target.data);
}

void respattr_list(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, size_t size)
{
	AUTO_BUF struct buf list = BUF_INIT(1 << 16);

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_BUF struct buf value = BUF_INIT(1 << 16);

		if (value_of(v, resptable_node(nodeid).id, names[i], &value) < 0)
			continue;
		(void)buf_addf(&list, PREFIX "%s", names[i]);
		(void)buf_addc(&list, 0);
	}
	vfs_reply_xattr(q, buf_str(&list), list.len, size);
}
