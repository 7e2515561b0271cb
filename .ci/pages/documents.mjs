// Renders www/docs: Markdown into pages with headings that can be linked to, code that is coloured by classes alone, navigation and a
// table of contents. Raw HTML in a document is shown as text. What is specified or measured elsewhere is included, never copied:
//
//     <!-- include tests/bench/README.md: Results -->      one section; without its name, the whole file
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import http from 'highlight.js/lib/languages/http';
import ini from 'highlight.js/lib/languages/ini';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import nginx from 'highlight.js/lib/languages/nginx';
import shell from 'highlight.js/lib/languages/shell';
import typescript from 'highlight.js/lib/languages/typescript';
import yaml from 'highlight.js/lib/languages/yaml';
import { Marked } from 'marked';
import { DOCUMENTS } from '../../www/site.mjs';
import { root } from '../setup.mjs';
import { escape, pathFrom } from './shell.mjs';

for (const [name, language] of Object.entries({ sh: bash, http, toml: ini, js: javascript, javascript, json, jsonc: json, nginx, console: shell, ts: typescript, yaml })) hljs.registerLanguage(name, language);

/** The section of a Markdown text under a heading, the heading with it. */
function section(text, heading, file) {
  const lines = text.split('\n');
  const from = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading);
  if (from < 0) throw new Error(`${file} has no section “${heading}”`);
  const level = lines[from].indexOf(' ');
  let fenced = false;
  const to = lines.findIndex((line, index) => {
    if (line.startsWith('```')) fenced = !fenced;
    return index > from && !fenced && /^#+ /.test(line) && line.indexOf(' ') <= level;
  });
  return lines.slice(from, to < 0 ? undefined : to).join('\n');
}

/** The files that documents include, from the root of the project; the pages are stale when one of them changes. */
export const INCLUDED = ['README.md', 'tests/vectors/SPEC.md', 'tests/bench/README.md', 'tests/anomaly/README.md'];

const included = (text) => text.replace(/^<!-- include (\S+?)(?:: (.+?))? -->$/gm, (_, file, heading, at) => {
  if (!INCLUDED.includes(file)) throw new Error(`${file} is included by a document, and not among INCLUDED`);
  // The README's links lead to places of the README and of the checkout: here they are words.
  const whole = file === 'README.md' ? readFileSync(join(root, file), 'utf8').replace(/\[([^\]]+)\]\((?!https:)[^)]+\)/g, '$1') : readFileSync(join(root, file), 'utf8');
  // A title in the middle of a document is one of its headings.
  return (heading ? section(whole, heading, file) : whole).trim().replace(/^# /, at > 0 ? '## ' : '# ');
});

const slug = (text) => text.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').trim().replaceAll(' ', '-');

/** A text as words: what a rendered piece of HTML says. */
export const words = (html) => html.replace(/<[^>]*>/g, ' ').replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&amp;/g, '&').replace(/\s+/g, ' ').trim();

/** Renders one document. Its sections are what the search looks through. */
function rendered(name) {
  const page = `docs/${name}.html`;
  const text = included(readFileSync(join(root, 'www', 'docs', `${name}.md`), 'utf8'));
  const headings = [];
  const taken = new Map();
  /** A name for what stands below a heading, another one each time. */
  const label = (kind) => {
    const name = `${kind}: ${words(headings.at(-1)?.inner ?? page)}`;
    taken.set(name, (taken.get(name) ?? 0) + 1);
    return escape(taken.get(name) > 1 ? `${name}, ${taken.get(name)}` : name);
  };
  const marked = new Marked({
    renderer: {
      html: ({ text: raw }) => escape(raw),
      heading({ tokens, depth }) {
        const inner = this.parser.parseInline(tokens);
        if (depth === 1) {
          headings.push({ depth, id: '', inner });
          return `<h1>${inner}</h1>\n`;
        }
        const base = slug(words(inner));
        const before = taken.get(base) ?? 0;
        taken.set(base, before + 1);
        const id = before ? `${base}-${before}` : base;
        headings.push({ depth, id, inner });
        return `<h${depth} id="${id}"><a class="anchor" href="#${id}">${inner}</a></h${depth}>\n`;
      },
      code({ text: code, lang }) {
        const language = lang || '';
        const html = hljs.getLanguage(language) ? hljs.highlight(code, { language }).value : escape(code);
        // What is drawn with characters must not be wrapped; it is scrolled, by keyboard too.
        const drawn = language ? '' : ` tabindex="0" role="region" aria-label="${label('Figure')}"`;
        return `<pre class="sample" data-language="${escape(language)}"${drawn}><code>${html}</code></pre>\n`;
      },
      table({ header, rows }) {
        const cells = (row, tag) => `<tr>${row.map(({ text: cell, tokens }) => {
          const name = cell.trim() ? tag : 'td';
          return `<${name}>${this.parser.parseInline(tokens)}</${name}>`;
        }).join('')}</tr>`;
        // A table without headings is a list of terms and what they mean.
        const head = header.some(({ text: cell }) => cell.trim()) ? `<thead>${cells(header, 'th')}</thead>` : '';
        return `<div class="wide" role="region" aria-label="${label('Table')}" tabindex="0"><table>${head}<tbody>${rows.map((row) => cells(row, 'td')).join('')}</tbody></table></div>\n`;
      },
      link({ href, tokens }) {
        const inner = this.parser.parseInline(tokens);
        if (/^(https?:|#)/.test(href)) return `<a href="${escape(href)}">${inner}</a>`;
        const [file, anchor] = href.split('#');
        const target = file.replace(/\.md$/, '.html');
        // A file of the repository, named by what is included from there, is no page of the site.
        if (file.endsWith('.md') && !ORDER.includes(file.slice(0, -3))) return inner;
        return `<a href="${escape(target)}${anchor ? `#${escape(anchor)}` : ''}">${inner}</a>`;
      },
      image: ({ text: alternative }) => escape(alternative),
    },
  });
  const html = marked.parse(text);
  const title = words(headings.find(({ depth }) => depth === 1)?.inner ?? '');
  if (!title) throw new Error(`www/docs/${name}.md has no title`);
  const sections = html.split(/(?=<h[123][ >])/).filter((part) => /^<h[123]/.test(part)).map((part) => {
    const [, id = '', heading] = /^<h\d(?: id="([^"]*)")?>([^]*?)<\/h\d>/.exec(part);
    return { id, heading: words(heading), text: words(part.slice(part.indexOf('</h') + 5)) };
  });
  const [first] = /<p>([^]*?)<\/p>/.exec(html) ?? [''];
  return { name, page, title, html, sections, headings: headings.filter(({ depth }) => depth === 2 || depth === 3), description: words(first) };
}

const ORDER = DOCUMENTS.flatMap(({ names }) => names);

/** All documents, in the order in which they are read. */
export const documents = () => ORDER.map(rendered);

const INDEX = 'docs/index.html';

function sideNavigation(all, page) {
  const link = (path, title) => `<li><a href="${pathFrom(page, path)}"${path === page ? ' aria-current="page"' : ''}>${escape(title)}</a></li>`;
  return `<ul>${link(INDEX, 'Overview')}</ul>${DOCUMENTS.map(({ label, names }) => `<p>${escape(label)}</p><ul>${names.map((name) => {
    const { page: path, title } = all.find((document) => document.name === name);
    return link(path, title);
  }).join('')}</ul>`).join('')}`;
}

function contents(headings) {
  if (headings.length < 2) return '';
  return `<nav class="contents" aria-labelledby="contents"><p id="contents">On this page</p><ul>${headings
    .map(({ depth, id, inner }) => `<li class="depth-${depth}"><a href="#${id}">${inner.replace(/<\/?a[^>]*>/g, '')}</a></li>`).join('')}</ul></nav>`;
}

/** The links at the end of an article. */
const neighbourLinks = (page, neighbours) => `<nav class="neighbours" aria-label="Before and after">${neighbours
  .map(([rel, { page: path, title }]) => `<a rel="${rel}" href="${pathFrom(page, path)}"><span>${rel === 'prev' ? 'Before' : 'Next'}</span> ${escape(title)}</a>`).join('')}</nav>`;

/**
 * The page around an article.
 *
 * @param article `{page, title, description, html, headings}`; `side` is the navigation beside it, if there is one
 */
export function documentPage({ page, title, description, html, headings, side = '', neighbours = [], styles = [], scripts = [] }) {
  return `<!doctype html>
<html lang="en">
<head>
  <title>${escape(title)} · keyward</title>
  <meta name="description" content="${escape(description.slice(0, 200))}">
  ${['/docs.css', ...styles].map((path) => `<link rel="stylesheet" href="${path}">`).join('\n  ')}
  ${['/docs.ts', ...scripts].map((path) => `<script type="module" src="${path}"></script>`).join('\n  ')}
</head>
<body>
  <main id="main" tabindex="-1" class="documentation${side ? '' : ' alone'}">
    ${side ? `<nav class="side" aria-label="Documentation">${side}</nav>
    <details class="side-menu"><summary>Documentation: ${escape(title)}</summary><nav aria-label="Documentation">${side}</nav></details>` : ''}
    ${contents(headings)}
    <article>
${html}
    ${neighbours.length ? neighbourLinks(page, neighbours) : ''}
    </article>
  </main>
</body>
</html>
`;
}

/** Pages of documents by their path in the site, the overview with them. */
export function documentPages(all) {
  const overview = {
    page: INDEX, title: 'Documentation', headings: [], description: 'What keyward is, how to use it, and how it keeps what it promises.',
    html: `<h1>Documentation</h1>\n<p>What stands here is true of this version. Commands with an answer below them are run by the project’s tests, as they stand, against the real Worker.</p>\n${DOCUMENTS
      .map(({ label, names }) => `<h2 id="${slug(label)}">${escape(label)}</h2>\n<ul class="overview">${names.map((name) => {
        const { page, title, description } = all.find((document) => document.name === name);
        return `<li><a href="${pathFrom(INDEX, page)}">${escape(title)}</a><p>${escape(description)}</p></li>`;
      }).join('')}</ul>`).join('\n')}`,
  };
  return [overview, ...all].map((document, at) => {
    const neighbours = [['prev', all[at - 2]], ['next', all[at]]].filter(([, neighbour]) => neighbour);
    return [document.page, documentPage({ ...document, side: sideNavigation(all, document.page), neighbours })];
  });
}
