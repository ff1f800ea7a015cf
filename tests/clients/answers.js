/*
 * answers.js - the shortest answer that a client takes for one, for each call of each provider
 *
 * `state` is one account with one batch in it: begin() empties it, an upload fills it. Ids are constants, so that
 * paths of two clients can be compared.
 */
'use strict';

const IN = '00000000-0000-4000-8000-000000000001', OUT = '00000000-0000-4000-8000-000000000002';
const BATCH = '00000000-0000-4000-8000-000000000003';
const NOW = Math.floor(Date.now() / 1000), TIME = new Date(NOW * 1000).toISOString().replace(/\.\d+/, '');
const GOOGLE = 'https://generativelanguage.googleapis.com';
const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };

/* how: { loses: a creation's connection breaks, waits: the batch runs until it is cancelled } */
function begin(how) {
	return { ...how, lines: [], state: 'none', looks: 0 };
}

function json(res, value, headers) {
	res.writeHead(200, { 'content-type': 'application/json', ...headers });
	res.end(JSON.stringify(value));
}

function events(res, list, end) {
	res.writeHead(200, { 'content-type': 'text/event-stream' });
	for (const e of list)
		res.write(`${e.type ? `event: ${e.type}\n` : ''}data: ${JSON.stringify(e)}\n\n`);
	res.end(end || '');
}

function lines(res, list, type) {
	res.writeHead(200, { 'content-type': type || 'application/jsonl' });
	res.end(list.map((o) => JSON.stringify(o) + '\n').join(''));
}

/* ---- the one batch ---- */

/* waiting, running, done; or running until it is cancelled */
function look(s) {
	if (s.state === 'running' && !s.waits && ++s.looks > 1)
		s.state = 'done';
	return s.state;
}

function made(s, res, batch) {
	s.state = 'running';
	if (!s.loses)
		return json(res, batch(s));
	s.loses = false;
	return res.destroy();
}

const chatOf = () => ({ id: 'c', object: 'chat.completion', created: NOW, model: 'm', usage,
	choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop', logprobs: null }] });
const file = (id) => ({ id, object: 'file', bytes: 1, created_at: NOW, filename: 'f', purpose: 'batch', status: 'processed',
	sample_type: 'batch_request', source: 'upload', num_lines: 1, size_bytes: 1, signature: 's' });
const result = (l) => ({ id: 'r', custom_id: l.custom_id, error: null,
	response: { status_code: 200, request_id: 'r', body: chatOf() } });

/* ---- OpenAI, and what imitates it ---- */

function chat(s, q, res) {
	const n = Array.from({ length: q.body.n || 1 }, (_, i) => i);
	const chunk = (choices, more) => ({ id: 'c', object: 'chat.completion.chunk', created: NOW, model: 'm', choices, ...more });

	if (!q.body.stream)
		return json(res, chatOf());
	return events(res, [
		chunk(n.map((index) => ({ index, delta: { role: 'assistant', content: 'Hi' }, finish_reason: null }))),
		chunk(n.map((index) => ({ index, delta: { content: '' }, finish_reason: 'stop' }))),
		chunk([], { usage }),
	], 'data: [DONE]\n\n');
}

function completion(s, q, res) {
	return events(res, [{ id: 'c', object: 'text_completion', created: NOW, model: 'm',
		choices: [{ index: 0, text: 'Hi', finish_reason: 'stop', logprobs: null }], usage }], 'data: [DONE]\n\n');
}

function responses(s, q, res) {
	const item = { id: 'i', type: 'message', role: 'assistant', status: 'completed',
		content: [{ type: 'output_text', text: 'Hi', annotations: [] }] };
	const response = { id: 'r', object: 'response', created_at: NOW, model: 'm', status: 'completed', error: null,
		incomplete_details: null, output: [item], usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 } };
	const at = { item_id: 'i', output_index: 0, content_index: 0 };

	return events(res, [
		{ type: 'response.created', response: { ...response, status: 'in_progress', output: [] } },
		{ type: 'response.output_text.delta', delta: 'Hi', ...at },
		{ type: 'response.output_item.done', output_index: 0, item },
		{ type: 'response.completed', response },
	].map((e, sequence_number) => ({ ...e, sequence_number })));
}

function embeddings(s, q, res) {
	const vector = q.body.encoding_format === 'base64' ? 'AACAPw==' : [1];

	return json(res, { id: 'e', object: 'list', model: 'm', usage,
		data: [].concat(q.body.input).map((_, index) => ({ object: 'embedding', index, embedding: vector })) });
}

function openaiBatch(s) {
	const words = { running: 'in_progress', done: 'completed', cancelled: 'cancelled' };

	return { id: BATCH, object: 'batch', endpoint: '/v1/chat/completions', input_file_id: IN, completion_window: '24h',
		created_at: NOW, status: words[s.state], metadata: s.metadata, ...(s.state === 'done' ? { output_file_id: OUT } : {}),
		request_counts: { total: s.lines.length, completed: 0, failed: 0 } };
}

function takeForm(s, q, res) {
	s.lines = q.body.form.file.lines;
	return json(res, file(IN));
}

const results = (s, q, res) => lines(res, s.lines.map(result));
const deleted = (s, q, res) => json(res, { id: q.path.split('/').pop(), object: 'file', deleted: true });
const cancel = (s) => { s.state = s.state === 'running' ? 'cancelled' : s.state; };
const ids = (list) => ({ object: 'list', data: list, first_id: null, last_id: null, has_more: false });

const openai = [
	[/^POST .*\/chat\/completions$/, chat],
	[/^POST .*\/completions$/, completion],
	[/^POST .*\/responses$/, responses],
	[/^POST .*\/embeddings$/, embeddings],
	[/^GET .*\/models$/, (s, q, res) => json(res, ids([{ id: 'm', object: 'model', created: NOW, owned_by: 'o' }]))],
	[/^POST .*\/files$/, takeForm],
	[/^GET .*\/files\/[^/]*\/content$/, results],
	[/^DELETE .*\/files\//, deleted],
	[/^POST .*\/batches$/, (s, q, res) => { s.metadata = q.body.metadata; return made(s, res, openaiBatch); }],
	[/^GET .*\/batches$/, (s, q, res) => json(res, ids([openaiBatch(s)]))],
	[/^GET .*\/batches\//, (s, q, res) => { look(s); return json(res, openaiBatch(s)); }],
	[/^POST .*\/cancel$/, (s, q, res) => { cancel(s); return json(res, openaiBatch(s)); }],
];

/* ---- Mistral ---- */

function mistralJob(s) {
	const words = { running: 'RUNNING', done: 'SUCCESS', cancelled: 'CANCELLED' };

	return { id: BATCH, object: 'batch', input_files: [IN], endpoint: '/v1/chat/completions', model: 'm', errors: [],
		created_at: NOW, status: words[s.state], metadata: s.metadata, output_file: s.state === 'done' ? OUT : null,
		error_file: null, total_requests: s.lines.length, completed_requests: 0, succeeded_requests: 0, failed_requests: 0 };
}

const card = { id: 'm', object: 'model', created: NOW, owned_by: 'o', type: 'base', aliases: [], max_context_length: 9,
	capabilities: { completion_chat: true } };
const mistral = [
	[/^POST \/v1\/fim\/completions$/, chat],
	[/^GET \/v1\/models$/, (s, q, res) => json(res, { object: 'list', data: [card] })],
	[/^POST \/v1\/batch\/jobs$/, (s, q, res) => { s.metadata = q.body.metadata; return made(s, res, mistralJob); }],
	[/^GET \/v1\/batch\/jobs$/, (s, q, res) => json(res, { object: 'list', data: [mistralJob(s)], total: 1 })],
	[/^GET \/v1\/batch\/jobs\//, (s, q, res) => { look(s); return json(res, mistralJob(s)); }],
	[/^POST \/v1\/batch\/jobs\/[^/]*\/cancel$/, (s, q, res) => { cancel(s); return json(res, mistralJob(s)); }],
	[/^GET \/v1\/files\/[^/]*\/content$/, (s, q, res) => lines(res, s.lines.map(result), 'application/octet-stream')],
	...openai,
];

/* ---- Anthropic ---- */

const message = (content, stop) => ({ id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content, stop_reason: stop,
	stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } });
const text = { type: 'text', text: 'Hi' };

function messages(s, q, res) {
	if (!q.body.stream)
		return json(res, message([text], 'end_turn'));
	return events(res, [
		{ type: 'message_start', message: message([], null) },
		{ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
		{ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } },
		{ type: 'content_block_stop', index: 0 },
		{ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 1 } },
		{ type: 'message_stop' },
	]);
}

function anthropicBatch(s) {
	const over = s.state !== 'running';
	const counts = { processing: over ? 0 : s.lines.length, succeeded: over ? s.lines.length : 0, errored: 0, canceled: 0,
		expired: 0 };

	return { id: BATCH, type: 'message_batch', processing_status: over ? 'ended' : 'in_progress', request_counts: counts,
		created_at: TIME, expires_at: TIME, ended_at: over ? TIME : null, archived_at: null, cancel_initiated_at: null,
		results_url: over ? `https://api.anthropic.com/v1/messages/batches/${BATCH}/results` : null };
}

const anthropic = [
	[/^POST \/v1\/messages$/, messages],
	[/^GET \/v1\/models$/, (s, q, res) => json(res, { data: [{ id: 'm', type: 'model', display_name: 'M', created_at: TIME }],
		has_more: false, first_id: 'm', last_id: 'm' })],
	[/^POST \/v1\/messages\/batches$/, (s, q, res) => { s.lines = q.body.requests; return made(s, res, anthropicBatch); }],
	[/^GET \/v1\/messages\/batches$/, (s, q, res) => json(res, ids([anthropicBatch(s)]))],
	[/^POST .*\/cancel$/, (s, q, res) => { cancel(s); return json(res, anthropicBatch(s)); }],
	[/^GET .*\/results$/, (s, q, res) => lines(res, s.lines.map((l) => ({ custom_id: l.custom_id,
		result: s.state === 'cancelled' ? { type: 'canceled' } : { type: 'succeeded', message: message([text], 'end_turn') } })))],
	[/^GET \/v1\/messages\/batches\//, (s, q, res) => { look(s); return json(res, anthropicBatch(s)); }],
	[/^DELETE /, (s, q, res) => json(res, { id: BATCH, type: 'message_batch_deleted' })],
];

/* ---- Gemini ---- */

const candidate = (index) => ({ index, finishReason: 'STOP', content: { role: 'model', parts: [{ text: 'Hi' }] } });
const usageMetadata = { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 };

function generated(q) {
	const n = (q && q.body.generationConfig && q.body.generationConfig.candidateCount) || 1;

	return { candidates: Array.from({ length: n }, (_, i) => candidate(i)), usageMetadata, modelVersion: 'm', responseId: 'r' };
}

function operation(s) {
	const words = { running: 'RUNNING', done: 'SUCCEEDED', cancelled: 'CANCELLED' };
	const output = s.state === 'done' ? { output: { responsesFile: `files/${OUT}` } } : {};

	return { name: `batches/${BATCH}`, done: s.state !== 'running', metadata: { '@type': 't', model: 'models/m',
		name: `batches/${BATCH}`,
		displayName: s.metadata, state: `BATCH_STATE_${words[s.state]}`, createTime: TIME, ...output } };
}

const googleFile = { name: `files/${IN}`, uri: `${GOOGLE}/v1beta/files/${IN}`, mimeType: 'application/jsonl',
	sizeBytes: '1', state: 'ACTIVE' };
const make = (s, q, res) => { s.metadata = q.body.batch.displayName; return made(s, res, operation); };
const embedding = { values: [1] };

const gemini = [
	[/^POST .*:streamGenerateContent$/, (s, q, res) => events(res, [generated(q)])],
	[/^POST .*:batchEmbedContents$/, (s, q, res) => json(res, { embeddings: q.body.requests.map(() => embedding) })],
	[/^GET \/v1beta\/models$/, (s, q, res) => json(res, { models: [{ name: 'models/m',
		supportedGenerationMethods: ['generateContent'] }] })],
	[/^POST \/upload\/v1beta\/files$/, (s, q, res) => {
		if (!q.headers['x-goog-upload-offset'])
			return json(res, {}, { 'x-goog-upload-url': `${GOOGLE}/upload/v1beta/files?upload_id=u` });
		s.lines = q.body.lines;
		return json(res, { file: googleFile }, { 'x-goog-upload-status': 'final' });
	}],
	[/^POST .*:batchGenerateContent$|^POST .*:asyncBatchEmbedContent$/, make],
	[/^GET \/v1beta\/batches$/, (s, q, res) => json(res, { operations: [operation(s)] })],
	[/^GET \/v1beta\/batches\//, (s, q, res) => { look(s); return json(res, operation(s)); }],
	[/^POST .*:cancel$/, (s, q, res) => { cancel(s); return json(res, {}); }],
	[/^GET .*:download$/, (s, q, res) => lines(res, s.lines.map((l) => ({ key: l.key,
		response: l.request.contents ? generated() : { embedding } })))],
	[/^DELETE /, (s, q, res) => json(res, {})],
];

/* ---- Ollama ---- */

const last = { model: 'm', created_at: TIME, done: true, done_reason: 'stop', prompt_eval_count: 1, eval_count: 1 };
const said = (res, more) => lines(res, [{ ...last, ...more }], 'application/x-ndjson');
const ollama = [
	[/^POST \/api\/chat$/, (s, q, res) => said(res, { message: { role: 'assistant', content: 'Hi' } })],
	[/^POST \/api\/generate$/, (s, q, res) => said(res, { response: 'Hi' })],
	[/^POST \/api\/embed$/, (s, q, res) => json(res, { model: 'm', embeddings: [].concat(q.body.input).map(() => [1]) })],
	[/^GET \/api\/tags$|^GET \/api\/ps$/, (s, q, res) => json(res, { models: [{ name: 'm', model: 'm', details: {} }] })],
	[/^POST \/api\/show$/, (s, q, res) => json(res, { capabilities: ['completion'], details: {}, model_info: {} })],
	[/^POST \/api\/pull$/, (s, q, res) => lines(res, [{ status: 'success' }], 'application/x-ndjson')],
	[/^DELETE \/api\/delete$/, (s, q, res) => res.writeHead(200).end()],
];

const routes = { 'https://api.openai.com': openai, 'https://api.mistral.ai': mistral, 'https://api.anthropic.com': anthropic,
	[GOOGLE]: gemini, 'http://127.0.0.1:11434': ollama, 'http://localhost:8000': openai };

function answer(state, q, res) {
	const route = (routes[q.origin] || []).find(([pattern]) => pattern.test(`${q.method} ${q.path}`));

	if (route)
		return route[1](state, q, res);
	res.writeHead(404, { 'content-type': 'application/json' });
	return res.end(JSON.stringify({ error: { message: `the recorder has no answer to ${q.method} ${q.origin}${q.path}` } }));
}

module.exports = { begin, answer, IN, OUT, BATCH, origins: Object.keys(routes) };
