// The page "Exposed or relayed" in Chromium, with the real Worker and the stand-in for an SMS provider: that the relayed shop's
// page never has the provider's key, looked for wherever a page can have anything, and that the same search finds the exposed one.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium as browserType } from 'playwright-core';
import { EXPOSED_KEY, exposePages, RELAYED_KEY, setUpRoute } from '../../.ci/demo.mjs';
import { KEY_SHAPE, startProvider } from '../../.ci/provider.mjs';
import { chromium } from '../../.ci/setup.mjs';
import { Deployment } from '../worker/harness.mjs';
import { beyondTheSide, contrasts } from './looks.mjs';

let folder, provider, keyward, browser, exposedKey, relayedKey;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keyward-relay-'));
  provider = await startProvider({ pace: 120 });
  const pages = join(folder, 'www');
  exposedKey = await exposePages({ folder: pages, provider });
  keyward = await Deployment.start({ env: { KEYWARD_LOCAL_UPSTREAMS: provider.url }, pages });
  relayedKey = await setUpRoute({ keyward: keyward.url, adminKey: keyward.adminKey, provider, origins: [keyward.url] });
  browser = await browserType.launch({
    executablePath: chromium(),
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  });
});

after(async () => {
  await browser?.close();
  await keyward?.stop();
  await provider?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Numbers that nobody has, another one each time, of two ranges: each number and each range may be sent to only so often. */
let last = 100;
const aNumber = () => ['+44 7400 123', '+1 212 555 0'][(last += 1) % 2] + last;
const compact = (number) => number.replaceAll(' ', '');

/**
 * Opens a page and keeps whatever it has had: `had()` answers each text with the place it was in. The stream of the
 * provider's log never ends; the log is searched itself instead.
 */
async function open(t, path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  const [places, reading, complaints] = [[], [], []];
  const keep = (place, text) => places.push({ place, text });
  context.on('request', (request) => {
    const name = `${request.method()} ${request.url()}`;
    keep(`URL of ${name}`, request.url());
    if (request.postData() !== null) keep(`body sent by ${name}`, request.postData());
    const read = async () => {
      keep(`headers sent by ${name}`, JSON.stringify(await request.allHeaders()));
      const response = await request.response();
      if (response === null) return;
      const headers = await response.allHeaders();
      keep(`headers answered to ${name}`, JSON.stringify(headers));
      // A preflight's answer has no body; of a stream the browser keeps none.
      if (request.method() !== 'OPTIONS' && headers['content-type'] !== 'text/event-stream') keep(`body answered to ${name}`, (await response.body()).toString('latin1'));
    };
    reading.push(read().then(() => undefined, (error) => new Error(`${name} could not be searched`, { cause: error })));
  });
  await context.exposeBinding('keepStream', (_, name, text) => keep(`stream answered to ${name}`, text));
  await context.addInitScript(() => {
    const { fetch } = window;
    window.streams = [];
    window.fetch = async (url, options) => {
      const response = await fetch(url, options);
      if (response.headers.get('content-type') === 'text/event-stream') streams.push(response.clone().text().then((text) => keepStream(`${options.method} ${response.url}`, text)));
      return response;
    };
  });
  page.on('console', (message) => {
    keep('the console', message.text());
    complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${keyward.url}${path}`, { waitUntil: 'load' });

  const had = async () => {
    for (const failure of await Promise.all(reading)) if (failure) throw failure;
    for (const frame of page.frames()) {
      await frame.evaluate(() => Promise.all(streams));
      keep(`the document of ${frame.url()}`, await frame.content());
      keep(`what is kept by ${frame.url()}`, await frame.evaluate(async () => JSON.stringify([
        { ...localStorage }, { ...sessionStorage }, document.cookie, await indexedDB.databases(), await caches.keys(), location.href, window.name,
        // Whatever a script left where others find it.
        Object.entries(window).filter(([, value]) => typeof value === 'string'),
      ])));
    }
    keep('cookies', JSON.stringify(await context.cookies()));
    keep('the provider’s log', JSON.stringify(provider.log));
    return places;
  };
  return { page, had, complaints };
}

/** Where a key is to be found, as it is or in a form that it is easily put into. */
function placesOf(key, places) {
  const forms = [key, key.slice('smsk_'.length), Buffer.from(key).toString('hex'), [...key].reverse().join(''),
    // Of base64, what does not depend on what stands around it.
    ...[0, 1, 2].map((shift) => Buffer.from(' '.repeat(shift) + key).toString('base64').slice(4, -4))];
  return places.filter(({ text }) => forms.some((form) => text.toLowerCase().includes(form.toLowerCase()))).map(({ place }) => place);
}

/** Sends a code from a shop, be it a page or a frame, and waits for what becomes of it. */
async function order(shop, number, outcome) {
  await shop.getByLabel('Your phone number').fill(number);
  await shop.getByRole('button', { name: 'Send me a code' }).click();
  await shop.getByRole('status').filter({ hasText: outcome }).waitFor();
}

const DELIVERED = 'Delivered. The code is on that phone now.';

/** The calls of a message in the provider's log. */
const received = (number) => provider.log.filter(({ to, method }) => to === compact(number) && method !== 'OPTIONS');

const shopOf = (page, side) => page.frameLocator(`[data-side="${side}"] iframe`);
const sideOf = (page, side) => page.locator(`[data-side="${side}"]`);

test('The relayed shop sends a message with the provider’s key, and the key is nowhere that its page could look', async (t) => {
  const { page, had, complaints } = await open(t, '/shop-relayed.html');
  const number = aNumber();
  await order(page, number, DELIVERED);
  const calls = received(number);
  assert.deepEqual(calls.map(({ method, status, key }) => [method, status, key.name, key.last4]), [
    ['POST', 202, RELAYED_KEY, relayedKey.slice(-4)],
    ['GET', 200, RELAYED_KEY, relayedKey.slice(-4)],
  ]);
  // The provider sees keyward and not the page.
  for (const { headers } of calls) assert.deepEqual(['origin', 'referer', 'cookie'].filter((name) => name in headers), []);
  const places = await had();
  assert.deepEqual(placesOf(relayedKey, places), []);
  assert.deepEqual(places.filter(({ text }) => KEY_SHAPE.test(text)).map(({ place }) => place), []);
  // The search saw what it is to see: the page's code, the session it got, the message it sent and what it was told of it.
  for (const seen of ['body answered to GET .*/shop-relayed-[\\w-]+\\.js', 'body answered to POST .*/v1/relay/sessions', 'headers sent by POST .*/r/sms/messages', 'stream answered to GET .*/r/sms/messages/msg_\\w+/events']) {
    assert.ok(places.some(({ place, text }) => new RegExp(`^${seen}`).test(place) && text.length > 20), seen);
  }
  assert.ok(places.filter(({ text }) => text.includes('kws_')).length >= 3);
  assert.deepEqual(places.filter(({ place }) => place.startsWith('URL of') && !place.includes(keyward.url)), []);
  assert.deepEqual(complaints, []);
});

test('The same search finds the key of the exposed shop: in its script, and in every call it sends', async (t) => {
  const { page, had } = await open(t, '/shop-exposed.html');
  const number = aNumber();
  await order(page, number, DELIVERED);
  const calls = received(number);
  assert.deepEqual(calls.map(({ method, key }) => [method, key.name, key.last4]), [['POST', EXPOSED_KEY, exposedKey.slice(-4)], ['GET', EXPOSED_KEY, exposedKey.slice(-4)]]);
  for (const { headers } of calls) assert.equal(headers.origin, keyward.url);
  const places = placesOf(exposedKey, await had());
  assert.ok(places.includes(`body answered to GET ${keyward.url}/shop-exposed.js`), places.join('\n'));
  assert.ok(places.includes(`headers sent by POST ${provider.url}/api/sms/messages`), places.join('\n'));
  assert.deepEqual(placesOf(relayedKey, await had()), []);
});

test('The search finds a key in any of the forms that it looks for', () => {
  const texts = [exposedKey, `x${exposedKey.slice(5)}`, exposedKey.toUpperCase(), Buffer.from(exposedKey).toString('hex'), [...exposedKey].reverse().join(''),
    ...['', 'a', 'ab', 'abc'].map((before) => Buffer.from(`${before}${exposedKey}!!`).toString('base64'))];
  assert.equal(placesOf(exposedKey, texts.map((text, place) => ({ place, text }))).length, texts.length);
});

test('The provider’s key is in none of the pages but the exposed shop’s script', () => {
  const pages = join(folder, 'www');
  const files = readdirSync(pages, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  assert.ok(files.length > 20);
  const holding = files.filter((file) => KEY_SHAPE.test(readFileSync(file, 'latin1'))).map((file) => relative(pages, file));
  assert.deepEqual(holding, ['shop-exposed.js']);
});

test('Setting the route up again changes nothing while it stands', async () => {
  const keys = () => fetch(`${provider.url}/api/sms/api-keys`, { headers: { authorization: `Bearer ${provider.accountToken}` } }).then((response) => response.text());
  const before = await keys();
  assert.equal(await setUpRoute({ keyward: keyward.url, adminKey: keyward.adminKey, provider, origins: [keyward.url] }), undefined);
  assert.equal(await keys(), before);
});

test('The page shows for each side what it sent, what the provider saw, and what the leak scanner finds in its code', async (t) => {
  const { page, had, complaints } = await open(t, '/relay.html');
  const [left, right] = [aNumber(), aNumber()];
  await order(shopOf(page, 'exposed'), left, DELIVERED);
  await order(shopOf(page, 'relayed'), right, DELIVERED);
  const text = (side, part) => sideOf(page, side).locator(part).innerText();

  assert.match(await text('exposed', '.finding'), /^1 finding by the leak scanner[^]+shop-exposed\.js:\d+:\d+/);
  assert.match(await text('relayed', '.finding'), /^No finding by the leak scanner in this shop’s code: shop-relayed\.html(, [\w-]+\.(js|css))*, shop-relayed-[\w-]+\.js/);

  const sent = await text('exposed', '.sent');
  for (const part of ['POST', '/api/sms/messages', '202', provider.url, `Bearer ${exposedKey}`]) assert.ok(sent.includes(part), `${part}\n is not in\n${sent}`);
  const relayed = await text('relayed', '.sent');
  for (const part of ['/v1/relay/sessions?route=sms', '201', 'none', '/r/sms/messages', '202', 'Bearer kws_']) assert.ok(relayed.includes(part), `${part}\n is not in\n${relayed}`);
  assert.equal(await sideOf(page, 'relayed').locator('.sent li').count(), 3);

  for (const [side, name, key, from, number] of [['exposed', EXPOSED_KEY, exposedKey, `the page ${keyward.url}`, left], ['relayed', RELAYED_KEY, relayedKey, 'a server: no Origin, no Referer', right]]) {
    await sideOf(page, side).locator('.seen li').nth(1).waitFor();
    const seen = await text(side, '.seen');
    for (const part of ['POST', '/api/sms/messages', `${name} …${key.slice(-4)}`, from, compact(number)]) assert.ok(seen.includes(part), `${part}\n is not in\n${seen}`);
  }
  const places = await had();
  assert.deepEqual(placesOf(relayedKey, places), []);
  assert.ok(placesOf(exposedKey, places).length > 0);
  assert.deepEqual(complaints, []);
});

test('A second code goes over the same session; a new one is asked for when that is used up', async (t) => {
  const { page, had } = await open(t, '/shop-relayed.html');
  for (let code = 0; code < 3; code += 1) await order(page, aNumber(), DELIVERED);
  const minted = (await had()).filter(({ place }) => place.startsWith('body answered to POST') && place.includes('/v1/relay/sessions'));
  assert.equal(minted.length, 2);
});

test('A number of a country that is not on the list is refused in words by the relayed shop, and costs nothing', async (t) => {
  const { page } = await open(t, '/relay.html');
  const number = '+33 1 99 00 12 34';
  await order(shopOf(page, 'relayed'), number, 'We send no codes to numbers of that country.');
  assert.deepEqual(received(number), []);
  await order(shopOf(page, 'exposed'), number, DELIVERED);
  assert.equal(received(number).filter(({ method }) => method === 'POST').length, 1);
});

test('A fourth code to one number is refused in words, with how long to wait', async (t) => {
  const { page } = await open(t, '/shop-relayed.html');
  const number = '+49 171 39200 34';
  for (let code = 0; code < 3; code += 1) {
    await order(page, number, DELIVERED);
  }
  await order(page, number, /^Too many codes for now\. Try again in \d+ (seconds|minutes)\.$/);
  assert.equal(received(number).filter(({ method }) => method === 'POST').length, 3);
});

test('A number at which nobody is reached, and one that is none, are told in words', async (t) => {
  for (const path of ['/shop-relayed.html', '/shop-exposed.html']) {
    const { page } = await open(t, path);
    await order(page, '+1 212 555 0100', 'It could not be delivered');
    await order(page, '0171 39200', 'A number with its country, please');
  }
});

test('Without keyward, or the provider, the shop says who does not answer', async (t) => {
  for (const [path, away, words] of [['/shop-relayed.html', '**/v1/relay/**', 'keyward does not answer.'], ['/shop-exposed.html', '**/api/sms/**', 'The SMS provider does not answer.']]) {
    const { page } = await open(t, path);
    await page.route(away, (route) => route.abort());
    await order(page, aNumber(), words);
  }
  const { page } = await open(t, '/shop-relayed.html');
  await page.route('**/v1/relay/**', (route) => route.fulfill({ status: 404, json: { code: 'NOT_FOUND' } }));
  await order(page, aNumber(), 'keyward has no route to the SMS provider here.');
});

test('The policy of the relayed shop lets it speak to keyward alone', async (t) => {
  const { page } = await open(t, '/shop-relayed.html');
  const refused = await page.evaluate(async (url) => {
    const violation = new Promise((resolve) => addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective), { once: true }));
    return [await fetch(url).then(() => 'sent', () => 'refused'), await violation];
  }, `${provider.url}/log.json`);
  assert.deepEqual(refused, ['refused', 'connect-src']);
});

test('Everything can be done by keyboard alone, and the focus is always to be seen', async (t) => {
  const { page } = await open(t, '/relay.html');
  await page.locator('.finding[data-found="no"]').waitFor();
  const focused = async () => {
    for (const frame of page.frames().reverse()) {
      const found = await frame.evaluate(() => {
        const element = document.activeElement;
        if (!document.hasFocus() || element === document.body || element.tagName === 'IFRAME') return undefined;
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        return { name: (element.labels?.[0] ?? element).textContent.trim(), outlined: outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2 };
      });
      if (found) return found;
    }
    return undefined;
  };
  const tab = async (name) => {
    await page.keyboard.press('Tab');
    assert.deepEqual(await focused(), { name, outlined: true });
  };
  await tab('Skip to the content');
  await page.keyboard.press('Enter');
  for (const side of ['exposed', 'relayed']) {
    await tab('Your phone number');
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.type(aNumber());
    await tab('Send me a code');
    await page.keyboard.press('Space');
    await shopOf(page, side).getByRole('status').filter({ hasText: DELIVERED }).waitFor();
    assert.deepEqual(await focused(), { name: 'Send me a code', outlined: true });
  }
  for (const place of ['Send to France from both', 'Send four from both', 'Send to nobody from both', 'its own log', 'exposed', 'relayed']) await tab(place);
});

for (const width of [320, 390, 768, 1440]) {
  test(`At ${width} px nothing has to be scrolled sideways, and no shop inside its frame`, async (t) => {
    const { page } = await open(t, '/relay.html', { viewport: { width, height: 844 } });
    await order(shopOf(page, 'exposed'), aNumber(), DELIVERED);
    await sideOf(page, 'exposed').locator('.seen li').nth(1).waitFor();
    for (const frame of page.frames()) {
      assert.deepEqual(await frame.evaluate(beyondTheSide), { scroll: 0, beyond: [] }, frame.url());
      if (frame === page.mainFrame()) continue;
      assert.equal(await frame.evaluate(() => document.documentElement.scrollHeight - innerHeight), 0, frame.url());
    }
    await page.goto(provider.url);
    await page.locator('tbody tr').first().waitFor();
    assert.deepEqual(await page.evaluate(beyondTheSide), { scroll: 0, beyond: [] });
  });
}

for (const colorScheme of ['light', 'dark']) {
  test(`Every text stands out from its ground by 4.5 to 1 in the ${colorScheme} scheme`, async (t) => {
    const { page } = await open(t, '/relay.html', { colorScheme, reducedMotion: 'reduce' });
    await order(shopOf(page, 'exposed'), aNumber(), DELIVERED);
    await order(shopOf(page, 'relayed'), '+33 1 99 00 12 34', 'no codes to numbers of that country');
    await sideOf(page, 'exposed').locator('.seen li').nth(1).waitFor();
    for (const frame of page.frames()) assert.deepEqual((await frame.evaluate(contrasts)).faint, [], frame.url());
    assert.ok((await page.evaluate(contrasts)).count > 40);
    await page.goto(provider.url);
    await page.locator('tbody tr').first().waitFor();
    assert.deepEqual((await page.evaluate(contrasts)).faint, []);
  });
}

test('The provider’s dashboard shows calls as they come, and by key from where', async (t) => {
  const { page } = await open(t, '/relay.html');
  const dashboard = await page.context().newPage();
  await dashboard.goto(provider.url);
  const [left, right] = [aNumber(), aNumber()];
  await order(shopOf(page, 'exposed'), left, DELIVERED);
  await order(shopOf(page, 'relayed'), right, DELIVERED);
  for (const number of [left, right]) await dashboard.locator('tbody tr', { hasText: compact(number) }).filter({ hasText: 'POST' }).waitFor();
  assert.match(await dashboard.locator('#by-key li', { hasText: EXPOSED_KEY }).innerText(), new RegExp(`from page ${keyward.url}`));
  assert.match(await dashboard.locator('#by-key li', { hasText: RELAYED_KEY }).innerText(), /from a server$/);
});

// Last: nothing is sent from the exposed shop after it.
test('The exposed key is revoked: that shop is broken in words, the relayed one goes on', async (t) => {
  const { page } = await open(t, '/relay.html');
  const keys = await fetch(`${provider.url}/api/sms/api-keys`, { headers: { authorization: `Bearer ${provider.accountToken}` } }).then((response) => response.json());
  const { id } = keys.data.find(({ name }) => name === EXPOSED_KEY);
  await fetch(`${provider.url}/api/sms/api-keys/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${provider.accountToken}` } });
  await order(shopOf(page, 'exposed'), aNumber(), 'key in this page was revoked');
  await order(shopOf(page, 'relayed'), aNumber(), DELIVERED);
});
