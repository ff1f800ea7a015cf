/*
 * infer/gemini_model.h - what a Gemini model's name tells: how it is made to think, and its address
 *
 * The list of models says only whether a model thinks; how depends on its generation, which is in its name.
 * Threads: any; pure. Blocks: never. Source: protocol reference, Gemini 3.1, 3.4.
 */
#ifndef INFER_GEMINI_MODEL_H
#define INFER_GEMINI_MODEL_H

#include <stdbool.h>

#include "base/buf.h"

/* what is sent for a reasoning_effort: one of the two */
struct gemini_model_thinking {
	const char *level; /* NULL: none */
	int budget;	   /* tokens; -1: none */
};

/* gemini_model_thinking - false: the model has no such effort */
bool gemini_model_thinking(const char *model, const char *effort,
			   struct gemini_model_thinking *out);
/* gemini_model_signs - a tool call of its history needs a signature */
bool gemini_model_signs(const char *model);
/* gemini_model_bare - without the leading "models/" */
const char *gemini_model_bare(const char *model);
/* gemini_model_path - append the path of one of its methods (out->failed tells) */
void gemini_model_path(struct buf *out, const char *model, const char *method);

#endif
