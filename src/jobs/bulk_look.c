/* bulk_look.c - a file of many requests at its check: one line that can be sent is enough */
#include <errno.h>

#include "base/auto.h"
#include "core/canon.h"
#include "jobs/batchjob_stage.h"
#include "jobs/bulk_look.h"
#include "jobs/check.h"
#include "jobs/flight.h"

#include "base/banned.h"

/* A line that nobody could send is of no use; one whose backend is only resting is. */
static int sendable(const struct bulk_ask *q, const struct checked *k, struct err *e)
{
	struct broker *b = q->b;
	AUTO_BUF struct buf bytes = BUF_INIT(OBJECT_MAX);
	struct object o = { 0 };
	int r = infer_ready(b->o.infer, k->terms.backend, e);
	bool there;

	if ((r == 0 || r == -EHOSTDOWN) && q->batch)
		return batchjob_stage_usable(b, k, e);
	if (r == 0 || r == -EHOSTDOWN || json_array_size(k->terms.fallback))
		return 0;
	there = flight_lookup(b, &(struct answers_id){ .key = k->body.key }, false, &o, &bytes) ==
		STORE_OK;
	object_done(&o);
	return there ? 0 : r;
}

/* 0 it can be sent; else e */
static int usable(const struct bulk_ask *q, const struct bulk_text *t, struct err *e)
{
	struct bulk_item item = { 0 };
	struct checked k = { 0 };
	int r = bulk_item_read(t, NULL, &item);

	if (r == 0)
		r = bulk_ask_check(q, t, &item, &k);
	if (r == 0)
		r = sendable(q, &k, &item.e);
	if (r < 0)
		*e = item.e;
	if (r < 0 && !e->code)
		(void)err_sys(e, -r, "the lines could not be checked");
	bulk_item_done(&item);
	check_done(&k);
	return r;
}

static bool more_may_come(bool final, const struct bulk_text *t)
{
	json_t *v = NULL;
	bool unfinished = false;

	if (final || t->ended || t->too_long)
		return false;
	if (canon_parse(t->p, t->n, &v, &unfinished, NULL) == 0)
		json_decref(v);
	return unfinished;
}

int bulk_look(const struct bulk_ask *q, int fd, bool final, struct err *e)
{
	struct bulk_scan s = { .fd = -1 };
	struct bulk_text t;
	bool any = false, good = false, unfinished = false;
	int r;

	bulk_scan_begin(&s, fd, bulk_ask_line_max(q->b));
	while ((r = bulk_scan_next(&s, &t)) > 0) {
		struct err one = { 0 };

		good = good || usable(q, &t, &one) == 0;
		if (!any)
			*e = one;
		any = true;
		unfinished = more_may_come(final, &t);
		if (good && final)
			break;
	}
	bulk_scan_done(&s);
	if (r < 0)
		return err_sys(e, -r, "the file cannot be read");
	if (unfinished || !any)
		return 1;
	return good ? 0 : -e->code;
}
