/*
 * list.h - doubly linked ring inside the listed structs
 *
 * Threads: the owner's lock. Blocks: never.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name)          \
	{                        \
		&(name), &(name) \
	}
#define LIST_ENTRY(p, type, member) ((type *)((uintptr_t)(p)-offsetof(type, member)))

/* list_init - empty head, or an entry on no list */
static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

/* list_empty - of a head; for an entry: it is on no list */
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* list_append - as the last of head's list */
static inline void list_append(struct list *head, struct list *e)
{
	e->prev = head->prev;
	e->next = head;
	head->prev->next = e;
	head->prev = e;
}

/* list_del - off its list; may be called again */
static inline void list_del(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

/* list_pop - the first entry, taken off; NULL when empty */
static inline struct list *list_pop(struct list *head)
{
	struct list *e = head->next;

	if (e == head)
		return NULL;
	list_del(e);
	return e;
}

/* list_move_all - append all of from to to; from is empty then */
static inline void list_move_all(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define LIST_EACH(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define LIST_EACH_SAFE(pos, tmp, head)                                         \
	for (struct list *pos = (head)->next, *tmp = pos->next; pos != (head); \
	     pos = tmp, tmp = tmp->next)

#endif
