// The pages to play with, in Chromium: against the real Worker and its stand-in provider, and from a plain static server with nobody behind.
import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { chromium as browserType } from 'playwright-core';
import { exposePages, setUpRoute } from '../../.ci/demo.mjs';
import { startProvider } from '../../.ci/provider.mjs';
import { chromium, root } from '../../.ci/setup.mjs';
import { Deployment } from '../worker/harness.mjs';
import { beyondTheSide } from './looks.mjs';

const TYPES = { '.html': 'text/html; charset=utf-8', '.css': 'text/css', '.js': 'text/javascript', '.wasm': 'application/wasm', '.svg': 'image/svg+xml', '.json': 'application/json' };
const site = join(root, 'build', 'www');
const PAGES = ['relay.html', 'edges.html', 'rotation.html', 'scan.html'];

let folder, provider, keyward, server, standalone, browser, exposedKey, relayedKey;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keyward-playground-'));
  provider = await startProvider({ pace: 120 });
  const pages = join(folder, 'www');
  exposedKey = await exposePages({ folder: pages, provider });
  keyward = await Deployment.start({ env: { KEYWARD_LOCAL_UPSTREAMS: provider.url }, pages, places: 5 });
  relayedKey = await setUpRoute({ keyward: keyward.url, adminKey: keyward.adminKey, provider, origins: [keyward.url] });
  server = createServer((request, response) => {
    const file = join(site, new URL(request.url, 'http://site').pathname);
    if (!existsSync(file) || statSync(file).isDirectory()) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  standalone = `http://127.0.0.1:${server.address().port}`;
  browser = await browserType.launch({ executablePath: chromium(), headless: true, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
});

after(async () => {
  await browser?.close();
  await keyward?.stop();
  await provider?.close();
  server?.closeAllConnections();
  server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens a page; `requests` are all URLs, `complaints` words on the console, errors and refusals by the policy. */
async function open(t, base, path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  const [requests, complaints] = [[], []];
  context.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${base}/${path}`, { waitUntil: 'load' });
  await page.locator('main:not([aria-busy])').waitFor();
  return { context, page, requests, complaints };
}

/** What axe finds wrong with a page, as it is now. */
async function violations(page) {
  // As a script of the test and not of the page: the page's own policy stays as it is.
  await page.evaluate(`${readFileSync(join(root, 'node_modules', 'axe-core', 'axe.min.js'), 'utf8')};undefined`);
  return page.evaluate(async () => (await axe.run(document, { iframes: false })).violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join(' | ')}`));
}

const button = (page, name) => page.getByRole('button', { name, exact: true });
const shopOf = (page, side) => page.frameLocator(`[data-side="${side}"] iframe`);
const sideOf = (page, side) => page.locator(`[data-side="${side}"]`);

async function order(page, side, number, outcome) {
  const shop = shopOf(page, side);
  await shop.getByLabel('Your phone number').fill(number);
  await shop.getByRole('button', { name: 'Send me a code' }).click();
  await shop.getByRole('status').filter({ hasText: outcome }).waitFor();
}
const DELIVERED = 'Delivered. The code is on that phone now.';

/** Loads of the packet of a side's picture, in the order in which they were shown. */
const watchPacket = (page, side) => page.evaluate((name) => {
  const packet = document.querySelector(`[data-side="${name}"] .packet`);
  window.loads ??= {};
  const loads = (window.loads[name] = []);
  // Each move writes its words anew: two in a row that carry the same are two.
  new MutationObserver(() => loads.push([packet.dataset.load, packet.style.transform])).observe(packet, { attributeFilter: ['data-load', 'style'] });
}, side);
const loadsOf = (page, side) => page.evaluate((name) => window.loads[name], side);

const SIMULATION = await (async () => {
  const made = mkdtempSync(join(tmpdir(), 'keyward-simulation-'));
  const outfile = join(made, 'simulation.mjs');
  await build({
    stdin: { contents: ['edge-simulation', 'rotation-simulation'].map((name) => `export * from './${name}.ts';`).join('\n').concat('export { initSync } from "keyward-playground";'), resolveDir: join(root, 'www') },
    bundle: true, format: 'esm', platform: 'node', logLevel: 'error', outfile, alias: { 'keyward-playground': join(root, 'build', 'playground', 'playground.js') },
  });
  const loaded = await import(outfile);
  loaded.initSync({ module: readFileSync(join(root, 'build', 'playground', 'playground_bg.wasm')) });
  rmSync(made, { recursive: true, force: true });
  return loaded;
})();

/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
function source(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

test('In 10⁵ simulated calls over five edges with wrong clocks none is accepted after effective_by, and many are between', () => {
  let [calls, between] = [0, 0];
  for (const staleness of [0, 1, 2, 5, 20, 60]) {
    for (let run = 0; run < 8; run += 1) {
      const random = source(run * 100 + staleness);
      const simulation = new SIMULATION.EdgeSimulation({ staleness, rate: 10, now: 0, random });
      simulation.advance(Math.round(2000 + random() * 8000));
      if (run % 2) {
        // Leases of another length are still out when it is lowered again.
        simulation.staleness = 60;
        simulation.advance(simulation.now + 3000);
        simulation.staleness = staleness;
        simulation.advance(simulation.now + Math.round(random() * 20_000));
      }
      if (run % 4 === 2) simulation.cut(run % 5, true);
      const { revokedAt, effectiveBy } = simulation.revoke();
      simulation.advance(effectiveBy + 10_000);
      const accepted = simulation.dots.filter((dot) => dot.accepted);
      assert.deepEqual(accepted.filter(({ at }) => at > effectiveBy), [], `staleness ${staleness}, run ${run}`);
      assert.ok(simulation.dots.some(({ at, accepted: valid }) => at > effectiveBy && !valid));
      calls += simulation.dots.length;
      between += accepted.filter(({ at }) => at > revokedAt).length;
      simulation.free();
    }
  }
  assert.ok(calls >= 1e5, `${calls} calls`);
  assert.ok(between > 1000, `${between} calls were accepted between revocation and bound`);
});

test('An edge that is cut off accepts to the end of its lease and then refuses as unavailable', () => {
  const { EdgeSimulation, PLACES } = SIMULATION;
  const simulation = new EdgeSimulation({ staleness: 5, rate: 10, now: 0, random: source(1) });
  simulation.advance(4000);
  simulation.cut(1, true);
  simulation.advance(30_000);
  const of = (edge) => simulation.dots.filter((dot) => dot.edge === edge && dot.at > 4000);
  assert.deepEqual([...new Set(of(1).map(({ code }) => code))], ['VALID', 'UNAVAILABLE']);
  // Five seconds on a clock that runs up to 1 % slow.
  assert.ok(of(1).filter(({ accepted }) => accepted).at(-1).at <= 4000 + 5000 + PLACES[1].away);
  for (const edge of [0, 2, 3, 4]) assert.ok(of(edge).every(({ accepted }) => accepted), PLACES[edge].name);
  simulation.cut(1, false);
  simulation.advance(35_000);
  assert.ok(of(1).at(-1).accepted);
});

test('A rotation is refused while a straggler has the old secret, completed a day after its last call, and ends by itself otherwise', () => {
  const { RotationSimulation, HOUR, DAY, STRAGGLER } = SIMULATION;
  const begun = (straggles) => {
    const simulation = new RotationSimulation({ days: 1, straggles, now: 0, random: source(2) });
    simulation.advance(DAY);
    simulation.begin();
    assert.throws(() => simulation.complete(false), (code) => code === 'OLD_SECRET_IN_USE');
    simulation.advance(4 * DAY);
    return simulation;
  };
  const tidy = begun(false);
  assert.equal(tidy.complete(false), undefined);
  assert.deepEqual(tidy.shown.secrets.map(({ number, status }) => [number, status]), [[1, 'gone'], [2, 'active']]);
  tidy.advance(6 * DAY);
  assert.equal(tidy.buckets.reduce((sum, { refused }) => sum + refused, 0), 0);

  const untidy = begun(true);
  assert.throws(() => untidy.complete(false), (code) => code === 'OLD_SECRET_IN_USE');
  const [old] = untidy.shown.secrets;
  assert.deepEqual([old.in_use, old.evidence.addresses.at(-1), old.evidence.countries.at(-1)], [true, STRAGGLER.network, STRAGGLER.country]);
  untidy.straggles = false;
  untidy.advance(untidy.now + 12 * HOUR);
  assert.throws(() => untidy.complete(false), (code) => code === 'OLD_SECRET_IN_USE');
  untidy.advance(untidy.now + 24 * HOUR);
  assert.equal(untidy.complete(false), undefined);

  const left = begun(true);
  assert.equal(left.advance(9 * DAY), true, 'the overlap is over after a week');
  left.advance(12 * DAY);
  const refused = left.buckets.reduce((sum, bucket) => sum + bucket.refused, 0);
  assert.ok(refused > 5 && refused < 30, `${refused} calls of the straggler were refused`);
  for (const simulation of [tidy, untidy, left]) simulation.free();
});

test('On the page five edges stop in time: of all calls that it saves none was accepted after effective_by', async (t) => {
  const { page, requests, complaints } = await open(t, standalone, 'edges.html');
  await page.getByLabel('An edge may go on').fill('2');
  await page.getByLabel('Calls at each edge').fill('20');
  await page.locator('#edges .state').nth(4).filter({ hasText: 'VALID' }).waitFor();
  const loaded = requests.length;
  await button(page, 'Revoke the key').click();
  await page.getByRole('status').filter({ hasText: 'Leases that are out end within' }).waitFor();
  await page.getByRole('status').filter({ hasText: /^Kept: no edge accepted a call after effective_by/ }).waitFor({ timeout: 60_000 });
  const [download] = await Promise.all([page.waitForEvent('download'), button(page, 'Save every call as JSON').click()]);
  const { key, receipt, calls } = JSON.parse(readFileSync(await download.path(), 'utf8'));
  assert.match(key, /^psk_live_\w{16}_…$/);
  assert.ok(calls.length > 100, String(calls.length));
  assert.equal(new Set(calls.map(({ edge }) => edge)).size, 5);
  assert.ok(calls.some(({ accepted, at }) => accepted && at > receipt.revokedAt), 'leases were in hand');
  assert.deepEqual(calls.filter(({ accepted, at }) => accepted && at > receipt.effectiveBy), []);
  assert.ok(calls.some(({ code, at }) => code === 'REVOKED' && at > receipt.effectiveBy));
  assert.deepEqual(requests.slice(loaded).filter((each) => !each.startsWith('blob:')), []);
  assert.deepEqual(complaints, []);
});

test('A strict key is refused from the instant of the revocation; another key can be begun; the simulation can be stopped', async (t) => {
  const { page, complaints } = await open(t, standalone, 'edges.html');
  await page.getByLabel('An edge may go on').fill('0');
  await button(page, 'Start again with a new key').click();
  await page.locator('#edges .state').nth(4).filter({ hasText: 'VALID' }).waitFor();
  await button(page, 'Revoke the key').click();
  await page.getByRole('status').filter({ hasText: /^Kept: no edge accepted a single call after/ }).waitFor({ timeout: 60_000 });
  await button(page, 'Start again with a new key').click();
  await page.locator('#edges .state').nth(4).filter({ hasText: 'VALID' }).waitFor();
  assert.ok(await button(page, 'Revoke the key').isEnabled());
  await button(page, 'Pause').click();
  assert.equal(await button(page, 'Go on').getAttribute('aria-pressed'), 'true');
  assert.deepEqual(complaints, []);
});

test('On the Worker a key is made, called at five edges, revoked and confirmed, and the management key is kept nowhere', async (t) => {
  const { context, page, requests, complaints } = await open(t, keyward.url, 'edges.html');
  const edges = new Set();
  context.on('response', (response) => response.status() === 200 && edges.add(new URL(response.url()).pathname));
  await page.getByLabel('An edge may go on').fill('2');
  await page.getByLabel('A management key').fill(keyward.adminKey);
  await button(page, 'Create a key and call it').click();
  const receipt = page.locator('#live-receipt');
  await receipt.filter({ hasText: 'it is called five times a second at each of 5 edges' }).waitFor();
  const states = page.locator('#live-edges .state');
  for (let edge = 0; edge < 5; edge += 1) await states.nth(edge).filter({ hasText: '200' }).waitFor();
  const refusals = [];
  // The console tells of each refused call; nothing else is expected of it.
  await button(page, 'Revoke it').click();
  // Edges go on by what they hold, and the receipt is there before they stop.
  await receipt.filter({ hasText: 'until effective_by; then the Worker confirms' }).filter({ hasText: 'log_head' }).waitFor();
  await receipt.filter({ hasText: 'confirmed' }).filter({ hasText: 'log_head' }).waitFor({ timeout: 30_000 });
  await receipt.filter({ hasText: /^Kept: no call that was sent after effective_by was accepted\. \d+ (was|were) refused/ }).waitFor({ timeout: 30_000 });
  assert.match(await receipt.innerText(), /The last to accept one was edge [1-5], \d\.\d\d s before it\./);
  assert.deepEqual([...edges].filter((path) => path.includes('authorize')).sort(), ['/edges/2/v1/authorize', '/edges/3/v1/authorize', '/edges/4/v1/authorize', '/edges/5/v1/authorize', '/v1/authorize']);
  assert.deepEqual(await states.allInnerTexts(), Array(5).fill('401'));
  assert.match(await receipt.innerText(), /status\s+revoked/);
  assert.match(await receipt.innerText(), /confirmed\s+true/);
  for (const complaint of complaints) if (!complaint.includes('401')) refusals.push(complaint);
  assert.deepEqual(refusals, []);
  assert.ok(!requests.some((each) => each.includes(keyward.adminKey)));
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, document.documentElement.outerHTML]));
  assert.ok(!kept.includes(keyward.adminKey));
});

test('Without a keyward behind it, and with a key that may not, the page says so in words', async (t) => {
  const alone = await open(t, standalone, 'edges.html');
  await alone.page.getByLabel('A management key').fill('psk_live_x');
  await button(alone.page, 'Create a key and call it').click();
  await alone.page.getByRole('status').filter({ hasText: 'No keyward stands behind this page.' }).waitFor();
  const { page } = await open(t, keyward.url, 'edges.html');
  await button(page, 'Create a key and call it').click();
  await page.getByRole('status').filter({ hasText: 'A management key first.' }).waitFor();
  await page.getByLabel('A management key').fill('psk_live_x');
  await button(page, 'Create a key and call it').click();
  await page.locator('#live-receipt[data-kind="bad"]').filter({ hasText: /^401: / }).waitFor();
});

test('On the page a rotation is begun, refused with the evidence, and completed when the straggler has deployed', async (t) => {
  const { page, requests, complaints } = await open(t, standalone, 'rotation.html');
  const loaded = requests.length;
  await page.getByLabel('Clients deploy').fill('0.5');
  await page.getByLabel('A second is').fill('12');
  await page.locator('#evidence li').filter({ hasText: '192.0.2.0/24' }).waitFor();
  await button(page, 'Begin a rotation').click();
  await page.getByRole('status').filter({ hasText: 'the overlap has begun' }).waitFor();
  await button(page, 'Complete it').click();
  await page.getByRole('status').filter({ hasText: 'Refused: OLD_SECRET_IN_USE' }).waitFor();
  // The straggler alone is left, and is told of by its network.
  await page.locator('#evidence li', { hasText: 'Secret 2' }).filter({ hasText: 'SG' }).waitFor();
  await page.getByRole('switch').uncheck();
  const old = page.locator('#evidence li', { hasText: 'Secret 1' });
  await old.filter({ hasText: 'not in use' }).waitFor({ timeout: 30_000 });
  await button(page, 'Complete it').click();
  await page.getByRole('status').filter({ hasText: 'Completed: secret 1 is gone' }).waitFor();
  await old.filter({ hasText: 'gone' }).waitFor();
  assert.ok(await button(page, 'Begin a rotation').isEnabled());
  assert.deepEqual(requests.slice(loaded), []);
  assert.deepEqual(complaints, []);
});

test('On the page a rotation that is completed by force refuses the straggler', async (t) => {
  const { page } = await open(t, standalone, 'rotation.html');
  await page.getByLabel('A second is').fill('12');
  await button(page, 'Begin a rotation').click();
  await button(page, 'Complete it by force').click();
  await page.getByRole('status').filter({ hasText: 'Completed by force: secret 1 is gone' }).filter({ hasText: 'ROTATED_OUT' }).waitFor();
});

for (const behind of ['keyward', 'nobody']) {
  test(`With ${behind} behind it the scanner finds the key in the exposed shop's script and nothing in the relayed one's, and the key joins at keyward`, async (t) => {
    const base = behind === 'keyward' ? keyward.url : standalone;
    const { page, requests, complaints } = await open(t, base, 'relay.html');
    const left = sideOf(page, 'exposed').locator('.finding[data-found="yes"]');
    await left.waitFor();
    await sideOf(page, 'relayed').locator('.finding[data-found="no"]').waitFor();
    assert.match(await left.innerText(), /^1 finding by the leak scanner/);
    assert.match(await left.innerText(), /shop-exposed\.js:\d+:\d+/);
    assert.match(await left.innerText(), /looks random/);
    const served = await (await fetch(`${base}/shop-exposed.js`)).text();
    const key = /smsk_[0-9a-f]{32}/.exec(served)[0];
    if (behind === 'keyward') assert.equal(key, exposedKey);
    assert.ok(!(await left.innerText()).includes(key), 'redacted');
    assert.match(await sideOf(page, 'relayed').locator('.finding').innerText(), /^No finding by the leak scanner .*shop-relayed-[\w-]+\.js/);
    assert.equal(await page.locator('.alone').isVisible(), behind === 'nobody');

    for (const side of ['exposed', 'relayed']) await watchPacket(page, side);
    await order(page, 'exposed', '+1 212 555 0177', DELIVERED);
    await order(page, 'relayed', '+1 212 555 0178', DELIVERED);
    for (const side of ['exposed', 'relayed']) await sideOf(page, side).locator('.seen li').nth(1).waitFor();
    await page.waitForFunction(() => window.loads.relayed.some(([load]) => load === 'key') && window.loads.relayed.at(-1)[0] === 'answer');
    const places = (loads) => new Map(loads.map(([load, transform]) => [load, transform]));
    assert.equal((await loadsOf(page, 'exposed'))[0][0], 'key');
    const relayed = await loadsOf(page, 'relayed');
    const provider_ = 'translate(314px, 0px)';
    assert.deepEqual([...new Set(relayed.filter(([load]) => load === 'session').map(([, place]) => place))].filter((place) => place === provider_), [], 'a session never goes on to the provider');
    assert.equal(places(relayed).get('key'), provider_);
    assert.ok(!(await loadsOf(page, 'exposed')).some(([load]) => load === 'session'));

    await order(page, 'relayed', '+33 1 99 00 12 34', 'We send no codes to numbers of that country.');
    await order(page, 'exposed', '+33 1 99 00 12 34', DELIVERED);
    if (behind === 'nobody') assert.deepEqual(requests.filter((each) => !each.startsWith(standalone)), [], 'nothing is sent');
    // The refusal of the route is a 403, of which the console tells.
    assert.deepEqual(complaints.filter((each) => !/40[03]|42[29]/.test(each)), []);
    assert.ok(!JSON.stringify(await page.content()).includes(relayedKey));
  });
}

test('What the page says breaks the exposed shop and not the relayed one is tried by a press, with keyward and without', async (t) => {
  for (const base of [keyward.url, standalone]) {
    const { page, complaints } = await open(t, base, 'relay.html');
    const tried = async (name, exposed, relayed) => {
      await button(page, name).click();
      const outcomes = page.locator('dd', { has: button(page, name) }).getByRole('status');
      await outcomes.filter({ hasText: `Exposed ${exposed}` }).filter({ hasText: `Relayed ${relayed}` }).waitFor();
    };
    await tried('Send to France from both', DELIVERED, 'We send no codes to numbers of that country.');
    await tried('Send four from both', `4 times: ${DELIVERED}`, `3 times: ${DELIVERED} Then: Too many codes for now. Try again in`);
    await tried('Send to nobody from both', 'It could not be delivered', 'It could not be delivered');
    // What the page was refused, Chromium writes down.
    assert.deepEqual(complaints.filter((each) => !/status of (403|429)/.test(each)), []);
  }
});

test('With less motion asked for the packet stands where the call is, without moving there', async (t) => {
  const { page } = await open(t, standalone, 'relay.html', { reducedMotion: 'reduce' });
  await page.evaluate(() => {
    window.animations = 0;
    const { animate } = Element.prototype;
    Element.prototype.animate = function count(...given) {
      window.animations += 1;
      return animate.apply(this, given);
    };
  });
  await order(page, 'exposed', '+1 212 555 0179', DELIVERED);
  await sideOf(page, 'exposed').locator('.packet[data-load="answer"]').waitFor();
  assert.equal(await page.evaluate(() => window.animations), 0);
});

/** A text with one credential that the scanner knows, made up here. */
const leaky = () => ['PORT=8080', `STRIPE_KEY=${'sk_' + 'live_'}${'4eC39HqLyjWDarjtT1zdp7dc'}`, 'SECRET=changeme'].join('\n');

test('A text is scanned as it is edited: the line, the place, why, where to revoke; never the secret, never as HTML', async (t) => {
  const { page, requests, complaints } = await open(t, standalone, 'scan.html');
  const loaded = requests.length;
  const text = page.getByLabel('Paste a file');
  await text.fill(`<img src=x onerror=alert(1)>\n${leaky()}`);
  await page.getByRole('status').filter({ hasText: /^1 finding in 1 text/ }).waitFor();
  const found = page.locator('.found');
  assert.match(await found.innerText(), /Stripe secret key \(live\)\s+pasted text:3:12\s+almost certain/);
  assert.match(await found.locator('.line').innerText(), /^3\s*STRIPE_KEY=sk_live_4e…$/);
  assert.equal(await found.locator('mark').innerText(), 'sk_live_4e…');
  assert.equal(await found.getByRole('link').getAttribute('href'), 'https://dashboard.stripe.com/apikeys');
  assert.ok(!(await page.locator('.results').innerText()).includes('4eC39Hq'));
  await text.fill('PORT=8080');
  await page.getByRole('status').filter({ hasText: /^No secret found in 1 text/ }).waitFor();
  await button(page, 'Put an example in').click();
  await page.getByRole('status').filter({ hasText: /^4 findings in 1 text.* 1 more is allowed by a comment\.$/ }).waitFor();
  await button(page, 'Clear everything').click();
  await page.getByRole('status').filter({ hasText: 'Nothing was scanned yet.' }).waitFor();
  assert.equal(await found.count(), 0);
  assert.deepEqual(requests.slice(loaded), []);
  assert.deepEqual(complaints, []);
});

test('Files and folders are scanned under their paths, what is no text is named, and nothing is requested meanwhile, or offline', async (t) => {
  const { context, page, requests, complaints } = await open(t, standalone, 'scan.html');
  const loaded = requests.length;
  await context.setOffline(true);
  const tree = join(folder, 'tree');
  mkdirSync(join(tree, 'config'), { recursive: true });
  writeFileSync(join(tree, 'config', 'settings.env'), leaky());
  writeFileSync(join(tree, 'README.md'), 'nothing here\n');
  writeFileSync(join(tree, 'picture.png'), Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 0, 1, 2, 3]));
  await page.locator('#choose-folder').setInputFiles(tree);
  await page.getByRole('status').filter({ hasText: /^1 finding in 3 texts/ }).waitFor();
  assert.match(await page.locator('.found .title').innerText(), /tree\/config\/settings\.env:2:12/);
  await page.getByText('1 file was not scanned').click();
  assert.match(await page.locator('#skipped li').innerText(), /picture\.png: no text/);
  await page.locator('#choose-files').setInputFiles([join(tree, 'README.md'), join(tree, 'config', 'settings.env')]);
  await page.getByRole('status').filter({ hasText: /^1 finding in 2 texts/ }).waitFor();
  assert.deepEqual(requests.slice(loaded), []);
  assert.deepEqual(complaints, []);
});

test('Served by keyward, the thread that reads the files may speak to nobody, and scans', async (t) => {
  const { page, complaints } = await open(t, keyward.url, 'scan.html');
  const [thread] = page.workers();
  assert.match(thread.url(), /\/assets\/scan-thread-/);
  const refused = await thread.evaluate(async () => {
    const violation = new Promise((resolve) => addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective), { once: true }));
    return [await fetch('/healthz').then(() => 'sent', () => 'refused'), await violation];
  });
  assert.deepEqual(refused, ['refused', 'connect-src']);
  // Whether other hosts do the same is theirs to say; they are told.
  assert.match(readFileSync(join(site, '_headers'), 'utf8'), /^\/assets\/scan-thread-\*\n {2}Content-Security-Policy: default-src 'none'$/m);
  complaints.length = 0;
  await button(page, 'Put an example in').click();
  await page.getByRole('status').filter({ hasText: /^4 findings in 1 text/ }).waitFor();
  assert.deepEqual(complaints, []);
});

test('What is dropped anywhere on the page is scanned, and the page is not left for it', async (t) => {
  const { page } = await open(t, standalone, 'scan.html');
  const transfer = await page.evaluateHandle((text) => {
    const made = new DataTransfer();
    made.items.add(new File([text], 'dropped.env'));
    return made;
  }, leaky());
  for (const type of ['dragover', 'drop']) await page.dispatchEvent('h1', type, { dataTransfer: transfer });
  await page.getByRole('status').filter({ hasText: /^1 finding in 1 text/ }).waitFor();
  assert.match(await page.locator('.found .title').innerText(), /dropped\.env:2:12/);
  assert.ok(page.url().endsWith('/scan.html'));
});

test('A file of 100 MB is scanned in pieces while the page goes on, to its last line; stopped, it ends at once', async (t) => {
  const big = join(folder, 'big.log');
  const line = `${'2026-11-21T07:52:20.329Z info  request served in 12 ms '.padEnd(99, '.')}\n`;
  const file = openSync(big, 'w');
  const block = line.repeat(10_000);
  for (let written = 0; written < 100e6; written += block.length) writeSync(file, block);
  writeSync(file, leaky());
  closeSync(file);
  const { page, requests, complaints } = await open(t, standalone, 'scan.html');
  const loaded = requests.length;
  await page.evaluate(() => {
    window.steps = [];
    window.ticks = 0;
    setInterval(() => (window.ticks += 1), 10);
    const progress = document.querySelector('#progress');
    new MutationObserver(() => window.steps.push(progress.value)).observe(progress, { attributeFilter: ['value'] });
  });
  const ticks = await page.evaluate(() => window.ticks);
  await page.locator('#choose-files').setInputFiles(big);
  await page.getByRole('status').filter({ hasText: /^1 finding in 1 text, 100\.0 MB/ }).waitFor({ timeout: 120_000 });
  assert.match(await page.locator('.found .title').innerText(), /big\.log:1000002:12/);
  const { steps, later } = await page.evaluate(() => ({ steps: window.steps, later: window.ticks }));
  assert.ok(steps.length > 10 && steps.every((step, at) => at === 0 || step >= steps[at - 1]), `${steps.length} steps`);
  assert.ok(later - ticks > 5, `${later - ticks} ticks of the page's own clock`);

  // Stopped by the page itself, as soon as it may be: by hand it could be over before.
  await page.evaluate(() => new MutationObserver(() => document.querySelector('#cancel').hidden || document.querySelector('#cancel').click()).observe(document.querySelector('#cancel'), { attributeFilter: ['hidden'] }));
  await page.locator('#choose-files').setInputFiles([big, big, big, big]);
  await page.getByRole('status').filter({ hasText: /^Stopped: no secret found|^Stopped: \d finding/ }).waitFor({ timeout: 60_000 });
  assert.ok(Number(/in (\d) text/.exec(await page.locator('#summary').innerText())[1]) < 4);
  // And goes on to work.
  await page.getByLabel('Paste a file').fill(leaky());
  await page.getByRole('status').filter({ hasText: /^1 finding in 1 text, 0\.\d kB/ }).waitFor();
  assert.deepEqual(requests.slice(loaded), []);
  assert.deepEqual(complaints, []);
});

/** Brings a page to where there is something to see. */
const ACTS = {
  'relay.html': async (page) => {
    await page.locator('.finding[data-found="no"]').waitFor();
    await order(page, 'exposed', '+1 212 555 0180', DELIVERED);
  },
  'edges.html': async (page) => {
    await page.getByLabel('An edge may go on').fill('1');
    await page.locator('#edges .state').nth(4).filter({ hasText: 'VALID' }).waitFor();
    await button(page, 'Revoke the key').click();
    await page.locator('#receipt[data-kind="good"]').waitFor({ timeout: 60_000 });
  },
  'rotation.html': async (page) => {
    await button(page, 'Begin a rotation').click();
    await button(page, 'Complete it').click();
    await page.locator('#outcome[data-kind="bad"]').waitFor();
  },
  'scan.html': async (page) => {
    await button(page, 'Put an example in').click();
    await page.locator('#summary[data-found="yes"]').waitFor();
  },
};

for (const path of PAGES) {
  test(`${path} in use: axe finds nothing wrong in either scheme, and nothing has to be scrolled sideways at 390 px`, async (t) => {
    for (const [colorScheme, width] of [['light', 1440], ['dark', 390]]) {
      const { context, page, complaints } = await open(t, standalone, path, { colorScheme, viewport: { width, height: 900 }, reducedMotion: 'reduce' });
      await ACTS[path](page);
      assert.deepEqual(await violations(page), [], `${colorScheme}, ${width} px`);
      assert.deepEqual(await page.evaluate(beyondTheSide).then(({ scroll }) => scroll), 0, `${colorScheme}, ${width} px`);
      assert.deepEqual(complaints, []);
      await context.close();
    }
  });
}

test('Edges, rotation and scan can be worked by keyboard alone', async (t) => {
  const press = async (page, name, key = 'Enter') => {
    for (let step = 0; step < 40; step += 1) {
      await page.keyboard.press('Tab');
      const focused = await page.evaluate(() => {
        const { activeElement: element } = document;
        const outlined = element.matches('.unseen') ? element.closest('label') : element;
        const { outlineStyle, outlineWidth } = getComputedStyle(outlined);
        return { name: (element.labels?.[0] ?? element).textContent.trim(), seen: outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2 };
      });
      assert.ok(focused.seen, `${focused.name} is not seen to have the focus`);
      if (focused.name.startsWith(name)) return page.keyboard.press(key);
    }
    assert.fail(`${name} is not reached`);
  };
  const edges = await open(t, standalone, 'edges.html');
  await press(edges.page, 'An edge may go on', 'Home');
  await press(edges.page, 'Revoke the key');
  await edges.page.getByRole('status').filter({ hasText: 'Revoked.' }).waitFor();
  assert.equal(await edges.page.evaluate(() => document.activeElement.id), 'again');
  const rotation = await open(t, standalone, 'rotation.html');
  await press(rotation.page, 'Begin a rotation');
  assert.equal(await rotation.page.evaluate(() => document.activeElement.id), 'complete');
  await rotation.page.keyboard.press('Enter');
  await rotation.page.getByRole('status').filter({ hasText: 'Refused: OLD_SECRET_IN_USE' }).waitFor();
  const scan = await open(t, standalone, 'scan.html');
  await press(scan.page, 'Choose files', 'Tab');
  await press(scan.page, 'Put an example in');
  await scan.page.getByRole('status').filter({ hasText: /^4 findings/ }).waitFor();
});
