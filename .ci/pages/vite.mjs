// How Vite builds the site: every page of www/ framed, every document of www/docs rendered, the search index beside them.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { transformSync } from 'esbuild';
import { DOCUMENTS, NAVIGATION } from '../../www/site.mjs';
import { root } from '../setup.mjs';
import { apiPage } from './api.mjs';
import { documentPages, documents } from './documents.mjs';
import { searchIndex } from './search.mjs';
import { framed } from './shell.mjs';

const www = join(root, 'www');

/** The browsers for which the styles are written: all that know `light-dark()`. */
const CSS_TARGET = ['chrome123', 'firefox120', 'safari17.5'];

/** The script that sets the theme before anything is drawn: classic and blocking, so no part of Vite's graph. */
function themeScript() {
  const { code } = transformSync(readFileSync(join(www, 'theme.ts'), 'utf8'), { loader: 'ts', minify: true, target: 'es2022', format: 'iife' });
  return { code, path: `assets/theme-${createHash('sha256').update(code).digest('hex').slice(0, 8)}.js` };
}

/** The pages by their path in the site, as they are before they are framed. */
function sources(all, openapi) {
  const own = readdirSync(www).filter((name) => name.endsWith('.html')).map((name) => [name, readFileSync(join(www, name), 'utf8')]);
  return new Map([...own, ...documentPages(all), apiPage(openapi)]);
}

function checkNames(pages) {
  const missing = NAVIGATION.map(({ path }) => path).filter((path) => !pages.has(path));
  if (missing.length) throw new Error(`www/site.mjs names pages that are not there: ${missing.join(', ')}`);
  const named = DOCUMENTS.flatMap(({ names }) => names);
  const unnamed = readdirSync(join(www, 'docs')).filter((file) => file.endsWith('.md')).map((file) => file.slice(0, -3)).filter((name) => !named.includes(name));
  if (unnamed.length) throw new Error(`www/site.mjs does not name these documents: ${unnamed.join(', ')}`);
}

/** The name by which www/search.ts imports the index. */
const INDEX = 'keyward:search-index';

function site({ pages, documents: rendered, openapi }) {
  const theme = themeScript();
  const pageOf = (file) => relative(www, file.split('?')[0]).replaceAll('\\', '/');
  return {
    name: 'keyward-site',
    enforce: 'pre',
    // Documents are pages without a file: Vite is told that there is one.
    resolveId(id) {
      if (id === INDEX) return `\0${INDEX}`;
      return pages.has(pageOf(id)) ? id : undefined;
    },
    load(id) {
      if (id === `\0${INDEX}`) return `export default ${JSON.stringify(JSON.stringify(searchIndex({ pages, documents: rendered, openapi })))};`;
      return id.startsWith(www) && !existsSync(id) ? pages.get(pageOf(id)) : undefined;
    },
    transformIndexHtml: { order: 'pre', handler: (html, { path }) => framed(html, { page: path.replace(/^\//, ''), themeScript: theme.path }) },
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: theme.path, source: theme.code });
    },
  };
}

/**
 * What `vite.build` is called with.
 *
 * @param out the folder to write
 * @param openapi path of the OpenAPI document, which is put beside the pages
 */
export function viteConfig({ out, openapi }) {
  const rendered = documents();
  const described = JSON.parse(readFileSync(openapi, 'utf8'));
  const pages = sources(rendered, described);
  checkNames(pages);
  return {
    root: www,
    configFile: false,
    envDir: false,
    publicDir: false,
    // The site works under whatever path it is put.
    base: './',
    logLevel: 'warn',
    plugins: [site({ pages, documents: rendered, openapi: described })],
    resolve: {
      alias: [
        { find: 'keyward-scan', replacement: join(root, 'build', 'scan', 'scan.js') },
        { find: 'keyward-playground', replacement: join(root, 'build', 'playground', 'playground.js') },
        // The module as a file of its own, which is cached for itself.
        { find: 'keyward/keyward.wasm', replacement: join(root, 'dist', 'keyward.wasm') },
        { find: /^keyward(\/slim)?$/, replacement: join(root, 'dist', 'slim.js') },
      ],
    },
    worker: { format: 'es' },
    build: {
      outDir: out,
      emptyOutDir: true,
      target: 'es2022',
      cssTarget: CSS_TARGET,
      // What would be put into pages as data: URLs is refused by their policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rolldownOptions: { input: [...pages.keys()].map((page) => join(www, page)) },
    },
  };
}
