/* bulk_ask.c - the way of one line through the same functions as a file of its own */
#include <errno.h>

#include "jobs/bulk_ask.h"
#include "jobs/check.h"
#include "jobs/image.h"

#include "base/banned.h"

#define LINE_MAX_USUAL ((size_t)16 << 20)

size_t bulk_ask_line_max(const struct broker *b)
{
	return b->o.max_request_bytes ? (size_t)b->o.max_request_bytes : LINE_MAX_USUAL;
}

static int parse(const struct bulk_ask *q, const struct bulk_text *t, struct bulk_item *item,
		 struct checked *c)
{
	json_t *defaults = q->defaults ? json_deep_copy(q->defaults) : NULL;
	struct request_source src = {
		.text = t->p, .len = t->n, .form = REQUEST_JSON, .defaults = defaults
	};
	int r = q->defaults && !defaults
			? -ENOMEM
			: request_parse_value(item->request, &src, &c->request, &item->e);

	json_decref(defaults);
	return r;
}

int bulk_ask_check(const struct bulk_ask *q, const struct bulk_text *t, struct bulk_item *item,
		   struct checked *c)
{
	int r = item->request ? parse(q, t, item, c) : -EINVAL;

	if (!item->request)
		return r;
	if (r == 0 && image_unknown(c->request))
		r = image_learn(q->b, q->root, q->path, c->request, &item->e);
	if (r == 0)
		r = check_request(q->b, &(struct broker_name){ q->root, q->path, ".jsonl" }, NULL,
				  c, &item->e);
	if (r == 0 && key_of(t->p, t->n, &c->body.file_sha) < 0)
		return -ENOMEM;
	if (r == -ENOMEM)
		item->e = (struct err){ 0 }; /* not the line's fault */
	if (r < 0)
		bulk_item_renumber(&item->e, item->no);
	return r;
}
