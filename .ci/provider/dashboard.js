// The provider's dashboard: the calls as they come, and by key from where it is called.
const SHOWN = 200;

const byId = (id) => document.getElementById(id);
const [link, rows, byKey] = ['link', 'rows', 'by-key'].map(byId);

/** An element with a text or children. Nothing that was received is ever read as HTML. */
function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

const keys = new Map();
const sums = { calls: 0, accepted: 0, refused: 0 };
let last = 0;

/** Where a call came from: a browser's script says it in Origin, whether it likes or not. */
const origin = ({ headers }) => headers.origin ?? headers.referer;
const from = (entry) => (origin(entry) ? `page ${origin(entry)}` : 'a server');

function cell(label, child, ...children) {
  // A cell without a word has no place on a phone, where it would be a line.
  const element = make('td', { className: child === null ? 'none' : '' }, child ?? '–', ...children);
  element.dataset.label = label;
  return element;
}

function showCall(entry) {
  const { at, key, method, path, status, to, headers } = entry;
  const time = make('time', { dateTime: at }, new Date(at).toLocaleTimeString([], { hour12: false }));
  const name = key ? make('span', {}, key.name, ' ', make('small', {}, `…${key.last4}`)) : make('span', { className: 'none' }, 'none');
  const row = make('tr', {}, cell('Time', time), cell('Key', name),
    cell('Call', make('code', {}, make('b', {}, method), ` ${path}`)),
    cell('Status', make('span', { className: `status ${status < 400 ? 'good' : 'bad'}` }, String(status))),
    cell('To', to),
    cell('From', make('span', {}, from(entry)), ' ', make('small', {}, headers['user-agent'] ?? 'no User-Agent')));
  rows.prepend(row);
  if (rows.children.length > SHOWN) rows.lastElementChild.remove();
}

function showKey(entry) {
  const id = `${entry.key.name} ${entry.key.last4}`;
  if (!keys.has(id)) {
    const [count, places] = [make('b'), make('span')];
    const item = make('li', {}, make('span', { className: 'key' }, entry.key.name, ' ', make('small', {}, `…${entry.key.last4}`)), count, places);
    byKey.append(item);
    keys.set(id, { calls: 0, from: new Set(), item, count, places });
  }
  const known = keys.get(id);
  known.from.add(from(entry));
  known.count.textContent = `${(known.calls += 1)} ${known.calls === 1 ? 'call' : 'calls'}`;
  known.places.textContent = `from ${[...known.from].join(', ')}`;
  known.item.dataset.exposed = [...known.from].some((place) => place.startsWith('page')) ? 'yes' : 'no';
}

function show(entry) {
  if (entry.number <= last) return;
  last = entry.number;
  byId('empty').hidden = true;
  byId('table').hidden = false;
  sums.calls += 1;
  if (entry.status >= 400) sums.refused += 1;
  if (entry.method === 'POST' && entry.status === 202) sums.accepted += 1;
  for (const [name, sum] of Object.entries(sums)) byId(name).textContent = sum;
  if (entry.key) showKey(entry);
  showCall(entry);
}

const stream = new EventSource('/log/events');
stream.addEventListener('message', ({ data }) => show(JSON.parse(data)));
stream.addEventListener('open', () => Object.assign(link, { textContent: 'Live', className: 'link live' }));
stream.addEventListener('error', () => Object.assign(link, { textContent: 'Not running; tries again', className: 'link lost' }));
