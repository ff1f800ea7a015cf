/*
 * infer/modelcard.c - the entries of a model list
 *
 * A member that there was no memory for is left out: the list is for looking, and what is missing in it is
 * "not told".
 */
#include <string.h>

#include "infer/modelcard.h"

#include "base/banned.h"

int modelcard_list(const struct backend_config *c, const json_t *page, const char *name,
		   const json_t **out, struct err *e)
{
	const json_t *list = json_object_get(page, name);

	if (!json_is_array(list) && !json_is_null(list))
		return err_set(e, ERR_PROTOCOL, "%s answered no list of models (`%s` is missing)",
			       c->name, name);
	*out = list;
	return 0;
}

json_t *modelcard_add(json_t *out, const json_t *id)
{
	json_t *card;

	if (!json_is_string(id) || !json_string_length(id))
		return NULL;
	card = json_pack("{s:O}", "id", id);
	return json_array_append_new(out, card) ? NULL : card; /* the list took the reference */
}

void modelcard_set(json_t *card, const char *name, const json_t *value)
{
	if (value && !json_is_null(value))
		(void)json_object_set(card, name, (json_t *)(uintptr_t)value);
}

void modelcard_can(json_t *card, const char *word)
{
	json_t *list = json_object_get(card, "capabilities"), *known;
	size_t i;

	if (!list) {
		list = json_array();
		if (json_object_set_new(card, "capabilities", list))
			return;
	}
	json_array_foreach(list, i, known) {
		if (strcmp(json_string_value(known), word) == 0)
			return;
	}
	(void)json_array_append_new(list, json_string(word));
}
