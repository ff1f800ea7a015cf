/* prompts_scan.c - what responses/ lists of a directory of prompts/: sub-directories and stems */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/str.h"

#include "base/banned.h"

#define PAGE (16u << 10)

struct prompts_scan {
	struct vfs *v;
	int fd;
	bool sends; /* its files are requests */
	uint64_t off;
	size_t pos, len;
	char page[PAGE] __attribute__((aligned(8)));
};

int prompts_scan_open(struct vfs *v, uint32_t dir, struct prompts_scan **out)
{
	struct prompts_node *n = prompts_node_get(v->prompts, dir);
	struct prompts_scan *s;
	int dirfd, r;

	if (!n || !S_ISDIR(n->fmt))
		return -ENOENT;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->v = v;
	s->off = s->pos = s->len = 0;
	s->sends = prompts_name_sends(v->prompts, n);
	dirfd = prompts_node_dirfd(v->prompts, n);
	s->fd = dirfd < 0 ? -1 : openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0) {
		r = dirfd < 0 ? dirfd : -errno;
		free(s);
		return r;
	}
	*out = s;
	return 0;
}

static mode_t type_of(int fd, const struct dirent64 *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return (mode_t)DTTOIF(d->d_type);
	return fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode & S_IFMT;
}

static bool mirrored(const struct prompts_scan *s, const struct dirent64 *d,
		     struct prompts_child *out)
{
	const char *suffix = "";
	mode_t type;

	if (d->d_name[0] == '.')
		return false;
	type = type_of(s->fd, d);
	out->dir = S_ISDIR(type);
	if (!out->dir)
		suffix = s->sends && S_ISREG(type)
				 ? prompts_name_suffix(s->v->o.suffixes, d->d_name)
				 : NULL;
	if (!suffix || !str_copy(out->name, sizeof(out->name), d->d_name) ||
	    !str_copy(out->suffix, sizeof(out->suffix), suffix))
		return false;
	out->name[strlen(out->name) - strlen(suffix)] = '\0';
	out->next_off = (uint64_t)d->d_off;
	return true;
}

int prompts_scan_next(struct prompts_scan *s, uint64_t off, struct prompts_child *out)
{
	if (off != s->off || !off) {
		if (lseek(s->fd, (off_t)off, SEEK_SET) < 0)
			return -ENOENT;
		s->off = off;
		s->pos = s->len = 0;
	}
	for (;;) {
		const struct dirent64 *d;

		if (s->pos >= s->len) {
			ssize_t n = getdents64(s->fd, s->page, sizeof(s->page));

			if (n <= 0)
				return -ENOENT;
			s->pos = 0;
			s->len = (size_t)n;
		}
		d = (const void *)(s->page + s->pos);
		s->pos += d->d_reclen;
		s->off = (uint64_t)d->d_off;
		if (mirrored(s, d, out))
			return 0;
	}
}

void prompts_scan_close(struct prompts_scan *s)
{
	if (!s)
		return;
	(void)close(s->fd); /* read only */
	free(s);
}
