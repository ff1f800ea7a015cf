/* bulk_stub.c - a place holder until files of many requests run: they are refused at the check */
#include <errno.h>

#include "jobs/broker_bulk.h"

#include "base/banned.h"

void broker_bulk_check(struct broker *b, const struct broker_bulk_doc *d, broker_checked_fn *done,
		       void *arg)
{
	struct broker_accepted r = { .code = EOPNOTSUPP };
	struct err e = { 0 };

	(void)err_field(
		&e, ERR_UNSUPPORTED, "suffix",
		"files with many requests (%s) are not supported by this version; write one "
		"request in a .json, .txt or .md file",
		d->suffix);
	broker_check_refuse(b, d->root, d->path, d->suffix, &e);
	done(arg, &r);
}

int broker_bulk_item(struct broker *b, int64_t job, const char *name, struct broker_view *out)
{
	(void)b;
	(void)job;
	(void)name;
	(void)out;
	return -ENOENT;
}

int broker_bulk_next_item(struct broker *b, int64_t job, const char *after, char **out_name,
			  struct broker_view *out)
{
	(void)out_name;
	return broker_bulk_item(b, job, after, out);
}

int broker_bulk_file_size(struct broker *b, int64_t job, enum broker_bulk_file f, uint64_t *out)
{
	(void)b;
	(void)job;
	(void)f;
	(void)out;
	return -ENOENT;
}

int broker_bulk_open(struct broker *b, int64_t job, enum broker_bulk_file f,
		     struct broker_bulk_reader **out)
{
	(void)b;
	(void)job;
	(void)f;
	(void)out;
	return -ENOENT;
}

struct broker_bulk_reader *broker_bulk_close(struct broker_bulk_reader *r)
{
	(void)r;
	return NULL;
}

uint64_t broker_bulk_size(struct broker_bulk_reader *r)
{
	(void)r;
	return 0;
}

ssize_t broker_bulk_read(struct broker_bulk_reader *r, void *buf, size_t len, uint64_t off)
{
	(void)r;
	(void)buf;
	(void)len;
	(void)off;
	return -EIO;
}

int broker_bulk_wait(struct broker_bulk_reader *r, struct broker_bulk_waiter *w)
{
	(void)r;
	(void)w;
	return -EALREADY;
}

bool broker_bulk_unwait(struct broker_bulk_reader *r, struct broker_bulk_waiter *w)
{
	(void)r;
	(void)w;
	return false;
}
