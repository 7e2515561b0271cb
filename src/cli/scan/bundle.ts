/** A built front end: what of it came from which source, by its source maps. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TraceMap, originalPositionFor } from '@jridgewell/trace-mapping';
import type { Engine } from './engine.js';
import { type Located, shown } from './report.js';
import type { Skipped } from './tree.js';

/** Most bytes of a source map that are read. */
const MOST = 256 << 20;
/** Files that a bundler makes, which may hold a source map or name one. */
const BUILT = /\.([cm]?js|css)$/;
/** What may follow a map that is the file's own. */
const TRAILER = /^(?:\s|\*\/|\/\/[^\n]*)*$/;
const INLINE = /[#@]\s*sourceMappingURL=data:application\/json([^,\s"'\\]*),/g;

/** The bytes of a file, which is no pipe (nobody may write to it) and not too large; `undefined` where it cannot be read. */
function bytesOf(path: string): Buffer | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(file);
    return stat.isFile() && stat.size <= MOST ? readFileSync(file) : undefined;
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function map(text: string): TraceMap | undefined {
  try {
    // What servers put in front, so that no page can run it as a script.
    return new TraceMap(text.replace(/^\)\]\}'?[^\n]*\n/, ''));
  } catch {
    return undefined;
  }
}

/** A source map that is part of a file, and where its comment stands; why it is none, where it cannot be decoded. */
interface Inline {
  map: TraceMap | undefined;
  why?: string;
  start: number;
  end: number;
}

const isLast = (text: string, { end }: Inline) => text.length - end < 4096 && TRAILER.test(text.slice(end));

function inlineMaps(text: string): Inline[] {
  return [...text.matchAll(INLINE)].map(({ 0: head, 1: type = '', index: start }) => {
    const from = start + head.length;
    const base64 = /;base64$/i.test(type);
    const rest = base64 ? /[\w+/=-]*/y : /[^\r\n]*/y;
    rest.lastIndex = from;
    let [body = ''] = rest.exec(text) ?? [];
    if (text[start - 1] === '*') body = body.split('*/', 1)[0] as string;
    const place = { start, end: from + body.length };
    if (base64) return { map: map(Buffer.from(body, 'base64').toString()), ...place };
    try {
      return { map: map(decodeURIComponent(body)), ...place };
    } catch (error) {
      // What was not encoded may hold any letter.
      const known = map(body);
      return { map: known, ...(known === undefined ? { why: (error as Error).message } : {}), ...place };
    }
  });
}

/** The map of a built file: named in its last lines, inline or beside it. */
function mapOf(file: string): TraceMap | undefined {
  const text = bytesOf(file)?.toString();
  if (text === undefined) return undefined;
  const inline = inlineMaps(text).pop();
  if (inline?.map !== undefined && isLast(text, inline)) return inline.map;
  const url = [...text.slice(-4096).matchAll(/[#@]\s*sourceMappingURL=([^\s*]+)/g)].pop()?.[1];
  const beside = [...(url && !/^[a-z]+:/i.test(url) ? [join(dirname(file), url.split('?')[0] as string)] : []), `${file}.map`];
  const found = beside.map(bytesOf).find((bytes) => bytes !== undefined);
  return found && map(found.toString());
}

/** Sources as a reader knows them: without the bundler's scheme. */
const named = (source: string | null) => (source ?? '').replace(/^webpack:\/\/\/?/, '').replace(/^(\.\.?\/)+/, '').replace(/\?.*$/, '');

function origin(known: TraceMap, { line, column }: Located) {
  try {
    return originalPositionFor(known, { line, column: column - 1 });
  } catch {
    // Mappings are decoded only here, and may be anything.
    return undefined;
  }
}

/** Tells where findings in built files come from. */
export function traced(findings: Located[], root: (name: string) => string): Located[] {
  const maps = new Map<string, TraceMap | undefined>();
  return findings.map((finding) => {
    if (!BUILT.test(finding.path)) return finding;
    if (!maps.has(finding.path)) maps.set(finding.path, mapOf(root(finding.path)));
    const known = maps.get(finding.path);
    const place = known && origin(known, finding);
    const path = named(place?.source ?? null);
    return place?.source && path ? { ...finding, original: { path, line: place.line, column: place.column + 1 } } : finding;
  });
}

/** What came of the sources that a file carries along. */
export interface Carried {
  findings: Located[];
  skipped: Skipped[];
  /** Whether a finding in the file itself is one in its source map: that is told where it comes from instead. */
  covers(finding: Located): boolean;
}

/** The sources that a source map holds, or that a built file does in one of its own, each scanned as the file it was; `undefined` where there are none. */
export function sources(file: string, name: string, engine: Engine): Carried | undefined {
  if (!name.endsWith('.map') && !BUILT.test(name)) return undefined;
  // What cannot be read is told by whoever scans the file itself.
  const bytes = bytesOf(file);
  const carried: Carried = { findings: [], skipped: [], covers: () => true };
  if (name.endsWith('.map')) {
    const known = bytes && map(bytes.toString());
    if (known !== undefined) scanSources(known, name, engine, carried);
    return known && carried;
  }
  if (!bytes?.includes('sourceMappingURL=data:')) return undefined;
  const text = bytes.toString();
  const inline = inlineMaps(text);
  // Elsewhere than at the end it is a text that only speaks of such maps.
  const last = inline.at(-1);
  if (last?.why !== undefined && isLast(text, last)) carried.skipped.push({ path: name, why: `its inline source map: ${last.why}`, failed: true });
  const spans = inline.flatMap(({ map: known, start, end }) => {
    if (known === undefined) return [];
    scanSources(known, name, engine, carried);
    return [[Buffer.byteLength(text.slice(0, start)), Buffer.byteLength(text.slice(0, end))] as const];
  });
  return { ...carried, covers: ({ offset }) => spans.some(([start, end]) => offset >= start && offset < end) };
}

function scanSources(known: TraceMap, name: string, engine: Engine, { findings, skipped }: Carried) {
  for (const [at, source] of known.resolvedSources.entries()) {
    const content: unknown = known.sourcesContent?.[at] ?? undefined;
    // Not every map carries its sources along.
    if (content === undefined) continue;
    const path = named(source);
    if (typeof content !== 'string') {
      skipped.push({ path: name, why: `what it holds of ${path ? shown(path) : 'a source'} is no text`, failed: true });
      continue;
    }
    for (const { secret, ...finding } of engine.bytes(path || name, Buffer.from(content)).findings) {
      findings.push({ ...finding, path: name, ...(path ? { original: { path, line: finding.line, column: finding.column } } : {}) });
    }
  }
}
