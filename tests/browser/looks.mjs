// How a page looks, measured inside it: each function runs in the browser, and knows nothing of this file.

/** What reaches beyond the right side of the window, and how far the page can be scrolled sideways. */
export function beyondTheSide() {
  const wide = document.documentElement.clientWidth;
  const beyond = [...document.querySelectorAll('body *')].filter((element) => element.getBoundingClientRect().right > wide + 0.5);
  return { scroll: document.documentElement.scrollWidth - wide, beyond: beyond.map((element) => element.id || element.className || element.tagName) };
}

/** How far each text stands out from its ground: those that do by less than 4.5 to 1, and how many there are. */
export function contrasts() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  // Relative luminance and contrast as WCAG 2.2 defines them.
  const luminance = (color) => {
    const [red, green, blue] = rgba(color).map((byte) => (byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return rgba(color)[3] === 255 ? color : ground(element.parentElement);
  };
  const written = [...document.querySelectorAll('body *')].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()) || element.value);
  const shown = written.filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest('.unseen'));
  const measured = shown.map((element) => {
    const [light, dark] = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((a, b) => b - a);
    return { text: (element.textContent || element.value).slice(0, 40), contrast: (light + 0.05) / (dark + 0.05) };
  });
  return { count: measured.length, faint: measured.filter(({ contrast }) => contrast < 4.5) };
}
