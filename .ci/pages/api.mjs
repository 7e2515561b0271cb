// Renders the reference of the API from the OpenAPI document: a page without a script, in which every operation and schema can be linked
// to. Knows the parts of OpenAPI 3.1 that the document uses; what it does not know fails the build, so that nothing is left out unseen.
import { escape } from './shell.mjs';
import { documentPage } from './documents.mjs';

export const API = 'api.html';

/** Operations by what they are about, in the order in which one meets them: the first pattern that matches an operation's path is its group. */
const GROUPS = [
  ['Reports', /^\/v1\/reports/], ['The log', /^\/v1\/audit/], ['Leaks and incidents', /leak|incidents/], ['Rotation', /\/rotations/],
  ['Use', /\/(usage|calls|anomalies|outcomes)$|^\/metrics/], ['Webhooks', /^\/v1\/webhooks/], ['Routes and sessions', /^\/v1\/(routes|relay)|jwks/],
  ['Keys', /^\/v1\/keys/], ['For proxies', /^\/v1\/authorize/], ['The deployment', /./],
];
const ORDER = ['Keys', 'For proxies', 'Rotation', 'Routes and sessions', 'Use', 'Leaks and incidents', 'Webhooks', 'Reports', 'The log', 'The deployment'];

/** Everything that a schema may say. */
const KNOWN = new Set(['$ref', 'additionalProperties', 'allOf', 'anyOf', 'const', 'default', 'description', 'enum', 'examples', 'format', 'items', 'maxItems', 'maxLength', 'maximum',
  'minItems', 'minLength', 'minimum', 'not', 'oneOf', 'pattern', 'properties', 'required', 'type', 'uniqueItems', 'writeOnly', 'x-line']);

const METHODS = new Set(['get', 'put', 'post', 'patch', 'delete']);

/** What is written between backticks in a description is code. */
const prose = (text) => escape(text).replace(/`([^`]+)`/g, '<code>$1</code>');
const code = (value) => `<code>${escape(typeof value === 'string' ? value : JSON.stringify(value))}</code>`;

const slug = (text) => text.toLowerCase().replaceAll(' ', '-');

/** The type of a schema in a few words. */
function typeOf(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1);
    return `<a href="#schema-${name}">${name}</a>`;
  }
  if (schema.enum) return schema.enum.map(code).join(' or ');
  if (schema.const !== undefined) return code(schema.const);
  const either = schema.oneOf ?? schema.anyOf;
  if (either && !schema.type) return either.map(typeOf).join(' or ');
  if (schema.allOf) return schema.allOf.map(typeOf).filter((type) => type !== 'object').join(' with ') || 'object';
  const types = [schema.type ?? (schema.properties ? 'object' : 'anything')].flat();
  return types.map((type) => (type === 'array' && schema.items ? `list of ${typeOf(schema.items)}` : type)).join(' or ');
}

/** The bounds of a value, in words. */
function bounds({ minLength, maxLength, minimum, maximum, minItems, maxItems, uniqueItems, format, pattern, items, default: otherwise, examples }) {
  const range = (from, to, unit) => (from === undefined && to === undefined ? [] : [from === undefined ? `at most ${to}${unit}` : to === undefined ? `at least ${from}${unit}` : `${from} to ${to}${unit}`]);
  return [
    ...range(minLength, maxLength, ' characters'), ...range(minimum, maximum, ''), ...range(minItems, maxItems, ' entries'),
    ...(uniqueItems ? ['each once'] : []), ...(format ? [escape(format)] : []), ...(pattern ? [`matches ${code(pattern)}`] : []),
    ...(items && !items.$ref && bounds(items) ? [`each ${bounds(items)}`] : []),
    ...(otherwise === undefined ? [] : [`${code(otherwise)} where it is left out`]), ...(examples ? [`as ${examples.map(code).join(', ')}`] : []),
  ].join('; ');
}

/** The schemas inside one, that say more than its type does. */
function inner(schema) {
  const { items, oneOf = [], anyOf = [], allOf = [], additionalProperties } = schema;
  return [...(items ? [items] : []), ...oneOf, ...anyOf, ...allOf, ...(typeof additionalProperties === 'object' ? [additionalProperties] : [])].filter((part) => !part.$ref);
}

/** The fields of an object, and of the objects in it; empty for everything else. */
function fields(schema) {
  const unknown = Object.keys(schema).filter((name) => !KNOWN.has(name));
  if (unknown.length) throw new Error(`the reference cannot show ${unknown.join(', ')} of a schema`);
  const own = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const facts = [schema.required?.includes(name) ? '<b>needed</b>' : '', typeOf(field), bounds(field)].filter(Boolean).join(' · ');
    return `<div><dt>${code(name)}</dt><dd><span class="facts">${facts}</span>${field.description ? `<p>${prose(field.description)}</p>` : ''}${fields(field)}</dd></div>`;
  });
  const nested = inner(schema).map(fields).join('');
  return `${own.length ? `<dl class="fields">${own.join('')}</dl>` : ''}${nested}`;
}

const schemaOf = (schema) => `<p class="facts">${[typeOf(schema), bounds(schema)].filter(Boolean).join(' · ')}</p>${schema.description ? `<p>${prose(schema.description)}</p>` : ''}${fields(schema)}`;

function parameters(all) {
  if (all.length === 0) return '';
  return `<h4>Parameters</h4><dl class="fields">${all.map(({ name, in: place, required, description, schema }) =>
    `<div><dt>${code(name)}</dt><dd><span class="facts">${[required ? '<b>needed</b>' : '', `in the ${place}`, typeOf(schema), bounds(schema)].filter(Boolean).join(' · ')}</span>${description ? `<p>${prose(description)}</p>` : ''}${fields(schema)}</dd></div>`).join('')}</dl>`;
}

function body(requestBody) {
  if (!requestBody) return '';
  return Object.entries(requestBody.content).map(([type, { schema }]) =>
    `<h4>Body</h4><p class="facts">${escape(type)}${requestBody.required ? ' · <b>needed</b>' : ''}</p>${requestBody.description ? `<p>${prose(requestBody.description)}</p>` : ''}${schema['x-line'] ? schemaOf(schema['x-line']) : schemaOf(schema)}`).join('');
}

function responses(all) {
  return `<h4>Answers</h4><dl class="fields answers">${Object.entries(all).map(([status, { description, content = {} }]) => {
    const types = Object.entries(content).filter(([type]) => type !== 'application/problem+json');
    const said = types.length ? types.map(([type, { schema }]) => `<span class="facts">${schema ? `${typeOf(schema)}, ` : ''}${escape(type)}</span>${schema ? fields(schema) : ''}`).join('')
      : `<span class="facts">${Object.keys(content).length ? description.split(', ').map(code).join(' ') : prose(description)}</span>`;
    return `<div><dt><b class="status-${status[0]}">${status}</b></dt><dd>${said}</dd></div>`;
  }).join('')}</dl>`;
}

function operation(path, method, { operationId, summary, description, parameters: own = [], requestBody, responses: answers }, shared) {
  return `<section class="operation">
<h3 id="${operationId}"><a class="anchor" href="#${operationId}"><b class="method ${method}">${method.toUpperCase()}</b> <code>${escape(path)}</code></a></h3>
<p>${prose(summary)}.${description ? ` ${prose(description)}` : ''}</p>
<details><summary>Parameters, body and answers<span class="unseen"> of ${method.toUpperCase()} ${escape(path)}</span></summary>
${parameters([...shared, ...own])}${body(requestBody)}${responses(answers)}
</details>
</section>`;
}

/** The page of the reference, before it is framed. */
export function apiPage(openapi) {
  const groups = new Map(ORDER.map((name) => [name, []]));
  for (const [path, item] of Object.entries(openapi.paths)) {
    const [name] = GROUPS.find(([, pattern]) => pattern.test(path));
    for (const [method, each] of Object.entries(item)) if (METHODS.has(method)) groups.get(name).push(operation(path, method, each, item.parameters ?? []));
  }
  const sections = [...groups].map(([name, operations]) => `<h2 id="${slug(name)}"><a class="anchor" href="#${slug(name)}">${name}</a></h2>\n${operations.join('\n')}`).join('\n');
  const schemas = Object.entries(openapi.components.schemas).map(([name, schema]) =>
    `<section class="operation"><h3 id="schema-${name}"><a class="anchor" href="#schema-${name}">${name}</a></h3>${schemaOf(schema)}</section>`).join('\n');
  const headings = [...ORDER, 'Schemas'].map((name) => ({ depth: 2, id: slug(name), inner: escape(name) }));
  return [API, documentPage({
    page: API,
    title: 'API reference',
    description: 'Every operation of keyward’s HTTP API, with each field, bound and refusal.',
    headings,
    styles: ['/api.css'],
    scripts: ['/api.ts'],
    html: `<h1>API reference</h1>
<p>JSON in and out. Errors are problem documents (RFC 9457) with a stable <code>code</code>. Every answer carries <code>Keyward-Request-Id</code>. The caller shows a key as
<code>Authorization: Bearer</code>; each operation names the scope that the key needs. Times are RFC 3339, durations are seconds. Fields that are not listed are refused: a restriction that was
misspelt must not be silently absent.</p>
<p>All of this is written by the code that serves it, and held to it by tests. For programs: <a href="openapi.json">openapi.json</a>, OpenAPI ${escape(openapi.openapi)}.</p>
${sections}
<h2 id="schemas"><a class="anchor" href="#schemas">Schemas</a></h2>
${schemas}`,
  })];
}
