/*
 * calls_mistral.js - the same requests, made with Mistral's library
 */
'use strict';

const { asks, PNG, URL_OF_IMAGE, book, now, weather, tool, user, system, history, FORTY_TWO } = require('./asks.js');
const { IN, OUT, BATCH } = require('./answers.js');

async function drain(promise) {
	for await (const part of await promise)
		void part;
}

const chat = (more) => (c) => drain(c.chat.stream({ model: 'mistral-small-latest', messages: [user('Hi')], ...more }));
const time = [user('Time?')];
const lines = [{ custom_id: 'a', body: { messages: [user('Hi')], max_tokens: 9 } }];
const line = { custom_id: 'a', model: 'mistral/mistral-small-latest', prompt: 'Hi', max_tokens: 9 };
const upload = (c) => c.files.upload({ purpose: 'batch', file: { fileName: 'batch.jsonl',
	content: new Blob([lines.map((l) => JSON.stringify(l) + '\n').join('')], { type: 'application/jsonl' }) } });
const make = (c) => c.batch.jobs.create({ inputFiles: [IN], endpoint: '/v1/chat/completions',
	model: 'mistral-small-latest' });
const fetched = async (c) => drain(c.files.download({ fileId: OUT }));

module.exports = {
	provider: 'mistral', model: 'mistral-small-latest', line,
	rows: {
		text: [asks.text, chat({ messages: [user('Say hello.')] })],
		history: [asks.history, chat({ messages: [system, ...history] })],
		unicode: [asks.unicode, chat({ messages: [user(asks.unicode.prompt)] })],
		sampling: [asks.sampling, chat({ temperature: 0.5, topP: 0.9, maxTokens: 100, stop: ['END', 'STOP'], randomSeed: 7 })],
		'zero is a value': [asks.zeros, chat({ temperature: 0, maxTokens: 100 })],
		penalties: [asks.penalties, chat({ presencePenalty: 0.5, frequencyPenalty: -0.5 })],
		image: [asks.image, chat({ messages: [user([{ type: 'text', text: 'What is it?' },
			{ type: 'image_url', imageUrl: { url: `data:image/png;base64,${PNG}` } }])] })],
		'image by address': [asks.imageUrl, chat({ messages: [user([{ type: 'text', text: 'What is it?' },
			{ type: 'image_url', imageUrl: { url: URL_OF_IMAGE } }])] })],
		tools: [asks.tools, chat({ messages: time, tools: [tool(now), tool(weather)] })],
		'a tool required': [asks.required, chat({ messages: time, tools: [tool(now)], toolChoice: 'required' })],
		'a tool forced': [asks.forced, chat({ messages: time, tools: [tool(now), tool(weather)],
			toolChoice: { type: 'function', function: { name: 'now' } } })],
		'no tool': [asks.forbidden, chat({ messages: time, tools: [tool(now)], toolChoice: 'none' })],
		'one call at a time': [asks.oneByOne, chat({ messages: time, tools: [tool(now)], toolChoice: 'auto',
			parallelToolCalls: false })],
		'tool result': [asks.result, chat({ tools: [tool(now)], messages: [...time,
			{ role: 'assistant', content: null, toolCalls: [{ id: 'abcdef123', function: { name: 'now',
				arguments: '{"tz":"UTC"}' } }] },
			{ role: 'tool', toolCallId: 'abcdef123', content: '12:00' }] })],
		'JSON schema': [asks.schema, chat({ messages: [user(FORTY_TWO)],
			responseFormat: { type: 'json_schema', jsonSchema: { name: 'book', schemaDefinition: book, strict: true } } })],
		'JSON mode': [asks.json, chat({ messages: [user(FORTY_TWO)], responseFormat: { type: 'json_object' } })],
		effort: [{ ...asks.effort, model: 'mistral-medium-3-5' }, chat({ model: 'mistral-medium-3-5', reasoningEffort: 'low' })],
		'two samples': [asks.samples, chat({ n: 2 })],
		prefix: [{ messages: [user('Count.'), { role: 'assistant', content: 'One, ', prefix: true }] },
			chat({ messages: [user('Count.'), { role: 'assistant', content: 'One, ', prefix: true }] })],
		extra: [{ prompt: 'Hi', extra_body: { safe_prompt: true } }, chat({ safePrompt: true })],
		'fill in the middle': [{ ...asks.fim, seed: 3, model: 'codestral-latest' }, (c) => drain(c.fim.stream({
			model: 'codestral-latest', prompt: 'def f(', suffix: 'return x', maxTokens: 64, temperature: 0, stop: ['\n\n'],
				randomSeed: 3 }))],
		embedding: [{ ...asks.embedding, model: 'mistral-embed' }, (c) => c.embeddings.create({ model: 'mistral-embed',
			inputs: 'hello' })],
		embeddings: [{ ...asks.embeddings, model: 'codestral-embed' },
			(c) => c.embeddings.create({ model: 'codestral-embed', inputs: ['hello', 'world'], outputDimension: 256 })],
		models: ['models', (c) => c.models.list()],
		batch: ['batch', async (c) => {
			await upload(c);
			await make(c);
			await c.batch.jobs.get({ jobId: BATCH });
			await c.batch.jobs.get({ jobId: BATCH });
			await fetched(c);
			await c.files.delete({ fileId: OUT });
			await c.files.delete({ fileId: IN });
		}],
		'batch cancelled': ['cancel', async (c) => {
			await upload(c);
			await make(c);
			await c.batch.jobs.cancel({ jobId: BATCH });
			await c.batch.jobs.get({ jobId: BATCH });
			await c.files.delete({ fileId: IN });
		}],
		'batch looked for': ['lost', async (c) => {
			await upload(c);
			await make(c).catch(() => {});
			await c.batch.jobs.list({ page: 0, pageSize: 100, orderBy: '-created' });
			await c.batch.jobs.get({ jobId: BATCH });
			await c.batch.jobs.get({ jobId: BATCH });
			await fetched(c);
			await c.files.delete({ fileId: OUT });
			await c.files.delete({ fileId: IN });
		}],
	},
};
