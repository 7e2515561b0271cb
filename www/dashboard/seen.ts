/** What the records that were read so far have taught: environments, owners and scopes to choose from. In memory alone. */
import { h } from './dom.ts';
import type { Key } from './model.ts';

/** The environments of a deployment that configures none of its own. */
const environments = new Set(['live', 'test', 'staging', 'dev']);
const owners = new Set<string>();
const scopes = new Set<string>();
const MOST = 200;

export function remember(key: Pick<Key, 'environment' | 'owner' | 'scopes'>): void {
  environments.add(key.environment);
  if (owners.size < MOST) owners.add(key.owner);
  for (const scope of key.scopes) if (scopes.size < MOST && !scope.startsWith('keyward.')) scopes.add(scope);
}

export const seenScopes = () => [...scopes].sort();

/** Suggestions for a text field: `datalist` elements by the ids that the fields name. */
export function suggestions(): HTMLElement[] {
  const list = (id: string, of: Set<string>) => h('datalist', { id }, ...[...of].map((value) => h('option', { value })));
  return [list('environments', environments), list('owners', owners)];
}
