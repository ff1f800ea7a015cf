/*
 * mistakes.js - what must be seen: every pair of requests that passed, again, with one thing wrong in inferfs's
 */
'use strict';

const KEYS = ['authorization', 'x-api-key', 'x-goog-api-key'];
const clone = (log) => log.map((q) => structuredClone(q));

/* each changes one request, or says that there is nothing in it to change */
const mistakes = {
	'an invented member': (q) => q.body && Object.assign(q.body, { temprature: 1 }),
	'a member that is not sent': (q) => q.body && Object.keys(q.body).length && delete q.body[Object.keys(q.body)[0]],
	'a member at the wrong place': (q) => q.body && q.body.messages && Object.assign(q.body.messages[0], { temperature: 1 }),
	'another number': (q) => q.body && q.body.temperature && (q.body.temperature += 0.1),
	'a number as text': (q) => q.body && q.body.max_tokens && (q.body.max_tokens = String(q.body.max_tokens)),
	'another path': (q) => (q.path += '/'),
	'another method': (q) => (q.method = 'PUT'),
	'another address': (q) => (q.origin = 'https://example.com'),
	'an invented parameter of the path': (q) => (q.query.key = 'k'),
	'an invented header': (q) => (q.headers['anthropic-beta'] = 'b'),
	'no key': (q) => KEYS.some((h) => q.headers[h] && delete q.headers[h]),
	'another key': (q) => KEYS.some((h) => q.headers[h] && (q.headers[h] += 'x')),
	'another type of body': (q) => q.headers['content-type'] && (q.headers['content-type'] = 'text/plain'),
	'an invented field of a form': (q) => q.body && q.body.form && (q.body.form.model = 'm'),
	'an invented member of a line': (q) => q.body && q.body.form && (q.body.form.file.lines[0].url2 = 'x'),
};

/* compare: (at, ours, theirs) -> sentences */
function check(pairs, compare) {
	const good = pairs.filter(({ at, ours, theirs }) => !compare(at, ours, theirs).length);

	return Object.entries(mistakes).map(([name, make]) => {
		const missed = [];
		let tried = 0;

		for (const { at, ours, theirs } of good) {
			const wrong = clone(ours);

			if (!wrong.some((q) => make(q)))
				continue;
			tried++;
			if (!compare(at, wrong, theirs).length)
				missed.push(`${at.provider}: ${at.row}`);
		}
		return { name, missed: tried ? missed : ['in no request'] };
	});
}

module.exports = { check };
