/*
 * exceptions.js - where a description lacks what the protocol pages have
 *
 * { providers, schema: name of the component, path: members to go down by (optional), why, and one of
 *   add: member -> schema, or set: what is another value there }
 * An entry that changes nothing any more fails the suite.
 */
'use strict';

const bool = { type: 'boolean' }, string = { type: 'string' }, integer = { type: 'integer' }, number = { type: 'number' };
const chat = ['allOf', 1], local = ['vllm', 'llamacpp'];

module.exports = [
	/* SOURCES.md calls it not complete; ollama.md follows the server's own types */
	{ providers: ['ollama'], schema: 'ChatRequest', add: { truncate: bool, shift: bool }, why: 'ollama.md, 4' },
	{ providers: ['ollama'], schema: 'GenerateRequest', add: { truncate: bool, shift: bool }, why: 'ollama.md, 3' },
	{ providers: ['ollama'], schema: 'ChatMessage', add: { thinking: string, tool_name: string, tool_call_id: string },
		why: 'ollama.md, 4' },
	{ providers: ['ollama'], schema: 'ToolCall', add: { id: string }, why: 'ollama.md, 4' },

	/* vLLM and llama.cpp have no description of their own: OpenAI's, and what openai.md 9 and 10 add to it */
	{ providers: local, schema: 'CreateChatCompletionRequest', path: chat, why: 'openai.md, 9 and 10',
		add: { top_k: integer, min_p: number,
			chat_template_kwargs: { type: 'object', properties: { enable_thinking: bool } } } },
	{ providers: local, schema: 'CreateCompletionRequest', add: { top_k: integer, min_p: number }, why: 'openai.md, 9 and 10' },
	{ providers: local, schema: 'ChatCompletionRequestToolMessage', add: { name: string }, why: 'templates show it' },
	{ providers: ['vllm'], schema: 'ChatCompletionRequestAssistantMessage', add: { reasoning: string }, why: 'openai.md, 9' },
	{ providers: ['llamacpp'], schema: 'ChatCompletionRequestAssistantMessage', add: { reasoning_content: string },
		why: 'openai.md, 10' },
	/* the length of the list is the server's to limit, and an empty one stands against its own defaults */
	{ providers: [...local, 'compatible'], schema: 'StopConfiguration', set: { anyOf: [string, { type: 'array', items: string }] },
		why: 'openai.md, 9' },

	/* servers of any make at the type openai: Google's door wants its signatures, and results by name */
	{ providers: ['compatible'], schema: 'ChatCompletionMessageToolCall', why: 'gemini.md, 3.4',
		add: { extra_content: { type: 'object', properties: { google: { type: 'object', properties: { thought_signature: string } } } } } },
	{ providers: ['compatible'], schema: 'ChatCompletionRequestToolMessage', add: { name: string }, why: 'Google, as above' },
];
