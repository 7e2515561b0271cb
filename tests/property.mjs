// Property tests in JavaScript: the same values each time, so that a change is judged by what it changed. `npm run test:search`
// draws new ones, and more of them.
import fc from 'fast-check';

const seed = Number(process.env.KEYWARD_SEED ?? 20261121);
const more = Number(process.env.KEYWARD_MORE ?? 1);

/** Holds that a property is true of so many values, and of each example. */
export const holds = (property, { runs, examples = [] }) => fc.assert(property, { seed, numRuns: runs * more, examples, includeErrorInReport: true });

export default fc;
