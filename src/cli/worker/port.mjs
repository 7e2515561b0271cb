// Ports on loopback.
import { createServer } from 'node:net';

/**
 * Whether something listens on the port already.
 *
 * @param {number} port
 * @returns {Promise<boolean>}
 */
export const taken = (port) =>
  new Promise((resolve) => {
    const probe = createServer().once('error', () => resolve(true)).once('listening', () => probe.close(() => resolve(false)));
    probe.listen(port, '127.0.0.1');
  });
