/** A drawing that keeps to the page: as wide as its place, as sharp as the screen, in the colours of the theme. */

/** What is drawn on: measured in CSS pixels. */
export interface Surface {
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
  /** The value of a design token: `color('--ink')`. */
  color(token: string): string;
}

/**
 * Draws now, and again whenever the place or the theme changes.
 *
 * @returns draws again, with the next frame
 */
export function drawn(canvas: HTMLCanvasElement, draw: (surface: Surface) => void): () => void {
  const context = canvas.getContext('2d')!;
  const colors = new Map<string, string>();
  // A token may be a light-dark() of two colours: the canvas itself says which it is.
  const color = (token: string): string => {
    let known = colors.get(token);
    if (known === undefined) {
      canvas.style.color = `var(${token})`;
      known = getComputedStyle(canvas).color;
      canvas.style.color = '';
      colors.set(token, known);
    }
    return known;
  };
  let frame = 0;
  const now = (): void => {
    frame = 0;
    const { clientWidth: width, clientHeight: height } = canvas;
    const sharp = devicePixelRatio;
    if (width === 0) return;
    if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(height * sharp)) [canvas.width, canvas.height] = [Math.round(width * sharp), Math.round(height * sharp)];
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `12px ${getComputedStyle(canvas).fontFamily}`;
    draw({ context, width, height, color });
  };
  const again = (): void => void (frame ||= requestAnimationFrame(now));
  const repaint = (): void => {
    colors.clear();
    again();
  };
  new ResizeObserver(again).observe(canvas);
  new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ['data-theme'] });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
  return again;
}
