/*
 * strict.js - a description of the OpenAPI kind as JSON Schema 2020-12 that refuses what it does not list
 *
 * Descriptions are open by default: an invented or misplaced member would pass. Here every object whose
 * description lists members has those and no others. That is said with unevaluatedProperties where a value
 * stands (root, member, item), never in a schema that others include with allOf, so composition keeps working.
 */
'use strict';

const VALUE_MAPS = ['properties', 'patternProperties'];
const BRANCHES = ['allOf', 'anyOf', 'oneOf'];

function isObject(x) {
	return x !== null && typeof x === 'object' && !Array.isArray(x);
}

/* "nullable": 3.0 has it, and files of 3.1 still use it */
function withNull(s) {
	delete s.nullable;
	if (s.enum && !s.enum.includes(null))
		s.enum = [...s.enum, null];
	if (typeof s.type === 'string')
		s.type = [s.type, 'null'];
	else if (!s.type)
		return { anyOf: [s, { type: 'null' }] };
	return s;
}

/* no member is listed anywhere below: an object of whatever members (a user's JSON schema, say) */
function isFree(s) {
	return !s.properties && !s.additionalProperties && !s.$ref && !BRANCHES.some((b) => s[b]) &&
		(s.type === undefined || [].concat(s.type).includes('object'));
}

/*
 * `place` is "value" where this schema alone describes a value, "branch" where it is one of several that do.
 */
function strict(schema, place, request) {
	if (!isObject(schema))
		return schema;
	let s = { ...schema };

	/* hints and what 2020-12 has no word for; the consts of a discriminator are in its branches */
	for (const word of ['discriminator', 'example', 'examples', 'xml', 'externalDocs', '$recursiveRef', '$recursiveAnchor'])
		delete s[word];
	if (request && s.readOnly)
		return false;
	for (const map of VALUE_MAPS)
		if (s[map])
			s[map] = Object.fromEntries(Object.entries(s[map]).map(([k, v]) => [k, strict(v, 'value', request)]));
	for (const word of ['items', 'additionalProperties', 'contains'])
		if (isObject(s[word]))
			s[word] = strict(s[word], 'value', request);
	if (s.prefixItems)
		s.prefixItems = s.prefixItems.map((v) => strict(v, 'value', request));
	for (const b of BRANCHES)
		if (s[b])
			s[b] = s[b].map((v) => strict(v, 'branch', request));
	/* branches of one choice often overlap (a string, and a string of an enum): one that fits is enough */
	if (s.oneOf) {
		s.allOf = [...(s.allOf || []), { anyOf: s.oneOf }];
		delete s.oneOf;
	}
	if (isFree(s))
		s.additionalProperties = true;
	else if (place === 'value' && s.additionalProperties === undefined)
		s.unevaluatedProperties = false;
	return s.nullable ? withNull(s) : s;
}

/* name -> schema of a description's components, and a way to name a request's body there */
function components(doc) {
	const out = {};

	for (const [name, schema] of Object.entries(doc.components.schemas))
		out[name] = strict(schema, 'branch', true);
	return out;
}

module.exports = { strict, components };
