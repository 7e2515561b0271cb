/** The picture of a rotation: calls over days, by the secret that they came with, and what was decided when. */
import { drawn } from './canvas.ts';
import { BUCKET, DAY, type Bucket, type Mark } from './rotation-simulation.ts';

/** What the picture shows. */
export interface Traffic {
  buckets: readonly Bucket[];
  marks: readonly Mark[];
  /** When the overlap ends by itself. */
  endsAt: number | undefined;
  now: number;
}

/** How much of the past and of what is to come is shown. */
export const PAST = 9 * DAY;
const TO_COME = DAY;
const HEAD = 22;
const AXIS = 22;
/** Calls in a bucket that reach the top, at least. */
const USUAL = 110;

const WORDS: Record<Mark['kind'], string> = { begun: 'begun', refused: 'refused', completed: 'completed', ended: 'grace over' };

/** @returns draws again */
export function traffic(canvas: HTMLCanvasElement, shown: () => Traffic): () => void {
  return drawn(canvas, ({ context, width, height, color }) => {
    const { buckets, marks, endsAt, now } = shown();
    const [from, span] = [Math.max(0, now - PAST), PAST + TO_COME];
    const x = (at: number): number => ((at - from) / span) * width;
    const bottom = height - AXIS;
    const most = Math.max(USUAL, ...buckets.map(({ old, fresh, refused }) => old + fresh + refused));
    const tall = (calls: number): number => (calls / most) * (bottom - HEAD - 6);

    context.textAlign = 'center';
    context.lineWidth = 1;
    for (let day = Math.ceil(from / DAY); day * DAY < from + span; day += 1) {
      context.strokeStyle = color('--line');
      context.beginPath();
      context.moveTo(Math.round(x(day * DAY)) + 0.5, HEAD);
      context.lineTo(Math.round(x(day * DAY)) + 0.5, bottom);
      context.stroke();
      context.fillStyle = color('--ink-soft');
      const words = width < 500 ? String(day + 1) : `day ${day + 1}`;
      if (x(day * DAY) + x(from + DAY) / 2 < width) context.fillText(words, x((day + 0.5) * DAY), height - 6);
    }

    const wide = Math.max(1, x(from + BUCKET) - 1);
    for (const bucket of buckets) {
      if (bucket.from + BUCKET < from) continue;
      let top = bottom;
      for (const [calls, token] of [[bucket.fresh, '--id-line'], [bucket.old, '--brand-line'], [bucket.refused, '--refused-ink']] as const) {
        // A single refused call has to be seen beside a hundred others.
        const high = calls === 0 ? 0 : Math.max(token === '--refused-ink' ? 5 : 1, tall(calls));
        context.fillStyle = color(token);
        context.fillRect(x(bucket.from), top - high, wide, high);
        top -= high;
      }
    }
    context.fillStyle = color('--ink-soft');
    context.fillRect(0, bottom, width, 1);

    let free = 0;
    const line = (at: number, words: string, token: string, dashed: boolean): void => {
      if (at < from) return;
      [context.strokeStyle, context.fillStyle, context.lineWidth] = [color(token), color(token), 1.75];
      context.setLineDash(dashed ? [6, 4] : []);
      context.beginPath();
      context.moveTo(x(at), HEAD - 6);
      context.lineTo(x(at), bottom);
      context.stroke();
      context.setLineDash([]);
      const half = context.measureText(words).width / 2;
      const middle = Math.min(width - half, Math.max(half, x(at)));
      // A name that would cover the one before it is left out; the line stands.
      if (middle - half < free) return;
      context.fillText(words, middle, 12);
      free = middle + half + 8;
    };
    for (const { at, kind } of marks) line(at, WORDS[kind], kind === 'refused' ? '--refused-ink' : '--ink', false);
    if (endsAt !== undefined && endsAt < from + span) line(endsAt, 'end of grace', '--ink-soft', true);
  });
}
