// keyward keys: as shells and people use it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { cli, folder, keyward as bare, started } from './command.mjs';

const KEY = /^psk_live_([0-9A-Za-z]{16})_[0-9A-Za-z]{33}$/;

describe('keyward keys', { concurrency: false }, () => {
  let deployment;
  let keyward;
  let json;
  let env;
  before(async () => ({ deployment, keyward, json, env } = await started()));
  after(() => deployment?.stop());

  const make = async (...more) => {
    const { stdout, stderr, status } = await keyward(['keys', 'create', '--name', 'server-prod', '--owner', 'acme', ...more]);
    assert.equal(status, 0, stderr);
    return { key: stdout.trim(), id: KEY.exec(stdout.trim())[1] };
  };

  test('KEY=$(keyward keys create …) takes the key and nothing else, and no other word shows it', async () => {
    const { status, stdout, stderr } = await keyward(['keys', 'create', '--name', 'a', '--owner', 'b', '--scope', 'calls:create']);
    assert.deepEqual([status, KEY.test(stdout.slice(0, -1)), stdout.endsWith('\n')], [0, true, true]);
    assert.ok(stderr.includes(KEY.exec(stdout.trim())[1]) && !stderr.includes(stdout.trim().slice(-33)));
    const shell = spawnSync('bash', ['-c', `KEY=$("$NODE" "$CLI" keys create --name x --owner y 2>/dev/null); printf '[%s]' "$KEY"`], { encoding: 'utf8', env: { ...process.env, ...env, NODE: process.execPath, CLI: cli } });
    assert.match(shell.stdout.slice(1, -1), KEY);
  });

  test('every flag of a key reaches its record', async () => {
    const made = await json(['keys', 'create', '--name', 'all', '--owner', 'acme', '--environment', 'staging', '--scope', 'calls:create,calls:read', '--scope', 'a:b', '--expires', '30d', '--not-before', '1d',
      '--allow-ip', '192.0.2.0/24', '--deny-ip', '192.0.2.7', '--allow-country', 'DE,AT', '--allow-origin', 'https://shop.example', '--limit', 'requests=100/1m/20', '--quota', 'monthly=9/month', '--staleness', '2',
      '--rotation-days', '30', '--on-anomaly', 'throttle', '--on-leak', 'disable', '--metadata', '{"plan": "a"}']);
    assert.ok(Math.abs(Date.parse(made.expires_at) - Date.now() - 30 * 86_400_000) < 60_000);
    const { scopes, environment, allowed_ips, denied_ips, allowed_countries, allowed_origins, rate_limits, quotas, max_staleness_seconds, rotation_days, on_anomaly, on_leak, metadata } = made;
    assert.deepEqual({ scopes, environment, allowed_ips, denied_ips, allowed_countries, allowed_origins, rate_limits, quotas, max_staleness_seconds, rotation_days, on_anomaly, on_leak, metadata }, {
      scopes: ['calls:create', 'calls:read', 'a:b'], environment: 'staging', allowed_ips: ['192.0.2.0/24'], denied_ips: ['192.0.2.7/32'], allowed_countries: ['DE', 'AT'], allowed_origins: ['https://shop.example'],
      rate_limits: [{ name: 'requests', limit: 100, window_seconds: 60, burst: 20, mode: 'exact' }], quotas: [{ name: 'monthly', limit: 9, period: 'month' }], max_staleness_seconds: 2, rotation_days: 30, on_anomaly: 'throttle', on_leak: 'disable', metadata: { plan: 'a' },
    });
    const changed = await json(['keys', 'update', made.id, '--name', 'fewer', '--reset', 'allow-ip,limit,expires']);
    assert.deepEqual([changed.name, changed.allowed_ips, changed.rate_limits, changed.expires_at, changed.scopes], ['fewer', [], [], null, scopes]);
  });

  test('a key made twice under one idempotency key is one, and that its text is gone is no success', async () => {
    const args = ['keys', 'create', '--name', 'once', '--owner', 'acme', '--idempotency-key', 'deploy-7'];
    const first = await keyward(args);
    const second = await keyward(args);
    assert.deepEqual([first.status, second.status, second.stdout], [0, 2, '']);
    assert.match(second.stderr, new RegExp(`revoke ${KEY.exec(first.stdout.trim())[1]}`));
    assert.equal((await json(['keys', 'list', '--search', 'once'])).data.length, 1);
    // A program is told the same: what it asked for is not there.
    const { id } = (await json(['keys', 'list', '--search', 'once'])).data[0];
    const rotate = ['keys', 'rotate', id, '--idempotency-key', 'turn-7'];
    assert.equal((await keyward(rotate)).status, 0);
    for (const [again, words] of [[args, `keyward keys revoke ${id}`], [rotate, `keyward keys cancel ${id}`]]) {
      const { status, stdout, stderr } = await keyward([...again, '--json']);
      const { code, title, detail, key_id, ...rest } = JSON.parse(stdout);
      assert.deepEqual([status, code, typeof title, detail.includes(words), stderr.includes(words), key_id, rest], [2, 'SHOWN_BEFORE', 'string', true, true, id, {}], stderr);
    }
  });

  test('an empty value is none: it neither drops a check nor lifts a restriction', async () => {
    const { key, id } = await make('--scope', 'calls:create', '--allow-ip', '192.0.2.0/24');
    for (const [args, flag] of [
      [['verify', '--scope', ''], '--scope'], [['verify', '--scope', 'calls:create,'], '--scope'], [['verify', '--scope', 'calls:create', '--scope', ' '], '--scope'], [['verify', '--environment', ''], '--environment'], [['verify', '--ip='], '--ip'],
      [['verify', '--country', ''], '--country'], [['verify', '--origin', ''], '--origin'], [['verify', '--cost', ''], '--cost'], [['list', '--owner', ''], '--owner'], [['list', '--search', ''], '--search'], [['list', '--url', ''], '--url'],
      [['update', id, '--allow-ip', ''], '--allow-ip'], [['update', id, '--scope', ','], '--scope'], [['update', id, '--reset', ''], '--reset'], [['update', id, '--name', ''], '--name'],
      ...['--scope', '--allow-ip', '--deny-ip', '--allow-country', '--allow-origin', '--limit', '--quota', '--expires', '--idempotency-key', '--environment', '--metadata'].map((name) => [['create', '--name', 'empty', '--owner', 'acme', name, ''], name]),
    ]) {
      const { status, stdout, stderr } = await keyward(['keys', ...args], { input: key });
      assert.deepEqual([args.join(' '), status, stdout, stderr.startsWith(`error: option '`) && stderr.includes(`${flag} <`)], [args.join(' '), 2, '', true], stderr);
    }
    assert.deepEqual([(await json(['keys', 'list', '--search', 'empty'])).data.length, (await json(['keys', 'show', id])).allowed_ips], [0, ['192.0.2.0/24']]);
    assert.equal((await keyward(['audit', 'verify', '--head', ''])).status, 2);
    assert.deepEqual((await json(['keys', 'update', id, '--reset', 'allow-ip'])).allowed_ips, [], 'a list is emptied by name');
    assert.equal((await keyward(['respond', id, '--action', 'none', '--reason', ''])).status, 0, 'a remark may be left empty');
  });

  test('a time is what RFC 3339 has, or a span; whatever else a runtime makes of a text', async () => {
    const create = (time, flag = '--expires') => keyward(['keys', 'create', '--name', 'timed', '--owner', 'acme', flag, time]);
    for (const time of ['2027-01-01 junk', '2027-02-30', '2027-02-29', '2027-13-01', '2027-00-10', '2027-04-31T00:00:00Z', '2027-01-01T24:00:00Z', '2027-01-01T10:60:00Z', '2027-01-01T10:00:00', '2027-01-01T10:00Z', '2027-01-01T10:00:00+25:00', '2027-01-01 10:00:00Z', '+002027-01-01', '999999999w', '9999999d', '1.5d', '-5d', 'soon', '2027']) {
      const { status, stdout, stderr } = await create(time);
      assert.deepEqual([time, status, stdout, /^error: option '--expires <time>'.*90d/.test(stderr)], [time, 2, '', true], stderr);
    }
    for (const [time, at] of [['2096-02-29', '2096-02-29T00:00:00.000Z'], ['2097-01-01T10:00:00+02:00', '2097-01-01T08:00:00.000Z'], ['2097-01-01t10:00:00.25z', '2097-01-01T10:00:00.250Z']]) {
      assert.equal((await json(['keys', 'create', '--name', 'timed', '--owner', 'acme', '--expires', time])).expires_at.replace('00Z', '00.000Z').replace('.000.000Z', '.000Z'), at);
    }
    const { id } = await make();
    const { status, stderr } = await keyward(['keys', 'usage', id, '--from', '9999999d']);
    assert.deepEqual([status, /^error: option '--from <time>'/.test(stderr)], [2, true], stderr);
  });

  test('what cannot be written is a sentence and exit code 2', { skip: existsSync('/dev/full') ? false : 'no /dev/full here' }, async (t) => {
    await make();
    const full = async (args, shell) => {
      const { status, stderr } = await keyward(shell ? ['-c', `"$0" "$@" > /dev/full`, process.execPath, cli, ...args] : args, shell ? { command: ['bash'] } : {});
      assert.deepEqual([args.join(' '), status, /^keyward: .*cannot be written.*ENOSPC.*\n(head of|.*head of the log.*\n)?$/.test(stderr)], [args.join(' '), 2, true], stderr);
    };
    await full(['audit', 'export', '-o', '/dev/full']);
    await full(['keys', 'list'], true);
    await full(['audit', 'export'], true);
    const none = await keyward(['audit', 'export', '-o', 'none/log.jsonl'], { cwd: folder(t) });
    assert.match(none.stderr, /^keyward: none\/log\.jsonl cannot be written: ENOENT\n$/);
  });

  test('keys are found, as a table and as JSON, over all pages or so many', async () => {
    for (let i = 0; i < 3; i += 1) await json(['keys', 'create', '--name', 'server-prod', '--owner', 'acme', '--environment', 'dev']);
    const { data } = await json(['keys', 'list', '--environment', 'dev']);
    assert.equal(data.length, 3);
    assert.equal((await json(['keys', 'list', '--limit', '2'])).data.length, 2);
    const { stdout } = await keyward(['keys', 'list', '--environment', 'dev']);
    const lines = stdout.trimEnd().split('\n');
    assert.equal(lines.length, 4);
    assert.equal(new Set(lines.map((line) => line.indexOf(line === lines[0] ? 'name' : 'server-prod'))).size, 1, 'columns are aligned');
    assert.ok(!stdout.includes('\x1b'), 'no colour where nobody looks');
    assert.match((await keyward(['keys', 'list', '--environment', 'dev'], { env: { FORCE_COLOR: '1' } })).stdout, /\x1b\[32mactive/);
    assert.deepEqual([(await keyward(['keys', 'list', '--owner', 'nobody'])).stdout, (await json(['keys', 'list', '--owner', 'nobody'])).data], ['', []]);
  });

  test('a name that would move the cursor is shown as text', async () => {
    await deployment.create({ name: 'right‮to left', owner: 'evil' });
    const { stdout } = await keyward(['keys', 'list', '--owner', 'evil']);
    assert.ok(stdout.includes('\\u202e') && !stdout.includes('‮'), stdout);
  });

  test('a verdict is an exit code, and the key comes on the standard input alone', async () => {
    const { key, id } = await make('--scope', 'calls:create');
    const yes = await keyward(['keys', 'verify', '--scope', 'calls:create'], { input: `${key}\n` });
    assert.deepEqual([yes.status, /VALID/.test(yes.stdout), yes.stdout.includes(id)], [0, true, true]);
    const no = await keyward(['keys', 'verify', '--scope', 'calls:delete', '--json'], { input: key });
    assert.deepEqual([no.status, JSON.parse(no.stdout).code], [1, 'INSUFFICIENT_SCOPE']);
    const wrong = await keyward(['keys', 'verify'], { input: `${key.slice(0, -1)}${key.endsWith('x') ? 'y' : 'x'}` });
    assert.deepEqual([wrong.status, /MALFORMED/.test(wrong.stdout)], [1, true]);
    const argued = await keyward(['keys', 'verify', key]);
    assert.deepEqual([argued.status, argued.stdout + argued.stderr === '' || (argued.stdout + argued.stderr).includes(key.slice(-33))], [2, false]);
    assert.equal((await keyward(['keys', 'verify'], { input: '' })).status, 2);
    for (const shown of [yes, no, wrong]) assert.ok(!(shown.stdout + shown.stderr).includes(key.slice(-33)));
  });

  test('at a terminal a key is asked for and not echoed', async () => {
    const { key } = await make();
    const script = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:4] + ['keys', 'verify'])
out, sent = b'', False
while True:
    try: part = os.read(fd, 4096)
    except OSError: break
    if not part: break
    out += part
    if b'The key: ' in out and not sent:
        sent = True
        os.write(fd, os.environ['TYPED'].encode() + b'\\r')
sys.stdout.buffer.write(out)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
    const { status, stdout, stderr } = await keyward([process.execPath, '--no-warnings', cli], { env: { TYPED: key, NO_COLOR: '1' }, command: ['python3', '-c', script] });
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /The key: [\s\S]*verdict\s+VALID/);
    assert.ok(!stdout.includes(key.slice(-33)), 'what is typed is not shown');
  });

  test('a secret is replaced on evidence: refused with it, exit code 1, and then forced', async () => {
    const { key, id } = await make();
    const next = await keyward(['keys', 'rotate', id, '--activate', 'now', '--grace', '1h']);
    assert.match(next.stdout.trim(), KEY);
    assert.ok(next.stdout.includes(id) && next.stdout.trim() !== key);
    await keyward(['keys', 'verify', '--fresh'], { input: key });
    const refused = await keyward(['keys', 'complete', id]);
    assert.deepEqual([refused.status, /What was seen of each secret\n[\s\S]*retiring\s+yes/.test(refused.stdout)], [1, true], refused.stdout);
    assert.match(refused.stderr, new RegExp(`^the old secret is still in use: nothing was done\\n.*keyward keys complete ${id} --force\\n$`));
    assert.ok(!(refused.stdout + refused.stderr).includes('{"force"'));
    const told = await keyward(['keys', 'complete', id, '--json']);
    assert.deepEqual([told.status, JSON.parse(told.stdout).code], [1, 'OLD_SECRET_IN_USE']);
    assert.equal((await json(['keys', 'show', id])).rotation.status, 'overlap');
    assert.match((await keyward(['keys', 'show', id])).stdout, /rotation 1, overlap/);
    assert.equal((await json(['keys', 'complete', id, '--force'])).rotation.status, 'completed');
    assert.equal((await keyward(['keys', 'cancel', id])).status, 2, 'nothing to cancel');
    const ended = (await keyward(['keys', 'show', id])).stdout;
    assert.deepEqual([/^ *1 +gone +no/m.test(ended), /^ *\d +gone +yes/m.test(ended)], [true, false], ended);
    assert.match((await keyward(['keys', 'rotate', id])).stderr, /works for a day after the new one is first seen/);
    assert.equal((await json(['keys', 'cancel', id])).rotation.status, 'cancelled');
  });

  test('a key is disabled, enabled and revoked, with a receipt that was waited for', async () => {
    const { key, id } = await make('--staleness', '1');
    assert.equal((await json(['keys', 'disable', id, '--wait'])).confirmed, true);
    assert.equal((await keyward(['keys', 'verify'], { input: key })).status, 1);
    assert.equal((await json(['keys', 'enable', id])).status, 'active');
    assert.equal((await keyward(['keys', 'rotate', id, '--activate', 'now'])).status, 0);
    const { status, stdout } = await keyward(['keys', 'revoke', id, '--wait', '--reason', 'test']);
    assert.deepEqual([status, /confirmed\s+yes/.test(stdout)], [0, true], stdout);
    const shown = (await keyward(['keys', 'show', id])).stdout;
    assert.deepEqual([/revoked.*test/.test(shown), (shown.match(/^ *[12] +ended/gm) ?? []).length, /^ *\d +(active|retiring|pending|waiting)|yes/m.test(shown)], [true, 4, false], shown);
  });

  test('use is shown as a table, as JSON and as CSV', async () => {
    const { key, id } = await make();
    await keyward(['keys', 'verify', '--cost', '1'], { input: key });
    assert.ok(Array.isArray((await json(['keys', 'usage', id, '--by', 'day', '--from', '7d'])).data));
    assert.match((await keyward(['keys', 'usage', id])).stderr, /\d calls? from /);
    assert.match((await keyward(['keys', 'usage', id, '--csv'])).stdout, /^at,/);
    assert.ok(Array.isArray((await json(['keys', 'calls', id, '--limit', '5'])).data));
    assert.match((await keyward(['keys', 'calls', id, '--csv'])).stdout, /^at,/);
    for (const what of ['usage', 'calls']) {
      const { status, stdout, stderr } = await keyward(['keys', what, id, '--csv', '--json']);
      assert.deepEqual([status, stdout, stderr], [2, '', 'keyward: --json and --csv exclude one another\n']);
    }
  });

  test('what cannot be done is said in a sentence, with exit code 2', async (t) => {
    const { key, id } = await make();
    const empty = folder(t);
    for (const [args, options, words] of [
      [['keys', 'list'], { env: { KEYWARD_URL: '' }, cwd: empty }, /--url/], [['keys', 'list'], { env: { KEYWARD_URL: '127.0.0.1:8931' } }, /on this machine may begin with http:\/\//],
      [['keys', 'list', '--url', 'keys.example'], {}, /https/], [['keys', 'list', '--url', 'http://keys.example'], {}, /https/],
      [['keys', 'list'], { env: { KEYWARD_KEY: '' }, cwd: empty }, /KEYWARD_KEY/], [['keys', 'list'], { env: { KEYWARD_KEY: 'nonsense' } }, /401 UNAUTHORIZED/], [['keys', 'list'], { env: { KEYWARD_KEY: key } }, /403 INSUFFICIENT_SCOPE/],
      [['keys', 'list', '--url', 'http://127.0.0.1:9'], {}, /cannot be reached/], [['keys', 'show', 'nonsense'], {}, /no key and no id/], [['keys', 'show', 'A'.repeat(16)], {}, /404 KEY_NOT_FOUND/],
      [['keys', 'create', '--name', 'x'], {}, /required option '--owner <owner>'/], [['keys', 'create', '--nme', 'x'], {}, /unknown option '--nme'/], [['help', 'keys', 'rot'], {}, /unknown command 'rot'/], [['export', 'gitleaks'], {}, /--brand/], [['keys', 'create', '--name', 'x', '--owner', 'y', '--expires', 'soon'], {}, /90d/], [['keys', 'create', '--name', 'x', '--owner', 'y', '--limit', '5'], {}, /name=calls/],
      [['keys', 'create', '--name', 'x', '--owner', 'y', '--quota', 'a=5/year'], {}, /day, month/], [['keys', 'create', '--name', 'x', '--owner', 'y', '--metadata', '[]'], {}, /JSON object/],
      [['keys', 'create', '--name', 'x', '--owner', 'y', '--scope', 'no scope'], {}, /scopes/], [['keys', 'update', id], {}, /what is to be changed/], [['keys', 'update', id, '--reset', 'name'], {}, /--reset name/], [['keys', 'nonsense'], {}, /unknown command/],
      [['keys', 'list', '--key', 'x'], {}, /unknown option/],
    ]) {
      const { status, stdout, stderr } = await keyward(args, options);
      assert.deepEqual([args.join(' '), status, stdout, words.test(stderr)], [args.join(' '), 2, '', true], stderr);
      assert.ok(!stderr.includes('    at '), 'no stack');
    }
  });

  test('of a deployment on this machine the key of .keyward/ will do; elsewhere it is never sent', async (t) => {
    const cwd = folder(t, { '.keyward/admin-key': `${deployment.adminKey}\n` });
    assert.equal((await bare(['keys', 'list', '--url', deployment.url], { cwd })).status, 0);
    const away = await bare(['keys', 'list', '--url', 'https://keys.invalid'], { cwd });
    assert.deepEqual([away.status, /KEYWARD_KEY/.test(away.stderr)], [2, true]);
  });

  test('keyward help keys rotate prints what keyward keys rotate --help does', async () => {
    for (const path of [[], ['keys'], ['keys', 'rotate']]) {
      const [helped, asked] = [await keyward(['help', ...path]), await keyward([...path, '--help'])];
      assert.deepEqual([helped.status, helped.stdout], [0, asked.stdout]);
    }
    const [inner, asked] = [await keyward(['keys', 'help', 'rotate']), await keyward(['keys', 'rotate', '--help'])];
    assert.deepEqual([inner.status, inner.stdout, (await keyward(['keys', 'help'])).status], [0, asked.stdout, 0]);
    for (const group of ['keys', 'routes', 'incidents', 'audit', 'hook']) {
      const { status, stdout, stderr } = await keyward([group, 'help', 'bogus']);
      assert.deepEqual([group, status, stdout, stderr.startsWith(`error: unknown command 'bogus'`)], [group, 2, '', true], stderr);
    }
  });

  test('every command teaches: what it does, what it needs, and examples', async () => {
    for (const args of [['keys'], ['keys', 'create'], ['keys', 'rotate'], ['keys', 'verify'], ['routes'], ['routes', 'put'], ['incidents'], ['audit'], ['doctor'], ['completion'], ['help']]) {
      const { status, stdout } = await keyward([...args, '--help']);
      assert.deepEqual([args.join(' '), status, /\nExamples?\n/.test(stdout)], [args.join(' '), 0, true]);
    }
    for (const name of ['create', 'list', 'show', 'update', 'rotate', 'complete', 'cancel', 'disable', 'enable', 'revoke', 'verify', 'usage', 'calls']) {
      const { stdout } = await keyward(['keys', name, '--help']);
      assert.ok(/keyward\.(keys|usage):(read|write|verify)/.test(stdout.replace(/\s+/g, ' ')) && stdout.includes('--json') && stdout.includes('--url') && !/--key\b/.test(stdout), name);
    }
  });
});
