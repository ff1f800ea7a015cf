/*
 * compare.js - what two clients sent for the same: every difference, and which of them are allowed
 *
 * A difference is { where, ours, theirs }; where is a path such as /body/messages/0/content, undefined stands for
 * what is not there.
 */
'use strict';

const isObject = (v) => v !== null && typeof v === 'object';

function diff(ours, theirs, where, out) {
	if (Array.isArray(ours) !== Array.isArray(theirs) || !isObject(ours) || !isObject(theirs)) {
		if (!Object.is(ours, theirs))
			out.push({ where, ours, theirs });
		return out;
	}
	/* a member that is undefined is one that is not there: no client sends such a thing */
	for (const name of new Set([...Object.keys(ours), ...Object.keys(theirs)]))
		diff(ours[name], theirs[name], `${where}/${name}`, out);
	return out;
}

/* "*" in a path is one step, whatever its name */
function fits(pattern, where) {
	const a = pattern.split('/'), b = where.split('/');

	return a.length === b.length && a.every((step, i) => step === '*' || step === b[i]);
}

function same(wanted, value) {
	return typeof wanted === 'function' ? wanted(value) : diff(wanted, value, '', []).length === 0;
}

/* `at` is { provider, row }; what is allowed is counted in its entry's `used` */
function allowed(table, at, ours, theirs, d) {
	const entry = table.find((x) => (!x.providers || x.providers.includes(at.provider)) && (!x.rows || x.rows.test(at.row)) &&
		(!x.path || x.path.test(`${ours.method} ${ours.path}`)) && (!x.when || x.when(ours, theirs)) && fits(x.where, d.where) &&
		same(x.ours, d.ours) && same(x.theirs, d.theirs));

	if (entry)
		entry.used = (entry.used || 0) + 1;
	return entry;
}

const show = (v) => (v === undefined ? 'nothing' : JSON.stringify(v));

/* the differences that are not allowed, as sentences */
function judge(table, at, ours, theirs) {
	return diff(ours, theirs, '', [])
		.filter((d) => !allowed(table, at, ours, theirs, d))
		.map((d) => `${ours.method} ${ours.path}: ${d.where}: inferfs ${show(d.ours)}, the library ${show(d.theirs)}`);
}

/* The same call made again, as a poll is, is one call. */
function calls(log) {
	const out = new Map();

	for (const q of log) {
		const name = `${q.method} ${q.path}${q.headers && q.headers['x-goog-upload-offset'] ? ' (bytes)' : ''}`;

		if (!out.has(name))
			out.set(name, q);
	}
	return out;
}

/* all of one row: a list of sentences, empty when nothing differs */
function compare(table, at, ours, theirs) {
	const a = calls(ours), b = calls(theirs), out = [];

	for (const q of [...ours, ...theirs].filter((q) => q.broken))
		out.push(`not understood: ${q.broken}`);
	for (const [name, q] of a)
		out.push(...(b.has(name) ? judge(table, at, q, b.get(name)) : [`only inferfs asks ${name}`]));
	for (const name of b.keys())
		if (!a.has(name))
			out.push(`only the library asks ${name}`);
	return out;
}

module.exports = { compare };
