/*
 * infer/single.c - models that bring one sample a call
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/canon.h"
#include "infer/single.h"

#include "base/banned.h"

bool single_has(const struct single *s, const char *model)
{
	for (unsigned i = 0; model && i < SINGLE_MAX && s->models[i]; i++)
		if (strcmp(s->models[i], model) == 0)
			return true;
	return false;
}

void single_add(struct single *s, const char *model)
{
	char *copy;

	if (!model || single_has(s, model))
		return;
	copy = strdup(model);
	if (!copy)
		return;
	free(s->models[s->next]);
	s->models[s->next] = copy;
	s->next = (s->next + 1) % SINGLE_MAX;
}

void single_done(struct single *s)
{
	for (unsigned i = 0; i < SINGLE_MAX; i++)
		free(s->models[i]);
	memset(s, 0, sizeof(*s));
}

/* The words differ from server to server, so every refusal of the request may mean it: one more is free of charge.
 * llama.cpp's own word for the number comes with a status of the server's, too. */
bool single_refused(const struct err *e)
{
	if (e->kind == ERR_REQUEST || e->kind == ERR_UNSUPPORTED)
		return e->http_status == 400 || e->http_status == 422;
	return e->http_status == 501 || (e->http_status == 500 && strstr(e->message, "n_cmpl"));
}

/* extra_body sets none of these: samples_max is 1 then. */
static void leave_out(json_t *o)
{
	json_t *config = json_object_get(o, "generationConfig");

	(void)json_object_del(o, "n"); /* one of the two is there */
	if (json_object_del(config, "candidateCount") == 0 && !json_object_size(config))
		(void)json_object_del(o, "generationConfig"); /* it is */
}

int single_body(struct buf *body)
{
	json_t *o = json_loadb(buf_str(body), body->len, JSON_ALLOW_NUL, NULL);
	struct buf less = BUF_INIT(body->max);
	int rc = o ? 0 : -ENOMEM;

	if (o) {
		leave_out(o);
		rc = canon_write(o, &less);
	}
	json_decref(o);
	if (rc) {
		buf_done(&less);
		return rc;
	}
	buf_done(body);
	*body = less;
	return 0;
}
