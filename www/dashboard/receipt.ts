/** From when a change holds everywhere: counted down, then confirmed. */
import { call } from './api.ts';
import { announce, badge, copyButton, facts, fill, h, time } from './dom.ts';
import type { Bound, Receipt } from './model.ts';
import { attempt } from './problems.ts';

/** Resolves after so many milliseconds, telling each tenth of a second how many are left. The page's own clock measures; no two are compared. */
function countDown(ms: number, signal: AbortSignal, left: (ms: number) => void): Promise<void> {
  const end = performance.now() + ms;
  return new Promise((resolve) => {
    const timer = setInterval(tick, 100);
    function tick(): void {
      const rest = Math.max(0, end - performance.now());
      left(rest);
      if (rest > 0 && !signal.aborted) return;
      clearInterval(timer);
      if (!signal.aborted) resolve();
    }
    tick();
  });
}

/** A bar that empties while a change spreads. `since` is the server's time of the change, on the same clock as `effective_by`. */
async function spreading(place: Element, bound: Bound, since: string, signal: AbortSignal): Promise<void> {
  const total = Math.max(0, Date.parse(bound.effective_by) - Date.parse(since));
  if (bound.confirmed || total === 0) return;
  const seconds = h('output', { class: 'seconds', 'aria-live': 'off' });
  const bar = h('progress', { max: total, value: total, 'aria-label': 'Until it holds everywhere' });
  fill(place, h('p', {}, 'Edges that asked earlier may still answer as before for ', seconds, '.'), bar);
  await countDown(total, signal, (rest) => {
    seconds.textContent = `${(rest / 1000).toFixed(1)} s`;
    bar.value = rest;
  });
}

/** The receipt of a revocation, live: counts down to `effective_by`, then has the key's authority confirm. */
export function receiptView(id: string, receipt: Receipt, signal: AbortSignal): HTMLElement {
  const state = h('div', { class: 'state' });
  const standing = h('p', { class: 'lead' });
  const head = h('code', {}, receipt.log_head ?? 'none');
  const view = h('div', { class: 'receipt' }, standing, state, facts([
    ['Revoked at', time(receipt.revoked_at, 'exact')],
    ['Refused everywhere by', time(receipt.effective_by, 'exact')],
    ['Log head', [head, ' ', receipt.log_head && copyButton('Copy', () => receipt.log_head!, () => head)]],
  ]), h('p', { class: 'note' }, 'Save the log head somewhere else: with it, “Audit” can show that the end of the log was not cut off.'));
  const confirmed = (): void => {
    fill(standing, badge('Confirmed', 'good'), ' No edge accepts the key any more.');
    fill(state);
    announce('Confirmed: no edge accepts the key any more.');
  };
  const confirm = async (): Promise<void> => {
    fill(standing, badge('Revoked', 'bad'), ' Until the time below, edges may still answer from what they hold.');
    await spreading(state, receipt, receipt.revoked_at, signal);
    if (signal.aborted) return;
    // Revoking again changes nothing and answers the receipt again; with `wait` once it is confirmed.
    await attempt(state, async () => {
      fill(state, h('p', {}, 'Asking the key’s authority …'));
      await call<Receipt>('POST', `/v1/keys/${id}/revoke`, { wait: true }, { signal });
      confirmed();
    });
  };
  if (receipt.confirmed) confirmed();
  else void confirm();
  return view;
}

/** What a change of any other kind answered: a line that counts down and then says that it holds. */
export function boundView(what: string, bound: Bound, since: string, signal: AbortSignal): HTMLElement {
  const state = h('div', { class: 'state' });
  const standing = h('p', { class: 'lead' }, what);
  void spreading(state, bound, since, signal).then(() => !signal.aborted && fill(state, h('p', {}, badge('Everywhere', 'good'), ' It holds on every edge.')));
  return h('div', { class: 'receipt', role: 'status' }, standing, state, facts([['Holds everywhere by', time(bound.effective_by, 'exact')]]));
}
