// Makes what the glue generator wrote smaller, without changing what it does: classes that nobody makes are taken out with all that hangs on
// them, and the names by which JavaScript and WebAssembly find each other become short.

const IMPORTS = 2;
const EXPORTS = 7;

/** Reads bytes of a wasm file (WebAssembly core specification, §5). */
class Reader {
  at = 0;

  constructor(bytes) {
    this.bytes = bytes;
  }

  take(count) {
    return this.bytes.subarray(this.at, (this.at += count));
  }

  byte() {
    return this.bytes[this.at++];
  }

  /** An unsigned number, LEB128. */
  number() {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  /** A text, with its length before it. */
  name() {
    return Buffer.from(this.take(this.number())).toString();
  }

  /** What an import is and what is said of it, as it stands. */
  description() {
    const start = this.at;
    const kind = this.byte();
    const limits = () => {
      const flags = this.number();
      this.number();
      if (flags & 1) this.number();
    };
    if (kind === 0) this.number();
    else if (kind === 1) {
      this.byte();
      limits();
    } else if (kind === 2) limits();
    else if (kind === 3) this.take(2);
    else throw new Error(`an import of kind ${kind} in the WebAssembly`);
    return this.bytes.subarray(start, this.at);
  }
}

function number(value) {
  const bytes = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value & 0x7f) | 0x80);
  return Buffer.from([...bytes, value]);
}

const name = (text) => Buffer.concat([number(Buffer.byteLength(text)), Buffer.from(text)]);

/** A wasm file with one of its sections written anew: `entry` reads one entry and answers its bytes, or nothing where it goes. */
function rewritten(wasm, section, entry) {
  const reader = new Reader(wasm);
  const parts = [reader.take(8)];
  while (reader.at < wasm.length) {
    const id = reader.byte();
    let body = reader.take(reader.number());
    if (id === section) {
      const inner = new Reader(body);
      const entries = Array.from({ length: inner.number() }, () => entry(inner)).filter(Boolean);
      body = Buffer.concat([number(entries.length), ...entries]);
    }
    parts.push(Buffer.from([id]), number(body.length), body);
  }
  return Buffer.concat(parts);
}

/**
 * Takes classes out of the glue and their functions out of the exports, so that the optimiser drops what only they called. Fails where
 * the glue has no such class, or still speaks of one.
 */
export function withoutClasses({ js, wasm }, classes) {
  for (const of of classes) {
    const before = js;
    js = js.replace(new RegExp(`^(export )?class ${of} \\{\\n[^]*?^\\}\\n`, 'm'), '')
      .replace(new RegExp(`^if \\(Symbol\\.dispose\\) ${of}\\..*\\n`, 'm'), '')
      .replace(new RegExp(`^const ${of}Finalization = [^]*?^\\}\\);\\n`, 'm'), '');
    if (js === before) throw new Error(`the glue has no class ${of}: take it off the list`);
    if (new RegExp(`\\b${of}(Finalization)?\\b`).test(js)) throw new Error(`the glue still speaks of ${of}`);
  }
  const own = new RegExp(`^(__wbg_((get|set)_)?)?(${classes.join('|').toLowerCase()})_`);
  return {
    js,
    wasm: rewritten(wasm, EXPORTS, (reader) => {
      const text = reader.name();
      const rest = [Buffer.from([reader.byte()]), number(reader.number())];
      return own.test(text) ? undefined : Buffer.concat([name(text), ...rest]);
    }),
  };
}

/** Gives each function that the wasm imports from its glue a short name, in both, and takes those out of the glue that it no longer imports. */
export function withShortNames({ js, wasm }) {
  const short = new Map();
  const small = rewritten(wasm, IMPORTS, (reader) => {
    const [from, text] = [reader.name(), reader.name()];
    const own = /^\.\/\w+_bg\.js$/.test(from);
    if (own) short.set(text, short.size.toString(36));
    return Buffer.concat([name(from), name(own ? short.get(text) : text), reader.description()]);
  });
  const start = js.indexOf('const import0 = {');
  const end = js.indexOf('\n    };\n', start) + 1;
  if (start < 0 || end === 0) throw new Error('the glue does not list its imports as it did');
  let kept = 0;
  const listed = js.slice(start, end).replace(/^ {8}(\w+): (function\b[^]*?^ {8}\}.*|.*),\n/gm, (all, known, body) => {
    if (known === '__proto__') return all;
    if (!short.has(known)) return '';
    kept += 1;
    return `        ${JSON.stringify(short.get(known))}: ${body},\n`;
  });
  if (kept !== short.size) throw new Error(`the glue has ${kept} of the ${short.size} functions that the WebAssembly imports`);
  return { js: js.slice(0, start) + listed + js.slice(end), wasm: small };
}
