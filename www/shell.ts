/** The header's controls, on every page: the theme, the search, the menu. Each is hidden until this script is there to serve it. */
const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const NAMES: Record<Theme, string> = { auto: 'as the system', light: 'light', dark: 'dark' };
/** Where the choice is kept; theme.ts reads it. */
const KEPT = 'keyward-theme';

const html = document.documentElement;

function themeButton(button: HTMLButtonElement): void {
  const chosen = (): Theme => (html.dataset['theme'] as Theme | undefined) ?? 'auto';
  const show = (): void => {
    button.querySelector('span')!.textContent = `Theme: ${NAMES[chosen()]}`;
    button.title = `Theme: ${NAMES[chosen()]}`;
  };
  button.addEventListener('click', () => {
    const next = THEMES[(THEMES.indexOf(chosen()) + 1) % THEMES.length]!;
    if (next === 'auto') delete html.dataset['theme'];
    else html.dataset['theme'] = next;
    try {
      if (next === 'auto') localStorage.removeItem(KEPT);
      else localStorage.setItem(KEPT, next);
    } catch {
      // It holds until the page is left.
    }
    show();
  });
  addEventListener('storage', show);
  show();
  button.hidden = false;
}

/** Whether keys that are typed there are text. */
const takesText = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName));

function searchButton(button: HTMLButtonElement): void {
  // Loaded when it is first asked for: most visits need neither the index nor what reads it.
  const open = (): void => void import('./search.ts').then(({ openSearch }) => openSearch(button));
  button.addEventListener('click', open);
  addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || takesText(event.target)) return;
    event.preventDefault();
    open();
  });
  button.hidden = false;
}

function menu(details: HTMLDetailsElement): void {
  const close = (): void => void (details.open = false);
  addEventListener('click', ({ target }) => target instanceof Node && !details.contains(target) && close());
  details.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape') return;
    close();
    details.querySelector('summary')!.focus();
  });
}

themeButton(document.querySelector<HTMLButtonElement>('#theme')!);
searchButton(document.querySelector<HTMLButtonElement>('#open-search')!);
menu(document.querySelector<HTMLDetailsElement>('.menu')!);
