// A load generator: a fixed number of HTTP/1.1 requests over keep-alive connections, one outstanding on each, every
// answer checked. It is deliberately plain, so that what it costs is the same whoever answers.
import { connect } from 'node:net';

const CONNECTIONS = 16;
/** A connection that hears nothing for this long ends the load with an error. */
const STALL_MS = 30_000;

/** The bytes of a request: the same for every contender, on whatever port it listens. */
export function requestBytes({ method = 'GET', path, headers = {}, body }) {
  const all = { Host: 'bench.invalid', ...headers, ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`);
}

/** The answer that `text` begins with (one character a byte), or `undefined` while it is incomplete. */
export function parseAnswer(text) {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = text.slice(0, headEnd);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1]);
  if (Number.isNaN(status + length)) throw new Error(`an answer without status or Content-Length: ${head}`);
  const end = headEnd + 4 + length;
  return text.length < end ? undefined : { status, body: text.slice(headEnd + 4, end), end };
}

/**
 * Sends `request` to 127.0.0.1:`port` `count` times and resolves when the last is answered. The connections are opened
 * anew each time, since the server closes those that idle.
 *
 * @param options.request its bytes, or a function that answers the bytes of the next one
 * @param options.accepts whether an answer, `{status, body}`, is the expected one; any other fails the load
 */
export async function load({ port, request, accepts, count }) {
  let unsent = count;
  const converse = () => new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true }).setEncoding('latin1').setTimeout(STALL_MS);
    let received = '';
    const next = () => {
      if (unsent === 0) {
        socket.destroy();
        resolve();
      } else {
        unsent -= 1;
        socket.write(typeof request === 'function' ? request() : request);
      }
    };
    const fail = (error) => {
      unsent = 0;
      socket.destroy();
      reject(error);
    };
    socket.on('connect', next).on('error', fail);
    socket.on('close', () => fail(new Error('the server closed the connection')));
    socket.on('timeout', () => fail(new Error(`no answer in ${STALL_MS / 1000} s`)));
    socket.on('data', (chunk) => {
      received += chunk;
      try {
        const answer = parseAnswer(received);
        if (answer === undefined) return;
        if (answer.end !== received.length) throw new Error('more was answered than was asked for');
        if (!accepts(answer)) throw new Error(`an unexpected answer: ${answer.status} ${answer.body}`);
      } catch (error) {
        fail(error);
        return;
      }
      received = '';
      next();
    });
  });
  await Promise.all(Array.from({ length: CONNECTIONS }, converse));
}
