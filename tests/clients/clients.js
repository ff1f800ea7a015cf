/*
 * clients.js BUILD   what inferfs sends, against what the providers' official client libraries send for the same call
 *
 * Every row of calls_*.js is asked twice: through a real mount of BUILD/inferfs, and with the library. One recorder
 * stands at the end of both; method, address, path, query, headers and body have to be the same, but for what
 * differences.js names. Prints ok and not ok lines.
 */
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');
const answers = require('./answers.js');
const { compare } = require('./compare.js');
const differences = require('./differences.js');
const { open, versions } = require('./libraries.js');
const mistakes = require('./mistakes.js');
const { Mount } = require('./mount.js');
const { Recorder } = require('./recorder.js');

const tables = ['openai', 'anthropic', 'gemini', 'mistral', 'ollama', 'vllm'].map((name) => require(`./calls_${name}.js`));
const JOBS = { batch: {}, cancel: { waits: true }, lost: { loses: true } };
let failed = 0;

function result(good, name, why) {
	for (const line of good ? [] : [].concat(why).flatMap((text) => String(text).split('\n')).slice(0, 16))
		console.log('# ' + line.slice(0, 600));
	console.log(`${good ? 'ok' : 'not ok'} clients: ${name}`);
	failed += !good;
}

/* what a row asks, done through the mount */
function throughMount(mount, table, ask) {
	const { provider, model } = table;

	if (JOBS[ask])
		return mount.job(table.line, ask === 'cancel');
	if (ask.custom_id)
		return mount.job(ask, false);
	if (ask === 'models')
		return mount.models(provider);
	if (ask === 'card')
		return mount.read(`models/${provider}/m.json`);
	if (ask === 'status')
		return mount.read(`backends/${provider}/status.json`);
	if (ask.order)
		return mount.order(provider, ask.order);
	return mount.ask({ ...ask, model: `${provider}/${ask.model || model}` });
}

async function recorded(recorder, how, act) {
	recorder.reset({ ...how });
	await act();
	return recorder.log;
}

/* the libraries of the API version that our own request names */
function librariesFor(libraries, provider, log) {
	const version = log.length && log[0].headers && log[0].headers['anthropic-version'];

	if (provider === 'gemini')
		return [libraries.gemini, libraries.geminiBefore];
	return [libraries[version === '2023-06-01' ? 'anthropicBefore' : provider]];
}

async function row(world, table, name) {
	const { recorder, mount, libraries } = world;
	const [ask, call] = table.rows[name], at = { provider: table.provider, row: name };
	const why = [];

	try {
		const ours = await recorded(recorder, JOBS[ask], () => throughMount(mount, table, ask));

		for (const library of librariesFor(libraries, table.provider, ours)) {
			const theirs = await recorded(recorder, JOBS[ask], () => call(library, { ...libraries.more, folder: world.folder }));

			why.push(...(ours.length && theirs.length ? compare(differences, at, ours, theirs) :
				[`${ours.length} requests here, ${theirs.length} there`]));
			world.pairs.push({ at, ours, theirs });
		}
	} catch (e) {
		why.push(e.stack);
	}
	result(!why.length, `${table.provider}: ${name}`, why);
}

async function all(world) {
	for (const table of tables)
		for (const name of Object.keys(table.rows))
			await row(world, table, name);
	for (const x of differences)
		result(x.used, `${x.providers || 'all'}: ${x.where} may differ: ${x.why}`, 'it does not any more');
	for (const { name, missed } of mistakes.check(world.pairs, (at, a, b) => compare(differences, at, a, b)))
		result(!missed.length, `a mistake is seen: ${name}`, missed);
}

async function main(build) {
	const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'inferfs-clients-'));
	const recorder = new Recorder(folder), mount = new Mount(path.resolve(build), folder, recorder);
	const leave = () => {
		mount.abandon();
		fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
		process.exit(1);
	};

	process.on('SIGTERM', leave);
	process.on('SIGINT', leave);
	/* a library's advice to those who program with it */
	console.warn = () => {};
	console.log(`# ${versions().join(', ')}`);
	try {
		await recorder.start(answers.origins.filter((o) => o.startsWith('https:')).map((o) => new URL(o).hostname));
		await mount.start();
		await all({ folder, recorder, mount, libraries: await open(recorder.fetch(fetch)), pairs: [] });
	} catch (e) {
		result(false, 'the suite runs', e.stack);
	}
	await mount.stop();
	recorder.stop();
	fs.rmSync(folder, { recursive: true, force: true });
	process.exit(failed ? 1 : 0);
}

main(process.argv[2]);
