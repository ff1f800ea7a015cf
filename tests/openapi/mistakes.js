/*
 * mistakes.js - bodies that must not pass, each beside the one without its mistake: an invented member, one at the
 * wrong place and one of the wrong type for every description, so that "as described" means something
 */
'use strict';

const hi = [{ role: 'user', content: 'hi' }];
const say = [{ role: 'user', parts: [{ text: 'hi' }] }];
const openai = '/chat/completions', mistral = '/v1/chat/completions';
const gemini = '/v1beta/models/m:streamGenerateContent?alt=sse';
const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object', anything: 1 } } };

function three(provider, path, good, invented, misplaced, wrong) {
	return [
		{ provider, path, good, name: 'an invented member', body: { ...good, ...invented } },
		{ provider, path, good, name: 'a misplaced member', body: { ...good, ...misplaced } },
		{ provider, path, good, name: 'a wrong type', body: { ...good, ...wrong } },
	];
}

const like = (p, path, more) => three(p, path, { model: 'm', messages: hi, stream: true, ...more },
	{ temprature: 1 }, { messages: [{ ...hi[0], temperature: 1 }] }, { temperature: 'warm' });

module.exports = [
	...like('mistral', mistral, { tools: [tool], random_seed: 1 }),
	{ provider: 'mistral', name: 'a field of OpenAI', path: mistral, good: { model: 'm', messages: hi, random_seed: 7 },
		body: { model: 'm', messages: hi, seed: 7 } },
	...like('openai', openai, { tools: [tool], max_completion_tokens: 9 }),
	{ provider: 'openai', name: 'a field of vLLM', path: openai, good: { model: 'm', messages: hi },
		body: { model: 'm', messages: hi, top_k: 7 } },
	{ provider: 'openai', name: 'a nested tool at /responses', path: '/responses',
		good: { model: 'm', input: hi, tools: [{ type: 'function', name: 'f', parameters: null, strict: false }] },
		body: { model: 'm', input: hi, tools: [tool] } },
	{ provider: 'openai', name: 'a call without its id', path: openai,
		good: { model: 'm', messages: [{ role: 'tool', tool_call_id: 'a', content: '' }] },
		body: { model: 'm', messages: [{ role: 'tool', content: '' }] } },
	...like('compatible', openai),
	...like('vllm', openai, { top_k: 1 }),
	...like('llamacpp', openai, { min_p: 0.1 }),
	...three('ollama', '/api/chat', { model: 'm', messages: hi, stream: true, tools: [tool], options: { seed: 1 } },
		{ temprature: 1 }, { temperature: 1 }, { messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }] }),
	...three('gemini', gemini, { contents: say, generationConfig: { topP: 1 } },
		{ generationConfig: { temprature: 1 } }, { temperature: 1 }, { generationConfig: { topP: 'x' } }),
	{ provider: 'gemini', name: 'arguments as text', path: gemini,
		good: { contents: [{ role: 'model', parts: [{ functionCall: { name: 'f', args: { a: 1 } } }] }] },
		body: { contents: [{ role: 'model', parts: [{ functionCall: { name: 'f', args: '{"a":1}' } }] }] } },
	{ provider: 'gemini', name: 'a method that is none', path: '/v1beta/models/m:generate', body: { contents: say } },
	...three('anthropic', '/v1/messages', { model: 'm', max_tokens: 9, messages: hi, stream: true },
		{ temprature: 1 }, { messages: [{ ...hi[0], system: 'x' }] }, { max_tokens: '9' }),
	{ provider: 'anthropic', name: 'a missing max_tokens', path: '/v1/messages', good: { model: 'm', max_tokens: 9, messages: hi },
		body: { model: 'm', messages: hi } },
	{ provider: 'anthropic', name: 'a block of OpenAI', path: '/v1/messages',
		good: { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: [{ type: 'text', text: 'a' }] }] },
		body: { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://a.b/' } }] }] } },
];
