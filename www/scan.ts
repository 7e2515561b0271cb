/** The page "Scan": what the visitor drops, chooses or pastes, through the leak scanner, and what it found. */
import { byId, make, plural, write } from './elements.ts';
import { shown } from './finding.ts';
import { type Finding, type Scan, Scanner } from './scanner.ts';

/** How many findings are put into the page at once. */
const SHOWN = 100;
/** How many names of skipped files are listed. */
const SKIPPED = 500;
/** How long after an edit the text is scanned, in milliseconds. */
const PAUSE = 150;
const PASTED = 'pasted text';

const text = byId('text', HTMLTextAreaElement);
const summary = byId('summary', HTMLElement);
const findings = byId('findings', HTMLElement);
const more = byId('more', HTMLButtonElement);
const skippedList = byId('skipped', HTMLDetailsElement);
const underWay = byId('under-way', HTMLElement);
const progress = byId('progress', HTMLProgressElement);
const reading = byId('reading', HTMLElement);
const cancel = byId('cancel', HTMLButtonElement);
const drop = byId('drop', HTMLElement);

const size = (bytes: number) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** A file under the name that it has where it comes from. */
interface Named {
  name: string;
  file: Blob;
}

/** What a scan has come to, shown as it grows. */
class Results {
  #found: { finding: Finding; name: string }[] = [];
  #skipped: { name: string; why: string }[] = [];
  #allowed = 0;
  #more = 0;
  #shown = 0;
  texts = 0;
  bytes = 0;

  constructor() {
    findings.replaceChildren();
    this.#offer();
    skippedList.hidden = true;
  }

  take(name: string, outcome: Awaited<Scan['outcome']>): void {
    if (outcome === undefined) return;
    this.texts += 1;
    this.bytes += outcome.bytes;
    this.#allowed += outcome.allowed;
    this.#more += outcome.more;
    if (outcome.skipped !== undefined) this.#skipped.push({ name, why: outcome.skipped });
    for (const finding of outcome.findings) this.#found.push({ finding, name });
    if (this.#shown < SHOWN) this.show(SHOWN);
    this.#offer();
  }

  /** Shows findings up to so many. */
  show(upTo: number): void {
    findings.append(...this.#found.slice(this.#shown, upTo).map(({ finding, name }) => shown(finding, name)));
    this.#shown = Math.min(upTo, this.#found.length);
    this.#offer();
  }

  #offer(): void {
    const left = this.#found.length - this.#shown;
    more.hidden = left <= 0;
    more.textContent = `Show ${Math.min(left, SHOWN)} of ${plural(left, 'more finding')}`;
    more.onclick = () => this.show(this.#shown + SHOWN);
  }

  end(stopped: boolean, milliseconds: number): void {
    const count = this.#found.length + this.#more;
    const of = `in ${plural(this.texts, 'text')}, ${size(this.bytes)}, ${(milliseconds / 1000).toFixed(1)} s`;
    const allowed = this.#allowed > 0 ? ` ${plural(this.#allowed, 'more is', 'more are')} allowed by a comment.` : '';
    summary.dataset['found'] = count > 0 ? 'yes' : stopped ? '' : 'no';
    write(summary, `${stopped ? 'Stopped: ' : ''}${count > 0 ? plural(count, 'finding') : 'no secret found'} ${of}.${allowed}`.replace(/^n/, 'N'));
    skippedList.hidden = this.#skipped.length === 0;
    skippedList.querySelector('summary')!.textContent = `${plural(this.#skipped.length, 'file was', 'files were')} not scanned`;
    skippedList.querySelector('ul')!.replaceChildren(...this.#skipped.slice(0, SKIPPED).map(({ name, why }) => make('li', '', make('code', '', name), `: ${why}`)));
  }
}

let stop: () => void = () => undefined;

/** Scans texts one after another; what was under way is given up. */
async function scanAll(scanner: Scanner, texts: Named[]): Promise<void> {
  stop();
  let [stopped, superseded] = [false, false];
  let current: Scan | undefined;
  const started = performance.now();
  const results = new Results();
  const total = texts.reduce((sum, { file }) => sum + file.size, 0);
  stop = () => {
    [stopped, superseded] = [true, true];
    current?.cancel();
  };
  cancel.onclick = () => {
    stopped = true;
    current?.cancel();
  };
  write(summary, 'Scanning…');
  summary.dataset['found'] = '';
  // What takes no time shows no progress.
  const slow = setTimeout(() => ([underWay.hidden, cancel.hidden] = [false, false]), PAUSE);
  progress.value = 0;
  let before = 0;
  for (const { name, file } of texts) {
    if (stopped) break;
    const at = (read: number): void => {
      progress.value = total > 0 ? (before + read) / total : 0;
      write(reading, `${size(before + read)} of ${size(total)} · ${name}`);
    };
    current = scanner.scan(name, file, at);
    const outcome = await current.outcome;
    if (superseded) return clearTimeout(slow);
    results.take(name, outcome);
    before += file.size;
  }
  clearTimeout(slow);
  const focused = document.activeElement === cancel;
  [underWay.hidden, cancel.hidden] = [true, true];
  results.end(stopped, performance.now() - started);
  if (focused) byId('main', HTMLElement).focus({ preventScroll: true });
}

/** All files below what was dropped, with their paths. */
async function filesOf(entry: FileSystemEntry): Promise<Named[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((take, refuse) => (entry as FileSystemFileEntry).file(take, refuse));
    return [{ name: entry.fullPath.replace(/^\//, ''), file }];
  }
  const listing = (entry as FileSystemDirectoryEntry).createReader();
  const all: Named[] = [];
  for (;;) {
    // A listing comes in parts, and is over with an empty one.
    const part = await new Promise<FileSystemEntry[]>((take, refuse) => listing.readEntries(take, refuse));
    if (part.length === 0) return all;
    for (const each of part) all.push(...await filesOf(each));
  }
}

const chosen = (files: FileList): Named[] => [...files].map((file) => ({ name: file.webkitRelativePath || file.name, file }));

/** Random characters of an alphabet. */
const random = (length: number, alphabet: string) => Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => alphabet[byte % alphabet.length]).join('');

/** A file of settings as they are found in the wild. Its secrets are made up on the spot, so that neither this script nor the page holds one. */
function example(): string {
  const [upper, lower] = ['ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'];
  const all = `${upper}${lower}0123456789`;
  return [
    '# settings of the shop',
    'PORT=8080',
    'SESSION_SECRET=changeme',
    `STRIPE_KEY=sk_live_${random(24, all)}`,
    `AWS_ACCESS_KEY_ID=AKIA${random(16, `${upper}234567`)}`,
    `DATABASE_URL=postgres://shop:${random(20, all)}@db.internal:5432/shop`,
    `export const smsApiKey = "${random(32, '0123456789abcdef')}";`,
    `TOKEN_OF_THE_TESTS=${random(32, all)} # keyward:allow`,
  ].join('\n');
}

async function start(): Promise<void> {
  const scanner = await Scanner.start();
  const scan = (texts: Named[]): void => void scanAll(scanner, texts);
  let pause = 0;
  const scanText = (): void => scan(text.value === '' ? [] : [{ name: PASTED, file: new Blob([text.value]) }]);

  text.addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(scanText, PAUSE);
  });
  byId('example', HTMLButtonElement).addEventListener('click', () => {
    text.value = example();
    scanText();
  });
  byId('clear', HTMLButtonElement).addEventListener('click', () => {
    stop();
    stop = () => undefined;
    text.value = '';
    new Results();
    [underWay.hidden, cancel.hidden] = [true, true];
    summary.dataset['found'] = '';
    write(summary, 'Nothing was scanned yet.');
  });
  for (const id of ['choose-files', 'choose-folder']) {
    const input = byId(id, HTMLInputElement);
    input.addEventListener('change', () => {
      if (input.files?.length) scan(chosen(input.files));
      // So that the same file can be chosen again.
      input.value = '';
    });
  }
  addEventListener('dragover', (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    drop.dataset['over'] = '';
  });
  for (const end of ['dragend', 'dragleave', 'drop']) addEventListener(end, () => delete drop.dataset['over']);
  addEventListener('drop', (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    // Wherever it is let go: the browser would leave the page for the file.
    event.preventDefault();
    // All at once: when the event is over they can no longer be asked for. What is no part of a file system is a file by itself.
    const dropped = [...event.dataTransfer.items].filter(({ kind }) => kind === 'file').map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
    const files = dropped.map(async ({ entry, file }) => (entry ? filesOf(entry) : file ? [{ name: file.name, file }] : []));
    void Promise.all(files).then((all) => scan(all.flat()), () => write(summary, 'What was dropped could not be read.'));
  });
  for (const control of document.querySelectorAll<HTMLInputElement | HTMLButtonElement | HTMLTextAreaElement>('main :disabled')) control.disabled = false;
  byId('main', HTMLElement).removeAttribute('aria-busy');
}

start().catch((error: unknown) => {
  const failure = byId('failure', HTMLElement);
  failure.hidden = false;
  write(failure, `The scanner could not start: ${error instanceof Error ? error.message : String(error)}. Loading the page again may help.`);
  throw error;
});
