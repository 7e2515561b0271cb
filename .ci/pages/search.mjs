// The search index: sections of documents, pages, and operations of the API. Made at build time, read by www/search.ts.
import MiniSearch from 'minisearch';
import { API } from './api.mjs';
import { words } from './documents.mjs';

/** How it is made and read; both sides have to agree. */
const OPTIONS = {
  fields: ['heading', 'title', 'text'],
  storeFields: ['heading', 'title', 'path', 'start'],
  searchOptions: { boost: { heading: 4, title: 2 }, prefix: true, fuzzy: 0.2 },
};

/** How much of a section is shown below its name, in characters. */
const START = 140;

function start(text) {
  return text.length <= START ? text : `${text.slice(0, START).replace(/\s\S*$/, '')}…`;
}

const titleOf = (html) => words(/<title>([^]*?)<\/title>/.exec(html)[1]).replace(/ · keyward$/, '');

/**
 * @param pages sources of pages by path; those outside the documentation are found by what stands in them
 * @param documents rendered documents
 * @param openapi the OpenAPI document
 * @returns `{options, index}` as MiniSearch loads them
 */
export function searchIndex({ pages, documents, openapi }) {
  const entries = [];
  const add = (entry) => entries.push({ id: entries.length, ...entry, start: start(entry.text) });
  for (const { page, title, sections } of documents) {
    for (const { id, heading, text } of sections) add({ heading, title, text, path: id ? `${page}#${id}` : page });
  }
  for (const [path, html] of pages) {
    if (path.startsWith('docs/') || path === API || path === '404.html' || /data-frame="none"/.test(html)) continue;
    const description = /<meta name="description" content="([^"]*)">/.exec(html)?.[1] ?? '';
    const body = /<main[^]*<\/main>/.exec(html)?.[0].replace(/<svg[^]*?<\/svg>|<noscript>[^]*?<\/noscript>/g, '') ?? '';
    add({ heading: titleOf(html), title: 'Page', text: `${words(description)} ${words(body)}`, path });
  }
  for (const [path, operations] of Object.entries(openapi.paths)) {
    for (const [method, { summary, description = '', operationId }] of Object.entries(operations)) {
      if (summary) add({ heading: `${method.toUpperCase()} ${path}`, title: 'API', text: `${summary}. ${description}`.replaceAll('`', ''), path: `${API}#${operationId}` });
    }
  }
  const index = new MiniSearch(OPTIONS);
  index.addAll(entries);
  return { options: OPTIONS, index: index.toJSON() };
}
