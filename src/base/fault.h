/*
 * fault.h - named points at which a test may kill the daemon
 *
 * INFERFS_FAULT=POINT:N in the daemon's environment: the N-th time that POINT is passed the process
 * kills itself as kill -9 would. Nothing else reads it; without it a point costs one load.
 *
 *   accepted   the acceptance is committed, close(2) has not been answered
 *   release    the last writer has closed the file, nothing was sent
 *   last-byte  the answer's end mark was seen, nothing is stored
 *   object     the object is in answers/, not yet in the store or the ledger
 *   batch-staged    a batch is recorded, nothing was sent
 *   batch-uploaded  its file is at the provider, that is recorded
 *   batch-created   the provider has answered its creation, that is not recorded
 *   batch-polled    ... it is
 *   batch-fetched   everything it brought is recorded
 *   batch-removed   its files at the provider are gone, its row is not
 *   committed  the hand-out is in the ledger, nobody was told
 *   journal    a record is in the journal, nobody was told
 *   flush      the tables are written, the transaction is not committed
 *   flushed    it is, the journal still has its records
 *   cut        the journal was cut, as far as it could be
 *
 * Threads: any. Blocks: never.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

/* fault_init - read the environment; once, before threads */
void fault_init(void);
/* fault_at - one passage of a point */
void fault_at(const char *point);

#endif
