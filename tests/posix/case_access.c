/* access(2) and faccessat(2): the real ids, not the effective ones. */
#include "px.h"

static void all_masks(struct px *t, const char *path)
{
	px_note(t, "%s:", path);
	for (int mask = 0; mask < 8; mask++)
		TRY(access(path, mask));
}

static void modes(struct px *t)
{
	static const mode_t list[] = { 0, 0400, 0600, 0700, 0040, 0050, 0004, 0005, 0001, 0777 };
	char name[32];

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		snprintf(name, sizeof(name), "f%03o", list[i]);
		px_file_of(t, name, U1, list[i]);
		snprintf(name, sizeof(name), "d%03o", list[i]);
		px_dir_of(t, name, U1, list[i]);
	}
	if (t->arg)
		px_be_real(t, *(const uid_t *)t->arg);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		snprintf(name, sizeof(name), "f%03o", list[i]);
		all_masks(t, name);
		snprintf(name, sizeof(name), "d%03o", list[i]);
		all_masks(t, name);
	}
}

static void errors(struct px *t)
{
	px_file(t, "f", "text");
	px_link(t, "none", "dang");
	px_link(t, "loop", "loop");
	TRY(access("none", F_OK));
	TRY(access("f/x", F_OK));
	TRY(access("dang", F_OK));
	TRY(access("loop", F_OK));
	TRY(access("f", 8));
	TRY(access("f", -1));
	TRY(faccessat(AT_FDCWD, "dang", F_OK, AT_SYMLINK_NOFOLLOW));
	TRY(faccessat(AT_FDCWD, "f", R_OK, 0x8000));
}

static void real_and_effective(struct px *t)
{
	px_file_of(t, "f", U2, 0600);
	px_be(t, U2);
	/* effective U2, real root: access asks for root */
	TRY(access("f", R_OK | W_OK));
	TRY(access("f", X_OK));
	TRY(faccessat(AT_FDCWD, "f", R_OK | W_OK, AT_EACCESS));
	px_be(t, U1);
	TRY(access("f", R_OK));
	TRY(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
}

static void below_closed_directory(struct px *t)
{
	px_dir_of(t, "d", U1, 0700);
	px_file_of(t, "d/f", U2, 0666);
	px_dir_of(t, "s", U1, 0711);
	px_file_of(t, "s/f", U2, 0666);
	px_be_real(t, U2);
	TRY(access("d", F_OK));
	TRY(access("d/f", F_OK));
	TRY(access("d/none", F_OK));
	TRY(access("s/f", R_OK | W_OK));
	TRY(access("s/none", F_OK));
	TRY(access("s", R_OK));
	TRY(access("s", X_OK));
}

static void root_and_x(struct px *t)
{
	px_file_of(t, "f", U1, 0666);
	px_file_of(t, "g", U1, 0010);
	px_dir_of(t, "d", U1, 0);
	/* root may run a file when anybody may, and may search any directory */
	all_masks(t, "f");
	all_masks(t, "g");
	all_masks(t, "d");
}

static void by_descriptor(struct px *t)
{
	int fd;

	px_dir(t, "d");
	px_file(t, "d/f", "text");
	fd = FD(open("d", O_RDONLY));
	TRY(faccessat(fd, "f", R_OK, 0));
	TRY(faccessat(fd, "none", R_OK, 0));
	TRY(faccessat(fd, "../d/f", W_OK, 0));
	TRY(faccessat(999, "f", R_OK, 0));
	TRY(faccessat(fd, "", R_OK, AT_EMPTY_PATH));
}

static const uid_t owner = U1, other = U2;

const struct px_case case_access[] = {
	{ "access all modes by owner", modes, PX_ROOT, &owner, NULL },
	{ "access all modes by other", modes, PX_ROOT, &other, NULL },
	PX_AS("access all modes by root", modes),
	PX_RUN("access errors", errors),
	PX_AS("access real and effective ids", real_and_effective),
	PX_AS("access below a closed directory", below_closed_directory),
	PX_AS("access root and execution", root_and_x),
	PX_RUN("access by descriptor", by_descriptor),
	PX_END,
};
