/*
 * npy.h - numbers as a file that numpy.load reads
 *
 * Threads: any. Blocks: never. Source: NumPy's description of the NPY format, version 1.0.
 */
#ifndef CORE_NPY_H
#define CORE_NPY_H

#include <stddef.h>

#include "base/buf.h"

/* npy_write - append a whole file: float32, little endian, C order, shape (rows, columns)
 *   values  rows * columns numbers, already in that form
 * Errors: -EFBIG, -ENOMEM */
int npy_write(const void *values, size_t rows, size_t columns, struct buf *out);

#endif
