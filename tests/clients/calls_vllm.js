/*
 * calls_vllm.js - a server of one's own: there the official library is OpenAI's, at another address
 */
'use strict';

const { asks, now, tool, user, schema, FORTY_TWO } = require('./asks.js');

async function drain(promise) {
	for await (const part of await promise)
		void part;
}

const model = 'Qwen/Qwen3-8B';
const chat = (more) => (c) => drain(c.chat.completions.create({ model, messages: [user('Hi')], stream: true, ...more }));

module.exports = {
	provider: 'vllm', model,
	rows: {
		text: [asks.text, chat({ messages: [user('Say hello.')] })],
		/* what is not OpenAI's own is given to its library as one more member */
		sampling: [{ ...asks.sampling, top_k: 40, min_p: 0.05 }, chat({ temperature: 0.5, top_p: 0.9, max_tokens: 100,
			stop: ['END', 'STOP'], seed: 7, top_k: 40, min_p: 0.05 })],
		'a tool required': [asks.required, chat({ messages: [user('Time?')], tools: [tool(now)], tool_choice: 'required' })],
		'JSON schema': [asks.schema, chat({ messages: [user(FORTY_TWO)], response_format: schema })],
		'two samples': [asks.samples, chat({ n: 2 })],
		embedding: [asks.embedding, (c) => c.embeddings.create({ model, input: 'hello' })],
		models: ['models', (c) => drain(c.models.list())],
	},
};
