// Turns the OpenAPI document into src/client/api.ts: a type for each schema, body, query and answer, the codes of every
// operation, and the table of methods and paths that the client calls by. Plain text in, plain text out; the build runs it
// when the document changed, and a test holds the committed file to it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './setup.mjs';

const METHODS = ['get', 'put', 'post', 'delete', 'patch'];
const JSON_LINES = 'application/jsonl';
/** As wide as a union may be on one line. */
const WIDTH = 130;

const pascal = (name) => name[0].toUpperCase() + name.slice(1);
const property = (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : `'${name}'`);
const literal = (value) => (typeof value === 'string' ? `'${value}'` : String(value));
const indent = (text) => text.replace(/\n(?=.)/g, '\n  ');
const sentence = (text) => (/[.:;!?]$/.test(text) ? text : `${text}.`);
const named = (ref) => ref.split('/').pop();

/** Several types as one, over several lines where they are many. */
function union(types) {
  const all = [...new Set(types)];
  const line = all.join(' | ');
  if (line.length <= WIDTH || line.includes('\n')) return line;
  const lines = [''];
  for (const type of all) {
    if (lines.at(-1) !== '' && `${lines.at(-1)} | ${type}`.length > WIDTH) lines.push('');
    lines.push(`${lines.pop()} | ${type}`);
  }
  return `\n  ${lines.map((part) => part.trim()).join('\n  ')}`;
}

/** A type after a colon or an equals sign. */
const after = (text) => (text.startsWith('\n') ? text : ` ${text}`);

/** What a number's name says of its unit. */
function unit(name) {
  const [, word] = /_(seconds|days|ms|bytes|hours)$/.exec(name) ?? [];
  return word === undefined ? undefined : { seconds: 'Seconds', days: 'Days', ms: 'Milliseconds', bytes: 'Bytes', hours: 'Hours' }[word];
}

/** The doc comment of a value, or nothing: what it is, in which unit, within which bounds. */
function comment(name, schema, more = '') {
  const types = [schema.type].flat();
  const said = [schema.description ?? '', more].filter(Boolean).map((text) => sentence(pascal(text)));
  const [low, high] = [schema.minimum, schema.maximum];
  const bounds = high !== undefined && high < Number.MAX_SAFE_INTEGER ? `${low ?? 0} to ${high}` : low !== undefined && low > 0 ? `${low} or more` : undefined;
  const number = types.includes('integer') || types.includes('number');
  if (number && (unit(name) || bounds)) said.push(sentence(pascal([unit(name), bounds].filter(Boolean).join(', '))));
  if (schema.format === 'date-time') said.push('RFC 3339.');
  if (schema.format === 'date') said.push('RFC 3339, the date alone.');
  if (types.includes('array') && schema.maxItems) said.push(`Up to ${schema.maxItems}.`);
  if (types.includes('string') && schema.maxLength) said.push(`Up to ${schema.maxLength} characters.`);
  const example = schema.examples?.[0] ?? schema.items?.examples?.[0];
  if (example !== undefined) said.push(`Such as \`${example}\`.`);
  if (schema.default !== undefined) said.push(`\`${schema.default}\` where it is left out.`);
  return said.length === 0 ? '' : `/** ${said.join(' ').replaceAll('*/', '*\\/')} */\n`;
}

/** The members of an object. `sent`: it is written by callers, who may also hand over `undefined` for what they leave out. */
function members({ properties = {}, required = [] }, sent) {
  const lines = Object.entries(properties).map(([name, schema]) => {
    const optional = !required.includes(name);
    return `${comment(name, schema)}${property(name)}${optional ? '?' : ''}:${after(type(schema, sent))}${optional && sent ? ' | undefined' : ''};`;
  });
  return lines.length === 0 ? '{}' : `{\n${lines.map((line) => `  ${indent(line)}\n`).join('')}}`;
}

function type(schema, sent = false) {
  if (schema.$ref) return named(schema.$ref);
  if (schema.allOf) return schema.allOf.map((part) => type(part, sent)).join(' & ');
  if (schema.oneOf && !schema.properties) return union(schema.oneOf.map((part) => type(part, sent)));
  if ('const' in schema) return literal(schema.const);
  if (schema.enum) return union(schema.enum.map(literal));
  if (schema.properties && !schema.type) return members(schema, sent);
  return union([schema.type].flat().map((one) => {
    if (one === 'object') {
      if (schema.properties) return members(schema, sent);
      if (schema.additionalProperties) return `Record<string, ${type(schema.additionalProperties, sent)}>`;
      return 'Record<string, unknown>';
    }
    if (one === 'array') {
      const items = type(schema.items ?? {}, sent);
      return /[|&\n]/.test(items) && !items.startsWith('{') ? `(${items})[]` : `${items}[]`;
    }
    return { integer: 'number', number: 'number', string: 'string', boolean: 'boolean', null: 'null' }[one] ?? 'unknown';
  }));
}

function declaration(name, schema, { sent = false, about = '' } = {}) {
  const doc = comment(name, { description: schema.description }, about);
  const text = type(schema, sent);
  return schema.type === 'object' && schema.properties
    ? `${doc}export interface ${name} ${text}\n`
    : `${doc}export type ${name} =${after(text)};\n`;
}

const codesOf = (operation) => Object.entries(operation.responses).flatMap(([status, { content }]) =>
  (Number(status) < 400 ? [] : content['application/problem+json'].schema.allOf.flatMap((part) => part.properties?.code?.enum ?? [])));

/** The text of src/client/api.ts for an OpenAPI document. */
export function types(document) {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ method, path, ...item[method], parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])] })));
  const out = [`/**
 * What a deployment of keyward is asked and answers: every schema, body, query and code of its OpenAPI document (version ${document.info.version}).
 * Written by .ci/types.mjs from that document, which the Worker's own table writes. Not edited by hand.
 */
`];
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    if (name !== 'Problem') out.push(declaration(name, schema));
  }
  const rows = [];
  const described = [];
  for (const { operationId: id, method, path, parameters, requestBody, responses, security, summary, description } of operations) {
    const at = `\`${method.toUpperCase()} ${path}\``;
    const parts = [];
    const query = parameters.filter((parameter) => parameter.in === 'query');
    if (query.length > 0) {
      const name = `${pascal(id)}Query`;
      const schema = {
        type: 'object',
        properties: Object.fromEntries(query.map((parameter) => [parameter.name, { ...parameter.schema, description: parameter.description ?? parameter.schema.description }])),
        required: query.filter((parameter) => parameter.required).map((parameter) => parameter.name),
      };
      out.push(declaration(name, schema, { sent: true, about: `Query of ${at}` }));
      parts.push(`query: ${name}`);
    }
    const [[media, { schema: body }] = [undefined, {}]] = Object.entries(requestBody?.content ?? {});
    if (body !== undefined) {
      const lines = media === JSON_LINES;
      const name = `${pascal(id)}${lines ? 'Line' : 'Body'}`;
      out.push(declaration(name, lines ? body['x-line'] : { ...body, description: undefined }, { sent: true, about: lines ? `One line of the body of ${at}` : `Body of ${at}` }));
      parts.push(`body: ${name}${lines ? '[]' : ''}`);
    }
    const answers = Object.entries(responses).filter(([status]) => Number(status) < 400).flatMap(([, { content = {} }]) => Object.entries(content));
    const answer = answers.map(([kind, { schema }]) => (kind === JSON_LINES ? `${type(schema['x-line'])}[]` : kind === 'application/json' ? type(schema) : 'string'));
    parts.push(`answer: ${answer.length === 0 ? 'null' : union(answer)}`);
    const codes = [...new Set(codesOf({ responses }))];
    parts.push(`code:${after(union(codes.map(literal))).replaceAll('\n  ', '\n      ')}`);
    described.push(`  /** ${at}: ${sentence(summary)}${description ? ` ${sentence(description)}` : ''} */\n  ${id}: {\n${parts.map((part) => `    ${part};\n`).join('')}  };\n`);
    const marks = [
      ...(security?.length === 0 ? ['open'] : []),
      ...(parameters.some((parameter) => parameter.name === 'Idempotency-Key') ? ['once'] : []),
    ];
    rows.push(`  ${id}: [${[method.toUpperCase(), path, ...marks].map(literal).join(', ')}],\n`);
  }
  const all = [...new Set(operations.flatMap(codesOf))].sort();
  out.push(`/** The code of a problem document. */\nexport type ProblemCode =${after(union(all.map(literal)))};\n`);
  out.push(`${declaration('Problem', {
    ...document.components.schemas.Problem,
    properties: { ...document.components.schemas.Problem.properties, code: { $ref: '/ProblemCode' } },
  }, { about: 'A problem document (RFC 9457)' })}`);
  out.push(`/** Every operation of the document: what goes in, what comes out, and the codes of its refusals. */\nexport interface Operations {\n${described.join('')}}\n`);
  out.push(`/** Method and path of every operation; \`open\`: it takes no key, \`once\`: it takes an \`Idempotency-Key\`. */
export const operations: Record<keyof Operations, readonly [method: string, path: string, mark?: 'open' | 'once']> = {\n${rows.join('')}};\n`);
  return out.join('\n');
}

/** Writes the file if it is not what it should be; whether it was written. */
export function writeTypes(document = join(root, 'build', 'www', 'openapi.json'), out = join(root, 'src', 'client', 'api.ts')) {
  const text = types(JSON.parse(readFileSync(document, 'utf8')));
  let before;
  try {
    before = readFileSync(out, 'utf8');
  } catch {
    // Not there yet.
  }
  if (before === text) return false;
  writeFileSync(out, text);
  return true;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stderr.write(writeTypes() ? 'src/client/api.ts written\n' : 'src/client/api.ts is as it should be\n');
