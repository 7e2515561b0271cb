// The frame of every page: policy, theme, header, footer. A page in www/ is a document of its own head and <main>; what all pages
// share is put around it here, at build time.
import { NAVIGATION } from '../../www/site.mjs';

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** A text as it stands in HTML, in an attribute too. */
export const escape = (text) => text.replace(/[&<>"]/g, (character) => ESCAPES[character]);

/** Where a page's scripts, frames and calls may come from and lead to; each page may widen it by directives of its own. */
const POLICY = {
  'default-src': "'none'", 'script-src': "'self'", 'style-src': "'self'", 'img-src': "'self'", 'connect-src': "'self'",
  'base-uri': "'none'", 'form-action': "'none'",
};

function policy(own) {
  const directives = own.split(';').map((directive) => directive.trim()).filter(Boolean).map((directive) => directive.split(/\s+(.*)/));
  return Object.entries({ ...POLICY, ...Object.fromEntries(directives) }).map(([name, sources]) => `${name} ${sources}`).join('; ');
}

/** The path from one page's folder to another page; an index is named by its folder. */
export function pathFrom(page, to) {
  const folders = page.split('/').slice(0, -1);
  const target = to.split('/');
  while (folders.length > 0 && target.length > 1 && folders[0] === target[0]) [folders, target].forEach((path) => path.shift());
  return `${'../'.repeat(folders.length)}${target.join('/')}`.replace(/(^|\/)index\.html$/, '$1') || './';
}

const KEY = '<svg viewBox="0 0 24 14" width="31" height="18" aria-hidden="true"><g fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"><circle cx="5.5" cy="6" r="4"/><path d="M9.5 6h12.5v5.5M16.5 6v4"/></g></svg>';
const LENS = '<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><g fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round"><circle cx="7" cy="7" r="4.75"/><path d="m10.5 10.5 3.5 3.5"/></g></svg>';
const SUN = '<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><circle cx="8" cy="8" r="6.25" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M8 1.75a6.25 6.25 0 0 1 0 12.5z" fill="currentColor"/></svg>';

function links(page) {
  return NAVIGATION.map(({ path, label, under }) => {
    const current = path === page ? ' aria-current="page"' : under && page.startsWith(under) ? ' aria-current="true"' : '';
    return `<a href="${pathFrom(page, path)}"${current}>${escape(label)}</a>`;
  }).join('');
}

// The links stand twice: in a row where it is wide enough, and in a menu that needs no script where it is not. Only one is ever displayed.
const header = (page) => `<a class="skip" href="#main">Skip to the content</a>
  <header class="masthead">
    <a class="wordmark" href="${pathFrom(page, 'index.html')}">${KEY} keyward</a>
    <nav class="pages" aria-label="Pages">${links(page)}</nav>
    <div class="tools">
      <button type="button" id="open-search" aria-label="Search" aria-haspopup="dialog" aria-keyshortcuts="/" hidden>${LENS}<span>Search</span><kbd aria-hidden="true">/</kbd></button>
      <button type="button" id="theme" hidden>${SUN}<span class="unseen"></span></button>
      <details class="menu"><summary>Menu</summary><nav aria-label="Pages">${links(page)}</nav></details>
    </div>
  </header>`;

const footer = (page) => `<footer class="foot">
    <p>keyward is open source, under MIT or Apache-2.0. This site loads nothing from elsewhere, and keeps of you only the theme, if you choose one.</p>
    <nav aria-label="More">${[['docs/index.html', 'Documentation'], ['docs/format.html', 'The format'], ['docs/threat-model.html', 'Threat model'], ['docs/bounds.html', 'Bounds, measured'], ['openapi.json', 'OpenAPI']]
      .map(([path, label]) => `<a href="${pathFrom(page, path)}">${label}</a>`).join('')}</nav>
  </footer>`;

/** What stands in a tag of the document, once. */
const between = (html, pattern, what, page) => {
  const match = pattern.exec(html);
  if (!match) throw new Error(`${page} has no ${what}`);
  return match[1];
};

/**
 * A whole document from a page: with the policy (`<meta name="policy">` says in what it differs), the theme and the styles of all
 * pages, and between header and footer unless its `<html>` has `data-frame="none"`.
 *
 * @param page its path in the site: `docs/start.html`
 * @param themeScript the path of the script that sets the theme before anything is drawn, in the site
 */
export function framed(html, { page, themeScript }) {
  const bare = /<html[^>]*data-frame="none"/.test(html);
  const own = /<meta name="policy" content="([^"]*)">/.exec(html)?.[1] ?? '';
  const head = between(html, /<head>([^]*?)<\/head>/, '<head>', page).replace(/\s*<meta name="policy"[^>]*>/, '').trim();
  const [, attributes, body] = /<body([^>]*)>([^]*)<\/body>/.exec(html) ?? [];
  if (body === undefined || !/<title>.+<\/title>/.test(head)) throw new Error(`${page} has no <body>, or no <title>`);
  const up = '../'.repeat(page.split('/').length - 1);
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta http-equiv="Content-Security-Policy" content="${policy(own)}">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="referrer" content="no-referrer">
  <link rel="icon" href="${up}icon.svg" type="image/svg+xml">
  <script src="${up}${themeScript}" vite-ignore></script>
  <link rel="stylesheet" href="${bare ? '/bare.css' : '/shell.css'}">
  ${bare ? '' : '<script type="module" src="/shell.ts"></script>\n  '}${head}
</head>
<body${attributes}>
  ${bare ? body.trim() : `${header(page)}\n\n  ${body.trim()}\n\n  ${footer(page)}`}
</body>
</html>
`;
}
