/*
 * asks.js - what a user of the file system writes, the same for every provider
 *
 * And the parts of it that a user of a library has to say in the library's own words: texts, a tool, an image.
 */
'use strict';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const URL_OF_IMAGE = 'https://example.com/cat.png';
const zone = { type: 'object', properties: { tz: { type: 'string' } }, required: ['tz'] };
const city = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const book = { type: 'object', properties: { title: { type: 'string' } }, required: ['title'], additionalProperties: false };
const now = { name: 'now', description: 'The time in a time zone.', parameters: zone };
const weather = { name: 'weather', description: 'The weather of a city.', parameters: city };
const tool = (f) => ({ type: 'function', function: f });
const user = (content) => ({ role: 'user', content });
const system = { role: 'system', content: 'Be brief.' };
const history = [user('Hi'), { role: 'assistant', content: 'Hello!' }, user('How are you?')];
const called = { role: 'assistant', content: null,
	tool_calls: [{ id: 'abcdef123', type: 'function', function: { name: 'now', arguments: '{"tz":"UTC"}' } }] };
const told = { role: 'tool', tool_call_id: 'abcdef123', content: '12:00' };
const named = { type: 'function', function: { name: 'now' } };
const schema = { type: 'json_schema', json_schema: { name: 'book', schema: book, strict: true } };
const FORTY_TWO = 'Answer in JSON: which book has the number 42?';

const asks = {
	text: { prompt: 'Say hello.' },
	history: { messages: [system, ...history] },
	unicode: { prompt: 'Grüße, 世界! 😀 "q" \\ \t \u2028' },
	sampling: { prompt: 'Hi', temperature: 0.5, top_p: 0.9, max_tokens: 100, stop: ['END', 'STOP'], seed: 7 },
	zeros: { prompt: 'Hi', temperature: 0, max_tokens: 100 },
	penalties: { prompt: 'Hi', presence_penalty: 0.5, frequency_penalty: -0.5 },
	logprobs: { prompt: 'Hi', logprobs: true, top_logprobs: 3 },
	image: { messages: [user([{ type: 'text', text: 'What is it?' }, { type: 'image', data: PNG }])] },
	imageUrl: { messages: [user([{ type: 'text', text: 'What is it?' }, { type: 'image', url: URL_OF_IMAGE }])] },
	tools: { prompt: 'Time?', tools: [tool(now), tool(weather)] },
	required: { prompt: 'Time?', tools: [tool(now)], tool_choice: 'required' },
	forced: { prompt: 'Time?', tools: [tool(now), tool(weather)], tool_choice: named },
	forbidden: { prompt: 'Time?', tools: [tool(now)], tool_choice: 'none' },
	oneByOne: { prompt: 'Time?', tools: [tool(now)], tool_choice: 'auto', parallel_tool_calls: false },
	result: { messages: [user('Time?'), called, told], tools: [tool(now)] },
	schema: { prompt: FORTY_TWO, response_format: schema },
	json: { prompt: FORTY_TWO, response_format: { type: 'json_object' } },
	effort: { prompt: 'Hi', reasoning_effort: 'low' },
	samples: { prompt: 'Hi', n: 2 },
	embedding: { input: 'hello' },
	embeddings: { input: ['hello', 'world'], dimensions: 256 },
	fim: { prompt: 'def f(', suffix: 'return x', max_tokens: 64, temperature: 0, stop: ['\n\n'] },
};

module.exports = { asks, PNG, URL_OF_IMAGE, zone, city, book, now, weather, tool, user, system, history, called, told, named,
	schema, FORTY_TWO };
