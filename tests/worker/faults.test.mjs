// The faults that keyward survives, made for real: processes killed, writes that fail, panics. Numbers as in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, test } from 'node:test';
import { join } from 'node:path';
import { root } from '../../.ci/setup.mjs';
import { Deployment, core, faulty } from './harness.mjs';

const until = async (condition) => {
  for (const end = Date.now() + 30_000; ; ) {
    const value = await condition();
    if (value) return value;
    assert.ok(Date.now() < end, 'it did not come about within 30 s');
  }
};

/** The whole index, by id. */
async function index(keyward) {
  const all = new Map();
  let cursor = '';
  do {
    const { body } = await keyward.call('GET', `/v1/keys?limit=100${cursor && `&cursor=${cursor}`}`);
    for (const record of body.data) all.set(record.id, record);
    cursor = body.next_cursor;
  } while (cursor);
  return all;
}

/** The whole log, oldest first. */
async function log(keyward) {
  const all = [];
  let cursor = '';
  do {
    const { body } = await keyward.call('GET', `/v1/audit?limit=100${cursor && `&cursor=${cursor}`}`);
    all.push(...body.data);
    cursor = body.next_cursor;
  } while (cursor);
  return all.reverse();
}

describe('faults', () => {
  test('2: killed at random instants under load, it loses nothing that was answered as done, and record, index and log agree', { timeout: 120_000 }, async () => {
    const keyward = await Deployment.start();
    /** What is known of each key: the last answered status, and the change that was under way when the process died. */
    const known = new Map();
    const rounds = 6;
    try {
      await keyward.create({ name: 'before' });
      for (let round = 0; round < rounds; round += 1) {
        let answers = 0;
        let dead = false;
        const killAt = randomInt(3, 60);
        const answered = () => {
          answers += 1;
          if (answers === killAt) {
            dead = true;
            keyward.running.process.kill('SIGKILL');
          }
        };
        const lane = async () => {
          while (!dead) {
            let id;
            try {
              const made = await keyward.create();
              id = made.id;
              known.set(id, { key: made.key, status: 'active', pending: undefined });
              answered();
              const path = ['revoke', 'disable', 'rotate', undefined][randomInt(4)];
              if (path === 'rotate') {
                const { status: code, body } = await keyward.call('POST', `/v1/keys/${id}/rotations`, { activate: 'now', grace_seconds: 3600 });
                if (code !== 201) continue;
                Object.assign(known.get(id), { next: body.key, rotation: ['overlap'] });
                answered();
                known.get(id).rotation = ['overlap', 'completed'];
                const { status: ended } = await keyward.call('POST', `/v1/keys/${id}/rotations/current/complete`, { force: true });
                if (ended !== 200) continue;
                known.get(id).rotation = ['completed'];
                answered();
                continue;
              }
              for (const change of path === 'disable' ? ['disable', 'enable', 'revoke'] : path ? [path] : []) {
                if (dead) return;
                const status = { revoke: 'revoked', disable: 'disabled', enable: 'active' }[change];
                known.get(id).pending = status;
                const { status: code } = await keyward.call('POST', `/v1/keys/${id}/${change}`);
                if (code !== 200) continue;
                Object.assign(known.get(id), { status, pending: undefined });
                answered();
              }
            } catch (error) {
              if (!dead) throw error;
            }
          }
        };
        await Promise.all(Array.from({ length: 6 }, lane));
        await keyward.running.exited;
        await keyward.run();
        for (const [id, { key, status, pending }] of known) {
          const { status: code, body } = await keyward.call('GET', `/v1/keys/${id}`);
          assert.equal(code, 200, `round ${round}: key ${id}, answered as created, is gone`);
          assert.ok(body.status === status || body.status === pending, `round ${round}: ${id} is ${body.status}, answered ${status}, under way ${pending}`);
          Object.assign(known.get(id), { status: body.status, pending: undefined });
          if (status === 'revoked') assert.equal(await keyward.verdict(key), 'REVOKED');
          const { next, rotation } = known.get(id);
          if (!next) continue;
          const { body: now } = await keyward.call('GET', `/v1/keys/${id}/rotations/current`);
          assert.ok(rotation.includes(now.status), `round ${round}: the rotation of ${id} is ${now.status}, answered ${rotation}`);
          known.get(id).rotation = [now.status];
          assert.equal(await keyward.verdict(next), 'VALID');
          assert.equal(await keyward.verdict(key), now.status === 'overlap' ? 'VALID' : 'ROTATED_OUT');
        }
      }
      // The outbox drains by itself; then all three tell the same.
      const differing = () =>
        until(async () => {
          const [records, entries] = [await index(keyward), await log(keyward)];
          for (const id of known.keys()) {
            const { body: record } = await keyward.call('GET', `/v1/keys/${id}`);
            if (records.get(id)?.version !== record.version) return false;
            assert.equal(records.get(id).status, record.status);
          }
          for (const [id, record] of records) {
            const versions = entries.filter(({ key_id }) => key_id === id).map(({ version }) => version);
            assert.deepEqual(versions, Array.from({ length: record.version }, (_, i) => i + 1), `the log of ${id} has a gap or a repeat`);
          }
          return true;
        });
      await differing();
      assert.ok(known.size >= rounds, 'there was load');
    } finally {
      await keyward.stop();
    }
  });

  test('3: a write that fails changes nothing, neither on disk nor in memory, and leaves no event', async () => {
    const keyward = await Deployment.start({ code: faulty });
    try {
      const { status, body } = await keyward.call('POST', '/v1/keys', { name: 'fault: storage', owner: 'o' });
      assert.deepEqual([status, body.code], [503, 'UNAVAILABLE']);
      const { key, id } = await keyward.create();
      assert.equal((await keyward.call('POST', `/v1/keys/${id}/revoke`, { reason: 'fault: storage' })).status, 503);
      assert.equal(await keyward.verdict(key), 'VALID');
      assert.equal((await keyward.call('GET', `/v1/keys/${id}`)).body.version, 1);
      await keyward.restart('SIGKILL');
      assert.equal(await keyward.verdict(key), 'VALID');
      assert.equal((await keyward.call('POST', `/v1/keys/${id}/revoke`, { reason: 'in earnest' })).status, 200);
      assert.equal(await keyward.verdict(key), 'REVOKED');
      const kinds = (await log(keyward)).filter(({ key_id }) => key_id === id).map(({ kind }) => kind);
      assert.deepEqual(kinds, ['key.created', 'key.revoked']);
      assert.ok(![...(await index(keyward)).values()].some(({ name }) => name === 'fault: storage'));
    } finally {
      await keyward.stop();
    }
  });

  test('4: what is delivered again is met once: index and log have every change, in order, and the chain is whole', async () => {
    const keyward = await Deployment.start({ wrappers: [join(root, 'tests', 'worker', 'lossy.js')] });
    try {
      const made = await Promise.all(Array.from({ length: 8 }, () => keyward.create()));
      for (const { id } of made) {
        await keyward.call('POST', `/v1/keys/${id}/disable`);
        await keyward.call('POST', `/v1/keys/${id}/revoke`);
      }
      await until(async () => {
        const entries = await log(keyward);
        return made.every(({ id }) => entries.filter(({ key_id }) => key_id === id).length >= 3) && entries;
      });
      await keyward.restart();
      const entries = await log(keyward);
      for (const { id } of made) {
        assert.deepEqual(entries.filter(({ key_id }) => key_id === id).map(({ kind, version }) => [kind, version]), [['key.created', 1], ['key.disabled', 2], ['key.revoked', 3]]);
      }
      assert.equal((await keyward.call('GET', '/v1/audit/verify')).body.whole, true);
    } finally {
      await keyward.stop();
    }
  });

  test('5: an edge that dies with unreported use loses seconds of evidence, and never a revocation', async () => {
    const keyward = await Deployment.start();
    try {
      const [{ key, id }, other] = [await keyward.create(), await keyward.create()];
      for (let i = 0; i < 5; i += 1) assert.equal((await keyward.authorize(key)).status, 200);
      const { status } = await keyward.call('POST', `/v1/keys/${other.id}/revoke`);
      assert.equal(status, 200);
      await keyward.restart('SIGKILL');
      assert.equal(await keyward.verdict(other.key), 'REVOKED');
      assert.equal(await keyward.verdict(key), 'VALID');
      const { body } = await keyward.call('POST', `/v1/keys/${id}/rotations`, { activate: 'now' });
      assert.equal(await keyward.verdict(key), 'VALID');
      assert.equal(core.parseKey(body.key).id, id);
      assert.equal((await keyward.call('POST', `/v1/keys/${id}/rotations/current/complete`)).body.code, 'OLD_SECRET_IN_USE', 'what is used again is seen again');
    } finally {
      await keyward.stop();
    }
  });

  test('6: a panic in a handler is one 500 problem document; the next request is served; nothing is stored', async () => {
    const keyward = await Deployment.start({ code: faulty });
    try {
      const { key } = await keyward.create();
      for (let i = 0; i < 3; i += 1) {
        const { status, headers, body } = await keyward.call('POST', '/v1/keys', { name: 'fault: panic in handler', owner: 'o' });
        assert.deepEqual([status, headers.get('content-type'), headers.get('cache-control'), body.code], [500, 'application/problem+json', 'no-store', 'INTERNAL_ERROR']);
        assert.equal(body.request_id, headers.get('keyward-request-id'));
        assert.equal(await keyward.verdict(key), 'VALID');
        assert.equal((await keyward.authorize(key)).status, 200);
      }
      assert.ok(![...(await index(keyward)).values()].some(({ name }) => name.startsWith('fault')));
    } finally {
      await keyward.stop();
    }
  });

  test('6: a panic inside a Durable Object, in mid-transaction, is refused and rolled back', async () => {
    const keyward = await Deployment.start({ code: faulty });
    try {
      const { key } = await keyward.create();
      const { status } = await keyward.call('POST', '/v1/keys', { name: 'fault: panic in object', owner: 'o' });
      assert.ok(status === 500 || status === 503, String(status));
      assert.equal(await keyward.verdict(key), 'VALID');
      const second = await keyward.create({ name: 'after' });
      assert.equal(await keyward.verdict(second.key), 'VALID');
      assert.ok(![...(await index(keyward)).values()].some(({ name }) => name.startsWith('fault')));
    } finally {
      await keyward.stop();
    }
  });

  test('6: requests beside a panicking one are answered, and none of them VALID wrongly', async () => {
    const keyward = await Deployment.start({ code: faulty });
    try {
      const { key, id } = await keyward.create();
      await keyward.call('POST', `/v1/keys/${id}/revoke`);
      const beside = await Promise.all(Array.from({ length: 40 }, (_, i) => i % 4 === 0
        ? keyward.call('POST', '/v1/keys', { name: 'fault: panic in handler', owner: 'o' })
        : keyward.call('POST', '/v1/keys/verify', { key })));
      for (const { status, body } of beside) {
        assert.ok(status === 500 || status === 200, String(status));
        if (status === 200) assert.equal(body.code, 'REVOKED');
      }
      assert.equal(await keyward.verdict(key), 'REVOKED');
    } finally {
      await keyward.stop();
    }
  });
});
