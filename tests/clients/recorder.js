/*
 * recorder.js - stands where the providers are: keeps every request, answers it with as little as is valid
 *
 * The file system reaches it over two sockets (TLS and plain), believing that it talks to the providers' own
 * addresses; the libraries over a port, through fetch() below, which says whom they wanted. What is kept of a
 * request has the same form from both.  The answers are in answers.js.
 */
'use strict';

const { execFileSync } = require('child_process');
const fs = require('fs');
const http = require('http');
const https = require('https');
const path = require('path');
const answers = require('./answers.js');

const WANTED = 'x-recorder-wanted';

/* of the connection and of who asks, not of the request; everything else is compared */
const NOT_KEPT = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'user-agent', 'accept-encoding',
	'accept-language', 'sec-fetch-mode', WANTED]);
const TELEMETRY = /^x-stainless-|^x-goog-api-client$/;

function headersOf(req) {
	const kept = Object.entries(req.headers).filter(([name]) => !NOT_KEPT.has(name) && !TELEMETRY.test(name));

	return Object.fromEntries(kept.map(([name, value]) => [name, value.replace(/boundary=.*/, 'boundary=*')]));
}

function linesOf(text) {
	return { lines: text.split('\n').filter((line) => line).map((line) => JSON.parse(line)) };
}

async function formOf(type, bytes) {
	const form = await new Response(bytes, { headers: { 'content-type': type } }).formData();
	const out = {};

	for (const [name, value] of form)
		out[name] = typeof value === 'string' ? value :
			{ filename: value.name, type: value.type, ...linesOf(await value.text()) };
	return { form: out };
}

async function bodyOf(req, bytes) {
	const type = req.headers['content-type'] || '';

	if (!bytes.length)
		return undefined;
	if (type.startsWith('multipart/form-data'))
		return formOf(type, bytes);
	/* Google's upload: the type is said in the request before it */
	if (req.headers['x-goog-upload-offset'])
		return linesOf(bytes.toString());
	return JSON.parse(bytes.toString());
}

class Recorder {
	constructor(folder) {
		this.folder = folder;
		this.tls = path.join(folder, 'tls.sock');
		this.plain = path.join(folder, 'plain.sock');
		this.authority = path.join(folder, 'cert.pem');
		this.servers = [];
		this.reset();
	}

	/* what was asked before is forgotten, batches and files, too */
	reset(how) {
		this.log = [];
		this.state = answers.begin(how);
	}

	async record(req, res, secure) {
		const chunks = [];

		for await (const chunk of req)
			chunks.push(chunk);
		const wanted = new URL(req.headers[WANTED] || `${secure ? 'https' : 'http'}://${req.headers.host}`);
		const url = new URL(req.url, wanted);
		const entry = { method: req.method, origin: wanted.origin, path: url.pathname,
			query: Object.fromEntries(url.searchParams), headers: headersOf(req),
			body: await bodyOf(req, Buffer.concat(chunks)) };

		this.log.push(entry);
		answers.answer(this.state, entry, res);
	}

	listen(server, where) {
		this.servers.push(server);
		server.keepAliveTimeout = 60000;
		return new Promise((resolve, reject) => server.once('error', reject).listen(where, () => resolve(server)));
	}

	async start(hosts) {
		const key = path.join(this.folder, 'key.pem');
		const handler = (secure) => (req, res) => this.record(req, res, secure).catch((e) => {
			this.log.push({ broken: `${req.method} ${req.url}: ${e.message}` });
			res.destroy();
		});

		execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
			'-days', '2', '-subj', '/CN=recorder', '-addext', `subjectAltName=${hosts.map((h) => `DNS:${h}`)}`,
			'-keyout', key, '-out', this.authority], { stdio: 'pipe' });
		await this.listen(https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(this.authority) },
			handler(true)), this.tls);
		await this.listen(http.createServer(handler(false)), this.plain);
		const open = await this.listen(http.createServer(handler(false)), { host: '127.0.0.1', port: 0 });
		this.address = `http://127.0.0.1:${open.address().port}`;
	}

	/* Instead of the global one: whatever address a library wants, it is answered here. */
	fetch(real) {
		return (input, init) => {
			const request = new Request(input, init && init.body ? { duplex: 'half', ...init } : init);
			const url = new URL(request.url);

			request.headers.set(WANTED, url.origin);
			return real(new Request(this.address + url.pathname + url.search, request));
		};
	}

	stop() {
		for (const server of this.servers) {
			server.close();
			server.closeAllConnections();
		}
	}
}

module.exports = { Recorder };
