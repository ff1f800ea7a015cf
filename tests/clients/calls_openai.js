/*
 * calls_openai.js - the same requests, made with OpenAI's library
 */
'use strict';

const { asks, PNG, URL_OF_IMAGE, book, now, weather, tool, user, system, history, called, told, named, schema,
	FORTY_TWO } =
	require('./asks.js');
const { IN, OUT, BATCH } = require('./answers.js');

async function drain(promise) {
	for await (const part of await promise)
		void part;
}

const chat = (more) => (c) => drain(c.chat.completions.create({ model: 'gpt-4.1', messages: [user('Hi')], stream: true,
	...more }));
const responses = (more) => (c) => drain(c.responses.create({ model: 'gpt-4.1', input: [user('Hi')], stream: true,
	store: false,
	include: ['reasoning.encrypted_content'], ...more }));
const flat = (f) => ({ type: 'function', ...f, strict: false });
const png = `data:image/png;base64,${PNG}`;
const time = [user('Time?')];
const batchLines = [{ custom_id: 'a', method: 'POST', url: '/v1/chat/completions',
	body: { model: 'gpt-4.1', messages: [user('Hi')], max_completion_tokens: 9 } }];
const R = { endpoint: 'responses' };

/* a file as the documentation uploads one */
const upload = async (c, toFile) => c.files.create({ purpose: 'batch', file: await toFile(Buffer.from(
	batchLines.map((l) => JSON.stringify(l) + '\n').join('')), 'batch.jsonl', { type: 'application/jsonl' }) });
const create = (c) => c.batches.create({ input_file_id: IN, endpoint: '/v1/chat/completions', completion_window: '24h' });
const line = { custom_id: 'a', model: 'openai/gpt-4.1', prompt: 'Hi', max_tokens: 9 };

module.exports = {
	provider: 'openai', model: 'gpt-4.1', line,
	rows: {
		text: [asks.text, chat({ messages: [user('Say hello.')] })],
		history: [asks.history, chat({ messages: [system, ...history] })],
		unicode: [asks.unicode, chat({ messages: [user(asks.unicode.prompt)] })],
		sampling: [asks.sampling, chat({ temperature: 0.5, top_p: 0.9, max_completion_tokens: 100, stop: ['END', 'STOP'],
			seed: 7 })],
		'zero is a value': [asks.zeros, chat({ temperature: 0, max_completion_tokens: 100 })],
		penalties: [{ ...asks.penalties, logit_bias: { 13: 5 } },
			chat({ presence_penalty: 0.5, frequency_penalty: -0.5, logit_bias: { 13: 5 } })],
		logprobs: [asks.logprobs, chat({ logprobs: true, top_logprobs: 3 })],
		image: [asks.image, chat({ messages: [user([{ type: 'text', text: 'What is it?' },
			{ type: 'image_url', image_url: { url: png } }])] })],
		'image by address': [asks.imageUrl, chat({ messages: [user([{ type: 'text', text: 'What is it?' },
			{ type: 'image_url', image_url: { url: URL_OF_IMAGE } }])] })],
		tools: [asks.tools, chat({ messages: time, tools: [tool(now), tool(weather)] })],
		'a tool required': [asks.required, chat({ messages: time, tools: [tool(now)], tool_choice: 'required' })],
		'a tool forced': [asks.forced, chat({ messages: time, tools: [tool(now), tool(weather)], tool_choice: named })],
		'no tool': [asks.forbidden, chat({ messages: time, tools: [tool(now)], tool_choice: 'none' })],
		'one call at a time': [asks.oneByOne,
			chat({ messages: time, tools: [tool(now)], tool_choice: 'auto', parallel_tool_calls: false })],
		'tool result': [asks.result, chat({ messages: [...time, called, told], tools: [tool(now)] })],
		'JSON schema': [asks.schema, chat({ messages: [user(FORTY_TWO)], response_format: schema })],
		'JSON mode': [asks.json, chat({ messages: [user(FORTY_TWO)], response_format: { type: 'json_object' } })],
		effort: [{ ...asks.effort, model: 'gpt-6-luna' }, chat({ model: 'gpt-6-luna', reasoning_effort: 'low' })],
		'two samples': [asks.samples, chat({ n: 2 })],
		extra: [{ prompt: 'Hi', extra_body: { service_tier: 'flex', verbosity: 'low' } }, chat({ service_tier: 'flex',
			verbosity: 'low' })],
		completion: [{ prompt: 'Once', endpoint: 'completion', max_tokens: 16, model: 'gpt-3.5-turbo-instruct' }, (c) => drain(
			c.completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: 'Once', max_tokens: 16, stream: true }))],
		embedding: [{ ...asks.embedding, model: 'text-embedding-3-small' },
			(c) => c.embeddings.create({ model: 'text-embedding-3-small', input: 'hello' })],
		embeddings: [{ ...asks.embeddings, model: 'text-embedding-3-small' },
			(c) => c.embeddings.create({ model: 'text-embedding-3-small', input: ['hello', 'world'], dimensions: 256 })],
		responses: [{ ...asks.history, ...R }, responses({ input: [system, ...history] })],
		'responses: sampling': [{ prompt: 'Hi', temperature: 0.5, top_p: 0.9, max_tokens: 100, ...R },
			responses({ temperature: 0.5, top_p: 0.9, max_output_tokens: 100 })],
		'responses: a tool forced': [{ ...asks.forced, ...R },
			responses({ input: time, tools: [flat(now), flat(weather)], tool_choice: { type: 'function', name: 'now' } })],
		'responses: tool result': [{ ...asks.result, ...R }, responses({ tools: [flat(now)], input: [...time,
			{ type: 'function_call', call_id: 'abcdef123', name: 'now', arguments: '{"tz":"UTC"}' },
			{ type: 'function_call_output', call_id: 'abcdef123', output: '12:00' }] })],
		'responses: image': [{ ...asks.image, ...R }, responses({ input: [user([{ type: 'input_text', text: 'What is it?' },
			{ type: 'input_image', image_url: png, detail: 'auto' }])] })],
		'responses: JSON schema': [{ ...asks.schema, ...R }, responses({ input: [user(FORTY_TWO)],
			text: { format: { type: 'json_schema', name: 'book', schema: book, strict: true } } })],
		'responses: JSON mode': [{ ...asks.json, ...R },
			responses({ input: [user(FORTY_TWO)], text: { format: { type: 'json_object' } } })],
		'responses: effort': [{ ...asks.effort, ...R, model: 'gpt-6-luna' }, responses({ model: 'gpt-6-luna',
			reasoning: { effort: 'low' } })],
		'tools of a model that reasons': [{ ...asks.tools, model: 'gpt-6-luna' },
			responses({ model: 'gpt-6-luna', input: time, tools: [flat(now), flat(weather)] })],
		models: ['models', (c) => drain(c.models.list())],
		batch: ['batch', async (c, { toFile }) => {
			await upload(c, toFile);
			await create(c);
			await c.batches.retrieve(BATCH);
			await c.batches.retrieve(BATCH);
			await (await c.files.content(OUT)).text();
			await c.files.delete(OUT);
			await c.files.delete(IN);
		}],
		'batch cancelled': ['cancel', async (c, { toFile }) => {
			await upload(c, toFile);
			await create(c);
			await c.batches.cancel(BATCH);
			await c.batches.retrieve(BATCH);
			await c.files.delete(IN);
		}],
		'batch looked for': ['lost', async (c, { toFile }) => {
			await upload(c, toFile);
			await create(c).catch(() => {});
			await drain(c.batches.list({ limit: 100 }));
			await c.batches.retrieve(BATCH);
			await c.batches.retrieve(BATCH);
			await (await c.files.content(OUT)).text();
			await c.files.delete(OUT);
			await c.files.delete(IN);
		}],
	},
};
