/* resptable.c - the names of a response and their node ids */
#include <string.h>

#include "base/auto.h"
#include "base/map.h"
#include "vfs/responses.h"

#include "base/banned.h"

#define FILE_MODE (S_IFREG | 0644)

static const struct response_name names[] = {
	{ RESP_STATUS, "status", FILE_MODE, WHEN_ALWAYS, 0 },
	{ RESP_CTL, "ctl", S_IFREG | 0600, WHEN_ALWAYS, 0 },
	{ RESP_REQUEST, "request.json", FILE_MODE, WHEN_PENDING | WHEN_DONE | WHEN_FAILED,
	  BROKER_REQUEST },
	{ RESP_ERROR, "error.json", FILE_MODE, WHEN_FAILED | WHEN_REFUSED, BROKER_ERROR },
	{ RESP_USAGE, "usage.json", FILE_MODE, WHEN_DONE | WHEN_FAILED, BROKER_USAGE },
	{ RESP_TEXT, "text", FILE_MODE, WHEN_DONE | NAME_WAITS | NAME_TEXT, BROKER_TEXT },
	{ RESP_STREAM, "stream", FILE_MODE, WHEN_DONE | NAME_STREAM | NAME_TEXT, BROKER_TEXT },
	{ RESP_RESPONSE, "response.json", FILE_MODE, WHEN_DONE | NAME_WAITS, BROKER_RESPONSE },
	{ RESP_TOOL_CALLS, "tool_calls.json", FILE_MODE, WHEN_DONE | WHEN_IF_ANY | NAME_WAITS,
	  BROKER_TOOL_CALLS },
	{ RESP_REASONING, "reasoning", FILE_MODE, WHEN_DONE | WHEN_IF_ANY | NAME_WAITS,
	  BROKER_REASONING },
	{ RESP_EMBEDDING_JSON, "embedding.json", FILE_MODE, WHEN_DONE | NAME_WAITS | NAME_VECTORS,
	  BROKER_EMBEDDING_JSON },
	{ RESP_EMBEDDING_NPY, "embedding.npy", FILE_MODE, WHEN_DONE | NAME_WAITS | NAME_VECTORS,
	  BROKER_EMBEDDING_NPY },
	{ RESP_SAMPLES, "samples", S_IFDIR | 0755, WHEN_DONE | NAME_WAITS, 0 },
	{ RESP_ENTRY, "entry", S_IFLNK | 0777, WHEN_DONE, 0 },
};
const struct response_names resptable_names = { names, ARRAY_LEN(names) };

/* a job that failed has every line's error in its files: they are there as when it is done */
static const struct response_name job_names[] = {
	{ RESP_STATUS, "status", FILE_MODE, WHEN_ALWAYS, 0 },
	{ RESP_CTL, "ctl", S_IFREG | 0600, WHEN_ALWAYS, 0 },
	{ RESP_ERROR, "error.json", FILE_MODE, WHEN_FAILED | WHEN_REFUSED, BROKER_ERROR },
	{ RESP_USAGE, "usage.json", FILE_MODE, WHEN_DONE | WHEN_FAILED, BROKER_USAGE },
	{ RESP_JOB_PROGRESS, "progress", FILE_MODE, WHEN_DONE | WHEN_FAILED | NAME_STREAM, 0 },
	{ RESP_JOB_STREAM, "stream", FILE_MODE, WHEN_DONE | WHEN_FAILED | NAME_STREAM, 0 },
	{ RESP_JOB_OUTPUT, "output.jsonl", FILE_MODE, WHEN_DONE | WHEN_FAILED | NAME_WAITS, 0 },
	{ RESP_JOB_ERRORS, "errors.jsonl", FILE_MODE, WHEN_DONE | WHEN_FAILED | NAME_WAITS, 0 },
	{ RESP_JOB_ITEMS, "items", S_IFDIR | 0755, WHEN_PENDING | WHEN_DONE | WHEN_FAILED, 0 },
};
const struct response_names resptable_job_names = { job_names, ARRAY_LEN(job_names) };

static const struct response_name sample_names[] = {
	{ RESP_S_TEXT, "text", FILE_MODE, WHEN_DONE | NAME_WAITS | NAME_TEXT, BROKER_SAMPLE_TEXT },
	{ RESP_S_EMBEDDING_JSON, "embedding.json", FILE_MODE, WHEN_DONE | NAME_WAITS | NAME_VECTORS,
	  BROKER_EMBEDDING_JSON },
	{ RESP_S_EMBEDDING_NPY, "embedding.npy", FILE_MODE, WHEN_DONE | NAME_WAITS | NAME_VECTORS,
	  BROKER_EMBEDDING_NPY },
	{ RESP_S_RESPONSE, "response.json", FILE_MODE, WHEN_DONE | NAME_WAITS,
	  BROKER_SAMPLE_RESPONSE },
	{ RESP_S_RAW, "raw.json", FILE_MODE, WHEN_DONE | NAME_WAITS, BROKER_SAMPLE_RAW },
	{ RESP_S_META, "meta.json", FILE_MODE, WHEN_DONE | NAME_WAITS, BROKER_SAMPLE_META },
};
const struct response_names resptable_sample_names = { sample_names, ARRAY_LEN(sample_names) };

/* bits 0..39 id, 40..44 kind, 45..54 sample, 55..58 renames, 59 pending */
uint64_t resptable_pack(const struct response_node *n)
{
	return VFS_NODE(VFS_RESPONSE,
			((uint64_t)n->id & ((1ULL << 40) - 1)) | (uint64_t)n->kind << 40 |
				(uint64_t)(n->sample & 0x3ff) << 45 |
				(uint64_t)(n->gen & 0xf) << 55 | (uint64_t)n->pending << 59);
}

struct response_node resptable_node(uint64_t nodeid)
{
	uint64_t rest = VFS_REST(nodeid);

	return (struct response_node){
		.id = (int64_t)(rest & ((1ULL << 40) - 1)),
		.kind = (enum response_kind)(rest >> 40 & 0x1f),
		.sample = (unsigned)(rest >> 45 & 0x3ff),
		.gen = (unsigned)(rest >> 55 & 0xf),
		.pending = rest >> 59 & 1,
	};
}

const struct response_name *resptable_name(enum response_kind kind)
{
	static const struct response_names *const all[] = { &resptable_names,
							    &resptable_sample_names,
							    &resptable_job_names };

	for (size_t k = 0; k < ARRAY_LEN(all); k++)
		for (size_t i = 0; i < all[k]->n; i++)
			if (all[k]->v[i].kind == kind)
				return &all[k]->v[i];
	return NULL;
}

bool resptable_job_file(enum response_kind kind, enum broker_bulk_file *out)
{
	switch (kind) {
	case RESP_JOB_PROGRESS:
		*out = BULK_PROGRESS;
		return true;
	case RESP_JOB_STREAM:
		*out = BULK_STREAM;
		return true;
	case RESP_JOB_OUTPUT:
		*out = BULK_OUTPUT;
		return true;
	case RESP_JOB_ERRORS:
		*out = BULK_ERRORS;
		return true;
	default:
		return false;
	}
}

unsigned resptable_version(enum response_kind kind, const struct broker_view *view)
{
	if ((kind != RESP_JOB_OUTPUT && kind != RESP_JOB_ERRORS) || !broker_is_final(view->state))
		return 0;
	return map_hash_u64(view->changed_ns) % 0x3ff + 1;
}

unsigned resptable_when(enum broker_state s)
{
	switch (s) {
	case BROKER_REFUSED:
		return WHEN_REFUSED;
	case BROKER_QUEUED:
	case BROKER_RUNNING:
		return WHEN_PENDING;
	case BROKER_DONE:
		return WHEN_DONE;
	default:
		return WHEN_FAILED;
	}
}

const char *resptable_word(enum broker_state s)
{
	switch (s) {
	case BROKER_QUEUED:
		return "queued\n";
	case BROKER_RUNNING:
		return "running\n";
	case BROKER_DONE:
		return "done\n";
	case BROKER_CANCELLED:
		return "cancelled\n";
	default:
		return "failed\n";
	}
}

const char *resptable_ctl_words(const struct broker_view *view)
{
	enum broker_state s = view->state;

	if (s == BROKER_QUEUED || s == BROKER_RUNNING)
		return "cancel\n";
	if (s == BROKER_DONE && view->bulk_failed)
		return "retry\n";
	return s == BROKER_FAILED || s == BROKER_CANCELLED ? "retry\n" : "";
}
