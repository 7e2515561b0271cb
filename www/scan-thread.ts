/** The scanner in a Web Worker: texts come in, outcomes go out. It is handed its WebAssembly compiled and asks the network for nothing. */
import { LeakScanner, initSync } from 'keyward-scan';
import { BINARY, Reader, nothing, type Outcome } from '../src/cli/scan/reader.ts';

/** What the page asks: at first the module, then texts one after another, of which any may be given up. */
export type Asked = { module: WebAssembly.Module } | { id: number; name: string; text: Blob } | { cancel: number };

/** What it is told: how many bytes of a text are read, and what came of it. Nothing comes of one that was given up. */
export type Told = { id: number; read: number } | { id: number; outcome: Outcome } | { id: number; cancelled: true };

const tell = (told: Told): void => postMessage(told);
const cancelled = new Set<number>();
let reader: Reader | undefined;

async function scan(id: number, name: string, text: Blob): Promise<Told> {
  if (cancelled.has(id)) return { id, cancelled: true };
  let read = 0;
  const chunks = text.stream().getReader();
  reader!.begin(name);
  try {
    for (;;) {
      const { done, value } = await chunks.read();
      // Between two chunks the page is heard.
      if (cancelled.delete(id)) return { id, cancelled: true };
      if (done) return { id, outcome: reader!.end(read) };
      read += value.length;
      if (!reader!.push(value)) return { id, outcome: { ...nothing(read), skipped: BINARY } };
      tell({ id, read });
    }
  } catch (error) {
    return { id, outcome: { ...nothing(read), skipped: error instanceof Error ? error.name : 'not readable', failed: true } };
  } finally {
    chunks.cancel().catch(() => undefined);
  }
}

// One after another: a scanner reads one text at a time.
let before = Promise.resolve();
addEventListener('message', ({ data }: MessageEvent<Asked>) => {
  if ('module' in data) reader = new Reader(initSync({ module: data.module }), new LeakScanner([], false));
  else if ('cancel' in data) cancelled.add(data.cancel);
  else before = before.then(async () => tell(await scan(data.id, data.name, data.text)));
});
