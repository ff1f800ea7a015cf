/*
 * npy.c - the header of an NPY file, and the numbers behind it
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/npy.h"

#include "base/banned.h"

enum { LEAD = 10, ALIGN = 64 }; /* magic, version, length; where the numbers may begin */

int npy_write(const void *values, size_t rows, size_t columns, struct buf *out)
{
	char dict[128];
	int n = snprintf(dict, sizeof(dict),
			 "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows,
			 columns);
	size_t whole = (LEAD + (size_t)n + 1 + ALIGN - 1) / ALIGN * ALIGN;
	unsigned length = (unsigned)(whole - LEAD);
	uint8_t lead[LEAD] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0 };
	int rc;

	if (columns && rows > SIZE_MAX / sizeof(float) / columns)
		return -EFBIG;
	lead[8] = (uint8_t)length;
	lead[9] = (uint8_t)(length >> 8);
	rc = buf_reserve(out, whole + rows * columns * sizeof(float));
	if (rc)
		return rc;
	(void)buf_add(out, lead, sizeof(lead)); /* there is room for all of it */
	(void)buf_add(out, dict, (size_t)n);
	for (size_t i = LEAD + (size_t)n; i + 1 < whole; i++)
		(void)buf_addc(out, ' ');
	(void)buf_addc(out, '\n');
	return buf_add(out, values, rows * columns * sizeof(float));
}
