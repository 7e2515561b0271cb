// The site as a whole in Chromium, served by a plain static server under a path of its own: every page that is built, whatever its kind.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { chromium as browserType } from 'playwright-core';
import { chromium, root } from '../../.ci/setup.mjs';
import { NAVIGATION } from '../../www/site.mjs';
import { beyondTheSide } from './looks.mjs';

const site = join(root, 'build', 'www');
const files = readdirSync(site, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => relative(site, join(entry.parentPath, entry.name)));
/** Every page that stands by itself: the shops are parts of another. */
// What stands at addresses that no page has names everything from the root of its host (tests/browser/dashboard).
const pages = files.filter((file) => file.endsWith('.html') && !file.startsWith('shop-') && file !== '404.html');
const TYPES = { '.html': 'text/html; charset=utf-8', '.css': 'text/css', '.js': 'text/javascript', '.wasm': 'application/wasm', '.svg': 'image/svg+xml', '.json': 'application/json' };

/** Where the site is put: not at the root, as on a host that serves many. */
const PREFIX = '/some/where';
const LANDING_BYTES = 200 * 1024;
const FIRST_PAINT_MS = 1000;
const SCHEMES = ['light', 'dark'];
const WIDTHS = [390, 1440];

let server, browser, url;

/** The file that a path of the site names, if there is one. */
function fileOf(pathname) {
  if (!pathname.startsWith(`${PREFIX}/`)) return undefined;
  const file = join(site, decodeURIComponent(pathname.slice(PREFIX.length)));
  const index = existsSync(file) && statSync(file).isDirectory() ? join(file, 'index.html') : file;
  return existsSync(index) ? index : undefined;
}

before(async () => {
  server = createServer((request, response) => {
    const file = fileOf(new URL(request.url, 'http://site').pathname);
    if (!file) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${server.address().port}${PREFIX}/`;
  browser = await browserType.launch({ executablePath: chromium(), headless: true, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
});

after(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
});

/** What a page says although nothing is wrong with it: here no keyward and no provider stand behind the shops' page. */
const EXPECTED = { 'relay.html': /\/log\/events|ERR_CONNECTION_REFUSED|127\.0\.0\.1:8788/ };

/** Opens a page; `complaints` are words on the console and refusals by the policy, `requests` all URLs. */
async function open(t, path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce', ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  const [requests, complaints] = [[], []];
  const expected = EXPECTED[path.split('#')[0]];
  context.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => {
    const text = `${message.text()} ${message.location().url}`;
    if (!expected?.test(text)) complaints.push(text);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url + path, { waitUntil: 'load' });
  await page.locator('main:not([aria-busy])').waitFor();
  return { context, page, requests, complaints };
}

/** What axe finds wrong with a page, as it is now. */
async function violations(page) {
  // As a script of the test and not of the page: the page's own policy stays as it is.
  await page.evaluate(`${readFileSync(join(root, 'node_modules', 'axe-core', 'axe.min.js'), 'utf8')};undefined`);
  return page.evaluate(async () => (await axe.run(document, { iframes: false })).violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 120)} ${failureSummary}`).join(' | ')}`));
}

test('every page of the navigation is built, and a landing page, an anatomy, a relay, documents and a reference are among all', () => {
  for (const { path } of NAVIGATION) assert.ok(pages.includes(path), path);
  assert.ok(pages.length >= 18, pages.join(' '));
});

for (const path of pages) {
  test(`${path} loads under a path of its own with no word on the console, from its own origin alone`, async (t) => {
    const { page, requests, complaints } = await open(t, path);
    assert.deepEqual(complaints, []);
    const foreign = requests.filter((each) => !each.startsWith(url) && !EXPECTED[path]?.test(each));
    assert.deepEqual(foreign, []);
    assert.equal(await page.locator('h1').count(), 1);
    assert.ok((await page.title()).includes('keyward'));
    assert.ok((await page.locator('meta[name="description"]').getAttribute('content')).length > 20);
  });

  test(`axe finds nothing wrong with ${path}, narrow and wide, light and dark`, async (t) => {
    for (const width of WIDTHS) {
      const { context, page } = await open(t, path, { viewport: { width, height: 900 } });
      await page.evaluate(() => document.querySelectorAll('main details').forEach((details) => { details.open = true; }));
      assert.equal((await page.evaluate(beyondTheSide)).scroll, 0, `${width} px`);
      // Documents are of one kind: each is looked at wide in one scheme and narrow in the other.
      for (const colorScheme of path.startsWith('docs/') ? [SCHEMES[WIDTHS.indexOf(width)]] : SCHEMES) {
        await page.emulateMedia({ colorScheme });
        assert.deepEqual(await violations(page), [], `${colorScheme}, ${width} px`);
      }
      await context.close();
    }
  });
}

test('axe finds what is wrong with a page that was made wrong', async (t) => {
  const { page } = await open(t, 'index.html');
  await page.evaluate(() => document.querySelector('main').append(document.createElement('button')));
  assert.match((await violations(page)).join(), /button-name/);
});

test('every link leads somewhere: pages, files, and places within pages', async (t) => {
  const { page } = await open(t, 'index.html');
  const found = [];
  for (const path of pages) {
    await page.goto(url + path);
    found.push(...await page.evaluate(() => [...document.querySelectorAll('a[href]')].map((link) => ({ from: location.pathname, href: link.href }))));
  }
  const own = found.filter(({ href }) => href.startsWith(url));
  assert.ok(own.length > 500, String(own.length));
  const ids = new Map();
  const idsOf = (file) => {
    if (!ids.has(file)) ids.set(file, new Set([...readFileSync(file, 'utf8').matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id)));
    return ids.get(file);
  };
  const dead = own.filter(({ href }) => {
    const { pathname, hash } = new URL(href);
    const file = fileOf(pathname);
    return !file || (hash && !idsOf(file).has(decodeURIComponent(hash.slice(1))));
  });
  assert.deepEqual(dead.map(({ from, href }) => `${from} → ${href}`), []);
  // Elsewhere, only what is meant to be: the stand-in of `npm start`, and what a recipe is for.
  assert.deepEqual([...new Set(found.filter(({ href }) => !href.startsWith(url)).map(({ href }) => new URL(href).origin))].filter((origin) => !['http://127.0.0.1:8788', 'https://pre-commit.com'].includes(origin)), []);
});

test('what is typed into a console is copied without its prompt, its remarks and its answers', async (t) => {
  for (const [path, typed] of [['docs/start.html', 'npx keyward init && npx keyward dev'], ['docs/deploy-on-cloudflare.html', /^npx keyward init\n[^#$]+$/]]) {
    const { context, page } = await open(t, path);
    // The test's server is no secure context for the clipboard everywhere: what is handed to it is what counts.
    await page.evaluate(() => { navigator.clipboard.writeText = async (text) => void (globalThis.copied = text); });
    await page.getByRole('button', { name: 'Copy this sample' }).first().click();
    const copied = await page.evaluate(() => globalThis.copied);
    if (typeof typed === 'string') assert.equal(copied, typed);
    else assert.match(copied, typed);
    await context.close();
  }
});

test('the search finds documents, operations and pages, by keyboard alone, and asks nobody else', async (t) => {
  const { page, requests, complaints } = await open(t, 'docs/concepts.html');
  const before = requests.length;
  await page.keyboard.press('/');
  const field = page.getByRole('combobox', { name: 'Search the site' });
  await field.waitFor();
  assert.ok(await field.evaluate((element) => element === document.activeElement));
  for (const [words, name] of [['lease receipt', 'Leases and receipts'], ['revoke key', 'POST /v1/keys/{id}/revoke'], ['anatmy', 'Anatomy of a key'], ['CORS', 'CORS'], ['admin key', 'Management keys (admin keys)']]) {
    await field.fill(words);
    await page.getByRole('option').filter({ hasText: name }).first().waitFor();
  }
  await field.fill('<img src=x onerror=alert(1)>');
  assert.equal(await page.locator('.search img').count(), 0);
  await field.fill('qqqqzzzz');
  await page.getByRole('status').filter({ hasText: 'Nothing found.' }).waitFor();
  await field.fill('self host workerd');
  await page.getByRole('option').filter({ hasText: 'Run it on a server of your own' }).first().waitFor();
  await field.fill('rotate key');
  await page.getByRole('option').nth(2).waitFor();
  const first = await page.getByRole('option', { selected: true }).getAttribute('data-path');
  await page.keyboard.press('ArrowDown');
  assert.notEqual(await page.getByRole('option', { selected: true }).getAttribute('data-path'), first);
  await page.keyboard.press('ArrowUp');
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press('Enter');
  await page.waitForURL(url + first);
  assert.ok(requests.length > before);
  assert.deepEqual(requests.filter((each) => !each.startsWith(url)), []);
  assert.deepEqual(complaints, []);
});

test('Escape closes the search and gives the focus back; a slash typed into a field stays one', async (t) => {
  const { page } = await open(t, 'anatomy.html');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('combobox').fill('lease');
  await page.keyboard.press('Escape');
  await page.getByRole('combobox').waitFor({ state: 'hidden' });
  assert.equal(await page.evaluate(() => document.activeElement.id), 'open-search');
  await page.locator('#text').fill('');
  await page.locator('#text').press('/');
  assert.equal(await page.locator('#text').inputValue(), '/');
  assert.equal(await page.getByRole('combobox').count(), 0);
});

test('by keyboard the content is one step away, and what has the focus is always to be seen', async (t) => {
  for (const path of ['index.html', 'docs/start.html', 'api.html']) {
    const { page } = await open(t, path);
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    for (let step = 0; step < 12; step += 1) {
      await page.keyboard.press('Tab');
      const focus = await page.evaluate(() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return { inside: document.querySelector('main').contains(document.activeElement), seen: outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2 };
      });
      assert.deepEqual(focus, { inside: true, seen: true }, `${path}, step ${step}`);
    }
  }
});

test('a theme that is chosen stays over pages, holds before anything is drawn, and goes back to the system’s', async (t) => {
  const { page } = await open(t, 'index.html', { colorScheme: 'light' });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  const theme = page.getByRole('button', { name: /^Theme/ });
  await theme.click();
  await theme.click();
  await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
  const dark = await ground();
  assert.notEqual(dark, light);
  // Held by a script that blocks: it is there before the document has a body.
  await page.addInitScript(() => new MutationObserver((_, observer) => {
    if (!document.body) return;
    window.themeAtFirst = document.documentElement.dataset.theme;
    observer.disconnect();
  }).observe(document, { childList: true, subtree: true }));
  await page.goto(`${url}docs/start.html`);
  assert.equal(await page.evaluate(() => window.themeAtFirst), 'dark');
  assert.equal(await ground(), dark);
  await page.getByRole('button', { name: 'Theme: dark' }).click();
  assert.equal(await ground(), light);
  assert.equal(await page.evaluate(() => localStorage.length), 0);
});

test('a theme that is chosen holds in the frames of a page too, at once', async (t) => {
  const { page } = await open(t, 'relay.html', { colorScheme: 'light' });
  const theme = page.getByRole('button', { name: /^Theme/ });
  await theme.click();
  await theme.click();
  for (const side of ['exposed', 'relayed']) await page.frameLocator(`[data-side="${side}"] iframe`).locator('html[data-theme="dark"]').waitFor();
});

test('without JavaScript pages are read, the menu opens, and nothing is offered that needs it', async (t) => {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 390, height: 844 } });
  t.after(() => context.close());
  const page = await context.newPage();
  for (const path of ['index.html', 'docs/start.html', 'api.html']) {
    await page.goto(url + path);
    assert.ok(await page.locator('h1').isVisible());
    for (const control of ['#theme', '#open-search']) assert.ok(!(await page.locator(control).isVisible()));
    await page.locator('.menu summary').click();
    assert.ok(await page.locator('.menu').getByRole('link', { name: 'Docs' }).isVisible());
  }
});

test('the landing page weighs at most 200 KB gzip with all it loads, and is painted within a second', async (t) => {
  const { page, requests } = await open(t, 'index.html', { reducedMotion: 'no-preference' });
  const weights = requests.map((each) => [each.slice(url.length), gzipSync(readFileSync(fileOf(new URL(each).pathname))).length]);
  assert.ok(weights.length >= 5, JSON.stringify(weights));
  const bytes = weights.reduce((sum, [, weight]) => sum + weight, 0);
  assert.ok(bytes <= LANDING_BYTES, JSON.stringify(weights));
  await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0);
  const painted = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
  assert.ok(painted < FIRST_PAINT_MS, `${painted} ms`);
  t.diagnostic(`${(bytes / 1024).toFixed(1)} KB gzip, first paint after ${Math.round(painted)} ms`);
});

test('the figures of the landing page are those that were measured, row by row', () => {
  const plain = (text) => text.replace(/\s+/g, ' ');
  const measured = plain(readFileSync(join(root, 'tests', 'bench', 'README.md'), 'utf8').split('\n').join(' ⏎ ')).split(' ⏎ ');
  const figures = [...readFileSync(join(root, 'www', 'index.html'), 'utf8').matchAll(/<li data-row="([^"]+)"><b>([^<]+)<\/b>[^]*?<p>([^]*?)<\/p>/g)];
  assert.ok(figures.length >= 8);
  for (const [, row, figure, words] of figures) {
    const source = measured.find((line) => line.startsWith('|') && line.includes(row));
    assert.ok(source, `no row has “${row}”`);
    for (const number of [figure.replace(/ ×$/, ''), ...[...words.matchAll(/\d+\.\d+/g)].map(([each]) => each)]) {
      // Peers stand in rows of their own.
      const rows = /gitleaks|kingfisher|Node/.test(words) ? measured.join('\n') : source;
      assert.ok(rows.includes(number), `${number} is not in the row of “${row}”`);
    }
    assert.ok(source.includes(figure.replace(/ ×$/, '')), `${figure} is not in\n${source}`);
  }
});

test('what a name with a hash stands for never changes, and hosts are told so', () => {
  const assets = files.filter((file) => file.startsWith('assets/'));
  assert.ok(assets.length > 10);
  for (const file of assets) assert.match(file, /-[\w-]{8}\.\w+$/);
  assert.match(readFileSync(join(site, '_headers'), 'utf8'), /^\/assets\/\*\n {2}Cache-Control: public, max-age=31536000, immutable$/m);
});

test('every page’s policy allows neither inline scripts nor inline styles nor eval', () => {
  for (const file of files.filter((each) => each.endsWith('.html'))) {
    const html = readFileSync(join(site, file), 'utf8');
    const policy = /<meta http-equiv="Content-Security-Policy" content="([^"]+)">/.exec(html)?.[1] ?? '';
    assert.match(policy, /^default-src 'none'; script-src 'self'( 'wasm-unsafe-eval')?; style-src 'self';/, file);
    assert.ok(!/unsafe-(inline|eval)'/.test(policy.replace("'wasm-unsafe-eval'", '')), file);
    assert.ok(!/<script(?![^>]*\ssrc=)|\sstyle="|\son\w+="/.test(html), file);
  }
});
