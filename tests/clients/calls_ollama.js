/*
 * calls_ollama.js - the same requests, made with Ollama's library
 */
'use strict';

const { asks, PNG, book, now, weather, tool, user, system, history, FORTY_TWO } = require('./asks.js');

async function drain(promise) {
	for await (const part of await promise)
		void part;
}

const chat = (more) => (c) => drain(c.chat({ model: 'qwen3:8b', messages: [user('Hi')], stream: true, ...more }));
const time = [user('Time?')];

module.exports = {
	provider: 'ollama', model: 'qwen3:8b',
	rows: {
		text: [asks.text, chat({ messages: [user('Say hello.')] })],
		history: [asks.history, chat({ messages: [system, ...history] })],
		unicode: [asks.unicode, chat({ messages: [user(asks.unicode.prompt)] })],
		sampling: [{ ...asks.sampling, top_k: 40, min_p: 0.05 }, chat({ options: { temperature: 0.5, top_p: 0.9, top_k: 40,
			min_p: 0.05,
			num_predict: 100, stop: ['END', 'STOP'], seed: 7 } })],
		'zero is a value': [asks.zeros, chat({ options: { temperature: 0, num_predict: 100 } })],
		penalties: [asks.penalties, chat({ options: { presence_penalty: 0.5, frequency_penalty: -0.5 } })],
		logprobs: [asks.logprobs, chat({ logprobs: true, top_logprobs: 3 })],
		image: [asks.image, chat({ messages: [{ ...user('What is it?'), images: [PNG] }] })],
		tools: [asks.tools, chat({ messages: time, tools: [tool(now), tool(weather)] })],
		'tool result': [asks.result, chat({ tools: [tool(now)], messages: [...time,
			{ role: 'assistant', content: '', tool_calls: [{ function: { name: 'now', arguments: { tz: 'UTC' } } }] },
			{ role: 'tool', tool_name: 'now', content: '12:00' }] })],
		'JSON schema': [asks.schema, chat({ messages: [user(FORTY_TWO)], format: book })],
		'JSON mode': [asks.json, chat({ messages: [user(FORTY_TWO)], format: 'json' })],
		effort: [asks.effort, chat({ think: 'low' })],
		'no thinking': [{ prompt: 'Hi', reasoning_effort: 'none' }, chat({ think: false })],
		extra: [{ prompt: 'Hi', extra_body: { keep_alive: '5m', options: { num_ctx: 8192 } } },
			chat({ keep_alive: '5m', options: { num_ctx: 8192 } })],
		'fill in the middle': [asks.fim, (c) => drain(c.generate({ model: 'qwen3:8b', prompt: 'def f(', suffix: 'return x',
			stream: true,
			options: { num_predict: 64, temperature: 0, stop: ['\n\n'] } }))],
		completion: [{ prompt: 'Once', endpoint: 'completion', max_tokens: 16 }, (c) => drain(c.generate({ model: 'qwen3:8b',
			prompt: 'Once', raw: true, stream: true, options: { num_predict: 16 } }))],
		embedding: [{ ...asks.embedding, model: 'nomic-embed-text' }, (c) => c.embed({ model: 'nomic-embed-text',
			input: 'hello' })],
		embeddings: [{ ...asks.embeddings, model: 'nomic-embed-text' },
			(c) => c.embed({ model: 'nomic-embed-text', input: ['hello', 'world'], dimensions: 256 })],
		models: ['models', (c) => c.list()],
		'one model': ['card', (c) => c.show({ model: 'm' })],
		'models that are loaded': ['status', (c) => c.ps()],
		'model fetched': [{ order: 'pull llama3.2:1b' }, async (c) => drain(c.pull({ model: 'llama3.2:1b', stream: true }))],
		'model deleted': [{ order: 'delete llama3.2:1b' }, (c) => c.delete({ model: 'llama3.2:1b' })],
	},
};
