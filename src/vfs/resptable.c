/* resptable.c - the names of a response and their node ids */
#include <string.h>

#include "base/auto.h"
#include "vfs/responses.h"

#include "base/banned.h"

#define FILE_MODE (S_IFREG | 0644)

const struct response_name resptable_names[] = {
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
const size_t resptable_n_names = ARRAY_LEN(resptable_names);

const struct response_name resptable_sample_names[] = {
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
const size_t resptable_n_sample_names = ARRAY_LEN(resptable_sample_names);

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
	for (size_t i = 0; i < resptable_n_names; i++)
		if (resptable_names[i].kind == kind)
			return &resptable_names[i];
	for (size_t i = 0; i < resptable_n_sample_names; i++)
		if (resptable_sample_names[i].kind == kind)
			return &resptable_sample_names[i];
	return NULL;
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

const char *resptable_ctl_words(enum broker_state s)
{
	if (s == BROKER_QUEUED || s == BROKER_RUNNING)
		return "cancel\n";
	return s == BROKER_FAILED || s == BROKER_CANCELLED ? "retry\n" : "";
}
