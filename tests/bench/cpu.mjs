// What CPU a process has used, and contenders compared by what they cost. CPU time and not wall time, because machines
// are shared: a neighbour who takes the processor away is not charged to whoever waits for it.
import { readFileSync, readdirSync } from 'node:fs';

/**
 * Nanoseconds that all threads of a process have spent on a CPU, in user and kernel mode (Linux). The sum of utime and
 * stime in /proc/<pid>/stat, without their rounding to 10 ms.
 */
export function cpuNanoseconds(pid) {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0]);
  }
  return sum;
}

/** The value below which this share of `values` lies. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)];
  return below + (sorted[Math.ceil(place)] - below) * (place % 1);
}

/** The values below which a quarter, a half and three quarters of `values` lie. */
export function quartiles(values) {
  const [low, median, high] = [0.25, 0.5, 0.75].map((share) => quantile(values, share));
  return { low, median, high };
}

/**
 * Lets every contender do the same work in turn, first to last and then last to first, so that a drift of the machine
 * falls on all alike.
 *
 * @param contenders `{name: async () => cost}`
 * @returns the mean cost of each contender in each round: `{name: [cost]}`
 */
export async function alternate(contenders, { rounds, progress }) {
  const order = Object.keys(contenders);
  const costs = Object.fromEntries(order.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`);
    const first = {};
    for (const name of order) first[name] = await contenders[name]();
    for (const name of order.toReversed()) costs[name].push((first[name] + (await contenders[name]())) / 2);
  }
  return costs;
}

/**
 * How many times cheaper `ours` is than `theirs`: over all rounds together, and the quartiles of single rounds. For
 * Workers the former counts: a full collection takes 100 to 300 ms and comes once in about 20 000 answers, so that a
 * single round holds one more or one fewer of them, and a median would not pay for the rarer ones.
 */
export function advantage(ours, theirs) {
  const sum = (costs) => costs.reduce((total, cost) => total + cost, 0);
  return { overall: sum(theirs) / sum(ours), ...quartiles(theirs.map((cost, round) => cost / ours[round])) };
}

/** The name whose costs are the lowest in sum. */
export function cheapest(costs, names) {
  return names.reduce((best, name) => (advantage(costs[name], costs[best]).overall > 1 ? name : best));
}

/** Nanoseconds per call over `calls` calls, each with its number, that must all be right. */
export function perCall(calls, call) {
  return () => {
    let right = 0;
    const start = process.hrtime.bigint();
    for (let i = 0; i < calls; i += 1) if (call(i)) right += 1;
    const end = process.hrtime.bigint();
    if (right !== calls) throw new Error(`${calls - right} of ${calls} answers were wrong`);
    return Number(end - start) / calls;
  };
}
