/*
 * libraries.js - the official libraries as somebody uses them who has a key and nothing else to set
 *
 * Addresses, paths, headers and bodies are theirs; only what carries them, fetch(), is the recorder's.
 */
'use strict';

const fs = require('fs');
const path = require('path');
const { KEY } = require('./mount.js');

const NAMES = ['openai', '@anthropic-ai/sdk', 'anthropic-of-2023-06-01', '@google/genai', 'genai-of-v1beta',
	'@mistralai/mistralai', 'ollama'];

const THEIRS = /API_KEY|BASE_URL|AUTH_TOKEN|^(OPENAI|ANTHROPIC|GOOGLE|GEMINI|MISTRAL|OLLAMA)_/;

async function open(fetch) {
	/* nothing of the person who runs the tests: no key, no address, no profile */
	for (const name of Object.keys(process.env).filter((n) => THEIRS.test(n)))
		delete process.env[name];
	globalThis.fetch = fetch;
	const openai = await import('openai');
	const { default: Anthropic } = await import('@anthropic-ai/sdk');
	const { default: AnthropicBefore } = await import('anthropic-of-2023-06-01');
	const { GoogleGenAI } = await import('@google/genai');
	const { GoogleGenAI: GoogleGenAIBefore } = await import('genai-of-v1beta');
	const { Mistral } = await import('@mistralai/mistralai');
	const { Ollama } = await import('ollama');
	const once = { apiKey: KEY, maxRetries: 0 };

	return {
		more: { toFile: openai.toFile },
		openai: new openai.default(once),
		anthropic: new Anthropic(once),
		anthropicBefore: new AnthropicBefore(once),
		/* its version 3 takes v1 when nobody says otherwise, where much of v1beta is missing; version 2 took v1beta */
		gemini: new GoogleGenAI({ apiKey: KEY, apiVersion: 'v1beta' }),
		geminiBefore: new GoogleGenAIBefore({ apiKey: KEY }),
		mistral: new Mistral({ apiKey: KEY }),
		ollama: new Ollama(),
		/* whoever has a server of their own uses OpenAI's library, and any text for a key */
		vllm: new openai.default({ ...once, baseURL: 'http://localhost:8000/v1' }),
	};
}

function versions() {
	return NAMES.map((name) => {
		const text = fs.readFileSync(path.join(__dirname, 'node_modules', name, 'package.json'), 'utf8');

		return `${name} ${JSON.parse(text).version}`;
	});
}

module.exports = { open, versions };
