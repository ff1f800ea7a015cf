/*
 * differences.js - where inferfs may send something else than the official library does, and why
 *
 * { where, ours, theirs: a value, or a function that knows it; why; providers, rows, path: only there; when: only if
 * this is true of the two requests }
 * undefined is what is not there, "*" in `where` is any one step. An entry that nothing needs fails the suite.
 */
'use strict';

const { KEY } = require('./mount.js');

const is = (pattern) => (v) => pattern.test(v);
const oneOf = (...list) => (v) => list.includes(v);
const absent = undefined, isObject = (v) => v !== null && typeof v === 'object';
const TAG = '[0-9a-f]{32}';
const number = is(/^[1-9][0-9]*$/);
const keyIsThere = (ours, theirs) => ours.headers['x-api-key'] === KEY && theirs.headers.authorization === `Bearer ${KEY}`;
const modelIsThere = (ours, theirs) => ours.body.model === theirs.body.name;
const fileIsThere = (ours, theirs) => ours.body.batch.inputConfig.fileName === theirs.body.batch.inputConfig.file_name;
const batches = ['openai', 'mistral'];
const asks = /^POST .*(completions|chat|generate|embed)$/;

module.exports = [
	/* ---- headers ---- */
	{ where: '/headers/accept',
		ours: oneOf('text/event-stream, application/json', 'application/x-ndjson, application/json', '*/*'),
		theirs: oneOf('application/json', 'text/event-stream', 'application/binary', 'application/octet-stream', '*/*'),
		why: 'ours names all that it reads: a stream, and the plain JSON of an error' },
	{ providers: ['mistral'], where: '/headers/cookie', ours: absent, theirs: '', why: 'the library sends an empty one' },
	{ path: /^GET /, where: '/headers/content-type', ours: 'application/json', theirs: absent,
		why: 'the lines of a backend are the same for all calls; a type of no body says nothing' },
	{ providers: ['anthropic'], where: '/headers/authorization', ours: absent, theirs: `Bearer ${KEY}`, when: keyIsThere,
		why: 'the service takes a key as x-api-key in both versions, and so do its imitators (anthropic.md, 1)' },
	{ providers: ['anthropic'], where: '/headers/x-api-key', ours: KEY, theirs: absent, when: keyIsThere, why: 'as above' },
	{ providers: ['gemini'], path: /^(GET|DELETE) /, where: '/headers/content-type', ours: absent, theirs: 'application/json',
		why: 'the library names a type where it sends nothing, too' },
	{ providers: ['gemini'], path: /^DELETE /, where: '/body', ours: absent, theirs: {}, why: 'an empty object is nothing' },

	/* ---- what a stream is asked for ---- */
	{ providers: ['openai', 'vllm'], path: asks, where: '/body/stream_options', ours: { include_usage: true }, theirs: absent,
		why: 'a stream brings its usage only when it is asked for (openai.md, 3.5)' },
	{ providers: ['ollama'], path: asks, where: '/body/truncate', ours: false, theirs: absent,
		why: 'a prompt too long is an error and not cut silently (ollama.md, 4)' },

	/* ---- defaults that a library spells out ---- */
	{ providers: ['mistral'], rows: /tool result|history|prefix/, where: '/body/messages/*/prefix', ours: absent,
		theirs: false, why: 'the default' },
	{ providers: ['mistral'], rows: /tool result/, where: '/body/messages/*/tool_calls/*/index', ours: absent, theirs: 0,
		why: 'the default' },
	{ providers: ['mistral'], path: /files$/, where: '/body/form/visibility', ours: absent, theirs: 'workspace',
		why: 'the default' },
	{ providers: ['mistral'], path: /files$/, where: '/body/form/file/type', ours: 'application/jsonl',
		theirs: 'application/octet-stream',
		why: 'the library does not say what it uploads' },
	{ providers: ['mistral'], path: /jobs$/, where: '/query/created_by_me', ours: absent, theirs: 'false', why: 'the default' },
	{ providers: ['gemini'], path: /GenerateContent$/, where: '/body/generationConfig', ours: absent, theirs: {},
		why: 'the library has an empty one when anything is configured' },
	{ providers: ['gemini'], path: /:batchEmbedContents$/, where: '/body/requests/*/content/role', ours: absent, theirs: 'user',
		why: 'of one content it may be left out (gemini.md, 5)' },
	{ providers: ['vllm'], path: /embeddings$/, where: '/body/encoding_format', ours: absent, theirs: 'base64',
		why: 'not every imitation knows it; both forms are read' },

	/* ---- tools ---- */
	{ providers: ['ollama'], rows: /tool result/, where: '/body/messages/*/tool_calls/*/id', ours: 'abcdef123', theirs: absent,
		why: 'the server has it, the types of the library not yet (ollama.md, 4)' },
	{ providers: ['ollama'], rows: /tool result/, where: '/body/messages/*/tool_call_id', ours: 'abcdef123', theirs: absent,
		why: 'as above' },

	/* ---- models on Ollama's own machine ---- */
	{ providers: ['ollama'], path: /pull$|delete$/, where: '/body/model', ours: 'llama3.2:1b', theirs: absent,
		when: modelIsThere,
		why: 'the name of the member now; the library has the old one, `name` (ollama.md, 9)' },
	{ providers: ['ollama'], path: /pull$|delete$/, where: '/body/name', ours: absent, theirs: 'llama3.2:1b',
		when: modelIsThere, why: 'as above' },
	{ providers: ['ollama'], path: /pull$/, where: '/body/stream', ours: absent, theirs: true, why: 'the default' },

	/* ---- batches: names of our own, by which one is found again ---- */
	{ providers: batches, path: /files$/, where: '/body/form/file/filename', ours: is(RegExp(`^${TAG}\\.jsonl$`)),
		theirs: 'batch.jsonl', why: 'a name' },
	{ providers: batches, path: /files$/, where: '/body/form/file/lines/*/custom_id', ours: is(RegExp(`^${TAG}-0$`)),
		theirs: 'a', why: 'a name' },
	{ providers: ['anthropic'], path: /batches$/, where: '/body/requests/*/custom_id', ours: is(RegExp(`^${TAG}-0$`)),
		theirs: 'a', why: 'a name' },
	{ providers: ['gemini'], path: /files$/, where: '/body/lines/*/key', ours: is(RegExp(`^${TAG}-0$`)), theirs: 'a',
		why: 'a name' },
	{ providers: ['gemini'], where: '/body/*/displayName', ours: is(RegExp(`^${TAG}$`)), theirs: 'in',
		why: 'a name, by which it is found again' },
	{ providers: ['gemini'], path: /files$/, where: '/headers/x-goog-upload-header-content-length', ours: number, theirs: number,
		why: 'names in it are of other lengths' },
	{ providers: ['gemini'], path: /files$/, where: '/body/file/mimeType', ours: absent, theirs: 'application/jsonl',
		why: 'a header says it, in both' },
	{ providers: ['gemini'], path: /files$/, where: '/body/file/sizeBytes', ours: absent, theirs: number, why: 'as above' },
	{ providers: ['gemini'], path: /files$/, where: '/headers/content-type', ours: 'application/jsonl',
		theirs: 'application/json',
		why: 'the library says of these bytes what it says of all others' },
	{ providers: ['gemini'], path: /:asyncBatchEmbedContent$/, where: '/body/batch/inputConfig/fileName',
		ours: is(/^files\//), theirs: absent, when: fileIsThere,
		why: 'the spelling of all other members; the service takes both (gemini.md, 1)' },
	{ providers: ['gemini'], path: /:asyncBatchEmbedContent$/, where: '/body/batch/inputConfig/file_name', ours: absent,
		theirs: is(/^files\//), when: fileIsThere,
		why: 'as above' },
	{ providers: batches, path: /batches$|jobs$/, where: '/body/metadata',
		ours: (v) => isObject(v) && Object.keys(v).length === 1 && RegExp(`^${TAG}$`).test(v.inferfs),
		theirs: absent, why: 'the mark by which a batch is found whose creation was not answered' },
	{ providers: ['openai'], path: /files$/, where: '/body/form/expires_after[anchor]', ours: 'created_at', theirs: absent,
		why: 'a file that nobody deletes goes after 30 days' },
	{ providers: ['openai'], path: /files$/, where: '/body/form/expires_after[seconds]', ours: '2592000', theirs: absent,
		why: 'as above' },
];
