/** A built front end: what of it came from which source, by its source maps. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TraceMap, originalPositionFor, sourceContentFor } from '@jridgewell/trace-mapping';
import type { Engine } from './engine.js';
import type { Located } from './report.js';

/** Most bytes of a source map that are read. */
const MOST = 256 << 20;

function map(text: string): TraceMap | undefined {
  try {
    // What servers put in front, so that no page can run it as a script.
    return new TraceMap(text.replace(/^\)\]\}'?[^\n]*\n/, ''));
  } catch {
    return undefined;
  }
}

/** The map of a built file: named in its last lines, inline or beside it. */
function mapOf(file: string): TraceMap | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  const url = [...text.slice(-4096).matchAll(/[#@]\s*sourceMappingURL=([^\s*]+)/g)].pop()?.[1] ?? text.match(/[#@]\s*sourceMappingURL=(data:[^\s*]+)\s*$/)?.[1];
  const inline = url?.match(/^data:application\/json[^,]*?(;base64)?,(.*)$/s);
  if (inline) return map(inline[1] ? Buffer.from(inline[2] as string, 'base64').toString() : decodeURIComponent(inline[2] as string));
  const beside = [...(url && !/^[a-z]+:/i.test(url) ? [join(dirname(file), url.split('?')[0] as string)] : []), `${file}.map`];
  for (const path of beside) {
    try {
      return map(readFileSync(path, 'utf8'));
    } catch {
      // The next one.
    }
  }
  return undefined;
}

/** Sources as a reader knows them: without the bundler's scheme. */
const named = (source: string | null) => (source ?? '').replace(/^webpack:\/\/\/?/, '').replace(/^(\.\.?\/)+/, '').replace(/\?.*$/, '');

/** Tells where findings in built files come from. */
export function traced(findings: Located[], root: (name: string) => string): Located[] {
  const maps = new Map<string, TraceMap | undefined>();
  return findings.map((finding) => {
    if (!/\.([cm]?js|css)$/.test(finding.path)) return finding;
    if (!maps.has(finding.path)) maps.set(finding.path, mapOf(root(finding.path)));
    const known = maps.get(finding.path);
    const place = known && originalPositionFor(known, { line: finding.line, column: finding.column - 1 });
    return place?.source ? { ...finding, original: { path: named(place.source), line: place.line, column: place.column + 1 } } : finding;
  });
}

/** The sources that a source map holds, each scanned as the file it was; `undefined` for what is no source map. */
export function sources(file: string, name: string, engine: Engine): Located[] | undefined {
  const text = readFileSync(file);
  const known = text.length <= MOST ? map(text.toString()) : undefined;
  if (known === undefined) return undefined;
  return known.resolvedSources.flatMap((source) => {
    const content = source === null ? null : sourceContentFor(known, source);
    if (content === null) return [];
    const path = named(source);
    return engine.bytes(path, Buffer.from(content)).findings.map(({ secret, ...finding }) => ({ ...finding, path: name, original: { path, line: finding.line, column: finding.column } }));
  });
}
