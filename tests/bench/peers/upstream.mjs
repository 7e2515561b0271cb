// An upstream in a process of its own that costs next to nothing: it reads no more of a request than where it ends, and
// writes bytes that are ready. `/files/…` answers with DOWNLOAD_BYTES, all else with the JSON of a small answer.
import { createServer } from 'node:net';

const SMALL = Buffer.from('{"id":"msg_01jb2v5w8q","status":"accepted","to":"+4915112345678"}\n');
const head = (type, length) => `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nX-Request-Id: up_01jb2v5w8q\r\nServer: bench\r\nContent-Length: ${length}\r\n\r\n`;
const small = Buffer.concat([Buffer.from(head('application/json', SMALL.length)), SMALL]);
const total = Number(process.env.DOWNLOAD_BYTES);
/** Text that repeats after a while, as logs and exports do. */
const chunk = Buffer.from('2026-11-21T15:04:05.678Z msg_01jb2v5w8q delivered to +4915112345678, 0.0075 EUR, attempt 1\n'.repeat(2_000)).subarray(0, 131_072);

function download(socket, left = total) {
  while (left > 0) {
    const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
    left -= part.length;
    if (!socket.write(part)) {
      socket.once('drain', () => download(socket, left));
      return;
    }
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  let received = '';
  socket.setEncoding('latin1').on('error', () => socket.destroy()).on('data', (text) => {
    received += text;
    for (let end; (end = received.indexOf('\r\n\r\n')) >= 0;) {
      const of = received.slice(0, end);
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(of)?.[1] ?? 0);
      if (received.length < end + 4 + length) return;
      received = received.slice(end + 4 + length);
      if (!of.startsWith('GET ') || !of.slice(4, 100).includes('/files/')) socket.write(small);
      else {
        socket.write(head('text/plain', total));
        download(socket);
      }
    }
  });
});
server.listen(0, '127.0.0.1', () => process.send(server.address().port));
process.on('disconnect', () => process.exit());
