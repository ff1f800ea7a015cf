/*
 * hand.h - a flight made by hand over a real broker: its jobs join and get what a test says, nobody takes turns
 *
 *   1. hand_open    a broker with prices, a flight that is in no table
 *   2. hand_join    a job of it; hand_answer, hand_land: what a call brought
 *   3. hand_close
 *
 * Everybody's backend is echo/m, sold by provider "p".
 */
#ifndef TESTS_HAND_H
#define TESTS_HAND_H

#include "broker_fixture.h"
#include "core/answer.h"
#include "core/price.h"
#include "jobs/flight.h"

#define HAND_REQUEST                                                               \
	"{\"backend\":\"echo\",\"endpoint\":\"chat\",\"format\":1,\"messages\":[{" \
	"\"content\":\"q\",\"role\":\"user\"}],\"model\":\"m\"}"

struct hand {
	struct fixture f;
	struct price_list *prices;
	struct broker *b;
	struct flight *flight;
	struct job *jobs[16];
	size_t n;
};

struct hand *hand_open(enum request_cache mode, const char *request);
void hand_close(struct hand *h);
/* hand_job - not in the flight; named path, NULL: an ask; ns NULL: none; its row is in the ledger */
struct job *hand_job(struct hand *h, const char *path, const char *ns, unsigned n);
/* hand_join - the same in the flight, dealt: indices NULL: the first n */
struct job *hand_join(struct hand *h, const char *path, const char *ns, unsigned n,
		      const uint32_t *indices);
struct answer *hand_answer(const char *text, const char *end, int64_t input, int64_t output);
/* hand_land - a call for n samples brought those (NULL: it did not come); they are freed. Sum of what they cost
 * in nano USD, -1 when one of it is not known */
int64_t hand_land(struct hand *h, const uint32_t *indices, struct answer **answers, unsigned n);
/* hand_post - one change, recorded when it returns */
int hand_post(struct hand *h, struct ledger_change *c);
/* hand_give - in the ledger: request id had these of key `from` when it asked `key` */
void hand_give(struct hand *h, const char *ns, const char *id, const struct key *key,
	       const struct key *from, const uint32_t *indices, size_t n);
/* hand_stored - the store has index of the flight's key; its text is put into out, of size bytes */
bool hand_stored(struct hand *h, uint32_t index, char *out, size_t size);
/* hand_pins - how many hold the key */
bool hand_pinned(struct hand *h);
int64_t hand_nano(double usd);

#endif
