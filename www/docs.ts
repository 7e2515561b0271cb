/** Documents: a button beside each command that copies it, and the heading in view marked in the table of contents. */

const COPIED = ['sh', 'console', 'js', 'javascript', 'ts', 'yaml', 'capnp', 'nginx'];

/** What of a sample is copied: of a console what is typed there, without its prompt and remarks. */
function copied(sample: HTMLElement): string {
  const text = sample.textContent.trimEnd();
  if (sample.dataset['language'] !== 'console') return text;
  return [...text.matchAll(/^\$ (.*)$/gm)].map(([, typed]) => typed!.replace(/\s+#.*$/, '')).join('\n');
}

for (const sample of document.querySelectorAll<HTMLElement>(COPIED.map((language) => `.sample[data-language="${language}"]`).join())) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.setAttribute('aria-label', 'Copy this sample');
  for (const word of ['Copy', 'Copied']) {
    const span = document.createElement('span');
    span.textContent = word;
    button.append(span);
  }
  const text = copied(sample);
  button.addEventListener('click', () => {
    navigator.clipboard.writeText(text).then(
      () => {
        button.dataset['copied'] = 'yes';
        setTimeout(() => delete button.dataset['copied'], 2000);
      },
      // No permission, or no secure context: leave the text selected for the visitor's own copying.
      () => getSelection()?.selectAllChildren(sample.querySelector('code')!),
    );
  });
  sample.append(button);
}

const links = new Map([...document.querySelectorAll<HTMLAnchorElement>('.contents a')].map((link) => [link.hash.slice(1), link]));
const headings = [...document.querySelectorAll<HTMLElement>('article :is(h2, h3)[id]')].filter(({ id }) => links.has(id));

/** Marks the last heading that has passed the top of the window. */
function mark(): void {
  const passed = headings.filter((heading) => heading.getBoundingClientRect().top < 96).at(-1) ?? headings[0];
  for (const [id, link] of links) {
    if (id === passed?.id) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
  }
}
if (links.size > 0) {
  addEventListener('scroll', mark, { passive: true });
  mark();
}
