/*
 * main/prices.c - the price list of this mount
 */
#include <errno.h>
#include <fcntl.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fdio.h"
#include "main/prices.h"

#include "base/banned.h"

int prices_load(const char *file, struct price_list **out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(PRICES_FILE_MAX);
	int rc;

	if (!file) {
		*out = price_builtin();
		return *out ? 0 : err_sys(e, ENOMEM, "the price list");
	}
	rc = fdio_read_file(AT_FDCWD, file, &text);
	if (rc < 0)
		return err_sys(e, -rc, "[prices] file = %s cannot be read", file);
	rc = price_parse(buf_str(&text), text.len, out, e);
	if (rc < 0)
		err_prefix(e, "%s: ", file);
	return rc;
}
