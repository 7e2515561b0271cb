// Runs the Workers of this checkout in workerd: what was built here, with the runtime that is installed here.
import { join } from 'node:path';
import * as workerd from '../src/cli/worker/workerd.mjs';
import { root } from './setup.mjs';

export { scriptService } from '../src/cli/worker/workerd.mjs';

const worker = join(root, 'build', 'worker');
/** Path of the runtime's binary. */
export const workerdBinary = () => workerd.workerdBinary(root);

/** keyward's Worker as a service: see there. */
export const keywardService = ({ code = worker, ...options }) => workerd.keywardService({ code, ...options });

/** Starts any Workers: see there. */
export const startWorkerd = (options) => workerd.startWorkerd({ binary: workerdBinary(), ...options });

/** Starts keyward with its pages: see there. */
export const startKeyward = ({ code = worker, pages = join(root, 'build', 'www'), ...options }) =>
  workerd.startKeyward({ binary: workerdBinary(), code, pages, ...options });
