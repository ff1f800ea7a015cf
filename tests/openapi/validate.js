/*
 * validate.js DESCRIPTIONS BODIES   every body against the description of the provider it was written for
 *
 * BODIES is a file with lines {"name","provider","path","extra","body"} (test_contract --bodies), or a directory of
 * what the provider server of the mount tests was sent (tests/provider/bodies.h). What a user's extra_body adds is
 * the user's, so those bodies are only counted. Prints ok and not ok lines.  Source: the pages beside DESCRIPTIONS.
 */
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const Ajv = require('ajv/dist/2020');
const formats = require('ajv-formats');
const YAML = require('yaml');
const { strict, components } = require('./strict.js');
const exceptions = require('./exceptions.js');
const mistakes = require('./mistakes.js');

/* provider -> whose description, what stands before its paths, and paths that it cannot know */
const providers = {
	mistral: { file: 'mistral-openapi-public-doc.yaml', base: '' },
	openai: { file: 'openai-openapi.yaml', base: '' },
	compatible: { file: 'openai-openapi.yaml', base: '' },
	vllm: { file: 'openai-openapi.yaml', base: '' },
	llamacpp: { file: 'openai-openapi.yaml', base: '', unknown: ['/../infill'] },
	ollama: { file: 'ollama-openapi.yaml', base: '' },
	gemini: { file: 'gemini-openapi.json', base: '/v1beta' },
	anthropic: { file: 'anthropic-openapi.json', base: '' },
};

let failed = 0, suite = 'openapi';

function result(good, name, why) {
	for (const line of good ? [] : String(why).split('\n').slice(0, 12))
		console.log('# ' + line.slice(0, 300));
	console.log(`${good ? 'ok' : 'not ok'} ${suite}: ${name}`);
	failed += !good;
}

function read(file) {
	const text = fs.readFileSync(file, 'utf8');

	return file.endsWith('.json') ? JSON.parse(text) : YAML.parse(text, { maxAliasCount: -1 });
}

/* ---- one description ---- */

function patternOf(template) {
	const text = template.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^}]*\}/g, '[^/]+');

	return new RegExp(`^${text}$`);
}

/* What the page says and the description does not; an entry that changes nothing is out of date. */
function apply(doc, provider) {
	for (const x of exceptions.filter((e) => e.providers.includes(provider))) {
		const target = (x.path || []).reduce((s, word) => s && s[word], doc.components.schemas[x.schema]);
		const stale = !target || (x.add && Object.keys(x.add).some((k) => target.properties && k in target.properties));

		if (suite === 'openapi')
			result(!stale, `${provider}: the exception of ${x.schema} is needed`, 'the description has it now');
		if (target && x.add)
			target.properties = { ...target.properties, ...x.add };
		else if (target)
			doc.components.schemas[x.schema] = x.set;
	}
}

const texts = {};

function load(folder, provider) {
	const file = path.join(folder, providers[provider].file);
	const doc = structuredClone(texts[file] = texts[file] || read(file));
	const ajv = new Ajv({ strict: false, validateSchema: false, logger: false, allErrors: false });
	const id = `https://${provider}.invalid/`;

	formats(ajv);
	/* Google takes both alphabets of base64 */
	ajv.addFormat('byte', /^[A-Za-z0-9+/_-]*={0,2}$/);
	apply(doc, provider);
	ajv.addSchema({ $id: id, components: { schemas: components(doc) } });
	const ways = Object.entries(doc.paths).flatMap(([template, path]) =>
		['post', 'delete'].filter((method) => path[method])
			.map((method) => ({ template, method, way: path[method] })));

	return ways.map(({ template, method, way }) => {
		/* a call without a body may have an empty one */
		const none = { schema: { type: 'object', maxProperties: 0 } };
		const json = way.requestBody ? way.requestBody.content['application/json'] : none;
		const schema = json && JSON.parse(JSON.stringify(strict(json.schema, 'value', true)).replaceAll('"#/', `"${id}#/`));
		const query = (way.parameters || []).filter((p) => p.in === 'query').map((p) => p.name);
		let check;

		return {
			template, method, query,
			pattern: patternOf(providers[provider].base + template),
			/* compiled when first used: a description has hundreds of calls */
			check: (body) => {
				check = check || ajv.compile(schema);
				return check(body) ? null : ajv.errorsText(check.errors, { separator: '\n', dataVar: 'body' });
			},
		};
	});
}

/* null: it is what the description says; else why not */
function judge(calls, line) {
	const [where, query] = line.path.split('?');
	const method = (line.method || 'POST').toLowerCase();
	const call = calls.find((c) => c.method === method && c.pattern.test(where));

	if (!call)
		return `${method} ${where} is no call of the description`;
	/* $alt is said once for all of Google's calls, and not in the converted file */
	for (const pair of query ? query.split('&') : [])
		if (pair !== 'alt=sse' && !call.query.includes(pair.split('=')[0]))
			return `${pair} is no parameter of ${call.template}`;
	line.template = call.template;
	return call.check(line.body);
}

/* ---- where the bodies come from ---- */

function linesOf(file) {
	return fs.readFileSync(file, 'utf8').split('\n').filter((l) => l);
}

/* OpenAI's own address is never the server's here: what comes at its paths was written for an imitation of it. */
const dialects = {
	openai: { provider: 'compatible', base: '/v1' },
	vllm: { provider: 'vllm', base: '/v1' },
	llamacpp: { provider: 'llamacpp', base: '/v1' },
};

/* Each body once, whatever number of tests sent it. */
function sent(folder) {
	const seen = new Set(), out = [];

	for (const text of fs.readdirSync(folder).sort().flatMap((name) => linesOf(path.join(folder, name)))) {
		let line;

		try {
			line = JSON.parse(text);
		} catch {
			result(false, 'every body is JSON', text.slice(0, 600));
			continue;
		}
		const { provider, base } = dialects[line.dialect] || { provider: line.dialect, base: '' };
		const below = line.path.startsWith(base) ? line.path.slice(base.length) : '/..' + line.path;
		const key = crypto.createHash('sha256').update([provider, line.method, below, line.extra,
			JSON.stringify(line.body)].join(' ')).digest('base64');

		if (seen.has(key))
			continue;
		seen.add(key);
		out.push({ ...line, provider, path: below, name: line.test });
	}
	return out;
}

/* ---- the program ---- */

function judgeAll(lines, provider, calls) {
	const counts = {};
	let own = 0;

	for (const line of lines.filter((l) => l.provider === provider)) {
		if (line.extra || (providers[provider].unknown || []).includes(line.path)) {
			own++;
			continue;
		}
		const why = judge(calls, line);

		if (why)
			result(false, `${provider}: ${line.name}`, `${why}\n${JSON.stringify(line.body)}`);
		else
			counts[line.template] = (counts[line.template] || 0) + 1;
	}
	for (const [template, n] of Object.entries(counts))
		result(true, `${provider}: ${template}: ${n} bodies are as described`);
	console.log(`# ${provider}: ${own} bodies were not judged: a user's own words, or a call that is not described`);
}

/* it must be able to fail */
function noticeMistakes(provider, calls) {
	for (const m of mistakes.filter((x) => x.provider === provider)) {
		const why = judge(calls, m), good = m.good && judge(calls, { ...m, body: m.good });

		result(why !== null && !good, `${provider}: ${m.name} is noticed`,
			good ? `without it: ${good}` : 'it passed');
	}
}

function main(folder, bodies) {
	const ofMounts = fs.statSync(bodies).isDirectory();

	suite = ofMounts ? 'bodies' : 'openapi';
	const lines = ofMounts ? sent(bodies) : linesOf(bodies).map((l) => JSON.parse(l));

	if (!lines.length)
		result(false, 'there is something to judge', `no body in ${bodies}`);
	for (const provider of Object.keys(providers)) {
		const calls = load(folder, provider);

		judgeAll(lines, provider, calls);
		if (!ofMounts)
			noticeMistakes(provider, calls);
	}
	process.exitCode = failed ? 1 : 0;
}

main(process.argv[2], process.argv[3]);
