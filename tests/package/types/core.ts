// What the core's types say, and that what the API answers of a key is a record of the core. Compiled by a test, never run.
import { type KeyRecord, type Verdict, Verifier, issueKey, verifyKey } from 'keyward';
import type { Key } from 'keyward/client';

const verifier = new Verifier({ brand: 'psk', rootSecret: '' });
const { key, stored } = issueKey({ verifier, name: 'n', owner: 'o', scopes: ['calls:create'] });
const verdict: Verdict = verifyKey(key, stored, { verifier, ip: '192.0.2.7' });
// The verdict is told apart by `valid`: whose key it is, is known of an accepted one.
export const whose: string = verdict.valid ? verdict.owner : verdict.code;
// @ts-expect-error a refused key has no owner
export const nobody: string = verdict.owner;
// @ts-expect-error a misspelt restriction is none
issueKey({ verifier, name: 'n', owner: 'o', scope: ['calls:create'] });

declare const answered: Key;
// 'expired' is read off the clock, and is no status that is stored.
const { status, secrets: _, redacted: __, ...rest } = answered;
export const record: KeyRecord = { ...rest, status: status === 'expired' ? 'active' : status };
// And the other way round: each has the fields of the other.
export const fields: Exclude<keyof Key, keyof KeyRecord | 'secrets' | 'redacted'> = undefined as never;
export const others: Exclude<keyof KeyRecord, keyof Key> = undefined as never;
