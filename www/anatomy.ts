/** The page "anatomy of a key": shows what the deployment in it issues, and what its tests make of the visitor's edits. */
import { KeywardError } from 'keyward';
import module from 'keyward/keyward.wasm?url';
import { ready } from 'keyward/slim';
import { BREAKAGES } from './breakages.ts';
import { Deployment, TESTS, type Issued } from './deployment.ts';
import { byId, startPage, write } from './elements.ts';

const specimen = byId('specimen', HTMLElement);
const issueForm = byId('issue', HTMLFormElement);
const brandField = byId('brand', HTMLInputElement);
const brandProblem = byId('brand-problem', HTMLElement);
const redacted = byId('redacted', HTMLOutputElement);
const digest = byId('digest', HTMLElement);
const field = byId('text', HTMLTextAreaElement);
const difference = byId('difference', HTMLElement);
const verdict = byId('verdict', HTMLElement);
const code = byId('code', HTMLElement);
const reason = byId('reason', HTMLElement);
const notice = byId('notice', HTMLElement);

const sentence = (words: string) => `${words[0]!.toUpperCase()}${words.slice(1)}.`;

/** A character by name where it cannot be told by looking. */
function named(character: string): string {
  if (character === ' ') return 'a space';
  const point = character.codePointAt(0)!;
  return point > 32 && point < 127 ? `“${character}”` : `“${character}” (U+${point.toString(16).toUpperCase().padStart(4, '0')})`;
}

/** In what a text differs from the key as issued. */
function compare(issued: string, text: string): string {
  if (text === issued) return `As issued: ${issued.length} characters.`;
  const characters = [...text];
  if (characters.length !== issued.length) return `${characters.length} characters; the key as issued has ${issued.length}.`;
  const changed = characters.flatMap((character, index) => (character === issued[index] ? [] : [index]));
  const [place] = changed;
  if (place === undefined || changed.length > 1) return `${changed.length} of ${issued.length} characters are not those of the key as issued.`;
  return `Character ${place + 1} is ${named(characters[place]!)}, not ${named(issued[place]!)}.`;
}

function showKey(issued: Issued): void {
  const parts: [string, string][] = [
    ['brand', issued.brand], ['environment', issued.environment], ['id', issued.random], ['tag', issued.tag],
    ['secret', issued.secret], ['check', issued.check],
  ];
  for (const [name, text] of parts) write(specimen.querySelector(`.${name}`)!, text);
  // The stylesheet fits the type to the line by this.
  specimen.style.setProperty('--length', String(issued.text.length));
  write(redacted, issued.redacted);
  write(digest, `${issued.digest.hmac.slice(0, 12)}…${issued.digest.hmac.slice(-4)}`);
}

function showOutcome(deployment: Deployment, issued: Issued): void {
  const text = field.value;
  write(difference, compare(issued.text, text));
  const outcome = deployment.test(text);
  const failed = outcome.caughtBy === undefined ? TESTS.length : TESTS.indexOf(outcome.caughtBy);
  TESTS.forEach((test, index) => {
    const row = document.querySelector<HTMLElement>(`[data-test="${test}"]`)!;
    row.dataset['result'] = index < failed ? 'passed' : index === failed ? 'caught' : 'unreached';
    write(row.querySelector('.result')!, index < failed ? 'passed' : index === failed ? 'caught' : 'not reached');
  });
  verdict.dataset['verdict'] = outcome.caughtBy === undefined ? 'valid' : 'refused';
  write(code, outcome.verdict === 'MALFORMED' ? `${outcome.verdict} · ${outcome.caughtBy}` : outcome.verdict);
  const where = outcome.caughtBy === undefined ? '' : `Caught by test ${failed + 1} of ${TESTS.length}. `;
  write(reason, where + sentence(outcome.reason));
}

async function copy(button: HTMLButtonElement): Promise<void> {
  const source = byId(button.dataset['copies']!, HTMLElement);
  try {
    await navigator.clipboard.writeText(source.textContent!);
  } catch {
    // No permission, or no secure context: leave the text selected for the visitor's own copying.
    getSelection()?.selectAllChildren(source);
    write(notice, 'Your browser did not allow copying; the text is selected instead.');
    return;
  }
  write(notice, `${button.dataset['what']} copied.`);
  button.dataset['copied'] = 'yes';
  setTimeout(() => delete button.dataset['copied'], 2000);
}

async function start(): Promise<void> {
  await ready(new URL(module, import.meta.url));
  let deployment = new Deployment(brandField.value);
  let issued: Issued;

  const issue = (): void => {
    const brand = brandField.value;
    const environment = String(new FormData(issueForm).get('environment'));
    try {
      // A deployment has one brand, so another brand is another deployment.
      const next = brand === deployment.brand ? deployment : new Deployment(brand);
      issued = next.issue(environment);
      deployment = next;
    } catch (error) {
      if (!(error instanceof KeywardError)) throw error;
      write(brandProblem, sentence(error.message));
      brandField.setAttribute('aria-invalid', 'true');
      return;
    }
    write(brandProblem, '');
    brandField.removeAttribute('aria-invalid');
    showKey(issued);
    field.value = issued.text;
    showOutcome(deployment, issued);
  };

  issueForm.addEventListener('submit', (event) => {
    event.preventDefault();
    issue();
  });
  issueForm.addEventListener('change', (event) => {
    if (event.target !== brandField) issue();
  });
  field.addEventListener('input', () => showOutcome(deployment, issued));
  for (const button of document.querySelectorAll<HTMLButtonElement>('[data-breakage]')) {
    button.addEventListener('click', () => {
      field.value = BREAKAGES[button.dataset['breakage']!]!(issued, deployment);
      showOutcome(deployment, issued);
    });
  }
  // Served by a Worker of one's own machine, the commands name that very one, whatever its port.
  if (['127.0.0.1', 'localhost'].includes(location.hostname)) {
    for (const command of document.querySelectorAll('.commands pre')) {
      command.textContent = command.textContent.replace('http://127.0.0.1:8787', location.origin);
    }
  }
  for (const button of document.querySelectorAll<HTMLButtonElement>('.copy')) {
    button.addEventListener('click', () => void copy(button));
  }
  for (const control of document.querySelectorAll<HTMLFieldSetElement | HTMLButtonElement>('fieldset, .copy')) control.disabled = false;
  issue();
}

startPage(start);
