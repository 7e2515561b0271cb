/** Ways to break an issued key, each named as its button is. Every one starts from the key as issued. */
import type { Deployment, Issued } from './deployment.ts';

/** Cyrillic letters that look like Latin ones in most typefaces. */
const LOOK_ALIKES: Record<string, string> = {
  a: 'а', c: 'с', e: 'е', o: 'о', p: 'р', s: 'ѕ', x: 'х', y: 'у', A: 'А', B: 'В', C: 'С', E: 'Е', H: 'Н', K: 'К', M: 'М', O: 'О',
  P: 'Р', T: 'Т', X: 'Х',
};

const replaceAt = (text: string, index: number, character: string) => text.slice(0, index) + character + text.slice(index + 1);

/** A place somewhere in the secret. Which one is of no consequence, so its randomness need not be good. */
function placeInSecret({ redacted, secret }: Issued): number {
  return redacted.length - 1 + Math.floor(Math.random() * secret.length);
}

export const BREAKAGES: Record<string, (issued: Issued, deployment: Deployment) => string> = {
  mend: ({ text }) => text,
  flip(issued) {
    const place = placeInSecret(issued);
    return replaceAt(issued.text, place, issued.text[place] === 'x' ? 'k' : 'x');
  },
  cut: ({ text }) => text.slice(0, Math.floor((text.length * 2) / 3)),
  lose(issued) {
    return replaceAt(issued.text, placeInSecret(issued), '');
  },
  space(issued) {
    return replaceAt(issued.text, placeInSecret(issued), ' ');
  },
  lookAlike({ text }) {
    // The last letter that has one: each of the environments offered has one, so there is always a last.
    const place = [...text].findLastIndex((character) => character in LOOK_ALIKES);
    return replaceAt(text, place, LOOK_ALIKES[text[place]!]!);
  },
  brand: ({ text, brand }) => replaceAt(text, 0, brand.startsWith('x') ? 'k' : 'x'),
  twin: ({ environment }, deployment) => deployment.invent(environment),
  forge: ({ environment }, deployment) => deployment.forge(environment),
};
