/** A thread that scans what the main one lists. */
import { parentPort, workerData } from 'node:worker_threads';
import { Blobs } from './blobs.js';
import { Engine, type EngineOptions, type Outcome } from './engine.js';

/** What a thread is given to scan: files, or blobs of a repository. */
export type Batch = { files: [path: string, name: string][] } | { blobs: [id: string, name: string][]; repository: string };

/** What came of a batch: the outcomes that say more than "nothing", by their place in it. */
export interface Done {
  texts: number;
  bytes: number;
  outcomes: [place: number, outcome: Outcome][];
}

const { module, options } = workerData as { module: WebAssembly.Module; options: EngineOptions };
const engine = new Engine(module, options);
const blobs = new Map<string, Blobs>();
const says = ({ findings, allowed, skipped }: Outcome) => findings.length > 0 || allowed > 0 || skipped !== undefined;

function repository(path: string): Blobs {
  const known = blobs.get(path) ?? new Blobs(path);
  blobs.set(path, known);
  return known;
}

// One after another: an engine reads one text at a time.
let before = Promise.resolve();
parentPort?.on('message', (batch: Batch | 'end') => {
  before = before.then(async () => {
    if (batch === 'end') {
      for (const known of blobs.values()) known.close();
      parentPort?.close();
      return;
    }
    const done: Done = { texts: 0, bytes: 0, outcomes: [] };
    const take = (outcome: Outcome) => {
      if (says(outcome)) done.outcomes.push([done.texts, outcome]);
      done.texts += 1;
      done.bytes += outcome.bytes;
    };
    if ('files' in batch) for (const [path, name] of batch.files) take(engine.file(path, name));
    else for (const [id, name] of batch.blobs) take(await repository(batch.repository).scan(id, name, engine));
    parentPort?.postMessage(done);
  });
});
