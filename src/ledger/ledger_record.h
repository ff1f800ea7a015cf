/*
 * ledger_record.h - a posting as the bytes of one journal record, and back
 *
 * Payload: the counters that were pending (u8 count, then u8 counter and i64 each), u32 number of
 * changes, then each: u8 op and the members that the op has, in a fixed order. Numbers are the host's
 * own, for a journal never leaves its machine before it is emptied; texts are u32 length, bytes and a NUL.
 * Threads: any. Blocks: never. Errors: -EBADMSG for bytes that no posting could have made, -ENOMEM.
 */
#ifndef LEDGER_LEDGER_RECORD_H
#define LEDGER_LEDGER_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledger/ledger.h"

struct ledger_record {
	struct ledger_change *changes; /* their texts point into the payload */
	size_t n;
	int64_t add[LEDGER_COUNTERS];
};

/* ledger_record_write - append the payload; -EFBIG, -ENOMEM */
int ledger_record_write(const struct ledger_record *r, struct buf *out);
/* ledger_record_read - the payload must outlive what is read */
int ledger_record_read(const char *p, size_t n, struct ledger_record *out);
void ledger_record_done(struct ledger_record *r);

#endif
