/*
 * jobs/keep.h - an answer that was bought becomes an object: in answers/, and in the store when it may be
 *
 * Private to jobs/. Threads: the pool. Blocks: on the disk and the engine.
 */
#ifndef JOBS_KEEP_H
#define JOBS_KEEP_H

#include "core/answer.h"
#include "jobs/flight.h"

struct keep {
	struct { /* what is to be kept */
		const struct answer *answer;
		uint32_t index;
		const char *call_id;
		uint64_t ttl_s;
		bool may_store;
		bool direct; /* into the engine only, when it takes it: nobody has a use for it in answers/ */
	};
	struct {		      /* what became of it */
		struct answers_id id; /* pinned once, unless direct is still set */
		const json_t *sample; /* the object's; of another daemon's, when that was first */
		json_t *made;	      /* ours */
		struct object won;    /* theirs */
		bool stored;	      /* the engine has it, or will be offered it again */
		struct buf bytes;
	};
};

/* keep_answer - 0, or -errno and nothing is kept */
int keep_answer(struct flight *f, struct keep *k);
void keep_done(struct keep *k);
/* keep_may_store - by what ended it, and by who waits for it */
bool keep_may_store(struct flight *f, const struct answer *a);

#endif
