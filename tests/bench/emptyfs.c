/*
 * tests/bench/emptyfs.c - the least a FUSE transaction can cost: one file, no work
 *
 *   emptyfs MOUNTPOINT BYTES     f: open, write anything, read BYTES times 'x', close
 */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_INO = 2 };
#define FOR_EVER 1e9

static char *answer;
static size_t answer_len;

static void attr_of(fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat){ .st_ino = ino, .st_nlink = 1 };
	st->st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0600;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .ino = FILE_INO,
				      .attr_timeout = FOR_EVER,
				      .entry_timeout = FOR_EVER };

	(void)parent;
	if (strcmp(name, "f") != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	attr_of(FILE_INO, &e.attr);
	fuse_reply_entry(req, &e);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	attr_of(ino, &st);
	fuse_reply_attr(req, &st, FOR_EVER);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	size_t *at = calloc(1, sizeof(*at));

	(void)ino;
	fi->fh = (uint64_t)(uintptr_t)at;
	fi->direct_io = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	(void)ino;
	(void)buf;
	(void)off;
	*(size_t *)(uintptr_t)fi->fh = 0;
	fuse_reply_write(req, size);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	size_t *at = (size_t *)(uintptr_t)fi->fh, n = answer_len - *at;

	(void)ino;
	(void)off;
	n = n < size ? n : size;
	fuse_reply_buf(req, answer + *at, n);
	*at += n;
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	free((size_t *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
	.lookup = on_lookup,
	.getattr = on_getattr,
	.open = on_open,
	.write = on_write,
	.read = on_read,
	.release = on_release,
};

int main(int argc, char **argv)
{
	char option[] = "-o", value[] = "fsname=bench-empty";
	char *fuse_argv[] = { argv[0], option, value, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
	struct fuse_session *se;
	int rc = 1;

	if (argc != 3) {
		fprintf(stderr, "usage: emptyfs MOUNTPOINT BYTES\n");
		return 2;
	}
	answer_len = strtoul(argv[2], NULL, 10);
	answer = malloc(answer_len + 1);
	if (!answer)
		return 1;
	memset(answer, 'x', answer_len);
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (se && fuse_set_signal_handlers(se) == 0 && fuse_session_mount(se, argv[1]) == 0) {
		rc = fuse_session_loop(se) != 0;
		fuse_session_unmount(se);
		fuse_remove_signal_handlers(se);
	}
	if (se)
		fuse_session_destroy(se);
	free(answer);
	return rc;
}
