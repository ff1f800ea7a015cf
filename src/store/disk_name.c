/*
 * disk_name.c - where a sample lies below the directory of a disk store
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "base/str.h"
#include "store/disk_name.h"

#include "base/banned.h"

enum { HEX = 64, INDEX_DIGITS_MAX = 10 };

void disk_name_object(const struct cache_key *key, uint32_t index, char out[DISK_NAME_MAX])
{
	char hex[HEX + 1];

	str_hex(key->b, sizeof(key->b), hex);
	(void)snprintf(out, DISK_NAME_MAX, DISK_NAME_OBJECTS "/%.2s/%.2s/%s.%u.json", hex, hex + 2,
		       hex, index);
}

void disk_name_damaged(const struct cache_key *key, uint32_t index, char out[DISK_NAME_MAX])
{
	char hex[HEX + 1];

	str_hex(key->b, sizeof(key->b), hex);
	(void)snprintf(out, DISK_NAME_MAX, DISK_NAME_DAMAGED "/%s.%u.json", hex, index);
}

void disk_name_leaf(const struct cache_key *key, int levels, char out[DISK_NAME_MAX])
{
	if (levels > 1)
		(void)snprintf(out, DISK_NAME_MAX, DISK_NAME_OBJECTS "/%02x/%02x", key->b[0],
			       key->b[1]);
	else
		(void)snprintf(out, DISK_NAME_MAX, DISK_NAME_OBJECTS "/%02x", key->b[0]);
}

int disk_name_parse(const char *name, struct cache_name *out)
{
	char hex[HEX + 1], number[INDEX_DIGITS_MAX + 1];
	size_t n = strlen(name), n_digits;
	struct cache_name found;
	uint64_t index;

	if (n < HEX + sizeof(".0.json") - 1 || name[HEX] != '.' || !str_ends(name, ".json"))
		return -EINVAL;
	n_digits = n - HEX - (sizeof("..json") - 1);
	if (n_digits > INDEX_DIGITS_MAX)
		return -EINVAL;
	memcpy(hex, name, HEX);
	hex[HEX] = '\0';
	memcpy(number, name + HEX + 1, n_digits);
	number[n_digits] = '\0';
	if (number[strspn(number, "0123456789")] || (n_digits > 1 && number[0] == '0'))
		return -EINVAL; /* one sample, one name */
	if (str_unhex(hex, sizeof(found.key.b), found.key.b) || str_parse_u64(number, &index) ||
	    index >= CACHE_INDEX_ALL)
		return -EINVAL;
	found.index = (uint32_t)index;
	*out = found;
	return 0;
}

int disk_name_parents(int dirfd, const struct cache_key *key)
{
	char leaf[DISK_NAME_MAX];

	disk_name_leaf(key, 2, leaf);
	return fdio_mkdirs(dirfd, leaf, 0700);
}
