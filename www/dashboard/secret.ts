/** Shows a new secret, this once. Whoever leaves before it was copied is warned; afterwards it is nowhere in the page. */
import { copyButton, dialog, fill, h, type Child } from './dom.ts';
import { variable } from './text.ts';

/** Whether a secret stands on the page that was not copied: the page is not to be left for another then. */
let unseen: (() => void) | undefined;
/** Warns of what would be lost, if there is anything. Answers whether one may go. */
export function mayLeave(): boolean {
  unseen?.();
  return unseen === undefined;
}

addEventListener('beforeunload', (event) => {
  if (unseen) event.preventDefault();
});

const PARTS = /^([a-z][a-z0-9]{1,11})_([a-z][a-z0-9]{1,11})_([0-9A-Za-z]{10})([0-9A-Za-z]{6})_([0-9A-Za-z]{27})([0-9A-Za-z]{6})$/;

/** The text in the colours of its parts, where it is one of keyward's keys. */
function specimen(text: string): Child[] {
  const match = PARTS.exec(text);
  if (!match) return [text];
  const [, brand, environment, id, tag, secret, check] = match.map((part) => part ?? '');
  const part = (name: string, of: string | undefined) => h('span', { class: `part ${name}` }, of!);
  return [part('brand', brand), '_', part('environment', environment), '_', part('id', id), part('tag', tag), '_', part('secret', secret), part('check', check)];
}

/**
 * Shows `text` until it is dismissed, and warns before that where it was not copied.
 * @param name of what it belongs to, from which the variable in `.env` gets its name; without it there is no such line
 */
export function showOnce({ title, text, name, note }: { title: string; text: string; name?: string; note: string }): Promise<void> {
  return new Promise((resolve) => {
    let copied = false;
    const shown = h('p', { class: 'shown-key', translate: 'no' }, ...specimen(text));
    const line = name === undefined ? undefined : h('code', { class: 'env', translate: 'no' }, `${variable(name)}=${text}`);
    const warning = h('div', { role: 'alert' });
    const warn = (): void => {
      fill(warning, h('div', { class: 'problem' }, h('p', { class: 'lead' }, 'It was not copied.'), h('p', {}, 'It cannot be shown again: keyward keeps only a digest of it. Copy it first, or leave without it and create another.'),
        h('p', { class: 'actions' }, h('button', { type: 'button', onclick: () => leave() }, 'Leave without it'))));
    };
    let leave = (): void => undefined;
    const taken = (): void => {
      copied = true;
      unseen = undefined;
      fill(warning);
    };
    const made = dialog(title, (close) => {
      leave = () => {
        copied = true;
        close();
      };
      return [
        h('p', {}, note),
        shown,
        h('p', { class: 'actions' }, copyButton('Copy', () => text, () => shown, taken), line && copyButton('Copy line for .env', () => line.textContent, () => line, taken)),
        line && h('p', { class: 'env-line' }, line),
        h('p', { class: 'note' }, 'List a file that holds it in .gitignore, and never ship it to a browser.'),
        warning,
        h('p', { class: 'actions' }, h('button', { type: 'button', class: 'primary', onclick: () => (copied ? close() : warn()) }, 'Done')),
      ];
    }, {
      wide: true,
      mayClose: () => {
        if (!copied) warn();
        return copied;
      },
      closed: () => {
        unseen = undefined;
        made.replaceChildren();
        resolve();
      },
    });
    // Copied by hand, too.
    made.addEventListener('copy', taken);
    unseen = warn;
  });
}
