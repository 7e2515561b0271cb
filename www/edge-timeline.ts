/** The picture of calls over time: a lane for each edge, a dot for each call, and the line that no green dot crosses. */
import { drawn } from './canvas.ts';
import type { Dot, Held, Receipt } from './edge-simulation.ts';

/** What the picture shows. */
export interface Shown {
  lanes: number;
  dots: readonly Dot[];
  leases: readonly Held[];
  receipt: Receipt | undefined;
  /** The right end of the picture. */
  now: number;
  /** Milliseconds from its left to its right end. */
  span: number;
  /** What the axis counts from; 0 where it is left out. */
  origin?: number | undefined;
}

const DOT = 3;
/** Room below the lanes, for the seconds. */
const AXIS = 22;
/** Room above them, for the names of the lines. */
const HEAD = 20;
/** Room on the right, so that what is to come is seen to come. */
const AHEAD = 0.08;

/** By how much a dot may stand before one that was written down earlier, in milliseconds. */
const ASIDE = 5_000;

/** @returns draws again */
export function timeline(canvas: HTMLCanvasElement, shown: () => Shown | undefined): () => void {
  return drawn(canvas, ({ context, width, height, color }) => {
    const now = shown();
    if (!now) return;
    const lane = (height - AXIS - HEAD) / now.lanes;
    // To the right as far as the bound is ahead, so that it comes into the picture with the revocation.
    const end = Math.max(now.now + now.span * AHEAD, Math.min((now.receipt?.effectiveBy ?? 0) + now.span * AHEAD, now.now + now.span * 0.75));
    const from = end - now.span;
    const x = (at: number): number => ((at - from) / now.span) * width;
    const y = (edge: number): number => HEAD + lane * (edge + 0.5);

    context.lineWidth = 1;
    context.textAlign = 'center';
    const second = now.span > 60_000 ? 10_000 : now.span > 25_000 ? 5_000 : 2_000;
    const origin = now.origin ?? 0;
    for (let at = origin + Math.max(0, Math.ceil((from - origin) / second)) * second; at < end; at += second) {
      context.strokeStyle = color('--line');
      context.beginPath();
      context.moveTo(Math.round(x(at)) + 0.5, HEAD);
      context.lineTo(Math.round(x(at)) + 0.5, height - AXIS);
      context.stroke();
      context.fillStyle = color('--ink-soft');
      if (x(at) > 14 && x(at) < width - 14) context.fillText(`${Math.round((at - origin) / 1000)} s`, x(at), height - 6);
    }

    for (const { edge, good, from: begun, until } of now.leases) {
      context.fillStyle = color(good ? '--valid' : '--refused');
      if (until < from) continue;
      const [left, right] = [Math.max(0, x(begun)), Math.min(width, x(until))];
      if (right > left) context.fillRect(left, y(edge) - lane * 0.3, right - left - 1, lane * 0.6);
    }

    // From the newest on: they lie nearly in their order, as far as messages let them.
    for (let index = now.dots.length - 1; index >= 0; index -= 1) {
      const { edge, at, accepted } = now.dots[index]!;
      if (at < from - ASIDE) break;
      if (at < from) continue;
      context.fillStyle = color(accepted ? '--id-line' : '--refused-ink');
      context.beginPath();
      // Told apart by shape, too: a refused call is a cross.
      if (accepted) context.arc(x(at), y(edge), DOT, 0, 2 * Math.PI);
      else {
        for (const [dx, dy] of [[1, 1], [1, -1]] as const) {
          context.moveTo(x(at) - DOT * dx, y(edge) - DOT * dy);
          context.lineTo(x(at) + DOT * dx, y(edge) + DOT * dy);
        }
        context.strokeStyle = color('--refused-ink');
        context.lineWidth = 1.75;
        context.stroke();
        continue;
      }
      context.fill();
    }

    const line = (at: number, token: string, words: string, dashed: boolean): void => {
      if (at < from) return;
      [context.strokeStyle, context.fillStyle, context.lineWidth] = [color(token), color(token), 2];
      context.setLineDash(dashed ? [6, 4] : []);
      context.beginPath();
      context.moveTo(x(at), HEAD - 4);
      context.lineTo(x(at), height - AXIS);
      context.stroke();
      context.setLineDash([]);
      const half = context.measureText(words).width / 2;
      context.fillText(words, Math.min(width - half, Math.max(half, x(at))), 12);
    };
    if (now.receipt) {
      const { revokedAt, effectiveBy } = now.receipt;
      // One name for both where they are so close that two would cover each other.
      const close = x(effectiveBy) - x(revokedAt) < 100;
      line(revokedAt, '--ink', close ? '' : 'revoked', true);
      line(effectiveBy, '--refused-ink', close && x(effectiveBy) - x(revokedAt) < 1 ? 'revoked = effective_by' : 'effective_by', false);
    }
  });
}
