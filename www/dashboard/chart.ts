/** The chart of a key's use. It is loaded when it is first drawn: most screens have none. */
import uPlot from 'uplot';
import { h } from './dom.ts';
import { when, type Point } from './text.ts';

const HEIGHT = 220;

/** A colour of the page's tokens as it is now, for a canvas. */
function color(name: string): string {
  const probe = h('span');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const computed = getComputedStyle(probe).color;
  probe.remove();
  return computed;
}

/**
 * Draws bars of accepted calls, and refused ones on top of them, into `place`; drawn anew when its width or the theme changes.
 * @returns draws other data
 */
export function drawChart(place: HTMLElement, data: Point[], signal: AbortSignal): (data: Point[]) => void {
  let chart: uPlot | undefined;
  const columns = (): [number[], number[], number[]] => [data.map(({ at }) => at), data.map(({ accepted, refused }) => accepted + refused), data.map(({ accepted }) => accepted)];
  const bars = uPlot.paths.bars!({ size: [0.8, 40] });
  const draw = (): void => {
    chart?.destroy();
    const [soft, line] = [color('ink-soft'), color('line')];
    const clock = (at: number): string => {
      const date = new Date(at * 1000);
      return date.getHours() === 0 && date.getMinutes() === 0 ? date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) : date.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
    };
    const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: '12px system-ui' };
    chart = new uPlot({
      width: Math.max(240, place.clientWidth), height: HEIGHT, legend: { live: true }, cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] } },
      axes: [{ ...axis, space: 64, values: (_, splits) => splits.map(clock) }, { ...axis, size: 48, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000] }],
      series: [
        { label: 'Time', value: (_, at) => (at === null || at === undefined ? '–' : when(new Date(at * 1000).toISOString())) },
        // Drawn first and behind: what is seen of it above the accepted ones is what was refused.
        { label: 'Refused', fill: color('refused-ink'), width: 0, paths: bars, points: { show: false }, value: (_, __, ___, index) => (index === null ? '–' : String(data[index]!.refused)) },
        { label: 'Accepted', fill: color('id-line'), width: 0, paths: bars, points: { show: false }, value: (_, accepted) => (accepted === null || accepted === undefined ? '–' : String(accepted)) },
      ],
    }, columns(), place);
  };
  let width = 0;
  const resized = new ResizeObserver(() => {
    if (place.clientWidth === width) return;
    width = place.clientWidth;
    draw();
  });
  const themed = new MutationObserver(draw);
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  resized.observe(place);
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  scheme.addEventListener('change', draw, { signal });
  signal.addEventListener('abort', () => {
    resized.disconnect();
    themed.disconnect();
    chart?.destroy();
  }, { once: true });
  return (next) => {
    data = next;
    chart?.setData(columns());
  };
}
