/** How a key is used: its calls by hour or day, the last of them one by one, and what was unusual. */
import { call, query } from './api.ts';
import { badge, command, empty, fill, h, section, table } from './dom.ts';
import type { Anomaly, Call, Key, UsageRow } from './model.ts';
import { attempt } from './problems.ts';
import { points, when, words } from './text.ts';

type Step = 'hour' | 'day';
/** What is shown at once, in milliseconds: two days of hours, thirty days. */
const REACH: Record<Step, number> = { hour: 48 * 3_600_000, day: 30 * 86_400_000 };
const STEP: Record<Step, number> = { hour: 3_600_000, day: 86_400_000 };
const CALLS = 50;

function period(by: Step): { from: string; to: string } {
  const end = Math.floor(Date.now() / STEP[by]) * STEP[by] + STEP[by];
  return { from: new Date(end - REACH[by]).toISOString(), to: new Date(end).toISOString() };
}

/** The section with the chart, and its figures as a table for those who do not see it. */
export function usageSection(key: Key, signal: AbortSignal): HTMLElement {
  const place = h('div');
  let drawing = new AbortController();
  const show = (by: Step): Promise<boolean> => attempt(place, async () => {
    drawing.abort();
    drawing = new AbortController();
    const { from, to } = period(by);
    const usage = await call<{ data: UsageRow[]; calls: number }>('GET', `/v1/keys/${key.id}/usage${query({ by, from, to: new Date().toISOString() })}`, undefined, { signal });
    if (usage.calls === 0) {
      fill(place, empty('It was not called in this time.', h('p', {}, 'Calls stand here within seconds of being verified. Your API asks like this:'),
        command(`curl -s ${location.origin}/v1/authorize -H "Authorization: Bearer $KEY"`)));
      return;
    }
    const data = points(usage.data, by, from, to);
    const canvas = h('div', { class: 'chart', role: 'img', 'aria-label': `Calls by ${by}: ${usage.calls} altogether` });
    const shown = data.filter(({ accepted, refused }) => accepted + refused > 0).reverse();
    fill(place, h('p', { class: 'lead' }, `${usage.calls.toLocaleString('en-GB')} call${usage.calls === 1 ? '' : 's'} in ${by === 'hour' ? '48 hours' : '30 days'}`), canvas,
      h('details', {}, h('summary', {}, 'As a table'), table(`Calls by ${by}`, ['From', 'Accepted', 'Refused'], shown.map(({ at, accepted, refused }) => [when(new Date(at * 1000).toISOString()), accepted, refused]))));
    const { drawChart } = await import('./chart.ts');
    if (!signal.aborted && canvas.isConnected) drawChart(canvas, data, AbortSignal.any([signal, drawing.signal]));
  });
  const choice = (by: Step, label: string, checked: boolean) => h('label', {}, h('input', { type: 'radio', name: 'by', value: by, checked, onchange: () => void show(by) }), h('span', {}, label));
  void show('hour');
  return section('Use', h('div', { class: 'segments', role: 'radiogroup', 'aria-label': 'By' }, choice('hour', 'by hour', true), choice('day', 'by day', false)), place);
}

export function callsSection(key: Key, signal: AbortSignal): HTMLElement {
  const place = h('div');
  void attempt(place, async () => {
    const { data } = await call<{ data: Call[] }>('GET', `/v1/keys/${key.id}/calls?limit=${CALLS}`, undefined, { signal });
    if (data.length === 0) fill(place, empty('No call yet.'));
    else fill(place, table('Last calls', ['At', 'Outcome', 'Way', 'Address', 'Country', 'Secret'], data.map((each) => [when(each.at), badge(each.outcome, each.outcome === 'VALID' ? 'good' : 'bad'), each.route, each.address || '–', each.country || '–', each.secret])));
  });
  return section('Last calls', place);
}

/** A number with as many digits as say something. */
const figure = (value: number) => (Number.isInteger(value) ? String(value) : value.toPrecision(3));

export function anomaliesSection(key: Key, signal: AbortSignal): HTMLElement {
  const place = h('div');
  void attempt(place, async () => {
    const { data } = await call<{ data: Anomaly[] }>('GET', `/v1/keys/${key.id}/anomalies`, undefined, { signal });
    if (data.length === 0) fill(place, empty('Nothing unusual was found.', h('p', {}, 'keyward learns the rhythm of a key and tells of spikes, silence, new countries, odd hours and failures. It needs a week or two of calls first.')));
    else {
      fill(place, table('Anomalies', ['At', 'What', 'Of', 'Expected', 'Seen', 'Probability', 'Done'], data.map((each) =>
        [when(each.at), words(each.kind), each.subject ?? '–', figure(each.expected), figure(each.seen), each.probability.toExponential(1), each.action])));
    }
  });
  return section('Anomalies', place);
}
