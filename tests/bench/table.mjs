// Results as a table: what was measured, how far single rounds lie apart, the bound, whether it is met.

function format(value, unit) {
  if (unit === '×') return `${value.toFixed(value < 10 ? 3 : 1)} ×`;
  if (unit === 'ns' && value >= 10_000) return `${(value / 1000).toFixed(1)} µs`;
  if (unit === 'ms' && Math.abs(value) < 1) return `${value.toFixed(2)} ms`;
  return `${unit === 'ns' ? value.toFixed(0) : value.toFixed(1)} ${unit}`.trimEnd();
}

/** Whether `bound` (`{atLeast}` or `{atMost}`) holds for `value`, and by how much not. */
export function judged(value, unit, bound) {
  if (bound === undefined) return ['', ''];
  const limit = bound.atLeast ?? bound.atMost;
  const missing = bound.atLeast === undefined ? value - limit : limit - value;
  const share = limit === 0 ? '' : ` (${((100 * missing) / limit).toFixed(1)} %)`;
  return [`${bound.atLeast === undefined ? '≤' : '≥'} ${format(limit, unit)}`, missing > 0 ? `falls short by ${format(missing, unit)}${share}` : 'met'];
}

export function table(results) {
  const cells = [['', 'measured', 'median of rounds (quartiles)', 'bound', '']];
  for (const { title, lines } of results) {
    cells.push([title]);
    for (const { what, measured: { overall, low, median, high }, unit, bound } of lines) {
      const value = overall ?? median;
      const spread = low === undefined ? '' : `${format(median, unit)} (${format(low, unit)} – ${format(high, unit)})`;
      cells.push([`  ${what}`, format(value, unit), spread, ...judged(value, unit, bound)]);
    }
  }
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.filter((row) => row.length > 1).map((row) => row[column].length)));
  return cells.map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()}\n`).join('');
}
