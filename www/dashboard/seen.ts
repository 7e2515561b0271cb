/** What the records that were read so far have taught: names of keys, and environments, owners and scopes to choose from. In memory alone. */
import { h } from './dom.ts';
import type { Key } from './model.ts';

/** The environments of a deployment that configures none of its own. */
const environments = new Set(['live', 'test', 'staging', 'dev']);
const owners = new Set<string>();
const scopes = new Set<string>();
const names = new Map<string, string>();
const MOST = 200;
const MOST_NAMES = 20_000;

export function remember(key: Pick<Key, 'id' | 'name' | 'environment' | 'owner' | 'scopes'>): void {
  if (names.size < MOST_NAMES || names.has(key.id)) names.set(key.id, key.name);
  environments.add(key.environment);
  if (owners.size < MOST) owners.add(key.owner);
  for (const scope of key.scopes) if (scopes.size < MOST && !scope.startsWith('keyward.')) scopes.add(scope);
}

/** What a key was called when it was last read, if it was. */
export const nameOf = (id: string) => names.get(id);

export const seenScopes = () => [...scopes].sort();

/** Suggestions for a text field: `datalist` elements by the ids that the fields name. */
export function suggestions(): HTMLElement[] {
  const list = (id: string, of: Set<string>) => h('datalist', { id }, ...[...of].map((value) => h('option', { value })));
  return [list('environments', environments), list('owners', owners)];
}
