/*
 * mount.js - the file system, mounted for real, whose backends are at their own addresses but for the socket
 *
 *   1. start()            mounts it
 *   2. ask(), job() ...   what a user would do; each returns when all of it was sent and answered
 *   3. stop()
 *
 * Everything is read through node's own threads: the recorder, which answers, lives in the same loop.
 */
'use strict';

const { execFileSync, spawn } = require('child_process');
const fs = require('fs');
const path = require('path');

const KEY = 'sk-clients-0123456789';
const PATIENCE_MS = 15000, LOOK_MS = 10;
const LOCAL = new Set(['ollama', 'vllm']);
const PROVIDERS = ['openai', 'mistral', 'gemini', 'anthropic', ...LOCAL];
const KEYS = ['OPENAI_API_KEY', 'MISTRAL_API_KEY', 'GEMINI_API_KEY', 'ANTHROPIC_API_KEY'];

/* what has no event to wait for is looked at again, until a bound is reached */
async function until(what, look) {
	const end = Date.now() + PATIENCE_MS;

	for (;;) {
		const seen = await look();

		if (seen)
			return seen;
		if (Date.now() > end)
			throw new Error(`${what}: not within ${PATIENCE_MS / 1000} s`);
		await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
	}
}

class Mount {
	constructor(build, folder, recorder) {
		Object.assign(this, { program: path.join(build, 'inferfs'), folder, recorder });
		this.point = path.join(folder, 'm');
		this.state = path.join(folder, 'state');
		this.count = 0;
	}

	config() {
		const sections = PROVIDERS.map((p) => [`[backend ${p}]`,
			...(p === 'vllm' ? ['type = openai', 'dialect = vllm', 'key_env = OPENAI_API_KEY'] : [`type = ${p}`]),
			...(LOCAL.has(p) ? [`unix_socket = ${this.recorder.plain}`] : [`unix_socket = ${this.recorder.tls}`,
				`ca_file = ${this.recorder.authority}`]),
			'retries = 1', 'backoff_ms = 1', 'backoff_max_ms = 2', 'breaker_failures = 0', 'stall_timeout = 5'].join('\n'));

		return ['[inferfs]', 'model = openai/gpt-4.1', 'cache_mode = bypass', '[batch]', 'poll_min_s = 0.01', 'poll_max_s = 0.02',
			...sections].join('\n') + '\n';
	}

	async start() {
		const config = path.join(this.folder, 'config.ini');
		const env = { PATH: process.env.PATH, HOME: this.folder, LC_ALL: 'C' };

		for (const name of KEYS)
			env[name] = KEY;
		fs.mkdirSync(this.point);
		fs.writeFileSync(config, this.config());
		const log = fs.openSync(path.join(this.folder, 'log'), 'w');
		this.daemon = spawn(this.program, ['-f', this.point, '-o',
			`config=${config},state=${this.state},cache=disk:${path.join(this.folder, 'cache')}`], { env, stdio: ['ignore', log,
				log] });
		this.over = new Promise((resolve) => this.daemon.once('exit', resolve));
		await until('the mount', async () => {
			if (this.daemon.exitCode !== null)
				throw new Error(`inferfs: ${fs.readFileSync(path.join(this.folder, 'log'), 'utf8')}`);
			return fs.promises.access(path.join(this.point, 'prompts')).then(() => true, () => false);
		});
	}

	read(name) {
		return fs.promises.readFile(path.join(this.point, name), 'utf8');
	}

	write(name, text) {
		return fs.promises.writeFile(path.join(this.point, name), text);
	}

	/* one request, until its answer is there */
	async ask(request) {
		const stem = `r${++this.count}`, last = request.input === undefined ? 'text' : 'embedding.json';
		const refused = async (e) => {
			const why = await this.read(`responses/${stem}/error.json`).catch(() => e.message);

			throw new Error(`${JSON.stringify(request)}: ${why}`);
		};

		await this.write(`prompts/${stem}.json`, JSON.stringify(request)).catch(refused);
		await this.read(`responses/${stem}/${last}`).catch(refused);
	}

	/* one line through the batch API, until nothing of it is left at the provider; cancelled: once it runs */
	async job(line, cancelled) {
		const stem = `j${++this.count}`, jobs = path.join(this.state, 'jobs');
		const runs = () => this.recorder.log.filter((q) => q.method === 'GET').length > 0;
		const left = async () => (await fs.promises.readdir(jobs).catch(() => [])).some((name) => name.endsWith('.batch'));

		await this.write(`prompts/${stem}.batch.jsonl`, JSON.stringify(line) + '\n');
		if (cancelled) {
			await until(`${stem} runs`, runs);
			await this.write(`responses/${stem}/ctl`, 'cancel\n');
			await until(`${stem} is cancelled`, async () => (await this.read(`responses/${stem}/status`)) === 'cancelled\n');
		} else {
			await this.read(`responses/${stem}/output.jsonl`);
		}
		await until(`${stem} is tidied up`, async () => !(await left()));
	}

	async models(provider) {
		await fs.promises.readdir(path.join(this.point, 'models', provider));
	}

	async order(provider, text) {
		await this.write(`backends/${provider}/ctl`, `${text}\n`);
		await until(text, () => this.recorder.log.length > 0);
	}

	async stop() {
		if (!this.daemon || this.daemon.exitCode !== null)
			return;
		this.release();
		const slow = setTimeout(() => this.daemon.kill('SIGKILL'), PATIENCE_MS);
		await this.over;
		clearTimeout(slow);
	}

	/* at once, when the suite is interrupted */
	abandon() {
		if (this.daemon)
			this.daemon.kill('SIGKILL');
		this.release();
	}

	release() {
		try {
			execFileSync('fusermount3', ['-uz', this.point], { stdio: 'ignore' });
		} catch {
			/* it was not mounted, or not any more */
		}
	}
}

module.exports = { Mount, KEY };
