/* Extended attributes of the user namespace, and what is refused in the others. */
#include "px.h"

#include <sys/xattr.h>

/* an address nothing is mapped at; volatile, because the compiler would know better */
static void *volatile nowhere = (void *)8;

static void scene(struct px *t)
{
	px_file(t, "f", "text");
	px_dir(t, "d");
	px_link(t, "f", "l");
}

static void get(struct px *t, const char *path, const char *name)
{
	char buf[256];
	ssize_t n = getxattr(path, name, buf, sizeof(buf));

	if (n < 0)
		px_note(t, "getxattr %s %s = %s", path, name, strerrorname_np(errno));
	else
		px_bytes(t, name, buf, (size_t)n);
}

/* the order of the list is free: count and sum */
static void list(struct px *t, const char *path)
{
	char buf[4096];
	ssize_t n = listxattr(path, buf, sizeof(buf));
	unsigned long sum = 0, count = 0;

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(buf + i) + 1, count++)
		sum += px_hash(px_hash(0, NULL, 0), buf + i, strlen(buf + i));
	px_note(t, "listxattr %s = %zd: %lu names #%lx", path, n, count, sum);
}

static void set_and_get(struct px *t)
{
	scene(t);
	TRY(setxattr("f", "user.a", "value", 5, 0));
	TRY(setxattr("f", "user.b", "", 0, 0));
	TRY(setxattr("f", "user.bytes", "\0\xff\n", 3, 0));
	TRY(setxattr("d", "user.a", "of a directory", 14, 0));
	get(t, "f", "user.a");
	get(t, "f", "user.b");
	get(t, "f", "user.bytes");
	get(t, "d", "user.a");
	get(t, "f", "user.none");
	list(t, "f");
	list(t, "d");
}

static void replace(struct px *t)
{
	scene(t);
	TRY(setxattr("f", "user.a", "x", 1, XATTR_REPLACE));
	TRY(setxattr("f", "user.a", "one", 3, XATTR_CREATE));
	TRY(setxattr("f", "user.a", "two", 3, XATTR_CREATE));
	get(t, "f", "user.a");
	TRY(setxattr("f", "user.a", "three", 5, XATTR_REPLACE));
	get(t, "f", "user.a");
	TRY(setxattr("f", "user.a", "a", 1, 0));
	get(t, "f", "user.a");
	TRY(setxattr("f", "user.a", "b", 1, XATTR_CREATE | XATTR_REPLACE));
	TRY(setxattr("f", "user.a", "b", 1, 0x80));
}

static void removal(struct px *t)
{
	scene(t);
	TRY(setxattr("f", "user.a", "x", 1, 0));
	TRY(removexattr("f", "user.a"));
	TRY(removexattr("f", "user.a"));
	get(t, "f", "user.a");
	list(t, "f");
	TRY(removexattr("f", "user.never"));
}

static void buffer_sizes(struct px *t)
{
	char buf[64];

	scene(t);
	TRY(listxattr("f", buf, sizeof(buf)));
	TRY(setxattr("f", "user.a", "0123456789", 10, 0));
	TRY(getxattr("f", "user.a", NULL, 0));
	TRY(getxattr("f", "user.a", buf, 9));
	TRY(getxattr("f", "user.a", buf, 10));
	TRY(getxattr("f", "user.a", buf, 64));
	TRY(listxattr("f", NULL, 0));
	TRY(listxattr("f", buf, 3));
	TRY(listxattr("f", buf, 64));
}

static void bad_names(struct px *t)
{
	char name[300] = "user.";

	scene(t);
	TRY(setxattr("f", "", "x", 1, 0));
	TRY(setxattr("f", "user.", "x", 1, 0));
	TRY(setxattr("f", "user", "x", 1, 0));
	TRY(setxattr("f", "nonsense.a", "x", 1, 0));
	TRY(setxattr("f", "plain", "x", 1, 0));
	memset(name + 5, 'n', 250);
	TRY(setxattr("f", name, "longest", 7, 0));
	get(t, "f", name);
	name[255] = 'n';
	TRY(setxattr("f", name, "too long", 8, 0));
	get(t, "f", "nonsense.a");
	TRY(removexattr("f", "nonsense.a"));
}

static void large_values(struct px *t)
{
	char *value = malloc(70000);

	px_need(t, value != NULL, "memory");
	memset(value, 'v', 70000);
	scene(t);
	TRY(setxattr("f", "user.a", value, 1000, 0));
	TRY(getxattr("f", "user.a", value, 70000));
	TRY(setxattr("f", "user.b", value, 3000, 0));
	TRY(setxattr("f", "user.c", value, 60000, 0));
	TRY(setxattr("f", "user.d", value, 65537, 0));
	list(t, "f");
	free(value);
}

static void many_names(struct px *t)
{
	char name[32];
	int bad = 0;

	scene(t);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "user.name%d", i);
		bad += setxattr("f", name, name, strlen(name), 0) != 0;
	}
	for (int i = 0; i < 40; i += 3) {
		snprintf(name, sizeof(name), "user.name%d", i);
		bad += removexattr("f", name) != 0;
	}
	px_note(t, "bad %d", bad);
	list(t, "f");
}

static void of_links(struct px *t)
{
	char buf[16];

	scene(t);
	px_link(t, "none", "dang");
	TRY(setxattr("l", "user.a", "through", 7, 0));
	get(t, "f", "user.a");
	TRY(lsetxattr("l", "user.b", "x", 1, 0));
	TRY(lgetxattr("l", "user.a", buf, 16));
	TRY(llistxattr("l", buf, 16));
	TRY(lremovexattr("l", "user.a"));
	TRY(setxattr("dang", "user.a", "x", 1, 0));
}

static void by_descriptor(struct px *t)
{
	char buf[16];
	int fd, path;

	scene(t);
	fd = FD(open("f", O_RDONLY));
	path = FD(open("f", O_PATH));
	TRY(fsetxattr(fd, "user.a", "x", 1, 0));
	TRY(fgetxattr(fd, "user.a", buf, 16));
	TRY(flistxattr(fd, buf, 16));
	TRY(fsetxattr(path, "user.a", "x", 1, 0));
	TRY(unlink("f"));
	TRY(fsetxattr(fd, "user.b", "after", 5, 0));
	TRY(fgetxattr(fd, "user.b", buf, 16));
	TRY(fremovexattr(fd, "user.a"));
}

static void errors(struct px *t)
{
	char buf[16];

	scene(t);
	TRY(setxattr("none", "user.a", "x", 1, 0));
	TRY(getxattr("none", "user.a", buf, 16));
	TRY(listxattr("none", buf, 16));
	TRY(setxattr("f/x", "user.a", "x", 1, 0));
	TRY(setxattr("f", NULL, "x", 1, 0));
	TRY(setxattr("f", "user.a", nowhere, 5, 0));
}

static void rights(struct px *t)
{
	char buf[16];

	px_file_of(t, "f", U1, 0644);
	px_file_of(t, "secret", U1, 0600);
	px_file_of(t, "open", U1, 0666);
	px_need(t, !setxattr("secret", "user.a", "x", 1, 0), "setxattr");
	px_be(t, U2);
	TRY(setxattr("f", "user.a", "x", 1, 0));
	TRY(getxattr("f", "user.a", buf, 16));
	TRY(getxattr("secret", "user.a", buf, 16));
	TRY(listxattr("secret", buf, 16));
	TRY(removexattr("secret", "user.a"));
	TRY(setxattr("open", "user.a", "x", 1, 0));
	TRY(removexattr("open", "user.a"));
	px_be(t, U1);
	TRY(setxattr("f", "user.a", "x", 1, 0));
}

static void sticky_directory(struct px *t)
{
	px_dir_of(t, "d", U1, 01777);
	px_be(t, U2);
	TRY(setxattr("d", "user.a", "x", 1, 0));
	px_be(t, U1);
	TRY(setxattr("d", "user.a", "x", 1, 0));
}

static void trusted(struct px *t)
{
	char buf[16];

	px_file_of(t, "f", U2, 0644);
	px_be(t, U2);
	TRY(setxattr("f", "trusted.a", "x", 1, 0));
	TRY(getxattr("f", "trusted.a", buf, 16));
	TRY(removexattr("f", "trusted.a"));
	TRY(setxattr("f", "security.a", "x", 1, 0));
	TRY(setxattr("f", "system.a", "x", 1, 0));
}

static void survive(struct px *t)
{
	int fd;

	scene(t);
	TRY(setxattr("f", "user.a", "kept", 4, 0));
	TRY(rename("f", "g"));
	get(t, "g", "user.a");
	fd = FD(open("g", O_WRONLY | O_TRUNC));
	PUT(fd, "new");
	TRY(close(fd));
	get(t, "g", "user.a");
	TRY(chmod("g", 0600));
	/* a new file of the old name has none */
	px_file(t, "f", "text");
	get(t, "f", "user.a");
	TRY(rename("f", "g"));
	get(t, "g", "user.a");
}

const struct px_case case_xattr[] = {
	PX_RUN("xattr set and get", set_and_get),
	PX_RUN("xattr XATTR_CREATE and XATTR_REPLACE", replace),
	PX_RUN("xattr remove", removal),
	PX_RUN("xattr buffer sizes", buffer_sizes),
	PX_RUN("xattr names", bad_names),
	PX_RUN("xattr large values", large_values),
	PX_RUN("xattr many names", many_names),
	PX_RUN("xattr of links", of_links),
	PX_RUN("xattr by descriptor", by_descriptor),
	PX_RUN("xattr errors", errors),
	PX_AS("xattr rights", rights),
	PX_AS("xattr of a sticky directory", sticky_directory),
	PX_AS("xattr other namespaces, unprivileged", trusted),
	PX_RUN("xattr survives rename and rewrite", survive),
	PX_END,
};
