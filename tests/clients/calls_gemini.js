/*
 * calls_gemini.js - the same requests, made with Google's library
 */
'use strict';

const fs = require('fs');
const path = require('path');
const { asks, PNG, zone, city, book, FORTY_TWO } = require('./asks.js');
const { IN, OUT, BATCH } = require('./answers.js');

async function drain(promise) {
	for await (const part of await promise)
		void part;
}

const generate = (contents, config, model) => (c) =>
	drain(c.models.generateContentStream({ model: model || 'gemini-3.8-flash', contents, ...(config ? { config } : {}) }));
const now = { name: 'now', description: 'The time in a time zone.', parametersJsonSchema: zone };
const weather = { name: 'weather', description: 'The weather of a city.', parametersJsonSchema: city };
const choose = (mode, names) => ({ functionCallingConfig: { mode, ...(names ? { allowedFunctionNames: names } : {}) } });
const says = (role, text) => ({ role, parts: [{ text }] });
const hi = [says('user', 'Hi')];
const line = { custom_id: 'a', model: 'gemini/gemini-3.8-flash', prompt: 'Hi', max_tokens: 9 };
const upload = (c, lines) => c.files.upload({
	file: new Blob([lines.map((l) => JSON.stringify(l) + '\n').join('')], { type: 'application/jsonl' }),
	config: { mimeType: 'application/jsonl', displayName: 'in' } });
const lines = [{ key: 'a', request: { contents: hi, generationConfig: { maxOutputTokens: 9 } } }];
const make = (c) => c.batches.create({ model: 'gemini-3.8-flash', src: { fileName: `files/${IN}` },
	config: { displayName: 'in' } });
const name = `batches/${BATCH}`;
const fetched = async (c, { folder }) => {
	const downloadPath = path.join(folder, 'results.jsonl');

	await c.files.download({ file: `files/${OUT}`, downloadPath });
	fs.rmSync(downloadPath, { force: true });
};
const tidied = async (c) => {
	await c.batches.delete({ name });
	await c.files.delete({ name: `files/${IN}` });
};

module.exports = {
	provider: 'gemini', model: 'gemini-3.8-flash', line,
	rows: {
		text: [asks.text, generate('Say hello.')],
		history: [asks.history, generate([says('user', 'Hi'), says('model', 'Hello!'), says('user', 'How are you?')],
			{ systemInstruction: 'Be brief.' })],
		unicode: [asks.unicode, generate(asks.unicode.prompt)],
		sampling: [{ ...asks.sampling, top_k: 40 }, generate('Hi', { temperature: 0.5, topP: 0.9, topK: 40, maxOutputTokens: 100,
			stopSequences: ['END', 'STOP'], seed: 7 })],
		'zero is a value': [asks.zeros, generate('Hi', { temperature: 0, maxOutputTokens: 100 })],
		penalties: [asks.penalties, generate('Hi', { presencePenalty: 0.5, frequencyPenalty: -0.5 })],
		logprobs: [asks.logprobs, generate('Hi', { responseLogprobs: true, logprobs: 3 })],
		image: [asks.image, generate([{ role: 'user', parts: [{ text: 'What is it?' },
			{ inlineData: { mimeType: 'image/png', data: PNG } }] }])],
		tools: [asks.tools, generate('Time?', { tools: [{ functionDeclarations: [now, weather] }] })],
		'a tool required': [asks.required, generate('Time?', { tools: [{ functionDeclarations: [now] }],
			toolConfig: choose('ANY') })],
		'a tool forced': [asks.forced,
			generate('Time?', { tools: [{ functionDeclarations: [now, weather] }], toolConfig: choose('ANY', ['now']) })],
		'no tool': [asks.forbidden, generate('Time?', { tools: [{ functionDeclarations: [now] }], toolConfig: choose('NONE') })],
		'tool result': [asks.result, generate([says('user', 'Time?'),
			{ role: 'model', parts: [{ functionCall: { id: 'abcdef123', name: 'now', args: { tz: 'UTC' } },
				thoughtSignature: 'skip_thought_signature_validator' }] },
			{ role: 'user', parts: [{ functionResponse: { id: 'abcdef123', name: 'now', response: { output: '12:00' } } }] },
		], { tools: [{ functionDeclarations: [now] }] })],
		'JSON schema': [asks.schema, generate(FORTY_TWO, { responseMimeType: 'application/json', responseJsonSchema: book })],
		'JSON mode': [asks.json, generate(FORTY_TWO, { responseMimeType: 'application/json' })],
		effort: [asks.effort, generate('Hi', { thinkingConfig: { thinkingLevel: 'LOW', includeThoughts: true } })],
		'effort of an older model': [{ ...asks.effort, model: 'gemini-2.5-flash' },
			generate('Hi', { thinkingConfig: { thinkingBudget: 1024, includeThoughts: true } }, 'gemini-2.5-flash')],
		'two samples': [asks.samples, generate('Hi', { candidateCount: 2 })],
		extra: [{ prompt: 'Hi', extra_body: { safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'OFF' }] } },
			generate('Hi', { safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'OFF' }] })],
		'a name with its folder': [{ ...asks.text, model: 'models/gemini-2.5-flash' },
			generate('Say hello.', undefined, 'models/gemini-2.5-flash')],
		embedding: [{ ...asks.embedding, model: 'gemini-embedding-001' },
			(c) => c.models.embedContent({ model: 'gemini-embedding-001', contents: 'hello' })],
		embeddings: [{ ...asks.embeddings, model: 'gemini-embedding-001' }, (c) => c.models.embedContent({
			model: 'gemini-embedding-001', contents: ['hello', 'world'], config: { outputDimensionality: 256 } })],
		models: ['models', async (c) => drain(c.models.list({ config: { pageSize: 1000 } }))],
		batch: ['batch', async (c, more) => {
			await upload(c, lines);
			await make(c);
			await c.batches.get({ name });
			await c.batches.get({ name });
			await fetched(c, more);
			await c.files.delete({ name: `files/${OUT}` });
			await tidied(c);
		}],
		'batch of embeddings': [{ custom_id: 'a', model: 'gemini/gemini-embedding-001', input: 'hello', dimensions: 256 },
			async (c, more) => {
			await upload(c, [{ key: 'a', request: { content: { parts: [{ text: 'hello' }] }, model: 'models/gemini-embedding-001',
				outputDimensionality: 256 } }]);
			await c.batches.createEmbeddings({ model: 'gemini-embedding-001', src: { fileName: `files/${IN}` },
				config: { displayName: 'in' } });
			await c.batches.get({ name });
			await c.batches.get({ name });
			await fetched(c, more);
			await c.files.delete({ name: `files/${OUT}` });
			await tidied(c);
		}],
		'batch cancelled': ['cancel', async (c) => {
			await upload(c, lines);
			await make(c);
			await c.batches.cancel({ name });
			await c.batches.get({ name });
			await tidied(c);
		}],
		'batch looked for': ['lost', async (c, more) => {
			await upload(c, lines);
			await make(c).catch(() => {});
			await drain(c.batches.list({ config: { pageSize: 100 } }));
			await c.batches.get({ name });
			await c.batches.get({ name });
			await fetched(c, more);
			await c.files.delete({ name: `files/${OUT}` });
			await tidied(c);
		}],
	},
};
