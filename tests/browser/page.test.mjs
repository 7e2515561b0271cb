// The page "anatomy of a key" in Chromium, served by the real Worker.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { chromium as browserType } from 'playwright-core';
import { chromium, root } from '../../.ci/setup.mjs';
import { startKeyward } from '../../.ci/workerd.mjs';
import { localDeployment } from '../../src/cli/worker/secrets.mjs';
import { beyondTheSide, contrasts } from './looks.mjs';

const TESTS = ['LENGTH', 'ALPHABET', 'STRUCTURE', 'BRAND', 'CHECK', 'TAG', 'DIGEST'];
const PARTS = ['brand', 'environment', 'id', 'tag', 'secret', 'check'];

let folder, keyward, browser;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keyward-page-'));
  // Where `npm start` keeps it too: the commands on the page name that path.
  const state = join(folder, '.keyward');
  const { env } = localDeployment(state, await import(join(root, 'dist', 'index.js')));
  keyward = await startKeyward({ state, env });
  browser = await browserType.launch({
    executablePath: chromium(),
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  });
});

after(async () => {
  await browser?.close();
  keyward?.process.kill('SIGTERM');
  await keyward?.exited;
  rmSync(folder, { recursive: true, force: true });
});

/** Opens the page; `requests` and `complaints` grow as the page makes them. */
async function open(t, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  const [requests, complaints] = [[], []];
  context.on('request', (request) => requests.push(request.url()));
  page.on('websocket', (socket) => requests.push(socket.url()));
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${keyward.url}/anatomy.html`, { waitUntil: 'load' });
  await page.locator('#main:not([aria-busy])').waitFor();
  return { context, page, requests, complaints };
}

const textOf = (page, selector) => page.locator(selector).textContent();

/** The parts that the page shows, by name. */
const parts = async (page) => Object.fromEntries(await Promise.all(PARTS.map(async (name) => [name, await textOf(page, `#specimen .${name}`)])));

/** What the page says of the text in the field: the verdict, and the results of the tests in order. */
const outcome = async (page) => ({ code: await textOf(page, '#code'), results: await page.locator('[data-test] .result').allTextContents() });

/** The results when one test catches the text; all passed without one. */
const resultsFor = (caughtBy) => {
  const at = caughtBy === undefined ? TESTS.length : TESTS.indexOf(caughtBy);
  return TESTS.map((_, index) => (index < at ? 'passed' : index === at ? 'caught' : 'not reached'));
};

const breakIt = (page, name) => page.getByRole('group', { name: 'Break it for me' }).getByRole('button', { name, exact: true }).click();

const BREAKAGES = [
  ['Flip a character', 'CHECK', 'MALFORMED · CHECK'],
  ['Cut it off', 'LENGTH', 'MALFORMED · LENGTH'],
  ['Lose a character', 'STRUCTURE', 'MALFORMED · STRUCTURE'],
  ['Put a space in', 'ALPHABET', 'MALFORMED · ALPHABET'],
  ['Use a look-alike', 'ALPHABET', 'MALFORMED · ALPHABET'],
  ['Change the brand', 'BRAND', 'MALFORMED · BRAND'],
  ['Invent a twin', 'TAG', 'NOT_FOUND'],
  ['Forge with a stolen tag key', 'DIGEST', 'NOT_FOUND'],
];

test('A key is generated on arrival, taken apart into the parts that make it up, and valid', async (t) => {
  const { page } = await open(t);
  const shown = await parts(page);
  assert.equal(shown.brand, 'psk');
  assert.equal(shown.environment, 'live');
  assert.match(shown.id, /^[0-9A-Za-z]{10}$/);
  assert.match(shown.tag, /^[0-9A-Za-z]{6}$/);
  assert.match(shown.secret, /^[0-9A-Za-z]{27}$/);
  assert.match(shown.check, /^[0-9A-Za-z]{6}$/);
  const text = `psk_live_${shown.id}${shown.tag}_${shown.secret}${shown.check}`;
  assert.equal(await textOf(page, '#specimen'), text);
  assert.equal(await page.locator('#text').inputValue(), text);
  assert.equal(await textOf(page, '#redacted'), `psk_live_${shown.id}${shown.tag}_…`);
  assert.match(await textOf(page, '#digest'), /^[0-9a-f]{12}…[0-9a-f]{4}$/);
  assert.deepEqual(await outcome(page), { code: 'VALID', results: resultsFor(undefined) });
});

test('A double click selects the whole key, on one line and wrapped', async (t) => {
  const { page } = await open(t);
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 844 });
    await page.locator('#specimen .id').dblclick();
    assert.equal(await page.evaluate(() => String(getSelection())), await textOf(page, '#specimen'));
  }
});

test('The brand and environment chosen are those of the next key, and each key is another', async (t) => {
  const { page } = await open(t);
  await page.getByLabel('Brand', { exact: true }).fill('acme2');
  await page.getByRole('button', { name: 'Generate a key' }).click();
  const first = await parts(page);
  assert.deepEqual([first.brand, first.environment], ['acme2', 'live']);
  await page.getByRole('radio', { name: 'staging' }).check();
  const second = await parts(page);
  assert.deepEqual([second.brand, second.environment], ['acme2', 'staging']);
  assert.notEqual(second.secret, first.secret);
  assert.deepEqual(await outcome(page), { code: 'VALID', results: resultsFor(undefined) });
});

test('A brand that cannot be one is refused in words, and the last key stays', async (t) => {
  const { page } = await open(t);
  const text = await textOf(page, '#specimen');
  const field = page.getByLabel('Brand', { exact: true });
  await field.fill('9 Lives');
  await field.press('Enter');
  assert.equal(await page.getByRole('alert').filter({ hasText: '2 to 12 of a-z and 0-9' }).count(), 1);
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  assert.equal(await textOf(page, '#specimen'), text);
  await field.fill('nine');
  await field.press('Enter');
  assert.equal(await textOf(page, '#brand-problem'), '');
  assert.equal((await parts(page)).brand, 'nine');
});

test('A key issued earlier under the same brand stays valid; one of an earlier brand is refused for its brand', async (t) => {
  const { page } = await open(t);
  const earlier = await textOf(page, '#specimen');
  await page.getByRole('button', { name: 'Generate a key' }).click();
  await page.locator('#text').fill(earlier);
  assert.equal((await outcome(page)).code, 'VALID');
  await page.getByLabel('Brand', { exact: true }).fill('acme');
  await page.getByRole('button', { name: 'Generate a key' }).click();
  await page.locator('#text').fill(earlier);
  assert.equal((await outcome(page)).code, 'MALFORMED · BRAND');
});

for (const [button, caughtBy, code] of BREAKAGES) {
  test(`“${button}” is caught by the test ${caughtBy}, whatever the brand and environment`, async (t) => {
    const { page } = await open(t);
    for (const [brand, environment] of [['psk', 'live'], ['xy', 'dev'], ['abcdefghijk9', 'staging']]) {
      await page.getByLabel('Brand', { exact: true }).fill(brand);
      await page.getByRole('radio', { name: environment }).check();
      await page.getByRole('button', { name: 'Generate a key' }).click();
      await breakIt(page, button);
      assert.deepEqual(await outcome(page), { code, results: resultsFor(caughtBy) });
      assert.match(await textOf(page, '#reason'), new RegExp(`^Caught by test ${TESTS.indexOf(caughtBy) + 1} of 7\\. [A-Z].+\\.$`));
      await breakIt(page, 'Put it back');
      assert.equal((await outcome(page)).code, 'VALID');
    }
  });
}

test('Every edit by hand is tested again, and the page says in what the text differs', async (t) => {
  const { page } = await open(t);
  const field = page.locator('#text');
  const text = await field.inputValue();
  await field.press('End');
  await field.press('Control+End');
  await field.press('Backspace');
  assert.equal((await outcome(page)).code, 'MALFORMED · STRUCTURE');
  assert.equal(await textOf(page, '#difference'), '58 characters; the key as issued has 59.');
  await field.press('Space');
  assert.equal((await outcome(page)).code, 'MALFORMED · ALPHABET');
  assert.equal(await textOf(page, '#difference'), `Character 59 is a space, not “${text.at(-1)}”.`);
  await field.press('Backspace');
  await field.pressSequentially(text.at(-1));
  assert.equal((await outcome(page)).code, 'VALID');
  assert.equal(await textOf(page, '#difference'), 'As issued: 59 characters.');
  await field.fill('');
  assert.equal((await outcome(page)).code, 'MALFORMED · LENGTH');
  await field.fill('<img src=x onerror=alert(1)>');
  assert.equal((await outcome(page)).code, 'MALFORMED · LENGTH');
});

test('A change of verdict is announced: it stands in a live region', async (t) => {
  const { page } = await open(t);
  await breakIt(page, 'Invent a twin');
  const status = page.getByRole('status').filter({ hasText: 'NOT_FOUND' });
  assert.match(await status.textContent(), /Never issued here: refused without any look-up\.$/);
});

test('Copying puts the key, or the command, on the clipboard and says so', async (t) => {
  const { context, page } = await open(t);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  for (const [name, source, said] of [['Copy the key', '#specimen', 'Key copied.'], ['Copy the command to verify', '#verify', 'Command to verify copied.']]) {
    await page.getByRole('button', { name }).click();
    await page.getByRole('status').filter({ hasText: said }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await textOf(page, source));
  }
});

test('Where the browser forbids copying, the text is left selected', async (t) => {
  const { page } = await open(t);
  await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException('', 'NotAllowedError')); });
  await page.getByRole('button', { name: 'Copy the key' }).click();
  await page.getByRole('status').filter({ hasText: 'selected instead' }).waitFor();
  assert.equal(await page.evaluate(() => String(getSelection())), await textOf(page, '#specimen'));
});

test('The page weighs less than 60 KB without the module', async (t) => {
  const { requests } = await open(t);
  const files = requests.map((url) => new URL(url).pathname).filter((path) => !path.endsWith('.wasm'));
  assert.ok(files.length > 3, files.join(', '));
  const bytes = files.reduce((sum, path) => sum + gzipSync(readFileSync(join(root, 'build', 'www', path))).length, 0);
  assert.ok(bytes < 60 * 1024, `${bytes} bytes of ${files.join(', ')}`);
});

test('Nothing leaves the page: it loads from its own origin alone, then asks for nothing more, and works offline', async (t) => {
  const { context, page, requests, complaints } = await open(t);
  assert.ok(requests.some((url) => /\/keyward-[\w-]+\.wasm$/.test(url)));
  assert.deepEqual(requests.filter((url) => new URL(url).origin !== keyward.url), []);
  const loaded = requests.length;
  await context.setOffline(true);
  await page.getByRole('button', { name: 'Generate a key' }).click();
  for (const [button, , code] of BREAKAGES) {
    await breakIt(page, button);
    assert.equal((await outcome(page)).code, code);
  }
  assert.deepEqual(requests.slice(loaded), []);
  const stored = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie, location.href]);
  assert.deepEqual(stored, [0, 0, '', `${keyward.url}/anatomy.html`]);
  assert.deepEqual(complaints, []);
});

test('The policy of the page is in force: neither an inline script nor a foreign request gets through', async (t) => {
  const { page, requests } = await open(t);
  const loaded = requests.length;
  const refused = await page.evaluate(async () => {
    const violations = [];
    const both = new Promise((resolve) => addEventListener('securitypolicyviolation', (event) => {
      if (violations.push(event.effectiveDirective) === 2) resolve();
    }));
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.head.append(script);
    const fetched = await fetch('https://example.com/').then(() => 'sent', () => 'refused');
    await both;
    return { ran: 'ran' in window, fetched, violations };
  });
  assert.equal(refused.ran, false);
  assert.equal(refused.fetched, 'refused');
  assert.deepEqual(refused.violations.sort(), ['connect-src', 'script-src-elem']);
  assert.deepEqual(requests.slice(loaded), []);
});

test('Loading, generating and breaking leave no word on the console', async (t) => {
  const { page, complaints } = await open(t);
  await page.getByRole('button', { name: 'Generate a key' }).click();
  for (const [button] of BREAKAGES) await breakIt(page, button);
  assert.deepEqual(complaints, []);
});

test('Without the WebAssembly module the page says that it could not start', async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.route('**/keyward-*.wasm', (route) => route.abort());
  await page.goto(`${keyward.url}/anatomy.html`);
  await page.getByRole('alert').filter({ hasText: 'The page could not start' }).waitFor();
  assert.ok(await page.getByRole('button', { name: 'Generate a key' }).isDisabled());
});

for (const width of [320, 390, 768, 1000, 1440]) {
  test(`At ${width} px nothing has to be scrolled sideways, with the shortest key and with the longest`, async (t) => {
    const { page } = await open(t, { viewport: { width, height: 844 } });
    for (const [brand, environment] of [['xy', 'dev'], ['abcdefghijk9', 'staging']]) {
      await page.getByLabel('Brand', { exact: true }).fill(brand);
      await page.getByRole('radio', { name: environment }).check();
      await page.getByRole('button', { name: 'Generate a key' }).click();
      assert.deepEqual(await page.evaluate(beyondTheSide), { scroll: 0, beyond: [] });
    }
  });
}

test('Everything can be done by keyboard alone, and the focus is always to be seen', async (t) => {
  const { page } = await open(t);
  const focused = () => page.evaluate(() => {
    const element = document.activeElement;
    // A radio button is drawn by the label's text beside it.
    const drawn = element.type === 'radio' ? element.nextElementSibling : element;
    const style = getComputedStyle(drawn);
    return {
      name: element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent.trim() ?? element.querySelector('span')?.textContent ?? element.textContent.trim(),
      outlined: style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2,
    };
  });
  const tab = async (name) => {
    await page.keyboard.press('Tab');
    assert.deepEqual(await focused(), { name, outlined: true });
  };
  await tab('Skip to the content');
  await page.keyboard.press('Enter');
  await tab('Brand');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('acme');
  await page.keyboard.press('Enter');
  assert.equal((await parts(page)).brand, 'acme');
  await tab('live');
  await page.keyboard.press('ArrowRight');
  assert.deepEqual(await focused(), { name: 'test', outlined: true });
  assert.equal((await parts(page)).environment, 'test');
  await tab('Generate a key');
  const { secret } = await parts(page);
  await page.keyboard.press('Space');
  assert.notEqual((await parts(page)).secret, secret);
  await tab('Copy the key');
  await tab('Change anything: every edit is tested again.');
  await page.keyboard.press('Control+End');
  await page.keyboard.press('Backspace');
  assert.equal((await outcome(page)).code, 'MALFORMED · STRUCTURE');
  for (const [button, , code] of BREAKAGES) {
    await tab(button);
    await page.keyboard.press('Enter');
    assert.equal((await outcome(page)).code, code);
  }
  await tab('Put it back');
  await page.keyboard.press('Enter');
  assert.equal((await outcome(page)).code, 'VALID');
  for (const command of ['create', 'verify', 'revoke']) await tab(`Copy the command to ${command}`);
});

for (const colorScheme of ['light', 'dark']) {
  test(`Every text stands out from its ground by 4.5 to 1 in the ${colorScheme} scheme, before and after a refusal`, async (t) => {
    const { page } = await open(t, { colorScheme, reducedMotion: 'reduce' });
    for (const button of ['Put it back', 'Put a space in', 'Invent a twin']) {
      await breakIt(page, button);
      const { faint, count } = await page.evaluate(contrasts);
      assert.ok(count > 60, `only ${count} texts were found`);
      assert.deepEqual(faint, []);
    }
  });
}

test('Whoever asks for less motion gets none', async (t) => {
  const { page } = await open(t, { reducedMotion: 'reduce' });
  const moving = await page.evaluate(() => [...document.querySelectorAll('*')].filter((element) => {
    const style = getComputedStyle(element);
    return parseFloat(style.transitionDuration) > 0 || style.animationName !== 'none';
  }).length);
  assert.equal(moving, 0);
});

test('The three commands on the page create, verify and revoke a key as they stand', async (t) => {
  const { page } = await open(t);
  const command = async (id) => textOf(page, `#${id}`);
  const shell = async (id, env = {}) => {
    const { stdout } = await promisify(execFile)('sh', ['-c', await command(id)], { cwd: folder, env: { PATH: process.env.PATH, ...env } });
    return JSON.parse(stdout);
  };
  const created = await shell('create');
  assert.match(created.key, /^psk_live_/);
  const { key: KEY, id: ID } = created;
  assert.equal((await shell('verify', { KEY })).code, 'VALID');
  const receipt = await shell('revoke', { ID });
  assert.ok(receipt.effective_by, JSON.stringify(receipt));
  assert.equal((await shell('verify', { KEY })).code, 'REVOKED');
});
