/** What moves a simulation along with the visitor's time: a frame at a time, or twice a second for whoever asked for less motion. */

/** The longest step at once, in milliseconds: a page that was in the background does not make up for it. */
const LONGEST = 500;
const CALM = 500;

/**
 * @param step is told how many milliseconds went by
 * @returns stops it, or lets it run on
 */
export function clockwork(step: (milliseconds: number) => void): (running: boolean) => void {
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  let [running, last] = [false, 0];
  const next = (): void => void (calm.matches ? setTimeout(() => tick(performance.now()), CALM) : requestAnimationFrame(tick));
  const tick = (now: number): void => {
    if (!running) return;
    step(Math.min(LONGEST, Math.max(0, now - last)));
    last = now;
    next();
  };
  return (run) => {
    if (run === running) return;
    running = run;
    last = performance.now();
    if (run) next();
  };
}
