/* What a case left behind, in an order that does not depend on the file system. */
#include "state.h"

#include <dirent.h>
#include <sys/xattr.h>

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
}

/* Only user.*: what else a system attaches (labels, inherited ACLs) is not the case's doing. */
static void record_xattrs(struct px *t, int fd)
{
	char names[4096], value[4096];
	ssize_t n = flistxattr(fd, names, sizeof(names));
	unsigned long sum = 0, count = 0;

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1) {
		ssize_t len = fgetxattr(fd, names + i, value, sizeof(value));
		unsigned long h = px_hash(px_hash(0, NULL, 0), names + i, strlen(names + i));

		if (strncmp(names + i, "user.", 5))
			continue;
		/* added up, because the order of the list is free */
		sum += px_hash(h, value, len < 0 ? 0 : (size_t)len);
		count++;
	}
	if (count)
		px_note(t, "  %lu xattrs #%lx", count, sum);
}

/* Files may be huge and empty: only the first megabyte is read. */
static void record_content(struct px *t, int fd)
{
	unsigned long h = px_hash(0, NULL, 0);
	size_t total = 0;
	char buf[65536];
	ssize_t n;

	while (total < 1 << 20 && (n = read(fd, buf, sizeof(buf))) > 0) {
		h = px_hash(h, buf, (size_t)n);
		total += (size_t)n;
	}
	px_note(t, "  content #%lx", h);
}

static void record_link(struct px *t, int dirfd, const char *name)
{
	char to[4096], text[8192];
	ssize_t n = readlinkat(dirfd, name, to, sizeof(to));

	px_escape(to, n < 0 ? 0 : (size_t)n, text, sizeof(text));
	px_note(t, "  target %s", text);
}

static void record_name(struct px *t, int dirfd, const char *name, int depth);

static void record_below(struct px *t, int fd, int depth)
{
	struct dirent **list = NULL;
	int n = scandirat(fd, ".", &list, no_dots, by_bytes);

	for (int i = 0; i < n; i++) {
		record_name(t, fd, list[i]->d_name, depth + 1);
		free(list[i]);
	}
	free(list);
}

static void record_name(struct px *t, int dirfd, const char *name, int depth)
{
	bool dir, file;
	char text[1100];
	struct stat st;
	int fd;

	px_escape(name, strlen(name), text, sizeof(text));
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW)) {
		px_note(t, "%*s%s: %s", depth, "", text, strerrorname_np(errno));
		return;
	}
	dir = S_ISDIR(st.st_mode);
	file = S_ISREG(st.st_mode);
	px_note(t, "%*s%s: %06o %u:%u size %ld links %lu", depth, "", text, st.st_mode, st.st_uid,
		st.st_gid, dir ? 0 : (long)st.st_size, dir ? 0 : (unsigned long)st.st_nlink);
	if (S_ISLNK(st.st_mode))
		record_link(t, dirfd, name);
	/* O_NOATIME would need ownership; times are not looked at here anyway */
	fd = dir || file ? openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	record_xattrs(t, fd);
	if (file)
		record_content(t, fd);
	else
		record_below(t, fd, depth);
	close(fd);
}

void state_record(struct px *t, int dirfd)
{
	px_note(t, "left behind:");
	record_name(t, dirfd, ".", 0);
}

void state_remove(int dirfd, const char *name)
{
	struct dirent **list = NULL;
	int fd, n;

	if (!unlinkat(dirfd, name, 0) || (errno != EISDIR && errno != EPERM))
		return;
	/* a case may have taken away our own right to look, when we are not root */
	if (fchmodat(dirfd, name, 0700, 0))
		return;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		n = scandirat(fd, ".", &list, no_dots, NULL);
		for (int i = 0; i < n; i++) {
			state_remove(fd, list[i]->d_name);
			free(list[i]);
		}
		free(list);
		close(fd);
	}
	(void)unlinkat(dirfd, name, AT_REMOVEDIR);
}
