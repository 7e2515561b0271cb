/** How a key is used: its calls by hour or day, the last of them one by one, and what was unusual. */
import { call, query, Refusal } from './api.ts';
import { badge, command, empty, fill, h, renew, section, table, time, type Child } from './dom.ts';
import type { Anomaly, Call, Key, UsageRow } from './model.ts';
import { attempt } from './problems.ts';
import { points, words, type Point } from './text.ts';

type Step = 'hour' | 'day';
/** What is shown at once, in milliseconds: two days of hours, thirty days. */
const REACH: Record<Step, number> = { hour: 48 * 3_600_000, day: 30 * 86_400_000 };
const STEP: Record<Step, number> = { hour: 3_600_000, day: 86_400_000 };
const CALLS = 50;

function period(by: Step): { from: string; to: string } {
  const end = Math.floor(Date.now() / STEP[by]) * STEP[by] + STEP[by];
  return { from: new Date(end - REACH[by]).toISOString(), to: new Date(end).toISOString() };
}

/** A part of the screen that can be read again. */
export interface Part {
  element: HTMLElement;
  /** Reads it and shows what changed; answers whether anything did. */
  refresh: () => Promise<boolean>;
}

/** Reads again what may be read: who lacks the scope for it was told so, and it is no failure. */
function again(read: () => Promise<boolean>): () => Promise<boolean> {
  let barred = false;
  return async () => {
    if (barred) return false;
    try {
      return await read();
    } catch (error) {
      barred = error instanceof Refusal && error.problem.status === 403;
      if (!barred) throw error;
      return false;
    }
  };
}

interface Use {
  data: UsageRow[];
  calls: number;
}

/** The section with the chart, and its figures as a table for those who do not see it. */
export function usageSection(key: Key, signal: AbortSignal): Part {
  const [place, lead, figures] = [h('div'), h('p', { class: 'lead' }), h('div')];
  let by: Step = 'hour';
  let canvas: HTMLElement | undefined;
  let drawing = new AbortController();
  let redraw: ((data: Point[]) => void) | undefined;
  let shown = '';

  async function show(use: Use, from: string, to: string): Promise<boolean> {
    const text = JSON.stringify([by, from, use]);
    if (text === shown && place.hasChildNodes()) return false;
    shown = text;
    if (use.calls === 0) {
      renew(place, empty('No calls in this period.', h('p', {}, 'Calls appear here within seconds of being verified. Your API asks like this:'),
        command(`curl -s ${location.origin}/v1/authorize -H "Authorization: Bearer $KEY"`)));
      return true;
    }
    const data = points(use.data, by, from, to);
    lead.textContent = `${use.calls.toLocaleString('en-GB')} call${use.calls === 1 ? '' : 's'} in ${by === 'hour' ? '48 hours' : '30 days'}`;
    const called = data.filter(({ accepted, refused }) => accepted + refused > 0).reverse();
    renew(figures, table(`Calls by ${by}`, ['From', 'Accepted', 'Refused'], called.map(({ at, accepted, refused }) => [time(new Date(at * 1000).toISOString()), accepted, refused])));
    if (!canvas?.isConnected) {
      drawing.abort();
      drawing = new AbortController();
      redraw = undefined;
      canvas = h('div', { class: 'chart', role: 'img' });
      fill(place, lead, canvas, h('details', {}, h('summary', {}, 'As a table'), figures));
    }
    canvas.setAttribute('aria-label', `Calls by ${by}: ${use.calls} in total`);
    const on = canvas;
    const { drawChart } = await import('./chart.ts');
    if (signal.aborted || !on.isConnected) return true;
    if (redraw) redraw(data);
    else redraw = drawChart(on, data, AbortSignal.any([signal, drawing.signal]));
    return true;
  }
  async function read(background: boolean): Promise<boolean> {
    const asked = by;
    const { from, to } = period(asked);
    const use = await call<Use>('GET', `/v1/keys/${key.id}/usage${query({ by: asked, from, to: new Date().toISOString() })}`, undefined, { signal, background });
    return asked === by && show({ data: use.data, calls: use.calls }, from, to);
  }
  const choice = (of: Step, label: string, checked: boolean) => h('label', {}, h('input', { type: 'radio', name: 'by', value: of, checked, onchange: () => {
    by = of;
    void attempt(place, () => read(false));
  } }), h('span', {}, label));
  void attempt(place, () => read(false));
  return { element: section('Usage', h('div', { class: 'segments', role: 'radiogroup', 'aria-label': 'By' }, choice('hour', 'by hour', true), choice('day', 'by day', false)), place), refresh: again(() => read(true)) };
}

/** A section of what one request answers. */
function part<T>(title: string, path: string, signal: AbortSignal, view: (data: T[]) => Child): Part {
  const place = h('div');
  let shown = '';
  const read = async (background: boolean): Promise<boolean> => {
    const { data } = await call<{ data: T[] }>('GET', path, undefined, { signal, background });
    const text = JSON.stringify(data);
    if (text === shown && place.hasChildNodes()) return false;
    shown = text;
    renew(place, view(data));
    return true;
  };
  void attempt(place, () => read(false));
  return { element: section(title, place), refresh: again(() => read(true)) };
}

export const callsSection = (key: Key, signal: AbortSignal): Part => part<Call>('Last calls', `/v1/keys/${key.id}/calls?limit=${CALLS}`, signal, (data) => (data.length === 0 ? empty('No calls yet.')
  : table('Last calls', ['Time', 'Outcome', 'Via', 'Address', 'Country', 'Secret'], data.map((each) => [time(each.at), badge(each.outcome, each.outcome === 'VALID' ? 'good' : 'bad'), each.route, each.address || '–', each.country || '–', each.secret]))));

/** A number with as many digits as say something. */
const figure = (value: number) => (Number.isInteger(value) ? String(value) : value.toPrecision(3));

export const anomaliesSection = (key: Key, signal: AbortSignal): Part => part<Anomaly>('Anomalies', `/v1/keys/${key.id}/anomalies`, signal, (data) => (data.length === 0
  ? empty('No anomalies found.', h('p', {}, 'keyward learns the rhythm of a key and reports spikes, silence, new countries, odd hours and failures. It needs a week or two of calls first.'))
  : table('Anomalies', ['Time', 'Kind', 'Subject', 'Expected', 'Seen', 'Probability', 'Action'], data.map((each) =>
    [time(each.at), words(each.kind), each.subject ?? '–', figure(each.expected), figure(each.seen), each.probability.toExponential(1), each.action]))));
