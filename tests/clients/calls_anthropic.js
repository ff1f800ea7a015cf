/*
 * calls_anthropic.js - the same requests, made with Anthropic's library
 *
 * A request with sampling goes out in the older version of the API: the library of that version makes it.
 */
'use strict';

const { asks, PNG, URL_OF_IMAGE, zone, city, book, user, history, FORTY_TWO } = require('./asks.js');
const { BATCH } = require('./answers.js');

async function drain(promise) {
	for await (const part of await promise)
		void part;
}

const base = { model: 'claude-sonnet-4-6', max_tokens: 1024, messages: [user('Hi')] };
const create = (more) => (c) => drain(c.messages.create({ ...base, stream: true, ...more }));
const limit = (ask, more) => ({ ...ask, max_tokens: 1024, ...more });
const now = { name: 'now', description: 'The time in a time zone.', input_schema: zone };
const weather = { name: 'weather', description: 'The weather of a city.', input_schema: city };
const time = [user('Time?')];
const line = { custom_id: 'a', model: 'anthropic/claude-sonnet-4-6', prompt: 'Hi', max_tokens: 9 };
const make = (c) => c.messages.batches.create({ requests: [{ custom_id: 'a', params: { ...base, max_tokens: 9 } }] });

module.exports = {
	provider: 'anthropic', model: 'claude-sonnet-4-6', line,
	rows: {
		text: [limit(asks.text), create({ messages: [user('Say hello.')] })],
		history: [limit(asks.history), create({ system: 'Be brief.', messages: history })],
		unicode: [limit(asks.unicode), create({ messages: [user(asks.unicode.prompt)] })],
		image: [limit(asks.image), create({ messages: [user([{ type: 'text', text: 'What is it?' },
			{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } }])] })],
		'image by address': [limit(asks.imageUrl), create({ messages: [user([{ type: 'text', text: 'What is it?' },
			{ type: 'image', source: { type: 'url', url: URL_OF_IMAGE } }])] })],
		tools: [limit(asks.tools), create({ messages: time, tools: [now, weather] })],
		'a tool required': [limit(asks.required), create({ messages: time, tools: [now], tool_choice: { type: 'any' } })],
		'a tool forced': [limit(asks.forced), create({ messages: time, tools: [now, weather], tool_choice: { type: 'tool',
			name: 'now' } })],
		'no tool': [limit(asks.forbidden), create({ messages: time, tools: [now], tool_choice: { type: 'none' } })],
		'one call at a time': [limit(asks.oneByOne),
			create({ messages: time, tools: [now], tool_choice: { type: 'auto', disable_parallel_tool_use: true } })],
		'tool result': [limit(asks.result), create({ tools: [now], messages: [...time,
			{ role: 'assistant', content: [{ type: 'tool_use', id: 'abcdef123', name: 'now', input: { tz: 'UTC' } }] },
			user([{ type: 'tool_result', tool_use_id: 'abcdef123', content: '12:00' }])] })],
		'JSON schema': [limit(asks.schema), create({ messages: [user(FORTY_TWO)],
			output_config: { format: { type: 'json_schema', schema: book } } })],
		stop: [limit({ prompt: 'Hi', stop: ['END'] }), create({ stop_sequences: ['END'] })],
		effort: [limit(asks.effort, { model: 'claude-haiku-5-5' }), create({ model: 'claude-haiku-5-5',
			thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'low' } })],
		'thinking of an older model': [limit(asks.effort, { model: 'claude-sonnet-4-5', max_tokens: 4000 }), create({
			model: 'claude-sonnet-4-5', max_tokens: 4000, thinking: { type: 'enabled', budget_tokens: 1024 } })],
		'sampling, 2023-06-01': [limit({ prompt: 'Hi', temperature: 0.5, top_p: 0.9, top_k: 40, stop: ['END'] }),
			create({ temperature: 0.5, top_p: 0.9, top_k: 40, stop_sequences: ['END'] })],
		'zero is a value, 2023-06-01': [limit({ prompt: 'Hi', temperature: 0 }), create({ temperature: 0 })],
		extra: [limit({ prompt: 'Hi', extra_body: { service_tier: 'standard_only' } }), create({ service_tier: 'standard_only' })],
		models: ['models', (c) => drain(c.models.list({ limit: 1000 }))],
		batch: ['batch', async (c) => {
			await make(c);
			await c.messages.batches.retrieve(BATCH);
			await c.messages.batches.retrieve(BATCH);
			await drain(c.messages.batches.results(BATCH));
			await c.messages.batches.delete(BATCH);
		}],
		'batch cancelled': ['cancel', async (c) => {
			await make(c);
			await c.messages.batches.cancel(BATCH);
			await c.messages.batches.retrieve(BATCH);
			await drain(c.messages.batches.results(BATCH));
			await c.messages.batches.delete(BATCH);
		}],
		'batch looked for': ['lost', async (c) => {
			await make(c).catch(() => {});
			await drain(c.messages.batches.list({ limit: 100 }));
			await c.messages.batches.retrieve(BATCH);
			await c.messages.batches.retrieve(BATCH);
			await drain(c.messages.batches.results(BATCH));
			await c.messages.batches.delete(BATCH);
		}],
	},
};
