// Writes a labelled tree for measuring secret scanners: planted secrets, hard negatives and ordinary code.
// Formats follow what the providers publish; no scanner's rules were consulted.
// No secret stands literally in this source: marks and random parts are joined at run time.

import { createECDH, createHash, createPrivateKey, createPublicKey, checkPrimeSync } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// ---------------------------------------------------------------- random source

const DIGITS = '0123456789';
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const HEX = '0123456789abcdef';
const LOWER_DIGITS = LOWER + DIGITS;
const UPPER_DIGITS = UPPER + DIGITS;
const BASE62 = DIGITS + UPPER + LOWER;
const URL_SAFE = `${BASE62}-_`;
const BASE32 = `${UPPER}234567`;
const BASE58 = BASE62.replace(/[0OIl]/g, '');
const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** One seeded stream (SHA-256 in counter mode), so that the same seed gives the same bytes. */
function makeRandom(seed) {
  let counter = 0;
  let pool = Buffer.alloc(0);
  let at = 0;
  const byte = () => {
    if (at >= pool.length) {
      pool = createHash('sha512').update(`labelled:${seed}:${counter++}`).digest();
      at = 0;
    }
    return pool[at++];
  };
  const u32 = () => ((byte() << 24) | (byte() << 16) | (byte() << 8) | byte()) >>> 0;
  const int = (n) => u32() % n;
  const chars = (alphabet, n) => {
    let out = '';
    for (let i = 0; i < n; i++) out += alphabet[int(alphabet.length)];
    return out;
  };
  const bytes = (n) => {
    const out = Buffer.alloc(n);
    for (let i = 0; i < n; i++) out[i] = byte();
    return out;
  };
  const shuffle = (list) => {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = int(i + 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  };
  return {
    int,
    bytes,
    chars,
    shuffle,
    range: (low, high) => low + int(high - low + 1),
    pick: (list) => list[int(list.length)],
    chance: (p) => u32() / 0x100000000 < p,
    hex: (n) => chars(HEX, n),
    base62: (n) => chars(BASE62, n),
    urlSafe: (n) => chars(URL_SAFE, n),
    digits: (n) => chars('123456789', 1) + chars(DIGITS, n - 1),
    base64: (n) => bytes(n).toString('base64'),
    base64url: (n) => bytes(n).toString('base64url'),
    uuid: () => {
      const h = bytes(16);
      h[6] = (h[6] & 0x0f) | 0x40;
      h[8] = (h[8] & 0x3f) | 0x80;
      return h.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    },
  };
}

// ---------------------------------------------------------------- check digits and encodings

const CRC_TABLE = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c >>> 0;
});

function crc32(text) {
  let c = 0xffffffff;
  for (const b of Buffer.from(text)) c = CRC_TABLE[(c ^ b) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function toBase(number, alphabet, width) {
  let out = '';
  for (let n = number; n > 0; n = Math.floor(n / alphabet.length)) out = alphabet[n % alphabet.length] + out;
  return out.padStart(width, '0');
}

const GITHUB_BASE62 = DIGITS + UPPER + LOWER;

/** GitHub's and npm's published form: random base62, then the base62 CRC32 of it in six characters. */
function checked(mark, random) {
  return mark + random + toBase(crc32(random), GITHUB_BASE62, 6);
}

const b64 = (text) => Buffer.from(text).toString('base64');
const b64url = (text) => Buffer.from(text).toString('base64url');

function wrap(text, width) {
  return text.match(new RegExp(`.{1,${width}}`, 'g')) ?? [];
}

function jwt(r, payload, algorithm = 'HS256') {
  const head = b64url(JSON.stringify({ alg: algorithm, typ: 'JWT' }));
  return `${head}.${b64url(JSON.stringify(payload))}.${r.base64url(algorithm === 'HS256' ? 32 : 256)}`;
}

// ---------------------------------------------------------------- private keys, really valid and yet seeded

function derLength(n) {
  if (n < 128) return Buffer.from([n]);
  const bytes = [];
  for (let rest = n; rest > 0; rest >>= 8) bytes.unshift(rest & 255);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

const der = (tag, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), derLength(body.length), body]);
};

function derInteger(value) {
  let hex = value.toString(16);
  if (hex.length % 2) hex = `0${hex}`;
  const body = Buffer.from(hex, 'hex');
  return der(0x02, body[0] & 0x80 ? Buffer.concat([Buffer.from([0]), body]) : body);
}

const derOid = (hex) => der(0x06, Buffer.from(hex, 'hex'));
const OID_RSA = derOid('2a864886f70d010101');
const OID_EC = derOid('2a8648ce3d0201');
const OID_P256 = derOid('2a8648ce3d030107');
const OID_ED25519 = derOid('2b6570');
const DER_NULL = Buffer.from([5, 0]);

function prime(r, bits) {
  const bytes = r.bytes(bits / 8);
  bytes[0] |= 0xc0;
  bytes[bytes.length - 1] |= 1;
  let candidate = BigInt(`0x${bytes.toString('hex')}`);
  while (!checkPrimeSync(candidate, { checks: 4 })) candidate += 2n;
  return candidate;
}

function inverse(a, modulus) {
  let [r0, r1, s0, s1] = [modulus, a % modulus, 0n, 1n];
  while (r1 > 0n) {
    const q = r0 / r1;
    [r0, r1, s0, s1] = [r1, r0 - q * r1, s1, s0 - q * s1];
  }
  return ((s0 % modulus) + modulus) % modulus;
}

function rsaPkcs1(r, bits = 2048) {
  const e = 65537n;
  const p = prime(r, bits / 2);
  const q = prime(r, bits / 2);
  const d = inverse(e, (p - 1n) * (q - 1n));
  const numbers = [0n, p * q, e, d, p, q, d % (p - 1n), d % (q - 1n), inverse(q, p)];
  return der(0x30, ...numbers.map(derInteger));
}

const pkcs8 = (algorithm, key) => der(0x30, derInteger(0n), algorithm, der(0x04, key));

function ecSec1(r, withCurve = true) {
  const secret = r.bytes(32);
  secret[0] &= 0x7f;
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(secret);
  const point = der(0xa1, der(0x03, Buffer.from([0]), ecdh.getPublicKey()));
  return der(0x30, derInteger(1n), der(0x04, secret), ...(withCurve ? [der(0xa0, OID_P256)] : []), point);
}

// The words are joined here, so that the generator itself holds no key block.
const fence = (edge, what) => `${'-'.repeat(5)}${edge} ${what}${'-'.repeat(5)}`;
const pem = (what, body, width = 64) => [
  fence('BEGIN', what),
  ...wrap(body.toString('base64'), width),
  fence('END', what),
];

const PRIVATE = ['PRIV', 'ATE KEY'].join('');

function ed25519Seed(r) {
  const seed = r.bytes(32);
  const pkcs = pkcs8(der(0x30, OID_ED25519), der(0x04, seed));
  const key = createPrivateKey({ key: pkcs, format: 'der', type: 'pkcs8' });
  const pub = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  return { seed, pkcs, pub };
}

const sshString = (data) => {
  const body = Buffer.from(data);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(body.length);
  return Buffer.concat([size, body]);
};

function openSshKey(r) {
  const { seed, pub } = ed25519Seed(r);
  const blob = Buffer.concat([sshString('ssh-ed25519'), sshString(pub)]);
  const check = r.bytes(4);
  let inner = Buffer.concat([check, check, blob, sshString(Buffer.concat([seed, pub])), sshString('deploy@ci')]);
  for (let i = 1; inner.length % 8; i++) inner = Buffer.concat([inner, Buffer.from([i])]);
  const one = Buffer.from([0, 0, 0, 1]);
  const head = Buffer.concat([Buffer.from('openssh-key-v1\0'), sshString('none'), sshString('none'), sshString('')]);
  return pem(`OPENSSH ${PRIVATE}`, Buffer.concat([head, one, sshString(blob), sshString(inner)]), 70);
}

function pgpPrivate(r) {
  const body = Buffer.concat([Buffer.from([0x95, 0x03, 0x98, 0x04]), r.bytes(860)]);
  let crc = 0xb704ce;
  for (const b of body) {
    crc ^= b << 16;
    for (let i = 0; i < 8; i++) {
      crc <<= 1;
      if (crc & 0x1000000) crc ^= 0x1864cfb;
    }
  }
  const sum = Buffer.from([(crc >> 16) & 255, (crc >> 8) & 255, crc & 255]).toString('base64');
  const what = `PGP ${PRIVATE} BLOCK`;
  return [fence('BEGIN', what), '', ...wrap(body.toString('base64'), 64), `=${sum}`, fence('END', what)];
}

const PRIVATE_KEYS = {
  'private-key-rsa': (r) => pem(`RSA ${PRIVATE}`, rsaPkcs1(r)),
  'private-key-pkcs8': (r) => pem(PRIVATE, pkcs8(der(0x30, OID_RSA, DER_NULL), rsaPkcs1(r))),
  'private-key-ec': (r) => pem(`EC ${PRIVATE}`, ecSec1(r)),
  'private-key-ec-pkcs8': (r) => pem(PRIVATE, pkcs8(der(0x30, OID_EC, OID_P256), ecSec1(r, false))),
  'private-key-ed25519': (r) => pem(PRIVATE, ed25519Seed(r).pkcs),
  'private-key-openssh': openSshKey,
  'private-key-pgp': pgpPrivate,
};

// ---------------------------------------------------------------- kinds of credentials

/** Joins the parts of a mark, which stand apart in this source on purpose. */
const m = (...parts) => parts.join('');

const mapboxToken = (mark, r) => {
  const payload = b64url(JSON.stringify({ u: r.pick(HOSTS), a: `cl${r.chars(LOWER_DIGITS, 23)}` }));
  return `${mark}${payload}.${r.urlSafe(22)}`;
};

const KINDS = [];

/**
 * @param names space-separated words; each context spells them in its own way
 * @param make  gives the text as written, or { value, secret } where only a part of it is secret
 */
function kind(id, provider, names, make, options = {}) {
  KINDS.push({ id, provider, names, make, ...options });
}

/** A password as password managers make them: begins with a letter, never needs escaping. */
function password(r, low = 16, high = 28) {
  const extra = r.chance(0.4) ? '!@%*-_+^~.' : '';
  return r.chars(LOWER + UPPER, 1) + r.chars(BASE62 + extra, r.range(low, high) - 2) + r.chars(BASE62, 1);
}

const plainPassword = (r, low = 14, high = 26) => r.chars(LOWER + UPPER, 1) + r.base62(r.range(low, high) - 1);

const HOSTS = ['northgate', 'halden', 'meridian-labs', 'bluepeak', 'orchard', 'fernway', 'tessel', 'kitewing'];
const host = (r, part = '') => `${part || r.pick(['db', 'data', 'pg-1', 'core'])}.${r.pick(HOSTS)}.${r.pick([
  'io', 'net', 'dev', 'com', 'internal'])}`;

function databaseUrl(scheme, hosts, tail) {
  return (r) => {
    const secret = plainPassword(r);
    const user = r.pick(['app', 'svc_orders', 'billing', 'api_rw', 'reporting', 'worker']);
    return { value: `${scheme}://${user}:${secret}@${hosts(r)}${tail(r)}`, secret };
  };
}

const database = (r) => r.pick(['orders', 'catalog', 'ledger', 'analytics', 'accounts']);

// Developer platforms
kind('github-pat', 'GitHub', ['github token', 'gh token', 'release token'], (r) =>
  checked(m('gh', 'p_'), r.base62(30)));
kind('github-oauth', 'GitHub', ['github oauth token', 'gh access token'], (r) =>
  checked(m('gh', 'o_'), r.base62(30)));
kind('github-user-to-server', 'GitHub', ['github user token'], (r) => checked(m('gh', 'u_'), r.base62(30)));
kind('github-app', 'GitHub', ['github app token', 'installation token'], (r) => checked(m('gh', 's_'), r.base62(30)));
kind('github-refresh', 'GitHub', ['github refresh token'], (r) => checked(m('gh', 'r_'), r.base62(70)));
kind('github-fine-grained', 'GitHub', ['github token', 'github pat'], (r) =>
  `${m('github', '_pat_')}${r.base62(22)}_${r.base62(59)}`);
kind('gitlab-pat', 'GitLab', ['gitlab token', 'gitlab private token'], (r) => m('gl', 'pat-') + r.urlSafe(20));
kind('gitlab-deploy', 'GitLab', ['gitlab deploy token'], (r) => m('gl', 'dt-') + r.urlSafe(20));
kind('gitlab-runner', 'GitLab', ['runner token', 'gitlab runner token'], (r) => m('gl', 'rt-') + r.urlSafe(20));
kind('gitlab-trigger', 'GitLab', ['pipeline trigger token'], (r) => m('gl', 'ptt-') + r.hex(40));
kind('bitbucket-app-password', 'Atlassian', ['bitbucket app password', 'bitbucket password'], (r) =>
  m('AT', 'BB') + r.base62(24) + r.chars('0123456789ABCDEF', 8));
kind('atlassian-api-token', 'Atlassian', ['jira api token', 'atlassian token', 'confluence token'], (r) =>
  `${m('ATA', 'TT3xFf')}GF0${r.urlSafe(171)}=${r.chars('0123456789ABCDEF', 8)}`);
kind('npm-token', 'npm', ['npm token', 'npm auth token'], (r) => checked(m('np', 'm_'), r.base62(30)));
kind('pypi-token', 'PyPI', ['pypi token', 'twine password'], (r) =>
  m('pyp', 'i-') + m('AgEIcHlw', 'aS5vcmc') + b64url(`\x02\x24${r.uuid()}`).slice(0, 52) + r.base64url(78));
kind('rubygems-key', 'RubyGems', ['rubygems api key', 'gem host api key'], (r) => m('ruby', 'gems_') + r.hex(48));
kind('docker-pat', 'Docker', ['docker hub token', 'dockerhub password'], (r) => m('dckr', '_pat_') + r.urlSafe(27));
kind('nuget-key', 'NuGet', ['nuget api key'], (r) => m('oy', '2') + r.chars(`${LOWER}234567`, 43));
kind('crates-token', 'crates.io', ['cargo registry token'], (r) => m('ci', 'o') + r.base62(32));
kind('clojars-token', 'Clojars', ['clojars deploy token'], (r) => m('CLO', 'JARS_') + r.hex(60));
kind('vault-token', 'HashiCorp', ['vault token'], (r) => m('hv', 's.') + m('CAE', 'SI') + r.urlSafe(86));
kind('terraform-cloud', 'HashiCorp', ['tfe token', 'terraform cloud token'], (r) =>
  `${r.base62(14)}${m('.atlas', 'v1.')}${r.base62(67)}`);
kind('circleci-pat', 'CircleCI', ['circle token', 'circleci api token'], (r) =>
  `${m('CCI', 'PAT_')}${r.chars(BASE58, 22)}_${r.hex(40)}`);
kind('postman-key', 'Postman', ['postman api key'], (r) => `${m('PM', 'AK-')}${r.hex(24)}-${r.hex(34)}`);
kind('sonarqube-token', 'SonarQube', ['sonar token', 'sonar login'], (r) =>
  r.pick([m('sq', 'u_'), m('sq', 'p_'), m('sq', 'a_')]) + r.hex(40));
kind('sentry-user-token', 'Sentry', ['sentry auth token'], (r) => m('sntr', 'yu_') + r.hex(64));
kind('sentry-org-token', 'Sentry', ['sentry auth token', 'sentry org token'], (r) =>
  `${m('sntr', 'ys_')}${b64(JSON.stringify({ iat: 1690000000 + r.int(9e7) + 0.123, url: 'https://sentry.io',
    region_url: 'https://us.sentry.io', org: r.pick(HOSTS) }))}_${r.base64(32).replace(/=+$/, '')}`);
kind('grafana-service-account', 'Grafana', ['grafana token', 'grafana api key'], (r) => {
  const body = `${m('gl', 'sa_')}${r.base62(32)}`;
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(body));
  return `${body}_${sum.toString('hex')}`;
});
kind('grafana-cloud', 'Grafana', ['grafana cloud token'], (r) =>
  m('gl', 'c_') + b64(JSON.stringify({ o: r.digits(6), n: 'ci-publisher', k: r.base64(18), m: { r: 'eu' } })));
kind('linear-key', 'Linear', ['linear api key'], (r) => m('lin', '_api_') + r.base62(40));
kind('notion-token', 'Notion', ['notion token', 'notion api key'], (r) =>
  r.chance(0.5) ? m('nt', 'n_') + r.digits(11) + r.base62(35) : m('sec', 'ret_') + r.base62(43));
kind('figma-token', 'Figma', ['figma token', 'figma access token'], (r) => m('fig', 'd_') + r.urlSafe(40));
kind('databricks-token', 'Databricks', ['databricks token'], (r) => m('da', 'pi') + r.hex(32) + r.pick(['', '-2']));
kind('snyk-token', 'Snyk', ['snyk token'], (r) => r.uuid());
kind('launchdarkly-sdk', 'LaunchDarkly', ['launchdarkly sdk key', 'launchdarkly access token'], (r) =>
  r.pick([m('sd', 'k-'), m('ap', 'i-')]) + r.uuid());
kind('doppler-token', 'Doppler', ['doppler token'], (r) =>
  r.pick([m('dp', '.pt.'), m('dp', '.st.prd.')]) + r.base62(43));
kind('pulumi-token', 'Pulumi', ['pulumi access token'], (r) => m('pu', 'l-') + r.hex(40));
kind('airtable-pat', 'Airtable', ['airtable token', 'airtable api key'], (r) =>
  `${m('pa', 't')}${r.base62(14)}.${r.hex(64)}`);
kind('asana-pat', 'Asana', ['asana access token', 'asana pat'], (r) => `1/${r.digits(16)}:${r.hex(32)}`);
kind('buildkite-token', 'Buildkite', ['buildkite api token'], (r) => m('bk', 'ua_') + r.hex(40));
kind('artifactory-key', 'JFrog', ['artifactory api key', 'artifactory password'], (r) =>
  m('AK', 'Cp') + r.base62(69));
kind('netlify-token', 'Netlify', ['netlify auth token'], (r) => m('nf', 'p_') + r.base62(36));
kind('vercel-token', 'Vercel', ['vercel token'], (r) => r.base62(24));
kind('heroku-key', 'Heroku', ['heroku api key'], (r) => r.uuid());
kind('fly-token', 'Fly.io', ['fly api token'], (r) => m('Fl', 'yV1 ') + m('fm', '2_') + r.base64(150),
  { quoted: true });
kind('planetscale-token', 'PlanetScale', ['planetscale service token', 'planetscale password'], (r) =>
  r.pick([m('pscale', '_tkn_'), m('pscale', '_pw_')]) + r.urlSafe(43));
kind('supabase-token', 'Supabase', ['supabase access token'], (r) => m('sb', 'p_') + r.hex(40));
kind('supabase-secret', 'Supabase', ['supabase secret key'], (r) =>
  `${m('sb', '_secret_')}${r.urlSafe(22)}_${r.urlSafe(8)}`);
kind('supabase-service-role', 'Supabase', ['supabase service role key', 'supabase service key'], (r) =>
  jwt(r, { iss: 'supabase', ref: r.chars(LOWER, 20), role: 'service_role', iat: 1690000000 + r.int(9e7),
    exp: 2010000000 }));
kind('algolia-admin', 'Algolia', ['algolia admin key', 'algolia admin api key'], (r) => r.hex(32));
kind('contentful-cma', 'Contentful', ['contentful management token'], (r) => m('CF', 'PAT-') + r.urlSafe(43));
kind('shopify-admin', 'Shopify', ['shopify access token', 'shopify admin token'], (r) => m('shp', 'at_') + r.hex(32));
kind('shopify-shared-secret', 'Shopify', ['shopify api secret'], (r) => m('shp', 'ss_') + r.hex(32));
kind('tailscale-key', 'Tailscale', ['tailscale auth key', 'ts authkey'], (r) =>
  `${m('tskey', '-auth-')}k${r.base62(8)}CNTRL-${r.base62(32)}`);
kind('1password-service', '1Password', ['op service account token'], (r) =>
  m('op', 's_') + b64url(JSON.stringify({ signInAddress: 'team.1password.com', userAuth: { method: 'SRPg-4096' },
    email: `${r.chars(LOWER_DIGITS, 13)}@1passwordserviceaccounts.com`, srpX: r.hex(64), muk: { alg: 'A256GCM',
      k: r.base64url(32), kty: 'oct' }, secretKey: `A3-${r.chars(UPPER_DIGITS, 6)}-${r.chars(UPPER_DIGITS, 6)}` })));
kind('age-secret-key', 'age', ['age key', 'sops age key'], (r) =>
  m('AGE-SEC', 'RET-KEY-1') + r.chars(BECH32.toUpperCase(), 58));

// Chat
kind('slack-bot', 'Slack', ['slack bot token', 'slack token'], (r) =>
  `${m('xo', 'xb-')}${r.digits(12)}-${r.digits(13)}-${r.base62(24)}`);
kind('slack-user', 'Slack', ['slack user token', 'slack token'], (r) =>
  `${m('xo', 'xp-')}${r.digits(12)}-${r.digits(12)}-${r.digits(13)}-${r.hex(32)}`);
kind('slack-app', 'Slack', ['slack app token'], (r) =>
  `${m('xa', 'pp-')}1-A${r.chars(UPPER_DIGITS, 10)}-${r.digits(13)}-${r.hex(64)}`);
kind('slack-webhook', 'Slack', ['slack webhook url', 'alert webhook'], (r) => {
  const secret = r.base62(24);
  const url = m('https://hooks.sl', 'ack.com/serv', 'ices/');
  return { value: `${url}T${r.chars(UPPER_DIGITS, 10)}/B${r.chars(UPPER_DIGITS, 10)}/${secret}`, secret };
});
kind('discord-bot', 'Discord', ['discord token', 'discord bot token'], (r) =>
  `${b64url(r.digits(18))}.${r.base62(6)}.${r.urlSafe(38)}`);
kind('discord-webhook', 'Discord', ['discord webhook', 'discord webhook url'], (r) => {
  const secret = r.urlSafe(68);
  return { value: `${m('https://disc', 'ord.com/api/web', 'hooks/')}${r.digits(19)}/${secret}`, secret };
});
kind('telegram-bot', 'Telegram', ['telegram bot token', 'telegram token'], (r) =>
  `${r.digits(10)}:AA${r.urlSafe(33)}`);
kind('teams-webhook', 'Microsoft', ['teams webhook url'], (r) => {
  const secret = r.hex(32);
  const at = `${r.pick(HOSTS).replace('-', '')}${m('.webhook.off', 'ice.com/web', 'hookb2/')}`;
  return { value: `https://${at}${r.uuid()}@${r.uuid()}/IncomingWebhook/${secret}/${r.uuid()}`, secret };
});

// Cloud
kind('aws-access-key', 'AWS', ['aws access key id'], (r) => m('AK', 'IA') + r.chars(BASE32, 16));
kind('aws-secret-key', 'AWS', ['aws secret access key', 'aws secret key'], (r) => r.base64(30));
kind('gcp-api-key', 'Google', ['google api key', 'gcp api key', 'maps server key'], (r) =>
  m('AI', 'za') + m('S', 'y') + r.urlSafe(33));
kind('google-oauth-secret', 'Google', ['google client secret', 'google oauth secret'], (r) =>
  m('GOC', 'SPX-') + r.urlSafe(28));
kind('google-refresh', 'Google', ['google refresh token', 'drive refresh token'], (r) =>
  `${m('1/', '/0')}${r.pick(['3', '4', '9'])}${r.urlSafe(13)}-${r.urlSafe(64)}`);
kind('azure-storage', 'Azure', ['azure storage connection string', 'storage connection'], (r) => {
  const secret = r.base64(64);
  const account = r.chars(LOWER, 6) + r.pick(['store', 'data', 'files']);
  const start = `DefaultEndpointsProtocol=https;AccountName=${account};${m('Account', 'Key=')}`;
  return { value: `${start}${secret};EndpointSuffix=core.windows.net`, secret };
}, { quoted: true });
kind('azure-client-secret', 'Azure', ['azure client secret', 'arm client secret'], (r) =>
  `${r.base62(3)}8Q~${r.chars(`${BASE62}-_.~`, 33)}${r.base62(1)}`);
kind('azure-devops-pat', 'Azure', ['azure devops pat', 'system access token'], (r) =>
  `${r.base62(52)}${m('JQQ', 'J99')}${r.chars(UPPER_DIGITS, 18)}${m('AZ', 'DO')}${r.base62(4)}`);
kind('azure-service-bus', 'Azure', ['service bus connection', 'event hub connection string'], (r) => {
  const secret = r.base64(32);
  const start = `Endpoint=sb://${r.pick(HOSTS)}.servicebus.windows.net/;SharedAccessKeyName=RootManage;`;
  return { value: `${start}${m('SharedAccess', 'Key=')}${secret}`, secret };
}, { quoted: true });
kind('azure-sas', 'Azure', ['blob sas url', 'container url'], (r) => {
  const secret = encodeURIComponent(r.base64(32));
  const start = `https://${r.chars(LOWER, 8)}.blob.core.windows.net/exports?sv=2022-11-02&ss=b&srt=sco&sp=rwdl`;
  return { value: `${start}&se=2027-01-01T00:00:00Z&spr=https&sig=${secret}`, secret };
}, { quoted: true, noXml: true });
kind('digitalocean-pat', 'DigitalOcean', ['digitalocean token', 'do token'], (r) => m('do', 'p_v1_') + r.hex(64));
kind('cloudflare-token', 'Cloudflare', ['cloudflare api token', 'cf api token'], (r) => r.urlSafe(40));
kind('cloudflare-origin-ca', 'Cloudflare', ['cloudflare origin ca key'], (r) =>
  `${m('v1', '.0-')}${r.hex(24)}-${r.hex(146)}`);
kind('alibaba-key-id', 'Alibaba Cloud', ['alicloud access key', 'aliyun access key id'], (r) =>
  m('LT', 'AI5t') + r.base62(18));
kind('tencent-secret-id', 'Tencent Cloud', ['tencent secret id', 'tencentcloud secret id'], (r) =>
  m('AK', 'ID') + r.base62(32));
kind('linode-token', 'Akamai', ['linode token', 'linode api token'], (r) => r.hex(64));
kind('hetzner-token', 'Hetzner', ['hcloud token', 'hetzner api token'], (r) => r.base62(64));
kind('scaleway-secret', 'Scaleway', ['scw secret key'], (r) => r.uuid());

// Payment
kind('stripe-secret', 'Stripe', ['stripe secret key', 'stripe api key', 'payment key'], (r) =>
  m('sk', '_live_') + (r.chance(0.5) ? r.base62(24) : `51${r.base62(97)}`));
kind('stripe-restricted', 'Stripe', ['stripe restricted key', 'stripe key'], (r) =>
  m('rk', '_live_') + `51${r.base62(97)}`);
kind('stripe-webhook', 'Stripe', ['stripe webhook secret', 'webhook signing secret'], (r) =>
  m('wh', 'sec_') + r.base62(32));
kind('square-token', 'Square', ['square access token'], (r) => m('EA', 'AA') + r.urlSafe(60));
kind('square-oauth', 'Square', ['square application secret'], (r) => m('sq', '0csp-') + r.urlSafe(43));
kind('paypal-secret', 'PayPal', ['paypal client secret', 'paypal secret'], (r) => `E${r.urlSafe(78)}${r.base62(1)}`);
kind('braintree-token', 'Braintree', ['braintree access token'], (r) =>
  `${m('access_token$', 'production$')}${r.chars(LOWER_DIGITS, 16)}$${r.hex(32)}`, { quoted: true, noDollar: true });
kind('razorpay-secret', 'Razorpay', ['razorpay key secret', 'razorpay secret'], (r) => r.base62(24));
kind('plaid-secret', 'Plaid', ['plaid secret'], (r) => r.hex(30));
kind('flutterwave-secret', 'Flutterwave', ['flutterwave secret key', 'flw secret key'], (r) =>
  `${m('FLW', 'SECK-')}${r.hex(32)}-X`);
kind('paystack-secret', 'Paystack', ['paystack secret key'], (r) => m('sk', '_live_') + r.hex(40));
kind('mollie-key', 'Mollie', ['mollie api key'], (r) => m('li', 've_') + r.base62(30));
kind('adyen-key', 'Adyen', ['adyen api key'], (r) => 
  `${m('AQ', 'E')}yhmfx${r.base64(64).slice(0, 86)}==-${r.base64(32)}-${r.chars(`${BASE62}~^[{(;`, 15)}${r.base62(1)}`,
{ quoted: true });

// Mail, SMS, marketing
kind('sendgrid-key', 'SendGrid', ['sendgrid api key', 'mail api key'], (r) =>
  `${m('S', 'G.')}${r.urlSafe(22)}.${r.urlSafe(43)}`);
kind('mailgun-key', 'Mailgun', ['mailgun api key'], (r) =>
  r.chance(0.5) ? m('ke', 'y-') + r.hex(32) : `${r.hex(32)}-${r.hex(8)}-${r.hex(8)}`);
kind('mailchimp-key', 'Mailchimp', ['mailchimp api key'], (r) => `${r.hex(32)}-us${r.range(1, 21)}`);
kind('brevo-key', 'Brevo', ['brevo api key', 'sendinblue api key'], (r) =>
  `${m('xkey', 'sib-')}${r.hex(64)}-${r.base62(16)}`);
kind('postmark-token', 'Postmark', ['postmark server token', 'postmark api token'], (r) => r.uuid());
kind('resend-key', 'Resend', ['resend api key'], (r) =>
  `${m('r', 'e_')}${r.chars(BASE58, 8)}_${r.chars(BASE58, 24)}`);
kind('mandrill-key', 'Mailchimp', ['mandrill api key'], (r) => m('m', 'd-') + r.urlSafe(22));
kind('twilio-auth-token', 'Twilio', ['twilio auth token'], (r) => r.hex(32));
kind('vonage-secret', 'Vonage', ['vonage api secret', 'nexmo api secret'], (r) => r.base62(16));
kind('klaviyo-key', 'Klaviyo', ['klaviyo api key', 'klaviyo private key'], (r) => m('p', 'k_') + r.hex(34));
kind('hubspot-private-app', 'HubSpot', ['hubspot access token', 'hubspot token'], (r) =>
  `${m('pa', 't-')}${r.pick(['na1', 'eu1'])}-${r.uuid()}`);

// AI
kind('openai-legacy', 'OpenAI', ['openai api key'], (r) =>
  `${m('s', 'k-')}${r.base62(20)}${m('T3Blb', 'kFJ')}${r.base62(20)}`);
kind('openai-project', 'OpenAI', ['openai api key', 'openai key'], (r) =>
  `${m('sk-', 'proj-')}${r.urlSafe(74)}${m('T3Blb', 'kFJ')}${r.urlSafe(74)}`);
kind('anthropic-key', 'Anthropic', ['anthropic api key', 'claude api key'], (r) =>
  `${m('sk-', 'ant-', 'api03-')}${r.urlSafe(93)}AA`);
kind('huggingface-token', 'Hugging Face', ['hf token', 'huggingface token'], (r) =>
  m('h', 'f_') + r.chars(LOWER + UPPER, 34));
kind('replicate-token', 'Replicate', ['replicate api token'], (r) => m('r', '8_') + r.base62(37));
kind('groq-key', 'Groq', ['groq api key'], (r) => m('gs', 'k_') + r.base62(52));
kind('perplexity-key', 'Perplexity', ['perplexity api key', 'pplx api key'], (r) => m('pp', 'lx-') + r.base62(48));
kind('xai-key', 'xAI', ['xai api key', 'grok api key'], (r) => m('xa', 'i-') + r.base62(80));
kind('cohere-key', 'Cohere', ['cohere api key', 'co api key'], (r) => r.base62(40));
kind('langsmith-key', 'LangChain', ['langchain api key', 'langsmith api key'], (r) =>
  `${m('lsv2', '_pt_')}${r.hex(32)}_${r.hex(10)}`);
kind('pinecone-key', 'Pinecone', ['pinecone api key'], (r) => `${m('pc', 'sk_')}${r.base62(6)}_${r.base62(63)}`);
kind('deepseek-key', 'DeepSeek', ['deepseek api key', 'llm api key'], (r) => m('s', 'k-') + r.hex(32));
kind('elevenlabs-key', 'ElevenLabs', ['elevenlabs api key', 'xi api key'], (r) => m('s', 'k_') + r.hex(48));
kind('openrouter-key', 'OpenRouter', ['openrouter api key'], (r) => m('sk-', 'or-v1-') + r.hex(64));
kind('wandb-key', 'Weights & Biases', ['wandb api key'], (r) => r.hex(40));
kind('mapbox-secret', 'Mapbox', ['mapbox secret token', 'mapbox access token'], (r) =>
  mapboxToken(m('s', 'k.'), r));

// Monitoring and analytics
kind('newrelic-user-key', 'New Relic', ['new relic api key', 'newrelic user key'], (r) =>
  m('NR', 'AK-') + r.chars(UPPER_DIGITS, 27));
kind('newrelic-license', 'New Relic', ['new relic license key'], (r) => r.hex(32) + m('FFFF', 'NRAL'));
kind('datadog-api-key', 'Datadog', ['datadog api key', 'dd api key'], (r) => r.hex(32));
kind('datadog-app-key', 'Datadog', ['datadog app key', 'dd app key'], (r) => r.hex(40));
kind('dynatrace-token', 'Dynatrace', ['dynatrace api token', 'dt api token'], (r) =>
  `${m('dt0', 'c01.')}${r.chars(BASE32, 24)}.${r.chars(BASE32, 64)}`);
kind('pagerduty-key', 'PagerDuty', ['pagerduty api key', 'pagerduty token'], (r) => `u+${r.urlSafe(18)}`);
kind('posthog-personal', 'PostHog', ['posthog personal api key'], (r) => m('ph', 'x_') + r.base62(43));
kind('segment-token', 'Segment', ['segment access token'], (r) => m('sg', 'p_') + r.base62(64));
kind('rollbar-token', 'Rollbar', ['rollbar access token', 'rollbar server token'], (r) => r.hex(32));

// Connection strings
kind('postgres-url', 'PostgreSQL', ['database url', 'pg url', 'postgres dsn'], databaseUrl(
  'postgresql', (r) => host(r), (r) => `:5432/${database(r)}`));
kind('mysql-url', 'MySQL', ['database url', 'mysql dsn'], databaseUrl('mysql', (r) => host(r), (r) =>
  `:3306/${database(r)}`));
kind('mongodb-url', 'MongoDB', ['mongo url', 'mongodb uri'], databaseUrl('mongodb+srv',
  (r) => `cluster0.${r.chars(LOWER_DIGITS, 5)}.mongodb.net`, (r) => `/${database(r)}?retryWrites=true`));
kind('redis-url', 'Redis', ['redis url', 'cache url'], (r) => {
  const secret = plainPassword(r, 24, 32);
  return { value: `rediss://default:${secret}@${host(r, 'cache')}:6380/0`, secret };
});
kind('amqp-url', 'RabbitMQ', ['amqp url', 'rabbitmq url', 'celery broker url'], databaseUrl(
  'amqps', (r) => host(r, 'mq'), () => ':5671/main'));
kind('mssql-connection', 'Microsoft', ['default connection', 'sql connection string'], (r) => {
  const secret = plainPassword(r);
  const start = `Server=tcp:${host(r, 'sql')},1433;Initial Catalog=${database(r)};User ID=app;`;
  return { value: `${start}${m('Pass', 'word=')}${secret};Encrypt=True;`, secret };
}, { quoted: true });
kind('basic-auth-url', 'HTTP', ['registry url', 'upstream url', 'index url', 'proxy url'], databaseUrl(
  'https', (r) => host(r, r.pick(['nexus', 'repo', 'proxy'])), () => '/repository/internal'));

// Without a provider's mark
kind('generic-password', 'generic', ['db password', 'database password', 'smtp password', 'redis password',
  'admin password', 'postgres password', 'ldap bind password', 'password'], (r) => password(r));
kind('generic-jwt-secret', 'generic', ['jwt secret', 'jwt signing key', 'session secret', 'cookie secret',
  'token secret'],
  (r) => r.pick([() => r.base62(r.range(24, 48)), () => r.hex(64), () => r.base64(32)])());
kind('generic-client-secret', 'generic', ['client secret', 'oauth client secret', 'app secret', 'consumer secret'],
  (r) => r.pick([() => r.base62(32), () => r.urlSafe(40), () => r.hex(40)])());
kind('generic-api-key', 'generic', ['api key', 'service api key', 'partner api key', 'internal api key',
  'access key'],
  (r) => r.pick([() => r.base62(32), () => r.hex(32), () => r.urlSafe(36)])());
kind('generic-token', 'generic', ['access token', 'auth token', 'deploy token', 'bot token', 'api token'],
  (r) => r.pick([() => r.base62(40), () => r.hex(40), () => r.urlSafe(32)])());
kind('generic-encryption-key', 'generic', ['encryption key', 'master key', 'aes key', 'signing key'],
  (r) => r.pick([() => r.hex(64), () => r.base64(32)])());
kind('generic-webhook-secret', 'generic', ['webhook secret', 'hmac secret', 'signing secret'],
  (r) => r.pick([() => r.hex(40), () => r.base62(32)])());
kind('service-jwt', 'generic', ['service token', 'api bearer token', 'internal jwt'], (r) => {
  const payload = { sub: `svc-${r.pick(HOSTS)}`, aud: 'internal-api', iat: 1690000000 + r.int(9e7), exp: 2050000000 };
  return jwt(r, payload, r.pick(['HS256', 'HS256', 'RS256']));
});

// ---------------------------------------------------------------- spelling of names

const capital = (word) => word[0].toUpperCase() + word.slice(1);

function spell(names) {
  const words = names.split(' ').map((word) => word.replace(/[^a-z0-9]/gi, ''));
  const pascal = words.map(capital).join('');
  return {
    words: words.join(' '),
    up: words.join('_').toUpperCase().replace(/^(?=\d)/, '_'),
    snake: words.join('_'),
    camel: pascal[0].toLowerCase() + pascal.slice(1),
    kebab: words.join('-'),
    dot: words.join('.'),
    pascal,
  };
}

// ---------------------------------------------------------------- contexts: how a value stands in a file

const q = (r) => r.pick(['"', "'"]);

/** Each family of files has several ways to hold a named value; n is the spelled name, v the text. */
const CONTEXTS = {
  env: [
    (n, v) => [`${n.up}=${/[;& ]/.test(v) ? `"${v}"` : v}`],
    (n, v) => [`${n.up}="${v}"`],
    (n, v) => [`${n.up}='${v}'`],
    (n, v) => [`export ${n.up}="${v}"`],
    (n, v) => [`# ${n.words} of the old account, remove after the move`, `#${n.up}="${v}"`],
    (n, v) => [`APP_${n.up} = "${v}"`],
  ],
  ts: [
    (n, v) => [`const ${n.camel} = '${v}';`],
    (n, v) => [`export const ${n.up} = "${v}";`],
    (n, v, r) => [
      `export const ${r.pick(NOUNS)}Options = {`,
      `  endpoint: 'https://api.${r.pick(HOSTS)}.io/v${r.range(1, 3)}',`,
      `  ${n.camel}: ${r.pick(["'", '"'])}${v}'`.replace(/"(.*)'$/, '"$1"') + ',',
      `  timeout: ${r.range(1, 30)}000,`,
      '};',
    ],
    (n, v) => [`const ${n.camel} = process.env.${n.up} || '${v}';`],
    (n, v) => [`const ${n.camel}: string = import.meta.env.VITE_${n.up} ?? "${v}";`],
    (n, v, r) =>
      [`export const ${r.pick(NOUNS)}Client = new ${capital(r.pick(NOUNS))}Client({ ${n.camel}: '${v}' });`],
    (n, v) => ['/* TODO move to the settings service */', `let ${n.camel} = \`${v}\``],
    (n, v) => [`// ${n.camel} = '${v}'`],
    (n, v) => [
      'export function headers(): Record<string, string> {',
      `  return { 'Content-Type': 'application/json', '${n.kebab}': '${v}' };`,
      '}',
    ],
  ],
  tsx: [
    (n, v) => [`const ${n.camel} = "${v}";`],
    (n, v, r) => [
      `export function ${capital(r.pick(NOUNS))}Root({ children }: { children: React.ReactNode }) {`,
      `  return <ApiProvider ${n.camel}="${v}">{children}</ApiProvider>;`,
      '}',
    ],
    (n, v) => [
      `export const use${n.pascal} = () => {`,
      `  const [value] = useState({ ${n.camel}: '${v}' });`,
      '  return value;',
      '};',
    ],
  ],
  json: [
    (n, v) => [`"${n.camel}": "${v}"`],
    (n, v) => [`"${n.snake}": "${v}"`],
    (n, v) => [`"${n.kebab}": "${v}"`],
    (n, v) => [`"${n.up}": "${v}"`],
    (n, v, r) => [`"${r.pick(NOUNS)}": {`, '  "enabled": true,', `  "${n.camel}": "${v}",`, '  "retries": 3', '}'],
  ],
  yaml: [
    (n, v) => [`${n.snake}: "${v}"`],
    (n, v) => [`${n.camel}: '${v}'`],
    (n, v) => [`${n.kebab}: ${/^[\w./+=-]+$/.test(v) ? v : `"${v}"`}`],
    (n, v, r) => [`${r.pick(NOUNS)}:`, `  host: ${host(r)}`, `  ${n.snake}: ${/[:%@;! ]/.test(v) ? `"${v}"` : v}`],
  ],
  compose: [
    (n, v) => [`      - ${n.up}=${v}`],
    (n, v) => [`      - "${n.up}=${v}"`],
  ],
  ci: [
    (n, v) => ['    env:', `      ${n.up}: "${v}"`],
    (n, v) => ['    env:', `      ${n.up}: '${v}'`],
    (n, v) => [`    - run: ${n.up}="${v}" make publish`],
    (n, v) => ['    - run: |', `        export ${n.up}="${v}"`, '        ./scripts/deploy.sh'],
  ],
  k8s: [
    (n, v, r) => k8sSecret(n, v, r),
  ],
  toml: [
    (n, v) => [`${n.snake} = "${v}"`],
    (n, v) => [`${n.kebab} = '${v}'`],
    (n, v, r) => [`[${r.pick(NOUNS)}.remote]`, 'enabled = true', `${n.snake} = "${v}"`],
  ],
  ini: [
    (n, v) => [`${n.snake} = ${v}`],
    (n, v) => [`${n.snake}=${v}`],
    (n, v, r) => [`[${r.pick(NOUNS)}]`, `host = ${host(r)}`, `${n.snake} = ${v}`],
  ],
  props: [
    (n, v, r) => [`${r.pick(['app', 'spring', 'service'])}.${n.dot}=${v}`],
    (n, v, r) => [`${r.pick(NOUNS)}.${n.kebab}=${v}`],
    (n, v) => [`${n.dot}: ${v}`],
  ],
  xml: [
    (n, v) => [`  <add key="${n.pascal}" value="${v}" />`],
    (n, v) => [`  <${n.camel}>${v}</${n.camel}>`],
    (n, v) => [`  <string name="${n.snake}">${v}</string>`],
    (n, v) => [`  <property name="${n.dot}" value="${v}"/>`],
  ],
  docker: [
    (n, v) => [`ENV ${n.up}="${v}"`],
    (n, v) => [`ENV ${n.up}=${/ |;/.test(v) ? `'${v}'` : v}`],
    (n, v) => [`ARG ${n.up}="${v}"`],
    (n, v) => [`RUN ${n.up}="${v}" npm run release`],
  ],
  tf: [
    (n, v, r) => [`provider "${r.pick(NOUNS)}" {`, `  ${n.snake} = "${v}"`, '}'],
    (n, v) => [`variable "${n.snake}" {`, '  type    = string', `  default = "${v}"`, '}'],
    (n, v, r) => [
      `resource "aws_ssm_parameter" "${r.pick(NOUNS)}_${n.snake}" {`,
      `  name  = "/${r.pick(NOUNS)}/${n.kebab}"`,
      '  type  = "SecureString"',
      `  value = "${v}"`,
      '}',
    ],
  ],
  tfvars: [
    (n, v) => [`${n.snake} = "${v}"`],
    (n, v) => [`${n.snake.padEnd(28)} = "${v}"`],
  ],
  make: [
    (n, v) => [`${n.up} := ${v}`],
    (n, v) => [`${n.up} ?= ${v}`],
    (n, v) => [`export ${n.up} = ${v}`],
    (n, v, r) => [`.PHONY: ${r.pick(VERBS)}-remote`, `${r.pick(VERBS)}-remote:`, `\t${n.up}="${v}" ./scripts/run.sh`],
  ],
  sh: [
    (n, v) => [`export ${n.up}="${v}"`],
    (n, v) => [`${n.up}='${v}'`],
    (n, v, r) => [`${n.up}="${v}" ./bin/${r.pick(VERBS)} --all`],
    (n, v, r) => [`curl -sS -H "${n.kebab}: ${v}" https://api.${r.pick(HOSTS)}.io/v1/${r.pick(NOUNS)}s`],
    (n, v, r) => [`./bin/${r.pick(VERBS)} --region eu-west-1 --${n.kebab} "${v}"`],
    (n, v) => [`: "\${${n.up}:=${v}}"`],
  ],
  md: [
    (n, v) => ['```bash', `export ${n.up}="${v}"`, 'npm start', '```'],
    (n, v) => ['```env', `${n.up}=${v}`, '```'],
    (n, v) => ['```js', `const ${n.camel} = '${v}';`, '```'],
    (n, v) => ['```json', '{', `  "${n.camel}": "${v}"`, '}', '```'],
    (n, v) => [`Use \`${n.up}=${v}\` on the staging machine.`],
    (n, v) => ['| Setting | Value |', '| --- | --- |', `| ${n.snake} | \`${v}\` |`],
    (n, v) => [`- ${n.words}: \`${v}\``],
  ],
  html: [
    (n, v) => ['  <script>', `    window.__CONFIG__ = { ${n.camel}: "${v}", debug: false };`, '  </script>'],
    (n, v) => ['  <script>', `    var ${n.camel} = '${v}';`, '    boot();', '  </script>'],
    (n, v) => [`  <meta name="${n.kebab}" content="${v}">`],
    (n, v) => [`  <div id="root" data-${n.kebab}="${v}"></div>`],
  ],
  // Fragments of one minified line: the composer joins them with the rest of the bundle.
  bundle: [
    (n, v) => [`e.exports={${n.camel}:"${v}",debug:!1}`],
    (n, v) => [`var ${'abcdefgh'[v.length % 8]}9="${v}"`],
    (n, v) => [`t.headers["${n.kebab}"]="${v}"`],
    (n, v) => [`const s=Object.freeze({BASE_URL:"/",MODE:"production",VITE_${n.up}:"${v}"})`],
  ],
  ipynb: [
    (n, v) => [`${n.snake} = "${v}"`],
    (n, v) => [`os.environ["${n.up}"] = "${v}"`],
    (n, v) => [`!export ${n.up}=${v}`],
    (n, v, r) => [`client = ${capital(r.pick(NOUNS))}Client(${n.snake}='${v}')`],
  ],
  log: [
    (n, v, r) => [`${stamp(r)} DEBUG http.client request config {"${n.camel}":"${v}","timeout":3000}`],
    (n, v, r) => [`${stamp(r)} INFO  boot ${n.up}=${v}`],
    (n, v, r) => [`${stamp(r)} WARN  auth failed for ${n.kebab} "${v}" (401)`],
  ],
  url: [
    (n, v, r) =>
      [`export const ${r.pick(NOUNS)}Url = 'https://api.${r.pick(HOSTS)}.io/v1/list?${n.snake}=${v}&page=1';`],
    (n, v, r) => [`await fetch("https://${r.pick(HOSTS)}.com/hooks?${n.camel}=${v}");`],
  ],
  sql: [
    (n, v, r) => [`INSERT INTO integrations (id, name, value) VALUES (${r.range(1, 900)}, '${n.snake}', '${v}');`],
    (n, v) => [`UPDATE settings SET value = '${v}' WHERE name = '${n.snake}';`],
  ],
  csv: [
    (n, v, r) => [`${r.range(1, 9999)},${r.pick(HOSTS)},${n.snake},${v},2024-0${r.range(1, 9)}-1${r.int(9)}`],
    (n, v, r) => [`${r.range(1, 9999)},"${r.pick(HOSTS)}","${n.up}","${v}",active`],
  ],
  tstest: [
    (n, v, r) => [
      `it('sends the ${n.words}', async () => {`,
      `  const client = new ${capital(r.pick(NOUNS))}Client({ ${n.camel}: '${v}' });`,
      '  await client.ping();',
      '  expect(client.calls).toHaveLength(1);',
      '});',
    ],
    (n, v) => [`const ${n.camel} = "${v}";`],
    (n, v) => ['beforeEach(() => {', `  process.env.${n.up} = '${v}';`, '});'],
  ],
  py: [
    (n, v) => [`${n.up} = "${v}"`],
    (n, v) => [`${n.snake} = '${v}'`],
    (n, v) => [`os.environ["${n.up}"] = "${v}"`],
    (n, v) => [`${n.up} = os.getenv("${n.up}", "${v}")`],
    (n, v, r) => [`${r.pick(NOUNS)}_client = ${capital(r.pick(NOUNS))}Client(${n.snake}="${v}", timeout=10)`],
    (n, v, r) => [`${r.pick(NOUNS).toUpperCase()}_SETTINGS = {`, '    "retries": 3,', `    "${n.snake}": "${v}",`,
      '}'],
    (n, v, r) => [`def ${r.pick(VERBS)}_remote(payload, ${n.snake}="${v}"):`, '    return send(payload)'],
  ],
  pytest: [
    (n, v, r) => [`def test_${r.pick(VERBS)}_${r.pick(NOUNS)}(client):`, `    client.login(${n.snake}="${v}")`,
      '    assert client.ok'],
    (n, v) => [`${n.up} = "${v}"`],
  ],
  go: [
    (n, v) => [`const ${n.camel} = "${v}"`],
    (n, v, r) => [`var ${r.pick(NOUNS)}Config = Config{`, '\tTimeout: 10,', `\t${n.pascal}: "${v}",`, '}'],
    (n, v, r) => [`func ${r.pick(VERBS)}Env() {`, `\tos.Setenv("${n.up}", "${v}")`, '}'],
    (n, v, r) => [`var ${r.pick(NOUNS)}Values = map[string]string{`, `\t"${n.snake}": "${v}",`, '}'],
  ],
  java: [
    (n, v) => [`    private static final String ${n.up} = "${v}";`],
    (n, v) => [`    @Value("\${app.${n.kebab}:${v}}")`, `    private String ${n.camel};`],
    (n, v, r) => [`    void ${r.pick(VERBS)}Remote(Builder builder) {`, `        builder.set${n.pascal}("${v}");`,
      '    }'],
    (n, v) => [`    public String ${n.camel} = "${v}";`],
  ],
  rb: [
    (n, v) => [`${n.up} = '${v}'`],
    (n, v) => [`  config.${n.snake} = "${v}"`],
    (n, v) => [`ENV['${n.up}'] ||= '${v}'`],
    (n, v, r) => [`${r.pick(NOUNS)}_options = { ${n.snake}: '${v}', retries: 3 }`],
  ],
  php: [
    (n, v) => [`define('${n.up}', '${v}');`],
    (n, v) => [`$${n.camel} = '${v}';`],
    (n, v) => ['$services = [', `    '${n.snake}' => '${v}',`, '];'],
    (n, v) => [`'${n.snake}' => env('${n.up}', '${v}'),`].map((line) => `$options = [${line}];`),
  ],
  // UTF-16 files as Windows tools write them.
  utf16: [
    (n, v) => [`$${n.camel} = "${v}"`],
    (n, v) => [`${n.pascal}=${v}`],
    (n, v) => [`$env:${n.up} = '${v}'`],
  ],
};
CONTEXTS.map = CONTEXTS.ts;
CONTEXTS.long = CONTEXTS.bundle;
CONTEXTS.crlf = CONTEXTS.env;

function k8sSecret(n, v, r) {
  return [
    'apiVersion: v1',
    'kind: Secret',
    'metadata:',
    `  name: ${r.pick(NOUNS)}-${r.pick(['credentials', 'env', 'settings'])}`,
    'type: Opaque',
    'data:',
    `  ${n.up}: ${b64(v)}`,
  ];
}

/** Harmless values do not stand in a Secret, but in a ConfigMap, where nothing is encoded. */
const CONFIG_MAPS = [
  (n, v, r) => ['apiVersion: v1', 'kind: ConfigMap', 'metadata:', `  name: ${r.pick(NOUNS)}-settings`, 'data:',
    `  ${n.up}: "${v}"`],
  (n, v, r) => ['apiVersion: v1', 'kind: Pod', 'metadata:', `  name: ${r.pick(NOUNS)}`, 'spec:', '  containers:',
    '    - name: app', '      env:', `        - name: ${n.up}`, `          value: "${v}"`],
];

const stamp = (r) =>
  `2025-0${r.range(1, 9)}-${r.range(10, 28)}T${r.range(10, 23)}:${r.range(10, 59)}:${r.range(10, 59)}Z`;

/** Families where a value with a space, a semicolon or a dollar would need quoting first. */
const UNQUOTED = new Set(['ini', 'props', 'make', 'compose', 'csv', 'log', 'url', 'utf16', 'crlf']);

function fits(item, family) {
  if (family === 'xml' && (item.noXml || item.id === 'mongodb-url')) return false;
  if (family === 'url' && /-url$|webhook|connection string|address of|text for/.test(item.id)) return false;
  if (item.quoted && UNQUOTED.has(family)) return false;
  if (item.noDollar && ['sh', 'make', 'env', 'docker', 'ci', 'compose', 'crlf', 'md', 'php',
    'utf16'].includes(family)) {
    return false;
  }
  return true;
}

const FAMILIES = Object.keys(CONTEXTS);

// ---------------------------------------------------------------- kinds that bring their own file form

const OWN = [];

/** @param forms [family, (value, r) => lines]; the family decides the file the lines stand in */
function ownKind(id, provider, make, forms, options = {}) {
  OWN.push({ id, provider, make, forms, ...options });
}

const bearer = ['Authorization', 'Bearer'];

ownKind('bearer-header', 'HTTP', (r) => r.pick([() => r.base62(40), () => r.urlSafe(48), () => r.hex(40)])(), [
  ['sh', (v, r) => [`curl -H "${bearer[0]}: ${bearer[1]} ${v}" https://api.${r.pick(HOSTS)}.io/v2/me`]],
  ['md', (v, r) => ['```sh', `curl -X POST https://${r.pick(HOSTS)}.io/api \\`,
    `  -H '${bearer[0]}: ${bearer[1]} ${v}'`, '```']],
  ['ts', (v) => ['const requestHeaders = {', `  ${bearer[0]}: '${bearer[1]} ${v}',`, '};']],
  ['py', (v) => [`headers = {"${bearer[0]}": "${bearer[1]} ${v}"}`]],
  ['ipynb', (v) => [`requests.get(url, headers={'${bearer[0]}': '${bearer[1]} ${v}'})`]],
  ['go', (v, r) => [`func ${r.pick(VERBS)}Request(req *http.Request) {`,
    `\treq.Header.Set("${bearer[0]}", "${bearer[1]} ${v}")`, '}']],
  ['java', (v) => ['    void sign(Request request) {',
    `        request.header("${bearer[0]}", "${bearer[1]} ${v}");`, '    }']],
  ['log', (v, r) => [`${stamp(r)} DEBUG > ${bearer[0]}: ${bearer[1]} ${v}`]],
  ['http', (v, r) => [`GET https://api.${r.pick(HOSTS)}.io/v1/orders`, `${bearer[0]}: ${bearer[1]} ${v}`, '']],
]);
ownKind('curl-user', 'HTTP', (r) => plainPassword(r), [
  ['sh', (v, r) => [`curl -u admin:${v} https://${host(r, 'jenkins')}/job/release/build`]],
  ['md', (v, r) => ['```', `curl --user 'svc-${r.pick(NOUNS)}:${v}' -T dist.tgz https://${host(r, 'repo')}/upload`,
    '```']],
  ['ipynb', (v, r) => [`!curl -s -u "reader:${v}" https://${host(r, 'data')}/export.csv -o export.csv`]],
  ['ci', (v, r) => [`    - run: curl -fsS -u ci:${v} https://${host(r, 'repo')}/notify`]],
]);
ownKind('basic-auth-header', 'HTTP', (r) => b64(`svc-${r.pick(NOUNS)}:${plainPassword(r)}`), [
  ['sh', (v, r) => [`curl -H "${bearer[0]}: Basic ${v}" https://${host(r, 'api')}/v1/ping`]],
  ['ts', (v) => [`const basicHeaders = { ${bearer[0]}: 'Basic ${v}' };`]],
  ['py', (v) => [`session.headers["${bearer[0]}"] = "Basic ${v}"`]],
  ['http', (v, r) => [`POST https://${host(r, 'api')}/v1/sync`, `${bearer[0]}: Basic ${v}`, '']],
], { decode: true });
ownKind('npmrc-auth', 'npm', (r) => r.pick([() => checked(m('np', 'm_'), r.base62(30)), () => r.uuid(), () =>
  r.base64(30)])(), [
  ['npmrc', (v, r) => [`@${r.pick(HOSTS)}:registry=https://${host(r, 'npm')}/`,
    `//${host(r, 'npm')}/:_authToken=${v}`]],
  ['npmrc', (v) => ['registry=https://npm.fernway.net/', `//npm.fernway.net/:_authToken=${v}`]],
  ['npmrc', (v) => [`_auth=${v}`, 'always-auth=true']],
]);
ownKind('netrc-password', 'netrc', (r) => plainPassword(r), [
  ['netrc', (v, r) => [`machine ${host(r, 'git')}`, '  login deploy', `  password ${v}`]],
  ['netrc', (v, r) => [`machine ${host(r, 'repo')} login svc-${r.pick(NOUNS)} password ${v}`]],
]);
ownKind('pypirc-password', 'PyPI', (r) => plainPassword(r), [
  ['pypirc', (v, r) => ['[internal]', `repository = https://${host(r, 'pypi')}/simple`, 'username = ci',
    `password = ${v}`]],
]);
ownKind('docker-config-auth', 'Docker', (r) => b64(`ci-${r.pick(HOSTS)}:${plainPassword(r)}`), [
  ['dockercfg', (v, r) => [`    "${host(r, 'registry')}": {`, `      "auth": "${v}"`, '    }']],
], { decode: true });
ownKind('git-credentials', 'Git', (r) => plainPassword(r, 20, 32), [
  ['gitcred', (v, r) => [`https://deploy:${v}@${host(r, 'git')}`]],
  ['gitconfig', (v, r) =>
    ['[remote "origin"]', `\turl = https://ci-bot:${v}@${host(r, 'git')}/team/${r.pick(NOUNS)}.git`]],
]);
ownKind('pgpass', 'PostgreSQL', (r) => plainPassword(r), [
  ['pgpass', (v, r) => [`${host(r)}:5432:${database(r)}:app:${v}`]],
]);
ownKind('aws-credentials-file', 'AWS', (r) => r.base64(30), [
  ['awscred', (v, r) => [`[${r.pick(['default', 'prod', 'ci'])}-${r.int(99)}]`, 'region = eu-central-1',
    `aws_secret_access_key = ${v}`]],
]);
ownKind('mysql-client-password', 'MySQL', (r) => password(r), [
  ['mycnf', (v) => ['[client]', 'user = backup', `password = ${v}`]],
]);
ownKind('mysql-cli-password', 'MySQL', (r) => plainPassword(r), [
  ['sh', (v, r) => [`mysqldump -h ${host(r)} -u root -p${v} ${database(r)} > dump.sql`]],
  ['sh', (v, r) => [`${m('PG', 'PASSWORD')}=${v} psql -h ${host(r)} -U app ${database(r)}`]],
  ['md', (v, r) => ['```console', `$ ${m('PG', 'PASSWORD')}='${v}' pg_dump -h ${host(r)} ${database(r)}`, '```']],
]);
ownKind('wp-config', 'WordPress', (r) => password(r), [
  ['wpconfig', (v) => ['/** Database password */', `define( 'DB_PASSWORD', '${v}' );`]],
]);
ownKind('wp-salt', 'WordPress', (r) => r.chars(`${BASE62}!@#%^&*()-_[]{}~+=,.;:/?|`, 64), [
  ['wpconfig', (v, r) =>
    [`define( '${r.pick(['AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_SALT', 'SECURE_AUTH_KEY'])}', '${v}' );`]],
]);
ownKind('django-secret-key', 'Django', (r) => r.chars(`${LOWER_DIGITS}!@#%^&*(-_=+)`, 50), [
  ['py', (v) => [`SECRET_KEY = '${v}'`]],
  ['py', (v) => [`SECRET_KEY = "${m('django-', 'insecure-')}${v}"`]],
  ['py', (v) => [`SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "${v}")`]],
]);
ownKind('django-database', 'Django', (r) => password(r), [
  ['py', (v, r) => ['DATABASES = {', "    'default': {", "        'ENGINE': 'django.db.backends.postgresql',",
    "        'USER': 'app',", `        'PASSWORD': '${v}',`, `        'HOST': '${host(r)}',`, '    }', '}']],
]);
ownKind('rails-secret-key-base', 'Rails', (r) => r.hex(128), [
  ['yaml', (v) => ['production:', `  secret_key_base: ${v}`]],
  ['rb', (v) => [`Rails.application.config.secret_key_base = '${v}'`]],
]);
ownKind('rails-master-key', 'Rails', (r) => r.hex(32), [
  ['env', (v) => [`RAILS_MASTER_KEY=${v}`]],
  ['ci', (v) => ['    env:', `      RAILS_MASTER_KEY: ${v}`]],
]);
ownKind('laravel-app-key', 'Laravel', (r) => r.base64(32), [
  ['env', (v) => [`APP_KEY=base64:${v}`]],
  ['php', (v) => [`$app = ['key' => 'base64:${v}', 'cipher' => 'AES-256-CBC'];`]],
]);
ownKind('spring-datasource-password', 'Spring', (r) => password(r), [
  ['props', (v, r) => [`spring.datasource.url=jdbc:postgresql://${host(r)}:5432/${database(r)}`,
    'spring.datasource.username=app', `spring.datasource.password=${v}`]],
  ['yaml', (v, r) => ['spring:', '  datasource:', `    url: jdbc:mysql://${host(r)}/${database(r)}`,
    '    username: app', `    password: "${v}"`]],
]);
ownKind('jdbc-url-password', 'Java', (r) => plainPassword(r), [
  ['props', (v, r) => [`db.url=jdbc:mysql://${host(r)}:3306/${database(r)}?user=app&password=${v}&useSSL=true`]],
  ['java', (v, r) => [
    `    static final String URL = "jdbc:postgresql://${host(r)}/${database(r)}?user=app&password=${v}";`]],
]);
ownKind('appsettings-connection', 'Microsoft', (r) => plainPassword(r), [
  ['json', (v, r) => ['"ConnectionStrings": {', `  "Default": "Host=${host(r)};Database=${database(r)};Username=app;`
    + `${m('Pass', 'word=')}${v}"`, '}']],
]);
ownKind('compose-password', 'Docker', (r) => password(r), [
  ['compose', (v) => [`      - POSTGRES_PASSWORD=${v}`]],
  ['compose', (v) => [`      - "MYSQL_ROOT_PASSWORD=${v}"`]],
]);
ownKind('k8s-string-data', 'Kubernetes', (r) => password(r), [
  ['k8s', (v, r) => ['apiVersion: v1', 'kind: Secret', 'metadata:', `  name: ${r.pick(NOUNS)}-db`, 'stringData:',
    '  username: app', `  password: "${v}"`]],
]);
ownKind('terraform-master-password', 'Terraform', (r) => password(r), [
  ['tf', (v, r) => [`resource "aws_db_instance" "${r.pick(NOUNS)}" {`, '  engine         = "postgres"',
    '  instance_class = "db.t3.medium"', '  username       = "root"', `  password       = "${v}"`, '}']],
  ['tfvars', (v) => [`db_master_password = "${v}"`]],
]);
ownKind('aws-key-pair-in-provider', 'AWS', (r) => r.base64(30), [
  ['tf', (v) => ['provider "aws" {', '  region     = "eu-west-1"', `  secret_key = "${v}"`, '}']],
  ['py', (v, r) => [`s3 = boto3.client("s3", region_name="eu-west-${r.range(1, 3)}",`,
    `                  ${m('aws_secret', '_access_key')}="${v}")`]],
  ['ts', (v) => ['AWS.config.update({', "  region: 'us-east-1',", `  secretAccessKey: '${v}',`, '});']],
]);
ownKind('kubeconfig-token', 'Kubernetes', (r) => jwt(r, { iss: 'kubernetes/serviceaccount',
  'kubernetes.io/serviceaccount/namespace': 'ci', sub: `system:serviceaccount:ci:${r.pick(NOUNS)}` }, 'RS256'), [
  ['yaml', (v) => ['users:', '  - name: ci', '    user:', `      token: ${v}`]],
]);
ownKind('ansible-password', 'Ansible', (r) => password(r), [
  ['yaml', (v) => [`ansible_become_password: "${v}"`]],
  ['ini', (v, r) => [`${host(r, 'web1')} ansible_user=deploy ansible_password=${v}`]],
]);
ownKind('csharp-credential', '.NET', (r) => password(r), [
  ['cs', (v) => ['    private readonly NetworkCredential smtp =',
    `        new NetworkCredential("mailer", "${v}");`]],
  ['cs', (v) => [`    public const string DbPassword = "${v}";`]],
]);
ownKind('login-call', 'generic', (r) => password(r), [
  ['py', (v) => [`smtp.login("mailer@example.org", "${v}")`]],
  ['rb', (v) => [`  config.smtp_settings = { user_name: 'mailer', password: '${v}' }`]],
  ['ts', (v, r) => ['export const pool = createPool({', `  host: '${host(r)}',`, "  user: 'app',",
    `  password: '${v}',`, '});']],
  ['php', (v, r) => [`$db = new PDO('mysql:host=${host(r)}', 'app', '${v}');`]],
  ['java', (v) => ['    Connection open() throws SQLException {',
    `        return DriverManager.getConnection(url, "app", "${v}");`, '    }']],
  ['xml', (v) => ['  <server>', '    <id>releases</id>', '    <username>deploy</username>',
    `    <password>${v}</password>`, '  </server>']],
  ['toml', (v) => ['[smtp]', 'user = "mailer"', `password = "${v}"`]],
]);

// ---------------------------------------------------------------- pairs: an id and its secret, side by side

const PAIRS = [];

/** Both halves as [name, make]; the id is labelled too where its provider counts it as a credential. */
function pairKind(id, provider, first, second, labelledId) {
  PAIRS.push({ id, provider, first, second, labelledId });
}

pairKind('aws-pair', 'AWS', ['aws access key id', (r) => m('AK', 'IA') + r.chars(BASE32, 16)],
  ['aws secret access key', (r) => r.base64(30)], 'aws-access-key');
pairKind('aws-session', 'AWS', ['aws access key id', (r) => m('AS', 'IA') + r.chars(BASE32, 16)],
  ['aws secret access key', (r) => r.base64(30)], 'aws-session-key');
pairKind('alibaba-pair', 'Alibaba Cloud', ['alicloud access key', (r) => m('LT', 'AI5t') + r.base62(18)],
  ['alicloud secret key', (r) => r.base62(30)], 'alibaba-key-id');
pairKind('tencent-pair', 'Tencent Cloud', ['tencentcloud secret id', (r) => m('AK', 'ID') + r.base62(32)],
  ['tencentcloud secret key', (r) => r.base62(32)], 'tencent-secret-id');
pairKind('datadog-pair', 'Datadog', ['datadog api key', (r) => r.hex(32)], ['datadog app key', (r) => r.hex(40)],
  'datadog-api-key');
pairKind('twilio-pair', 'Twilio', ['twilio account sid', (r) => m('A', 'C') + r.hex(32)],
  ['twilio auth token', (r) => r.hex(32)]);
pairKind('razorpay-pair', 'Razorpay', ['razorpay key id', (r) => m('rzp', '_live_') + r.base62(14)],
  ['razorpay key secret', (r) => r.base62(24)]);
pairKind('plaid-pair', 'Plaid', ['plaid client id', (r) => r.hex(24)], ['plaid secret', (r) => r.hex(30)]);
pairKind('algolia-pair', 'Algolia', ['algolia app id', (r) => r.chars(UPPER_DIGITS, 10)],
  ['algolia admin key', (r) => r.hex(32)]);
pairKind('oauth-pair', 'generic', ['oauth client id', (r) => r.base62(20)],
  ['oauth client secret', (r) => r.base62(40)]);

const PAIR_FORMS = {
  env: (a, v, b, w) => [`${a.up}=${v}`, `${b.up}=${w}`],
  json: (a, v, b, w) => [`"${a.camel}": "${v}",`, `"${b.camel}": "${w}"`],
  ts: (a, v, b, w, r) => [`export const ${r.pick(NOUNS)}Credentials = {`, `  ${a.camel}: '${v}',`,
    `  ${b.camel}: '${w}',`,
    '};'],
  py: (a, v, b, w) => [`${a.up} = "${v}"`, `${b.up} = "${w}"`],
  yaml: (a, v, b, w, r) => [`${r.pick(NOUNS)}_remote:`, `  ${a.snake}: ${v}`, `  ${b.snake}: ${w}`],
  tf: (a, v, b, w, r) => [`provider "${r.pick(NOUNS)}" {`, `  ${a.snake} = "${v}"`, `  ${b.snake} = "${w}"`, '}'],
  sh: (a, v, b, w) => [`export ${a.up}=${v}`, `export ${b.up}=${w}`],
  md: (a, v, b, w) => ['```sh', `export ${a.up}="${v}"`, `export ${b.up}="${w}"`, '```'],
  props: (a, v, b, w) => [`${a.dot}=${v}`, `${b.dot}=${w}`],
  php: (a, v, b, w) => ['$remote = [', `    '${a.snake}' => '${v}',`, `    '${b.snake}' => '${w}',`, '];'],
  go: (a, v, b, w, r) => [`var ${r.pick(NOUNS)}Keys = Keys{`, `\t${a.pascal}: "${v}",`, `\t${b.pascal}: "${w}",`,
    '}'],
  bundle: (a, v, b, w) => [`e.exports={${a.camel}:"${v}",${b.camel}:"${w}"}`],
  ipynb: (a, v, b, w) => [`${a.snake} = "${v}"`, `${b.snake} = "${w}"`],
};

// ---------------------------------------------------------------- hard negatives: values that only look secret

const VALUE_DECOYS = [];
const LINE_DECOYS = [];

/** A harmless value under a name; it goes through the same contexts as the secrets do. */
function valueDecoy(why, names, make, options = {}) {
  VALUE_DECOYS.push({ id: `decoy ${why}`, why, names, make, ...options });
}

/** A whole harmless line; each form is [family, (r) => [lines, value]]. */
function lineDecoy(why, forms, count) {
  LINE_DECOYS.push({ why, forms, count });
}

const SECRET_NAMES = ['api key', 'client secret', 'db password', 'auth token', 'secret key', 'stripe secret key',
  'github token', 'aws secret access key', 'jwt secret', 'openai api key', 'password', 'slack token',
    'smtp password'];
const ID_NAMES = ['tenant id', 'request id', 'project id', 'subscription id', 'correlation id', 'device id'];

valueDecoy('placeholder words', SECRET_NAMES, (r) => r.pick(['your_api_key_here', 'YOUR_API_KEY', 'your-secret-here',
  'changeme', 'change-me-in-production', 'replace_with_your_token', 'insert-token-here', 'REPLACE_ME', 'TODO',
  'my-secret-key', 'dummy-token', 'fake-key-for-tests', 'not-a-real-secret', 'example', 'placeholder', 'SECRET_HERE',
  'put-your-password-here', 'enter_password', 'redacted', 'none', 'your_client_secret', 'secret', 'test-api-key']),
{ count: 40 });
valueDecoy('placeholder in angle brackets', SECRET_NAMES, (r) => r.pick(['<API_KEY>', '<your-token>', '<YOUR_SECRET>',
  '<password>', '<insert api key>', '<redacted>']), { count: 16, noXml: true, quoted: true });
valueDecoy('masked value', SECRET_NAMES, (r) => r.pick(['x', '*', 'X', '.', '•']).repeat(r.range(8, 40)),
  { count: 20 });
valueDecoy('masked value with a true prefix', SECRET_NAMES, (r) => r.pick([m('sk', '_live_'), m('gh', 'p_'),
  m('xo', 'xb-'), m('s', 'k-'), m('AK', 'IA'), m('gl', 'pat-'), m('AI', 'za'), m('S', 'G.')])
  + r.pick(['x', 'X', '*']).repeat(r.range(16, 36)), { count: 20 });
valueDecoy('repeated or counted characters', SECRET_NAMES, (r) => r.pick(['0'.repeat(32), '1'.repeat(40),
  'abcdefghijklmnopqrstuvwxyz', '1234567890abcdef'.repeat(2), 'a'.repeat(32), 'deadbeef'.repeat(4),
    '0123456789abcdef',
  'abc123abc123abc123', '00000000-0000-0000-0000-000000000000', 'ffffffffffffffffffffffffffffffff']), { count: 20 });
valueDecoy("a documentation's well known example key", ['aws access key id', 'aws key'], () =>
  m('AKIAIOSF', 'ODNN7', 'EXAMPLE'), { count: 10 });
valueDecoy("a documentation's well known example secret", ['aws secret access key'], () =>
  m('wJalrXUtnFEMI', '/K7MDENG/', 'bPxRfiCY', 'EXAMPLEKEY'), { count: 8 });
valueDecoy('reference to a variable', SECRET_NAMES, (r) => {
  const name = spell(r.pick(SECRET_NAMES)).up;
  return r.pick([`\${${name}}`, `{{ ${name.toLowerCase()} }}`, `{{ .Values.${name.toLowerCase()} }}`, `%${name}%`,
    `\${{ secrets.${name} }}`, `\${env:${name}}`, `#{${name}}#`, `__${name}__`, `{${name}}`, `@@${name}@@`]);
}, { count: 40, noXml: true });
valueDecoy('reference into a secret store', SECRET_NAMES, (r) => {
  const noun = r.pick(NOUNS);
  return r.pick([`vault:secret/data/${noun}#password`, `op://Production/${noun}/credential`,
    `projects/${noun}-prod/secrets/${noun}-key/versions/latest`, `/run/secrets/${noun}_password`,
    `arn:aws:secretsmanager:eu-west-1:${r.digits(12)}:secret:${noun}/prod-${r.base62(6)}`,
      `ssm:/prod/${noun}/password`,
    `ref+vault://kv/${noun}#/token`, `@Microsoft.KeyVault(SecretUri=https://${noun}.vault.azure.net/secrets/db/)`,
    `awssm://${noun}/prod/api-key`, `keyring://${noun}/default`, `doppler://${noun}/prd/API_KEY`]);
}, { count: 30 });
valueDecoy('encrypted value', SECRET_NAMES, (r) => r.pick([
  () => `ENC[AES256_GCM,data:${r.base64(18)},iv:${r.base64(32)},tag:${r.base64(16)},type:str]`,
  () => `ENC(${r.base64(32)})`,
  () => `{cipher}${r.hex(96)}`,
  () => `AgB${r.base64(180)}`,
  () => `AQICAHh${r.base64(90)}`,
])(), { count: 20 });
valueDecoy('password hash', ['password hash', 'admin password hash', 'password digest'], (r) => r.pick([
  () => `$2b$12$${r.chars(`${BASE62}./`, 53)}`,
  () => `$2y$10$${r.chars(`${BASE62}./`, 53)}`,
  () => `$argon2id$v=19$m=65536,t=3,p=4$${r.base64url(16)}$${r.base64url(32)}`,
  () => `pbkdf2_sha256$600000$${r.base62(22)}$${r.base64(32)}`,
  () => `$6$${r.base62(16)}$${r.chars(`${BASE62}./`, 86)}`,
])(), { count: 24, noDollar: true });
valueDecoy('right prefix, too short', ['bad token', 'invalid key', 'malformed token'], (r) => r.pick([
  m('gh', 'p_') + r.base62(12), m('sk', '_live_') + r.base62(5), m('AK', 'IA') + r.chars(BASE32, 7),
  m('xo', 'xb-') + r.digits(6), m('gl', 'pat-') + r.base62(9), m('np', 'm_') + r.base62(10),
    m('AI', 'za') + r.base62(12),
  `${m('S', 'G.')}${r.base62(6)}`]), { count: 20 });
valueDecoy('right prefix, wrong alphabet', ['bad token', 'invalid token', 'sample token'], (r) => r.pick([
  `${m('gh', 'p_')}${r.pick(['not-a-valid-token-with-dashes-inside', 'this.is.never.a.token.of.github.com'])}`,
  `${m('AK', 'IA')}${r.chars('0189', 4)}-${r.chars('0189', 11)}`,
  `${m('sk', '_live_')}never-use-live-keys-in-tests`, `${m('xo', 'xb-')}not-a-token-at-all`,
  `${m('do', 'p_v1_')}this-would-have-to-be-hexadecimal`, `${m('h', 'f_')}model-cache-directory-name`]),
    { count: 14 });
valueDecoy('GitHub form with a wrong check sum', ['bad checksum token', 'tampered token'], (r) =>
  r.pick([m('gh', 'p_'), m('gh', 's_')]) + r.base62(30) + toBase(r.int(1e9), GITHUB_BASE62, 6), { count: 8 });
valueDecoy('npm form with a wrong check sum', ['bad checksum token'], (r) =>
  m('np', 'm_') + r.base62(30) + toBase(r.int(1e9), GITHUB_BASE62, 6), { count: 4 });
valueDecoy('git commit hash', ['git commit', 'commit sha', 'revision', 'build sha'], (r) => r.hex(40), { count: 16 });
valueDecoy('SHA-256 sum', ['sha256', 'checksum', 'artifact sha256', 'file digest'], (r) => r.hex(64), { count: 16 });
valueDecoy('SHA-512 sum', ['sha512', 'archive sha512'], (r) => r.hex(128), { count: 8 });
valueDecoy('MD5 sum or ETag', ['md5', 'etag', 'content md5', 'cache key'], (r) => r.hex(32), { count: 14 });
valueDecoy('integrity string', ['integrity', 'script integrity'], (r) =>
  r.pick([() => `sha512-${r.base64(64)}`, () => `sha384-${r.base64(48)}`, () => `sha256-${r.base64(32)}`])(),
    { count: 16 });
valueDecoy('UUID as an id', ID_NAMES, (r) => r.uuid(), { count: 20 });
valueDecoy('ULID', ['order id', 'event id', 'trace id'], (r) =>
  `01H${r.chars('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 23)}`,
  { count: 10 });
valueDecoy('snowflake or other long number', ['guild id', 'channel id', 'tweet id', 'account id', 'phone number id'],
  (r) =>
  r.digits(r.range(12, 20)), { count: 14 });
valueDecoy('Ethereum address or transaction hash', ['contract address', 'wallet address', 'tx hash'], (r) =>
  `0x${r.hex(r.pick([40, 64]))}`, { count: 12 });
valueDecoy('image digest', ['image digest', 'base image'], (r) =>
  r.pick(['', `ghcr.io/${r.pick(HOSTS)}/${r.pick(NOUNS)}@`]) + `sha256:${r.hex(64)}`, { count: 12 });
valueDecoy('Stripe publishable key', ['stripe publishable key', 'stripe public key'], (r) =>
  m('pk', '_live_') + (r.chance(0.5) ? r.base62(24) : `51${r.base62(97)}`), { count: 12 });
valueDecoy('Sentry DSN', ['sentry dsn'], (r) =>
  `https://${r.hex(32)}@o${r.digits(6)}.ingest.sentry.io/${r.digits(7)}`, { count: 10, noXml: true });
valueDecoy('Mapbox public token', ['mapbox token', 'mapbox access token', 'map token'], (r) =>
  mapboxToken(m('p', 'k.'), r),
{ count: 8 });
valueDecoy('analytics id', ['ga id', 'gtm id', 'measurement id', 'pixel id'], (r) =>
  r.pick([`G-${r.chars(UPPER_DIGITS, 10)}`,
  `UA-${r.digits(8)}-${r.int(9)}`, `GTM-${r.chars(UPPER_DIGITS, 7)}`, r.digits(15)]), { count: 10 });
valueDecoy('Firebase or cloud project name', ['firebase project id', 'auth domain', 'storage bucket', 'app id'],
  (r) =>
  r.pick([`${r.pick(HOSTS)}-${r.hex(5)}`, `${r.pick(HOSTS)}-${r.hex(5)}.firebaseapp.com`,
    `1:${r.digits(12)}:web:${r.hex(22)}`, `${r.pick(HOSTS)}.appspot.com`]), { count: 12 });
valueDecoy('public client id', ['google client id', 'oauth client id', 'azure client id', 'auth0 client id'], (r) =>
  r.pick([() => `${r.digits(12)}-${r.chars(LOWER_DIGITS, 32)}.apps.googleusercontent.com`, () => r.uuid(),
    () => r.base62(32)])(), { count: 16 });
valueDecoy('public site key', ['recaptcha site key', 'turnstile site key', 'vapid public key'], (r) =>
  r.pick([() => `6L${r.urlSafe(38)}`, () => `0x4AAAAAAA${r.urlSafe(14)}`, () => `B${r.urlSafe(86)}`])(),
    { count: 10 });
valueDecoy('account identifier', ['twilio account sid', 'aws role arn', 'kms key id', 'kms key arn'], (r) => r.pick([
  m('A', 'C') + r.hex(32), `arn:aws:iam::${r.digits(12)}:role/deploy`, r.uuid(),
  `arn:aws:kms:eu-west-1:${r.digits(12)}:key/${r.uuid()}`]), { count: 12 });
valueDecoy('feature flag or experiment id', ['feature flag id', 'experiment id', 'persisted query hash'], (r) =>
  r.pick([() => r.hex(24), () => r.hex(64), () => `flag_${r.base62(16)}`])(), { count: 12 });
valueDecoy('name of a thing in storage', ['token key', 'auth storage key', 'session cookie name', 'secret name',
  'password field', 'credentials secret name', 'api key header'], (r) => r.pick(['app.auth.token', 'x-api-key',
  'access_token', 'refreshToken', 'sessionid', 'X-CSRF-Token', 'my-app-db-credentials', 'user.session.secret',
  'passwordConfirm', 'redux-persist:auth', '__Host-session', `${r.pick(NOUNS)}-api-credentials`,
  `${r.pick(NOUNS)}:token:cache`]), { count: 36 });
valueDecoy('enum constant', ['token type', 'grant type', 'auth method', 'credential type', 'password policy',
  'secret type'], (r) => r.pick(['refresh_token', 'client_credentials', 'password', 'bearer', 'api_key',
    'authorization_code',
  'urn:ietf:params:oauth:grant-type:jwt-bearer', 'private_key_jwt', 'client_secret_basic', 'HMAC-SHA256',
    'aes-256-gcm',
  'kubernetes.io/service-account-token']), { count: 24 });
valueDecoy('address of an endpoint', ['token url', 'token endpoint', 'password reset url', 'secret manager url'],
  (r) =>
  r.pick([`https://login.${r.pick(HOSTS)}.io/oauth2/v2.0/token`,
    `https://${r.pick(HOSTS)}.com/account/password/reset`,
    `https://auth.${r.pick(HOSTS)}.dev/realms/main/protocol/openid-connect/token`, '/api/v1/auth/refresh-token',
    `https://${r.pick(HOSTS)}.com/a/very/long/path/to/some/${r.pick(NOUNS)}/with/many/parts/${r.int(9999)}.html`]),
{ count: 20 });
valueDecoy('text for people', ['password', 'password label', 'forgot password', 'token expired', 'api key hint',
  'secret'],
  (r) => r.pick(['Passwort vergessen?', 'Enter your password', 'Mot de passe oublié ?', 'Votre jeton a expiré',
    'Your session token has expired', 'Paste the API key from your dashboard', 'La contraseña es obligatoria',
    'Password must contain at least 12 characters', 'Geheimnis', 'Wachtwoord', 'Salasana on pakollinen',
    'Neues Kennwort festlegen']), { count: 36, quoted: true });
valueDecoy('weak password of a test', ['password', 'user password', 'test password', 'admin password'], (r) =>
  r.pick(['password123', 'hunter2', 'test', 'secret', 'letmein', 'Passw0rd!', 'correct-password', 'wrong-password',
    'foobar', 'admin', 'qwerty', '12345678', 'pass', 's3cr3t', 'abc123']),
  { count: 40, families: ['tstest', 'pytest', 'tstest', 'pytest', 'json', 'yaml', 'compose', 'py', 'md', 'rb'] });
valueDecoy('local connection string with default credentials', ['database url', 'test database url', 'redis url',
  'amqp url', 'mongo url'], (r) => r.pick([m('postgres://postgres', ':postgres@localhost:5432/app_test'),
  m('mysql://root', ':root@127.0.0.1:3306/app'), 'postgresql://user:password@localhost/db',
    'redis://localhost:6379/0',
  m('amqp://guest', ':guest@localhost:5672/'), m('mongodb://root', ':example@mongo:27017'),
    m('postgres://app', ':app@db:5432/app'),
  'postgresql://username:password@hostname:5432/dbname', 'mysql://user:pass@host/database']), { count: 36 });
valueDecoy('connection string without a password', ['database url', 'upstream url', 'proxy url'], (r) => r.pick([
  `postgresql://${host(r)}:5432/${database(r)}`, `https://${host(r, 'api')}/v1`, `redis://${host(r, 'cache')}:6379`,
  `postgres://app:\${DB_PASSWORD}@${host(r)}/${database(r)}`, `mysql://app@${host(r)}/${database(r)}`]),
{ count: 20, noDollar: true });
valueDecoy('the example token of jwt.io', ['jwt', 'id token', 'sample jwt', 'token'], () => [
  b64url('{"alg":"HS256","typ":"JWT"}'), b64url('{"sub":"1234567890","name":"John Doe","iat":1516239022}'),
  m('SflKxwRJSM', 'eKKF2QT4fw', 'pMeJf36POk6yJV_adQssw5c')].join('.'), { count: 10 });
valueDecoy('number or duration beside a secret word', ['password min length', 'token ttl', 'secret rotation days',
  'token expiry', 'api key limit', 'max password age'], (r) =>
    r.pick(['3600', '12', '90d', '15m', '86400', '128', 'P30D']),
{ count: 24 });
valueDecoy('path of a key file', ['private key path', 'secret file', 'key file', 'credentials file', 'password file'],
  (r) => r.pick(['/etc/ssl/private/server.key', './certs/tls.key', '~/.ssh/id_ed25519', 'config/credentials.yml.enc',
    '/var/run/secrets/kubernetes.io/serviceaccount/token', `secrets/${r.pick(NOUNS)}.enc.yaml`, '../keys/dev.pem']),
  { count: 24 });
valueDecoy('OAuth scopes or claims', ['token scope', 'auth scopes', 'token audience', 'token issuer'], (r) => r.pick([
  'openid profile email offline_access', 'read:user,repo,workflow', `https://api.${r.pick(HOSTS)}.io/`,
  'urn:mace:incommon:iap:silver', `https://securetoken.google.com/${r.pick(HOSTS)}-prod`, 'api.read api.write']),
{ count: 16, quoted: true });
valueDecoy('version, pin or locale', ['auth version', 'token parser version', 'password policy version',
  'key format'],
  (r) => r.pick(['2.0.1', 'v1.27.3-eks.4', '2023-10-31', 'en-GB', 'x509-v3', '1.0.0-rc.12', 'ES2022', 'PKCS8']),
  { count: 12 });

const data = (type, r, n) => `data:${type};base64,${r.base64(n)}`;
const PNG_START = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
const png = (r, n) => `data:image/png;base64,${Buffer.concat([PNG_START, r.bytes(n)]).toString('base64')}`;

lineDecoy('image as base64', [
  ['css', (r) => { const v = png(r, 300); return [[`.icon-${r.pick(NOUNS)} {`, `  background: url("${v}");`, '}'], v];
    }],
  ['html', (r) => { const v = png(r, 240); return [[`  <img alt="" src="${v}">`], v]; }],
  ['ts', (r) => { const v = png(r, 400); return [[`export const ${r.pick(NOUNS)}Icon = '${v}';`], v]; }],
  ['json', (r) => { const v = png(r, 200); return [[`"thumbnail": "${v}"`], v]; }],
], 16);
lineDecoy('font or WASM as base64', [
  ['css', (r) => { const v = data('font/woff2', r, 2400); return [['@font-face {', "  font-family: 'Inter';",
    `  src: url(${v}) format("woff2");`, '}'], v]; }],
  ['bundle', (r) => { const v = `AGFzbQEAAAA${r.base64(1500)}`; return [[`var wasm=a("${v}")`], v]; }],
  ['ts', (r) => { const v = `AGFzbQEAAAA${r.base64(600)}`; return [[`const WASM_BASE64 = '${v}';`], v]; }],
], 12);
lineDecoy('path of a drawing', [
  ['tsx', (r) => { const v = svgPath(r); return [['export const TokenIcon = () => (', '  <svg viewBox="0 0 24 24">',
    `    <path d="${v}" />`, '  </svg>', ');'], v]; }],
  ['svg', (r) => { const v = svgPath(r); return [[`  <path fill="#${r.hex(6)}" d="${v}"/>`], v]; }],
], 14);
lineDecoy('class name made by a style tool', [
  ['tsx', (r) => { const v = `css-${r.chars(LOWER_DIGITS, 8)}-PasswordField`;
    return [[`const passwordClass = "${v}";`], v]; }],
  ['html', (r) => { const v = `_token_${r.base62(5)}_${r.int(99)}`;
    return [[`  <span class="${v} sc-${r.base62(6)}"></span>`], v]; }],
  ['css', (r) => { const v = `._secret_${r.base62(5)}_1`; return [[`${v} {`, '  color: inherit;', '}'], v]; }],
], 14);
lineDecoy('selector of an input', [
  ['css', (r) => { const v = 'input[type=password]';
    return [[`.${r.pick(NOUNS)} ${v} {`, '  letter-spacing: 0.2em;', '}'], v]; }],
  ['tstest', () => { const v = 'input[name="password"]'; return [[`const passwordInput = '${v}';`], v]; }],
  ['tstest', () => { const v = '#new_password_confirmation'; return [['it("fills the form", async () => {',
    `  await page.fill('${v}', text);`, '});'], v]; }],
], 14);
lineDecoy('form field', [
  ['html', (r) => { const v = r.pick(['current-password', 'one-time-code', 'new-password']);
    return [[`  <input type="password" name="password" autocomplete="${v}" placeholder="Password" required>`], v]; }],
  ['tsx', () => { const v = 'Confirm new password'; return [['export const PasswordField = () => (',
    `  <Field type="password" name="password" label="${v}" autoComplete="new-password" />`, ');'], v]; }],
  ['html', () => { const v = '%CSRF_TOKEN%'; return [[`  <meta name="csrf-token" content="${v}">`], v]; }],
  ['html', () => { const v = '{{ csrf_token }}'; return [[`  <input type="hidden" name="csrf_token" value="${v}">`],
    v]; }],
], 20);
lineDecoy('call that obtains the value', [
  ['ts', (r) => { const v = `get${capital(r.pick(NOUNS))}Token(user)`; return [[`const token = ${v};`], v]; }],
  ['ts', () => { const v = 'await vault.read("kv/api")'; return [[`const apiSecret = ${v};`], v]; }],
  ['ts', () => { const v = 'process.env.STRIPE_SECRET_KEY'; return [[`const stripeSecretKey = ${v}!;`], v]; }],
  // keyward:allow
  ['ts', () => { const v = 'import.meta.env.VITE_API_KEY'; return [[`export const apiKey = ${v};`], v]; }],
  ['tsx', () => { const v = 'localStorage.getItem("token")'; return [[`const token = ${v};`], v]; }],
  ['py', () => { const v = 'input("Password: ")'; return [[`password = ${v}`], v]; }],
  ['py', () => { const v = 'os.environ["SECRET_KEY"]'; return [[`SECRET_KEY = ${v}`], v]; }],
  ['py', () => { const v = 'getpass.getpass()'; return [[`db_password = ${v}`], v]; }],
  ['py', () => { const v = 'secrets.token_urlsafe(32)'; return [[`api_token = ${v}`], v]; }],
  ['py', () => { const v = 'config("DB_PASSWORD", default="")'; return [[`DB_PASSWORD = ${v}`], v]; }],
  ['go', () => { const v = 'os.Getenv("API_TOKEN")'; return [[`var apiToken = ${v}`], v]; }],
  ['go', () => { const v = 'mustReadSecret("/run/secrets/db")'; return [[`var dbPassword = ${v}`], v]; }],
  ['java', () => { const v = 'System.getenv("CLIENT_SECRET")';
    return [[`    private final String clientSecret = ${v};`], v]; }],
  ['java', () => { const v = 'request.getParameter("password")'; return [['    void read(Request request) {',
    `        String password = ${v};`, '    }'], v]; }],
  ['rb', () => { const v = 'ENV.fetch("SECRET_KEY_BASE")'; return [[`secret_key_base = ${v}`], v]; }],
  ['rb', () => { const v = 'Rails.application.credentials.stripe[:secret]'; return [[`stripe_secret = ${v}`], v]; }],
  ['php', () => { const v = "getenv('DB_PASSWORD')"; return [[`$password = ${v};`], v]; }],
  ['sh', () => { const v = '$(aws ssm get-parameter --name /db/password)'; return [[`DB_PASSWORD="${v}"`], v]; }],
  ['sh', () => { const v = '$(cat /run/secrets/api_token)'; return [[`export API_TOKEN="${v}"`], v]; }],
  ['sh', () => { const v = '$GITHUB_TOKEN';
    return [[`curl -H "Authorization: token ${v}" https://api.github.com/user`], v]; }],
  ['tf', () => { const v = 'var.db_password'; return [['locals {', `  password = ${v}`, '}'], v]; }],
  ['tf', () => { const v = 'random_password.db.result'; return [['locals {', `  master_password = ${v}`, '}'], v]; }],
  ['tf', (r) => { const v = 'data.aws_secretsmanager_secret_version.db.secret_string';
    return [[`output "${r.pick(NOUNS)}_secret" {`, `  value     = ${v}`, '  sensitive = true', '}'], v]; }],
  ['make', () => { const v = '$(shell cat .token)'; return [[`DEPLOY_TOKEN := ${v}`], v]; }],
  ['ci', () => { const v = '${{ secrets.NPM_TOKEN }}'; return [['    env:', `      NODE_AUTH_TOKEN: ${v}`], v]; }],
  ['ci', () => { const v = '${{ secrets.GITHUB_TOKEN }}'; return [['    env:', `      GITHUB_TOKEN: ${v}`], v]; }],
  ['docker', () => { const v = '--mount=type=secret,id=npm_token'; return [[`RUN ${v} npm ci`], v]; }],
  ['npmrc', () => { const v = '${NPM_TOKEN}'; return [[`//npm.fernway.net/:_authToken=${v}`], v]; }],
], 150);
lineDecoy('type, parameter or column about a secret', [
  ['ts', (r) => { const v = 'password: string'; return [[`export interface ${capital(r.pick(NOUNS))}Login {`,
    '  email: string;', `  ${v};`, '  apiToken?: string | undefined;', '}'], v]; }],
  ['ts', () => { const v = 'accessTokenExpirationSeconds'; return [[`type TokenKeys = 'accessToken' | '${v}';`], v];
    }],
  ['java', () => { const v = 'passwordEncoder';
    return [[`    private final PasswordEncoder ${v} = defaultEncoder();`], v]; }],
  ['go', () => { const v = 'SecretAccessKey'; return [['type Credentials struct {',
    `\t${v} string \`json:"secret_access_key" yaml:"secretAccessKey"\``, '}'], v]; }],
  ['sql', () => { const v = 'password_hash VARCHAR(255) NOT NULL'; return [[`ALTER TABLE users ADD COLUMN ${v};`], v];
    }],
  ['py', () => { const v = 'Optional[SecretStr]'; return [['class Login(BaseModel):', `    password: ${v} = None`],
    v]; }],
], 40);
lineDecoy('pattern or validator', [
  ['ts', () => { const v = '^[A-Za-z0-9_-]{20,}\\.[A-Za-z0-9_-]+$'; return [[`const TOKEN_PATTERN = /${v}/;`], v]; }],
  ['ts', () => { const v = '^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d@$!%*?&]{12,}$';
    return [[`const passwordRegex = /${v}/;`], v]; }],
  ['py', () => { const v = `${m('gh', 'p_')}[A-Za-z0-9]{36}`; return [[`TOKEN_RE = re.compile(r"${v}")`], v]; }],
  ['py', () => { const v = `${m('AK', 'IA')}[0-9A-Z]{16}`; return [[`AWS_KEY_RE = re.compile(r"${v}")`], v]; }],
  ['go', () => { const v = `${m('xo', 'x')}[baprs]-[0-9A-Za-z-]+`;
    return [[`var slackToken = regexp.MustCompile(\`${v}\`)`], v]; }],
  ['ts', () => { const v = 'password.length >= 12'; return [[`export const strong = (password: string) => ${v};`], v];
    }],
], 30);
lineDecoy('public key or certificate', [
  ['pub', (r) => { const v = sshPublic(r); return [[`${v} deploy@${r.pick(HOSTS)}`], v]; }],
  ['sh', (r) => { const v = sshPublic(r); return [[`echo "${v}" >> ~/.ssh/authorized_keys`], v]; }],
  ['yaml', (r) => { const v = sshPublic(r); return [['ssh_authorized_keys:', `  - ${v}`], v]; }],
  ['crt', (r) => { const lines = pem('CERTIFICATE', Buffer.concat([Buffer.from('308203a1', 'hex'), r.bytes(900)]));
    return [lines, lines[0]]; }],
  ['crt', (r) => { const lines = pem('PUBLIC KEY', der(0x30, der(0x30, OID_RSA, DER_NULL), der(3, r.bytes(270))));
    return [lines, lines[0]]; }],
  ['crt', (r) => { const lines = pem('PGP MESSAGE', r.bytes(500)); lines.splice(1, 0, ''); return [lines, lines[0]];
    }],
  ['crt', (r) => { const lines = pem('PGP PUBLIC KEY BLOCK', r.bytes(700)); lines.splice(1, 0, '');
    return [lines, lines[0]]; }],
  ['json', (r) => { const v = r.base64url(256); return [['"keys": {', '  "kty": "RSA", "e": "AQAB", "alg": "RS256",',
    `  "n": "${v}"`, '}'], v]; }],
  ['tf', (r) => { const v = sshPublic(r); return [[`resource "aws_key_pair" "${r.pick(NOUNS)}" {`,
    `  public_key = "${v}"`, '}'], v]; }],
  ['md', () => { const v = fence('BEGIN', PRIVATE);
    return [['```', v, '...your key here...', fence('END', PRIVATE), '```'], v]; }],
  ['go', () => { const v = fence('BEGIN', `RSA ${PRIVATE}`); return [[`const pemHeader = "${v}"`], v]; }],
], 50);
lineDecoy('generated bytes or test vector', [
  ['go', (r) => { const v = [...r.bytes(16)].map((b) => `0x${b.toString(16).padStart(2, '0')}`).join(', ');
    return [['var fileDescriptor = []byte{', `\t${v},`, '}'], v]; }],
  ['tstest', (r) => { const v = r.hex(64); return [["it('matches the NIST vector', () => {",
    `  expect(sha256('abc${r.int(99)}')).toBe('${v}');`, '});'], v]; }],
  ['pytest', (r) => { const v = r.hex(48); return [['def test_cipher_vector():',
    `    assert encrypt(BLOCK).hex() == "${v}"`], v]; }],
  ['go', (r) => { const v = '\\x0a\\x12' + wrap(r.hex(48), 2).map((h) => `\\x${h}`).join('');
    return [[`const rawDesc = "${v}"`], v]; }],
  ['java', (r) => { const v = `-${r.digits(18)}L`; return [[`    private static final long serialVersionUID = ${v};`],
    v]; }],
], 40);
lineDecoy('hashed file name', [
  ['html', (r) => { const v = `main.${r.hex(8)}.js`; return [[`  <script src="/assets/${v}" defer></script>`], v]; }],
  ['html', (r) => { const v = `index-${r.urlSafe(8)}.css`;
    return [[`  <link rel="stylesheet" href="/assets/${v}">`], v]; }],
  ['json', (r) => { const v = `static/js/auth-token.${r.hex(20)}.chunk.js`; return [[`"auth-token.js": "${v}"`], v];
    }],
], 16);
lineDecoy('persisted query or build stamp', [
  ['ts', (r) => { const v = r.hex(64); return [[`const TokenQuery = { sha256Hash: "${v}", version: 1 };`], v]; }],
  ['bundle', (r) => { const v = r.hex(20); return [[`self.__BUILD_ID="${v}"`], v]; }],
  ['bundle', () => { const v = 'e.tokenType||"Bearer"';
    return [[`headers.Authorization=\`\${${v}} \${t.accessToken}\``], v]; }],
  ['bundle', () => { const v = 'password:n.password,secret:n.clientSecret'; return [[`r.post("/login",{${v}})`], v];
    }],
  ['map', (r) => { const v = r.hex(40); return [[`export const BUILD_COMMIT = '${v}';`], v]; }],
  ['map', () => { const v = 'keyof typeof tokenNames'; return [[`export type TokenName = ${v};`], v]; }],
  ['long', (r) => { const v = r.hex(32); return [[`n.chunkToken="${v}"`], v]; }],
], 40);
lineDecoy('address with a long path', [
  ['md', (r) =>
    { const v = `https://github.com/${r.pick(HOSTS)}/${r.pick(NOUNS)}/blob/${r.hex(40)}/src/token.ts#L${r.int(99)}`;
    return [[`See [the parser](${v}).`], v]; }],
  ['md', (r) => { const v = `https://${r.pick(HOSTS)}.s3.amazonaws.com/docs/${r.uuid()}/secret-rotation.pdf`;
    return [[`Read <${v}> before you rotate the password.`], v]; }],
  ['log', (r) => { const v = `/api/v1/tokens/${r.uuid()}/refresh`;
    return [[`${stamp(r)} INFO  GET ${v} 200 12ms`], v]; }],
  ['log', (r) => { const v = r.hex(32); return [[`${stamp(r)} INFO  trace_id=${v} token accepted`], v]; }],
], 30);
lineDecoy('password hash of a user file', [
  ['htpasswd', (r) => { const v = `$2y$05$${r.chars(`${BASE62}./`, 53)}`; return [[`${r.pick(NOUNS)}:${v}`], v]; }],
  ['sql', (r) => { const v = `$2a$10$${r.chars(`${BASE62}./`, 53)}`;
    return [[`INSERT INTO users (name, password) VALUES ('${r.pick(NOUNS)}', '${v}');`], v]; }],
], 14);
lineDecoy('Kubernetes reference instead of a value', [
  ['k8s', (r) => { const v = `${r.pick(NOUNS)}-credentials`; return [['apiVersion: v1', 'kind: Pod', 'spec:',
    '  containers:', '    - name: app', '      env:', '        - name: DB_PASSWORD', '          valueFrom:',
    '            secretKeyRef:', `              name: ${v}`, '              key: password'], v]; }],
  ['k8s', (r) => { const v = `AgB${r.base64(240)}`; return [['apiVersion: bitnami.com/v1alpha1', 'kind: SealedSecret',
    'spec:', '  encryptedData:', `    password: ${v}`], v]; }],
  ['k8s', () => { const v = b64('changeme'); return [['apiVersion: v1', 'kind: Secret', 'data:', `  password: ${v}`],
    v]; }],
], 24);

lineDecoy('command of a manual with a placeholder', [
  ['md', () => { const v = 'Bearer <token>'; return [['```sh',
    `curl -H "Authorization: ${v}" https://api.example.com/v1/me`,
    '```'], v]; }],
  ['md', () => { const v = 'Bearer YOUR_ACCESS_TOKEN';
    return [['```http', 'GET /v1/orders', `Authorization: ${v}`, '```'], v]; }],
  ['md', () => { const v = 'user:password'; return [['```', `curl -u ${v} https://repo.example.com/upload`, '```'],
    v]; }],
  ['sh', () => { const v = '$USER:$PASSWORD'; return [[`curl -u "${v}" -T app.tgz https://repo.example.com/`], v]; }],
  ['sh', () => { const v = '-p"$MYSQL_ROOT_PASSWORD"'; return [[`mysql -u root ${v} -e 'SELECT 1'`], v]; }],
  ['sh', () => { const v = '"${API_TOKEN:?set API_TOKEN first}"'; return [[`: ${v}`], v]; }],
  ['http', () => { const v = 'Bearer {{accessToken}}'; return [['GET {{host}}/v1/me', `Authorization: ${v}`, ''], v];
    }],
  ['ipynb', () => { const v = 'Bearer {token}'; return [[`headers = {"Authorization": f"${v}"}`], v]; }],
  ['ts', () => { const v = 'Bearer ${token}';
    return [[`export const sign = (token: string) => ({ Authorization: \`${v}\` });`], v]; }],
  ['netrc', () => { const v = '$NETRC_PASSWORD'; return [[`machine git.example.com login ci password ${v}`], v]; }],
  ['md', () => { const v = 'https://user:pass@example.com/'; return [[`The form \`${v}\` is not supported.`], v]; }],
], 60);
lineDecoy('empty value', [
  ['env', (r) => { const v = `${spell(r.pick(SECRET_NAMES)).up}=`; return [[v, `APP_MODE=${r.pick(VERBS)}`], v]; }],
  ['env', (r) => { const v = `${spell(r.pick(SECRET_NAMES)).up}=""`; return [[v], v]; }],
  ['yaml', (r) => { const v = `${spell(r.pick(SECRET_NAMES)).snake}: null`; return [[v], v]; }],
  ['json', (r) => { const v = `"${spell(r.pick(SECRET_NAMES)).camel}": ""`; return [[v], v]; }],
  ['py', (r) => { const v = `${spell(r.pick(SECRET_NAMES)).up} = None`; return [[v], v]; }],
  ['tfvars', (r) => { const v = `${spell(r.pick(SECRET_NAMES)).snake} = ""`; return [[v], v]; }],
  ['ini', (r) => { const v = `${spell(r.pick(SECRET_NAMES)).snake} =`; return [[v], v]; }],
], 35);
lineDecoy('words about secrets in a comment or a message', [
  ['ts', () => { const v = 'throw new Error("missing api key: set STRIPE_SECRET_KEY in the environment")';
    return [['export function requireKey(): never {', `  ${v};`, '}'], v]; }],
  ['py', () => { const v = 'token = value after the word Bearer, password = never logged'; return [[`# ${v}`], v]; }],
  ['go', () => { const v = 'errors.New("password: must contain upper and lower case letters")';
    return [[`var errWeak = ${v}`], v]; }],
  ['java', () => { const v = 'secret=REDACTED, token=REDACTED'; return [['    public String toString() {',
    `        return "Login[${v}]";`, '    }'], v]; }],
  ['log', (r) => { const v = 'password=******** token=[FILTERED]'; return [[`${stamp(r)} INFO  params ${v}`], v]; }],
], 30);

function svgPath(r) {
  let d = `M${r.int(24)} ${r.int(24)}`;
  for (let i = 0; i < 24; i++) {
    d += `${r.pick(['l', 'c', 'h', 'v', 'a', 's'])}${r.int(9)}.${r.int(999)}-${r.int(9)}.${r.int(99)}`;
  }
  return `${d}z`;
}

function sshPublic(r) {
  const blob = Buffer.concat([sshString('ssh-ed25519'), sshString(r.bytes(32))]);
  return `ssh-ed25519 ${blob.toString('base64')}`;
}

// ---------------------------------------------------------------- ordinary code between the planted lines

const NOUNS = ['order', 'invoice', 'product', 'customer', 'cart', 'shipment', 'ledger', 'account', 'report', 'coupon',
  'notification', 'catalog', 'price', 'payment', 'review', 'session', 'webhook', 'tenant', 'audit', 'refund',
    'warehouse',
  'stock', 'profile', 'address', 'message', 'document', 'budget', 'campaign', 'calendar', 'ticket'];
const VERBS = ['load', 'sync', 'publish', 'merge', 'resolve', 'render', 'validate', 'archive', 'export', 'schedule',
  'retry', 'collect', 'prune', 'refresh', 'normalise', 'compare', 'group', 'split'];
const FIELDS = ['id', 'name', 'status', 'total', 'currency', 'createdAt', 'owner', 'region', 'quantity', 'weight',
  'label',
  'locale', 'tokenCount', 'keyName', 'secretary', 'authorId', 'passed', 'accessLevel'];
const REMARKS = ['Keeps the order stable, because the caller shows it as it is.',
  'The remote side sends pages of 100.',
  'Empty input is common here and not an error.', 'Rounding follows the accounting department.',
  'See the decision record about retries.', 'Tokens are counted, not characters.',
  'The key of the map is the region.', 'Authentication happens in the gateway.'];

/** Free-standing blocks of ordinary code, several shapes per language. */
const FILLERS = {
  ts: (r) => {
    const [a, b, f, g] = [r.pick(NOUNS), r.pick(NOUNS), r.pick(FIELDS), r.pick(FIELDS)];
    const A = capital(a);
    return r.pick([
      () => [`export interface ${A}Row {`, '  id: string;', `  ${f}: number;`, `  ${g}?: string | null;`,
        `  ${b}s: readonly string[];`, '}'],
      () => [`// ${r.pick(REMARKS)}`,
        `export function ${r.pick(VERBS)}${A}s(rows: ${A}Row[], limit = ${r.int(90)}) {`,
        '  const seen = new Map<string, number>();', '  for (const row of rows) {',
        `    const key = \`\${row.id}:${b}\`;`, '    seen.set(key, (seen.get(key) ?? 0) + 1);', '  }',
        `  return rows.filter((row) => (seen.get(\`\${row.id}:${b}\`) ?? 0) < limit);`, '}'],
      () => [`export async function fetch${A}(id: string, signal?: AbortSignal) {`,
        `  const response = await fetch(\`/api/${a}s/\${encodeURIComponent(id)}\`, { signal });`,
        `  if (!response.ok) throw new Error(\`${a} \${id}: \${response.status}\`);`,
        `  return (await response.json()) as ${A}Row;`, '}'],
      () => [`const ${a}${capital(b)}Labels: Record<string, string> = {`, `  ${f}: '${capital(f)} of the ${a}',`,
        `  ${b}: '${capital(b)} (${r.int(99)})',`, `  missing: 'No ${a} yet',`, '};'],
      () => [`export class ${A}${capital(r.pick(VERBS))}Error extends Error {`,
        `  constructor(readonly ${f}: string, cause?: unknown) {`, `    super(\`${a} failed: \${${f}}\`, { cause });`,
          '  }', '}'],
      () => [`export const ${a}Reducer = (state: ${A}State, action: ${A}Action): ${A}State => {`,
        '  switch (action.type) {',
        `    case '${a}/${r.pick(VERBS)}':`, `      return { ...state, ${f}: action.payload, busy: false };`,
        `    case '${a}/reset':`, '      return initial;', '    default:', '      return state;', '  }', '};'],
    ])();
  },
  tsx: (r) => {
    const [a, f] = [capital(r.pick(NOUNS)), r.pick(FIELDS)];
    return r.pick([
      () => [`export function ${a}List({ rows, onPick }: ${a}ListProps) {`,
        "  const [query, setQuery] = useState('');",
        `  const shown = useMemo(() => rows.filter((row) => row.${f}.includes(query)), [rows, query]);`, '  return (',
        `    <section className="${a.toLowerCase()}-list" aria-label="${a}s">`,
        '      <input value={query} onChange={(event) => setQuery(event.target.value)} />',
          '      {shown.map((row) => (',
        `        <${a}Row key={row.id} row={row} onClick={() => onPick(row.id)} />`, '      ))}', '    </section>',
          '  );', '}'],
      () => [`export const ${a}Badge: FC<{ value: number }> = ({ value }) => (`,
        `  <span className={value > ${r.int(50)} ? styles.high : styles.low} title="${f}">`, '    {value.toFixed(2)}',
          '  </span>', ');'],
      () => ['useEffect(() => {', '  const controller = new AbortController();',
        `  load${a}s(controller.signal).then(setRows, report);`, '  return () => controller.abort();', '}, []);']
        .map((line, i, all) => (i ? `  ${line}` : `export function use${a}s() {\n  ${line}`)
          + (i === all.length - 1 ? '\n}' : '')).flatMap((line) => line.split('\n')),
    ])();
  },
  py: (r) => {
    const [a, b, f] = [r.pick(NOUNS), r.pick(NOUNS), r.pick(FIELDS).toLowerCase()];
    return r.pick([
      () => [`def ${r.pick(VERBS)}_${a}s(rows: list[dict], limit: int = ${r.int(500)}) -> list[dict]:`,
        `    """${r.pick(REMARKS)}"""`, '    result = []', '    for row in rows[:limit]:',
        `        if row.get("${f}") is None:`, '            continue',
          `        result.append({**row, "${b}": len(row["${f}"])})`,
        '    return result'],
      () => ['@dataclass(frozen=True)', `class ${capital(a)}${capital(b)}:`, '    id: str', `    ${f}: int = 0`,
        '    tags: tuple[str, ...] = ()', '', '    def label(self) -> str:',
          `        return f"${a} {self.id} ({self.${f}})"`],
      () => [`@router.get("/${a}s/{${a}_id}")`, `async def read_${a}(${a}_id: UUID, db: Session = Depends(get_db)):`,
        `    row = await db.get(${capital(a)}, ${a}_id)`, '    if row is None:',
        `        raise HTTPException(status_code=404, detail="${a} not found")`, '    return row'],
      () => [`${a.toUpperCase()}_FIELDS = (`, `    "${f}",`, `    "${b}_id",`, '    "created_at",', ')'],
    ])();
  },
  go: (r) => {
    const [a, f] = [capital(r.pick(NOUNS)), capital(r.pick(FIELDS))];
    return r.pick([
      () => [`type ${a} struct {`, '\tID string `json:"id"`', `\t${f} int64 \`json:"${f.toLowerCase()}"\``, '}'],
      () => [`func (s *Store) ${capital(r.pick(VERBS))}${a}(ctx context.Context, id string) (*${a}, error) {`,
        `\trow := s.db.QueryRowContext(ctx, "SELECT id, total FROM ${a.toLowerCase()}s WHERE id = $1", id)`,
        `\tvar out ${a}`, `\tif err := row.Scan(&out.ID, &out.${f}); err != nil {`,
        `\t\treturn nil, fmt.Errorf("${a.toLowerCase()} %s: %w", id, err)`, '\t}', '\treturn &out, nil', '}'],
      () => [`// ${r.pick(REMARKS)}`, `const max${a}s = ${r.int(5000)}`],
    ])();
  },
  java: (r) => {
    const [a, f] = [capital(r.pick(NOUNS)), r.pick(FIELDS)];
    return r.pick([
      () => [`    @GetMapping("/${a.toLowerCase()}s/{id}")`, `    public ${a}View read${a}(@PathVariable UUID id) {`,
        `        return repository.findById(id).map(${a}View::of)`,
        `            .orElseThrow(() -> new NotFoundException("${a.toLowerCase()} " + id));`, '    }'],
      () => [`    /** ${r.pick(REMARKS)} */`, `    public List<${a}> ${r.pick(VERBS)}${a}s(Collection<${a}> rows) {`,
        '        return rows.stream()', `            .filter(row -> row.${f}() != null)`,
        `            .sorted(Comparator.comparing(${a}::id))`, '            .toList();', '    }'],
    ])();
  },
  rb: (r) => {
    const [a, f] = [r.pick(NOUNS), r.pick(FIELDS).toLowerCase()];
    return [`def ${r.pick(VERBS)}_${a}s(rows)`, `  rows.reject { |row| row[:${f}].nil? }`,
      `      .group_by { |row| row[:${r.pick(NOUNS)}] }`, 'end'];
  },
  php: (r) => {
    const a = r.pick(NOUNS);
    return [`function ${r.pick(VERBS)}_${a}s(array $rows, int $limit = ${r.int(90)}): array`, '{',
      `    return array_slice(array_filter($rows, fn($row) => $row['${r.pick(FIELDS)}'] !== null), 0, $limit);`, '}'];
  },
  cs: (r) => {
    const a = capital(r.pick(NOUNS));
    return [`    public Task<${a}?> ${capital(r.pick(VERBS))}${a}Async(Guid id, CancellationToken token) =>`,
      `        context.${a}s.FirstOrDefaultAsync(row => row.Id == id, token);`];
  },
  tstest: (r) => {
    const [a, b] = [r.pick(NOUNS), r.pick(NOUNS)];
    return [`describe('${a} ${b}', () => {`, `  it('${r.pick(VERBS)}s an empty ${a}', () => {`,
      `    expect(${r.pick(VERBS)}${capital(a)}s([])).toEqual([]);`, '  });', '',
      `  it('keeps ${r.int(20)} rows', () => {`, `    const rows = make${capital(a)}s(${r.int(40)});`,
      `    expect(${r.pick(VERBS)}${capital(b)}s(rows)).toMatchSnapshot();`, '  });', '});'];
  },
  pytest: (r) => {
    const a = r.pick(NOUNS);
    return [`def test_${r.pick(VERBS)}_${a}_${r.int(999)}(client, ${a}_factory):`,
      `    row = ${a}_factory(total=${r.int(900)})`,
      `    response = client.get(f"/${a}s/{row.id}")`, '    assert response.status_code == 200',
      `    assert response.json()["${r.pick(FIELDS)}"] is not None`];
  },
  env: (r) => r.pick([
    () => [`${r.pick(NOUNS).toUpperCase()}_URL=https://${host(r, 'api')}/v${r.int(4)}`], () =>
      [`LOG_LEVEL=${r.pick(['info', 'debug'])}`],
    () => [`PORT=${r.range(3000, 9000)}`], () => [`# ${r.pick(REMARKS)}`], () =>
      [`FEATURE_${r.pick(NOUNS).toUpperCase()}_ENABLED=true`],
    () => [`${r.pick(NOUNS).toUpperCase()}_TIMEOUT_MS=${r.int(9000)}`], () => [''],
  ])(),
  json: (r) => r.pick([
    () => [`"${r.pick(NOUNS)}Limit": ${r.int(500)}`], () =>
      [`"${r.pick(FIELDS)}": "${r.pick(NOUNS)}-${r.pick(VERBS)}"`],
    () => [`"${r.pick(NOUNS)}s": {`, `  "baseUrl": "https://${host(r, 'api')}",`, `  "retries": ${r.int(9)},`,
      '  "enabled": true', '}'],
    () => [`"${r.pick(VERBS)}": ["${r.pick(NOUNS)}", "${r.pick(NOUNS)}"]`],
  ])(),
  yaml: (r) => r.pick([
    () => [`${r.pick(NOUNS)}:`, '  enabled: true', `  replicas: ${r.int(9)}`,
      `  image: ${r.pick(HOSTS)}/${r.pick(NOUNS)}:1.${r.int(40)}.${r.int(9)}`],
    () => [`# ${r.pick(REMARKS)}`,
      `${r.pick(VERBS)}_${r.pick(NOUNS)}: ${r.pick(['true', 'false', '30s', 'weekly'])}`],
    () => [`${r.pick(NOUNS)}_hosts:`, `  - ${host(r)}`, `  - ${host(r, 'web')}`],
  ])(),
  toml: (r) => [`[${r.pick(NOUNS)}.${r.pick(VERBS)}_${r.int(99)}]`, `limit = ${r.int(900)}`,
    `label = "${r.pick(NOUNS)} ${r.pick(VERBS)}"`],
  ini: (r) => [`[${r.pick(NOUNS)}_${r.int(99)}]`, `timeout = ${r.int(90)}`, `label = ${r.pick(NOUNS)}`],
  props: (r) =>
    [`${r.pick(NOUNS)}.${r.pick(VERBS)}.${r.pick(['enabled=true', `limit=${r.int(90)}`, 'mode=strict'])}`],
  xml: (r) => [`  <${r.pick(NOUNS)} id="${r.int(999)}" mode="${r.pick(VERBS)}">`,
    `    <label>${r.pick(REMARKS)}</label>`],
  docker: (r) => r.pick([['RUN npm ci --omit=dev'], ['COPY . .'], ['WORKDIR /srv/app'],
    [`EXPOSE ${r.range(3000, 9000)}`], [`LABEL team=${r.pick(NOUNS)}`]]),
  tf: (r) => r.pick([
    () => [`resource "aws_s3_bucket" "${r.pick(NOUNS)}_${r.int(99)}" {`,
      `  bucket = "${r.pick(HOSTS)}-${r.pick(NOUNS)}"`, '  tags   = local.tags', '}'],
    () => [`variable "${r.pick(NOUNS)}_${r.pick(VERBS)}_count" {`, '  type    = number', `  default = ${r.int(9)}`,
      '}'],
    () => [`module "${r.pick(NOUNS)}_${r.int(99)}" {`, `  source = "../modules/${r.pick(NOUNS)}"`,
      `  region = "eu-west-${r.range(1, 3)}"`, '}'],
  ])(),
  tfvars: (r) => [`${r.pick(NOUNS)}_${r.pick(['count', 'size'])} = ${r.int(20)}`],
  make: (r) => { const v = `${r.pick(VERBS)}-${r.pick(NOUNS)}`;
    return [`.PHONY: ${v}`, `${v}:`, `\tgo run ./cmd/${v} --limit ${r.int(90)}`]; },
  sh: (r) => r.pick([
    () => [`for name in ${r.pick(NOUNS)} ${r.pick(NOUNS)}; do`, '  echo "building $name"', '  make "build-$name"',
      'done'],
    () => [`# ${r.pick(REMARKS)}`, `if [ -z "\${${r.pick(NOUNS).toUpperCase()}_DIR:-}" ]; then`, '  exit 1', 'fi'],
  ])(),
  md: (r) => r.pick([
    () => [`## How the ${r.pick(NOUNS)} service ${r.pick(VERBS)}s`, '', `${r.pick(REMARKS)} ${r.pick(REMARKS)}`,
      `A ${r.pick(NOUNS)} belongs to one ${r.pick(NOUNS)}; the token of a request is checked by the gateway.`],
    () => ['```ts', ...FILLERS.ts(r), '```'],
    () => [`- ${r.pick(VERBS)} the ${r.pick(NOUNS)}`, `- ${r.pick(VERBS)} the ${r.pick(NOUNS)}`,
      '- rotate the password every quarter'],
  ])(),
  html: (r) => [`  <section class="${r.pick(NOUNS)}">`, `    <h2>${capital(r.pick(NOUNS))}</h2>`,
    `    <p>${r.pick(REMARKS)}</p>`, '  </section>'],
  css: (r) => [`.${r.pick(NOUNS)}__${r.pick(FIELDS)} {`, `  color: #${r.hex(6)};`,
    `  margin: ${r.int(30)}px ${r.int(30)}px;`, '}'],
  svg: (r) => [`  <circle cx="${r.int(24)}" cy="${r.int(24)}" r="${r.int(9)}" fill="#${r.hex(6)}"/>`],
  log: (r) => [`${stamp(r)} INFO  ${r.pick(NOUNS)}.${r.pick(VERBS)} id=${r.uuid()} took=${r.int(900)}ms`],
  sql: (r) => r.pick([
    () => [`CREATE TABLE ${r.pick(NOUNS)}_${r.pick(NOUNS)}s (`, '  id UUID PRIMARY KEY,',
      `  ${r.pick(FIELDS)} TEXT NOT NULL`, ');'],
    () => [`INSERT INTO ${r.pick(NOUNS)}s (id, label) VALUES ('${r.uuid()}', '${r.pick(NOUNS)} ${r.int(99)}');`],
  ])(),
  csv: (r) =>
    [`${r.int(9999)},${r.pick(HOSTS)},${r.pick(FIELDS)},${r.pick(NOUNS)} ${r.int(99)},2024-01-1${r.int(9)}`],
  compose: (r) => [`      - ${r.pick(NOUNS).toUpperCase()}_LIMIT=${r.int(90)}`],
  ci: (r) => [`    - run: npm run ${r.pick(VERBS)}:${r.pick(NOUNS)}`],
  k8s: (r) => ['apiVersion: v1', 'kind: Service', 'metadata:', `  name: ${r.pick(NOUNS)}-${r.pick(VERBS)}`, 'spec:',
    '  ports:',
    `    - port: ${r.range(3000, 9000)}`],
  ipynb: (r) => r.pick([
    () => [`frame = pd.read_csv("${r.pick(NOUNS)}.csv")`, 'frame.head()'],
    () => [`frame.groupby("${r.pick(FIELDS)}")["total"].sum().plot()`],
  ])(),
  http: (r) => [`GET https://${host(r, 'api')}/v1/${r.pick(NOUNS)}s?limit=${r.int(90)}`, 'Accept: application/json',
    ''],
  dockercfg: (r) => [`    "${host(r, 'mirror')}": {}`],
  utf16: (r) => [`$${r.pick(NOUNS)}Limit = ${r.int(90)}`],
  bundle: (r) => {
    const [a, b, c] = [r.chars(LOWER, 1), r.chars(LOWER, 1), r.chars(LOWER, 2)];
    return [r.pick([
      () => `function ${c}(${a},${b}){return ${a}.${r.pick(VERBS)}?${a}.${r.pick(FIELDS)}+${b}:`
        + `void 0===${b}?null:${b}[${r.int(99)}]}`,
      () => `${r.digits(5)}:(e,t,n)=>{"use strict";n.d(t,{${capital(a)}:()=>${c}});const ${c}=n(${r.digits(4)})}`,
      () => `var ${c}={${r.pick(FIELDS)}:!0,token:${a}.token,className:"${r.pick(NOUNS)}-${r.base62(5)}"}`,
      () => `(0,${a}.jsx)("${r.pick(['div', 'span', 'input'])}",`
        + `{className:"${r.pick(NOUNS)}_${r.base62(6)}",children:${b}.${r.pick(FIELDS)}})`,
    ])()];
  },
};
FILLERS.crlf = FILLERS.env;
FILLERS.url = FILLERS.ts;
FILLERS.map = FILLERS.ts;
FILLERS.long = FILLERS.bundle;

// ---------------------------------------------------------------- files: how blocks of one family make a file

const HEADS = {
  ts: (r) => [`import { ${r.pick(VERBS)} } from '../lib/${r.pick(NOUNS)}';`,
    `import type { Options } from './${r.pick(NOUNS)}';`],
  tsx: (r) => ["import React, { FC, useEffect, useMemo, useState } from 'react';",
    `import styles from './${r.pick(NOUNS)}.module.css';`],
  tstest: (r) => ["import { describe, expect, it } from 'vitest';", `import * as unit from './${r.pick(NOUNS)}';`],
  py: () => ['import os', 'from dataclasses import dataclass', 'from uuid import UUID'],
  pytest: () => ['import pytest'],
  go: (r) => [`package ${r.pick(NOUNS)}`, '', 'import (', '\t"context"', '\t"fmt"', '\t"os"', ')'],
  java: (r) => [`package io.${r.pick(['orchard', 'halden'])}.${r.pick(NOUNS)};`, '', 'import java.util.*;', '',
    `public class ${capital(r.pick(NOUNS))}Service {`],
  cs: (r) => ['using System.Net;', '', `public sealed class ${capital(r.pick(NOUNS))}Mailer`, '{'],
  php: () => ['<?php', 'declare(strict_types=1);'],
  wpconfig: () => ['<?php', "define( 'DB_NAME', 'wordpress' );", "define( 'DB_USER', 'wp' );",
    "define( 'DB_CHARSET', 'utf8mb4' );"],
  rb: () => ['# frozen_string_literal: true'],
  sh: () => ['#!/usr/bin/env bash', 'set -euo pipefail'],
  html: (r) => ['<!doctype html>', '<html lang="en">', '<head>', `  <title>${capital(r.pick(NOUNS))}</title>`,
    '</head>', '<body>'],
  xml: () => ['<?xml version="1.0" encoding="utf-8"?>', '<configuration>'],
  svg: () => ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'],
  docker: () => ['FROM node:20-alpine'],
  md: (r) => [`# ${capital(r.pick(NOUNS))} service`],
  csv: () => ['id,customer,field,value,date'],
  compose: (r) => ['services:', `  ${r.pick(NOUNS)}:`, '    image: postgres:16', '    environment:'],
  ci: (r) => [`name: ${r.pick(VERBS)}`, 'on: [push]', 'jobs:', '  build:', '    runs-on: ubuntu-latest',
    '    steps:'],
  dockercfg: () => ['{', '  "auths": {'],
  pypirc: () => ['[distutils]', 'index-servers =', '    internal'],
};
const TAILS = {
  java: ['}'], cs: ['}'], html: ['</body>', '</html>'], xml: ['</configuration>'], svg: ['</svg>'],
    dockercfg: ['  }', '}'],
};
const SEPARATORS = { k8s: '---' };
const TIGHT = new Set(['env', 'crlf', 'ini', 'props', 'compose', 'ci', 'docker', 'csv', 'log', 'sql', 'xml', 'html',
  'tfvars',
  'npmrc', 'netrc', 'gitcred', 'pgpass', 'htpasswd', 'dockercfg', 'utf16', 'svg', 'http', 'yaml', 'pub']);

/** [smallest, largest number of planted blocks per file, ordinary blocks per planted one] */
const DENSITY = {
  env: [3, 7, 2], crlf: [2, 5, 2], json: [1, 4, 3], yaml: [1, 4, 2], tfvars: [1, 4, 2], props: [1, 4, 4],
    log: [1, 4, 30],
  csv: [2, 6, 12], sql: [1, 4, 8], md: [1, 3, 3], ini: [1, 4, 2], toml: [1, 3, 3], bundle: [3, 7, 40], map: [1, 3, 6],
  ipynb: [1, 3, 3], utf16: [1, 3, 4], npmrc: [1, 1, 0], netrc: [1, 2, 0], pypirc: [1, 1, 0], gitcred: [1, 2, 0],
  gitconfig: [1, 1, 0], pgpass: [1, 2, 0], awscred: [1, 1, 0], mycnf: [1, 1, 0], wpconfig: [1, 3, 0],
    htpasswd: [1, 3, 0],
  pub: [1, 2, 0], crt: [1, 1, 0], key: [1, 1, 0], whole: [1, 1, 0], compose: [1, 3, 2], k8s: [1, 3, 1],
    long: [9, 14, 0],
  http: [1, 3, 2], dockercfg: [1, 2, 1],
};

const DEFAULT_DENSITY = [1, 4, 3];

const AREAS = ['apps/shop', 'apps/admin', 'packages/ui', 'packages/core'];
const web = (r) => `web/${r.pick(AREAS)}`;
const folderOf = (r) => r.pick([web(r), 'services/billing', 'services/ledger', 'services/catalog', 'infra',
  'legacy/site']);

const PATHS = {
  env: (r) =>
    `${folderOf(r)}/${r.pick(['.env', '.env.local', '.env.production', '.env.staging', 'config/app.env', '.envrc'])}`,
  crlf: (r) => `${folderOf(r)}/windows/${r.pick(['.env', 'settings.env', 'build.env'])}`,
  ts: (r) => `${web(r)}/src/${r.pick(['lib', 'api', 'config', 'store', 'server'])}/`
    + `${r.pick(NOUNS)}.${r.pick(['ts', 'ts', 'js', 'mjs'])}`,
  url: (r) => `${web(r)}/src/api/${r.pick(NOUNS)}Url.ts`,
  tsx: (r) => `${web(r)}/src/components/${capital(r.pick(NOUNS))}.${r.pick(['tsx', 'jsx'])}`,
  tstest: (r) => `${web(r)}/src/${r.pick(['__tests__', 'test'])}/${r.pick(NOUNS)}.${r.pick(['test', 'spec'])}.ts`,
  json: (r) => `${folderOf(r)}/config/`
    + r.pick(['appsettings.json', 'appsettings.Production.json', 'config.json', 'default.json', 'firebase.json']),
  yaml: (r) => `${folderOf(r)}/`
    + r.pick(['config/application.yml', 'values.yaml', 'ansible/group_vars/all.yml', 'settings.yaml']),
  compose: (r) => `${folderOf(r)}/${r.pick(['docker-compose.yml', 'compose.prod.yaml'])}`,
  ci: (r) => `${folderOf(r)}/.github/workflows/${r.pick(VERBS)}.yml`,
  k8s: (r) => `infra/k8s/${r.pick(NOUNS)}/${r.pick(['secret', 'deploy', 'all'])}.yaml`,
  toml: (r) => `${folderOf(r)}/${r.pick(['config.toml', 'pyproject.toml', 'wrangler.toml', 'fly.toml'])}`,
  ini: (r) => `${folderOf(r)}/${r.pick(['setup.ini', 'alembic.ini', 'hosts.ini', 'app.conf', '.s3cfg'])}`,
  props: (r) =>
    `services/catalog/src/main/resources/${r.pick(['application', 'application-prod', 'messages'])}.properties`,
  xml: (r) => `${r.pick(['services/catalog', 'legacy/net'])}/`
    + r.pick(['web.config', 'settings.xml', 'res/values/strings.xml', 'App.config']),
  docker: (r) => `${folderOf(r)}/${r.pick(['Dockerfile', 'docker/Dockerfile.prod'])}`,
  tf: (r) => `infra/terraform/${r.pick(['prod', 'staging', 'shared'])}/${r.pick(NOUNS)}.tf`,
  tfvars: (r) => `infra/terraform/${r.pick(['prod', 'staging'])}/${r.pick(['terraform', NOUNS[r.int(20)]])}.tfvars`,
  make: (r) => `${folderOf(r)}/${r.pick(['Makefile', 'build.mk'])}`,
  sh: (r) => `${folderOf(r)}/scripts/${r.pick(VERBS)}-${r.pick(NOUNS)}.sh`,
  md: (r) =>
    `${r.pick(['docs', `docs/${r.pick(NOUNS)}`, folderOf(r)])}/${r.pick(['README', 'setup', 'runbook', 'notes'])}.md`,
  html: (r) => `${web(r)}/public/${r.pick(NOUNS)}.html`,
  css: (r) => `${web(r)}/src/styles/${r.pick(NOUNS)}.css`,
  svg: (r) => `${web(r)}/public/icons/${r.pick(NOUNS)}.svg`,
  bundle: (r) => `${web(r)}/dist/assets/${r.pick(NOUNS)}.${r.hex(8)}.js`,
  long: (r) => `${web(r)}/dist/assets/vendor.${r.hex(8)}.js`,
  map: (r) => `${web(r)}/dist/assets/${r.pick(NOUNS)}.${r.hex(8)}.js.map`,
  ipynb: (r) => `services/billing/notebooks/${r.pick(NOUNS)}.ipynb`,
  log: (r) => `${folderOf(r)}/logs/${r.pick(NOUNS)}.log`,
  sql: (r) => `${folderOf(r)}/db/${r.pick(['seed', 'dump', 'V1__init'])}.sql`,
  csv: (r) => `${folderOf(r)}/data/${r.pick(NOUNS)}s.csv`,
  py: (r) => `services/billing/${r.pick(['app', 'app/api', 'app/settings', 'jobs'])}/${r.pick(NOUNS)}.py`,
  pytest: (r) => `services/billing/tests/test_${r.pick(NOUNS)}.py`,
  go: (r) => `services/ledger/${r.pick(['internal', 'pkg', 'cmd'])}/${r.pick(NOUNS)}/${r.pick(VERBS)}.go`,
  java: (r) => `services/catalog/src/main/java/io/orchard/${r.pick(NOUNS)}/${capital(r.pick(NOUNS))}Service.java`,
  rb: (r) => `legacy/rails/config/initializers/${r.pick(NOUNS)}.rb`,
  php: (r) => `legacy/site/app/${r.pick(NOUNS)}.php`,
  cs: (r) => `legacy/net/${capital(r.pick(NOUNS))}Mailer.cs`,
  utf16: (r) => `legacy/net/deploy/${r.pick(NOUNS)}.${r.pick(['ps1', 'txt', 'psd1'])}`,
  npmrc: (r) => `${folderOf(r)}/.npmrc`,
  netrc: (r) => `${folderOf(r)}/home/.netrc`,
  pypirc: (r) => `${folderOf(r)}/home/.pypirc`,
  gitcred: (r) => `${folderOf(r)}/home/.git-credentials`,
  gitconfig: (r) => `${folderOf(r)}/home/.gitconfig`,
  pgpass: (r) => `${folderOf(r)}/home/.pgpass`,
  awscred: (r) => `${folderOf(r)}/home/.aws/credentials`,
  mycnf: (r) => `${folderOf(r)}/home/.my.cnf`,
  dockercfg: (r) => `${folderOf(r)}/${r.pick(['.docker/config.json', '.dockerconfigjson'])}`,
  htpasswd: (r) => `${folderOf(r)}/nginx/.htpasswd`,
  wpconfig: () => 'legacy/site/wp-config.php',
  http: (r) => `${folderOf(r)}/requests/${r.pick(NOUNS)}.http`,
  pub: (r) => `infra/keys/${r.pick(NOUNS)}.pub`,
  crt: (r) => `infra/certs/${r.pick(NOUNS)}.${r.pick(['crt', 'pem', 'asc'])}`,
  key: (r) => `${r.pick(['infra/certs', folderOf(r)])}/${r.pick(['server', 'id', 'tls', 'jwt'])}_`
    + `${r.pick(NOUNS)}.${r.pick(['key', 'pem'])}`,
  whole: (r) => `${folderOf(r)}/config/${r.pick(['service-account', 'gcp-credentials', 'keyfile'])}.json`,
};

/** Turns lines into line objects and ties the mark to the line that shows its text. */
function block(lines, ...marks) {
  const out = lines.map((text) => ({ text, marks: [] }));
  for (const mark of marks) {
    // A short value may also stand in a name above it, so the quoted one goes first.
    const quoted = [`"${mark.shown}"`, `'${mark.shown}'`];
    const line = out.find(({ text }) => quoted.some((one) => text.includes(one)))
      ?? out.find(({ text }) => text.includes(mark.shown));
    if (!line) throw new Error(`the mark is not in its block: ${mark.kind ?? mark.why}: ${lines.join(' / ')}`);
    line.marks.push(mark);
  }
  return out;
}

const plain = (lines) => lines.map((text) => ({ text, marks: [] }));
const mapText = (change) => (line) => ({ text: change(line.text), marks: line.marks });

/** A source map escapes the source, so a line of the source becomes a piece of one long JSON line. */
function composeMap(r, blocks) {
  const source = blocks.flat();
  const text = JSON.stringify(source.map((line) => line.text).join('\n'));
  const marks = source.flatMap((line) => line.marks.map((mark) => ({
    ...mark, shown: JSON.stringify(mark.shown).slice(1, -1), long: true,
  })));
  const mappings = wrap(r.chars(`${LOWER}${UPPER}`, 6000), 5).join(',');
  const name = r.pick(NOUNS);
  return [{ marks, text: `{"version":3,"file":"${name}.js","sources":["../../src/${name}.ts"],`
    + `"sourcesContent":[${text}],"names":[],"mappings":"${mappings}"}` }];
}

function composeNotebook(r, blocks) {
  const out = plain(['{', ' "cells": [']);
  blocks.forEach((lines, i) => {
    out.push(...plain(['  {', '   "cell_type": "code",', `   "execution_count": ${i + 1},`, '   "metadata": {},',
      '   "outputs": [],', '   "source": [']));
    lines.forEach((line, j) => out.push({
      text: `    ${JSON.stringify(line.text + (j < lines.length - 1 ? '\n' : ''))}${j < lines.length - 1 ? ',' : ''}`,
      marks: line.marks,
    }));
    out.push(...plain(['   ]', `  }${i < blocks.length - 1 ? ',' : ''}`]));
  });
  return [...out, ...plain([' ],', ' "metadata": {"language_info": {"name": "python"}},', ' "nbformat": 4,',
    ' "nbformat_minor": 5', '}'])];
}

function commaJoined(blocks, indent) {
  return blocks.flatMap((lines, i) => lines.map((line, j) => ({
    text: indent + line.text + (j === lines.length - 1 && i < blocks.length - 1 ? ',' : ''),
    marks: line.marks,
  })));
}

const LONG_LINE = 205_000;

/** Mixes planted and ordinary blocks of a family into the lines of one file. */
function compose(r, family, planted, mixed = true) {
  const [, , each] = DENSITY[family] ?? DEFAULT_DENSITY;
  const filler = FILLERS[family];
  const ordinary = [];
  const wanted = filler && mixed ? each * planted.length + r.int(each + 2) : 0;
  for (let i = 0; i < wanted; i++) ordinary.push(plain(filler(r)));
  if (family === 'long') {
    for (let size = 0; size < LONG_LINE; size += ordinary.at(-1)[0].text.length) ordinary.push(plain(filler(r)));
  }
  let blocks = r.shuffle([...planted, ...ordinary]);
  if (family === 'map') return composeMap(r, blocks);
  if (family === 'ipynb') return composeNotebook(r, blocks);
  if (family === 'json') return [...plain(['{']), ...commaJoined(blocks, r.pick(['  ', '    ', '\t'])),
    ...plain(['}'])];
  if (family === 'dockercfg') return [...plain(HEADS.dockercfg(r)), ...commaJoined(blocks, ''),
    ...plain(TAILS.dockercfg)];
  if (family === 'bundle' || family === 'long') {
    const pieces = blocks.flat();
    const text = `!function(){"use strict";${pieces.map((piece) => piece.text).join(';')}}();`;
    const marks = pieces.flatMap((piece) => piece.marks.map((mark) => ({ ...mark, long: true })));
    return [...plain(['/*! bundled */']), { text, marks },
      ...plain([`//# sourceMappingURL=${r.pick(NOUNS)}.js.map`])];
  }
  if (family === 'xml') {
    blocks = blocks.map((lines) => (/^ {2}<\w+ id=/.test(lines[0].text) && lines.length === 2
      ? [...lines, ...plain([`  </${/<(\w+)/.exec(lines[0].text)[1]}>`])] : lines));
  }
  const gap = SEPARATORS[family] ? plain([SEPARATORS[family]]) : TIGHT.has(family) ? [] : plain(['']);
  const body = blocks.flatMap((lines, i) => (i ? [...gap, ...lines] : lines));
  const head = HEADS[family] ? [...plain(HEADS[family](r)), ...(TIGHT.has(family) ? [] : plain(['']))] : [];
  const tail = TAILS[family] ? plain(TAILS[family]) : [];
  const all = [...head, ...body, ...tail];
  // Some teams indent with tabs or four blanks; YAML and Makefiles keep their own.
  if (['ts', 'tsx', 'tstest', 'html', 'css'].includes(family) && r.chance(0.4)) {
    const unit = r.pick(['\t', '    ']);
    return all.map(mapText((text) => text.replace(/^( {2})+/, (blanks) => unit.repeat(blanks.length / 2))));
  }
  return all;
}

// ---------------------------------------------------------------- planting

/** Gathers blocks by family, then deals them out to files. */
class Tree {
  constructor(r) {
    this.r = r;
    this.waiting = new Map();
    this.files = new Map();
    this.labels = [];
    this.decoys = [];
  }

  plant(family, lines) {
    if (!PATHS[family]) throw new Error(`no place for the family ${family}`);
    if (!this.waiting.has(family)) this.waiting.set(family, []);
    this.waiting.get(family).push(lines);
  }

  /** A path nobody has yet; a second of the same name goes to a folder of its own, as in real trees. */
  freePath(family) {
    const { r } = this;
    let path = PATHS[family](r);
    if (!path.includes('/home/') && !path.includes('/.') && r.chance(0.03)) {
      path = path.replace(/([^/]+)\.(\w+)$/, (_, name, end) =>
        `${name} ${r.pick(['copy', 'old', '(1)', 'final v2'])}.${end}`);
    }
    for (let turn = 1; this.files.has(path.toLowerCase()); turn++) {
      const cut = PATHS[family](r).split('/');
      if (turn > 3) cut.splice(Math.min(2, cut.length - 1), 0, `${r.pick(NOUNS)}-${r.pick(VERBS)}`);
      path = cut.join('/');
    }
    return path;
  }

  add(path, lines, { eol = '\n', encoding = 'utf8', family } = {}) {
    const text = lines.map((line) => line.text).join(eol) + eol;
    const body = encoding === 'utf16le' ? Buffer.from(`\ufeff${text}`, 'utf16le') : Buffer.from(text);
    this.files.set(path.toLowerCase(), { path, body });
    lines.forEach((line, i) => {
      for (const mark of line.marks) {
        if (mark.why) {
          this.decoys.push({ path, line: i + 1, value: mark.value ?? mark.shown, why: mark.why, context: family });
          continue;
        }
        const { kind: name, provider, shown, secret, decoded, whole, span, long } = mark;
        this.labels.push({
          path, line: i + 1, ...(span > 1 ? { endLine: i + span } : {}), secret: secret ?? shown, kind: name,
            provider,
          context: family, ...(decoded ? { decoded } : {}), ...(whole ? { whole } : {}),
            ...(long ? { long: true } : {}),
        });
      }
    });
  }

  deal() {
    const { r } = this;
    for (const [family, all] of this.waiting) {
      const blocks = r.shuffle(all);
      const [low, high] = DENSITY[family] ?? DEFAULT_DENSITY;
      while (blocks.length) {
        const lines = compose(r, family, blocks.splice(0, r.range(low, high)));
        const windows = family === 'crlf' || (!['sh', 'bundle', 'long', 'map'].includes(family) && r.chance(0.04));
        this.add(this.freePath(family), lines, {
          family, eol: windows ? '\r\n' : '\n', encoding: family === 'utf16' ? 'utf16le' : 'utf8',
        });
      }
    }
  }
}

function pickFamilies(r, item, count) {
  // UTF-16 is rare in real projects, so it is drawn less often than the others.
  const rare = (family) => family === 'utf16' && r.chance(0.6);
  const fitting = r.shuffle((item.families ?? FAMILIES).filter((family) => fits(item, family) && !rare(family)));
  return Array.from({ length: count }, (_, i) => fitting[i % fitting.length]);
}

function plantKinds(tree, r) {
  for (const item of KINDS) {
    for (const family of pickFamilies(r, item, r.range(6, 8))) {
      const made = item.make(r);
      const { value, secret } = typeof made === 'string' ? { value: made, secret: made } : made;
      // A dollar sign would be read as a variable in some forms, so these are left out per kind, not per form.
      const lines = r.pick(CONTEXTS[family])(spell(r.pick(item.names)), value, r);
      const mark = { kind: item.id, provider: item.provider, shown: secret,
        whole: value === secret ? undefined : value };
      if (family === 'k8s') Object.assign(mark, { shown: b64(value), decoded: value, whole: undefined });
      tree.plant(family, block(lines, mark));
    }
  }
  for (const item of OWN) {
    const forms = r.shuffle(item.forms);
    const count = r.range(6, 8);
    for (let i = 0; i < count; i++) {
      const [family, form] = forms[i % forms.length];
      const value = item.make(r);
      const lines = form(value, r);
      const whole = lines.find((line) => line.includes(value)).trim();
      const decoded = item.decode ? Buffer.from(value, 'base64').toString() : undefined;
      tree.plant(family, block(lines, { kind: item.id, provider: item.provider, shown: value, whole, decoded }));
    }
  }
}

function plantPairs(tree, r) {
  for (const { id, provider, first, second, labelledId } of PAIRS) {
    for (const [family, form] of r.shuffle(Object.entries(PAIR_FORMS)).slice(0, r.range(6, 8))) {
      const [key, secret] = [first[1](r), second[1](r)];
      const marks = [{ kind: id, provider, shown: secret }];
      marks.push(labelledId ? { kind: labelledId, provider, shown: key } : { why: 'id beside its secret',
        shown: key });
      tree.plant(family, block(form(spell(first[0]), key, spell(second[0]), secret, r), ...marks));
    }
  }
}

/** Private keys stand in files of their own, in code, in YAML blocks and in one JSON line with escaped ends. */
function plantPrivateKeys(tree, r) {
  const indented = (lines, by) => lines.map((line) => by + line);
  for (const [id, make] of Object.entries(PRIVATE_KEYS)) {
    const forms = r.shuffle(['key', 'key', 'yaml', 'ts', 'py', 'json', 'tf', 'md', 'k8s', 'env', 'go', 'sh']).slice(0,
      7);
    for (const form of forms) {
      const lines = make(r);
      const mark = { kind: id, provider: 'generic', shown: lines[0], secret: lines.join('\n'), span: lines.length };
      const flat = lines.join('\\n');
      const flatMark = { ...mark, shown: flat, secret: flat, span: 1 };
      if (form === 'key') tree.plant('key', block(lines, mark));
      if (form === 'yaml') tree.plant('yaml', block([`${r.pick(NOUNS)}_key: |`, ...indented(lines, '  ')], mark));
      if (form === 'ts') tree.plant('ts', block([`const ${r.pick(NOUNS)}Key = \`${lines[0]}`, ...lines.slice(1, -1),
        `${lines.at(-1)}\`;`], mark));
      if (form === 'py') tree.plant('py', block(['SIGNING_KEY = """', ...lines, '"""'], mark));
      if (form === 'go') tree.plant('go', block(['const signingKey = `', ...lines, '`'], mark));
      if (form === 'tf') tree.plant('tf', block([`variable "${r.pick(NOUNS)}_key" {`, '  default = <<EOT', ...lines,
        'EOT', '}'], mark));
      if (form === 'md') tree.plant('md', block(['```', ...lines, '```'], mark));
      if (form === 'sh') tree.plant('sh', block(["cat > /tmp/deploy.key <<'EOF'", ...lines, 'EOF'], mark));
      if (form === 'json') tree.plant('json', block([`"privateKey": "${flat}\\n"`], flatMark));
      if (form === 'env') tree.plant('env', block([`JWT_PRIVATE_KEY="${flat}\\n"`], flatMark));
      if (form === 'k8s') {
        const coded = b64(`${lines.join('\n')}\n`);
        tree.plant('k8s', block(['apiVersion: v1', 'kind: Secret', 'type: kubernetes.io/tls', 'metadata:',
          `  name: ${r.pick(NOUNS)}-tls`, 'data:', `  tls.key: ${coded}`], { ...mark, shown: coded, secret: coded,
          decoded: lines.join('\n'), span: 1 }));
      }
    }
  }
  for (let i = 0; i < 7; i++) {
    const key = `${pem(PRIVATE, pkcs8(der(0x30, OID_RSA, DER_NULL), rsaPkcs1(r))).join('\\n')}\\n`;
    const name = `${r.pick(NOUNS)}-${r.pick(VERBS)}`;
    const account = `${name}@${r.pick(HOSTS)}.iam.gserviceaccount.com`;
    tree.plant('whole', block(['{', '  "type": "service_account",', `  "project_id": "${r.pick(HOSTS)}",`,
      `  "private_key_id": "${r.hex(40)}",`, `  "private_key": "${key}",`, `  "client_email": "${account}",`,
      `  "client_id": "${r.digits(21)}",`, '  "token_uri": "https://oauth2.googleapis.com/token"', '}'],
    { kind: 'gcp-service-account', provider: 'Google', shown: key }));
  }
}

function plantDecoys(tree, r) {
  for (const item of VALUE_DECOYS) {
    for (const family of pickFamilies(r, item, item.count)) {
      const value = item.make(r);
      const forms = family === 'k8s' ? CONFIG_MAPS : CONTEXTS[family];
      const lines = r.pick(forms)(spell(r.pick(item.names)), value, r);
      tree.plant(family, block(lines, { why: item.why, shown: value }));
    }
  }
  for (const { why, forms, count } of LINE_DECOYS) {
    for (let i = 0; i < count; i++) {
      const [family, form] = forms[i % forms.length];
      const [lines, value] = form(r);
      tree.plant(family, block(lines, { why, shown: value }));
    }
  }
}

// ---------------------------------------------------------------- files without anything planted

function lockFiles(tree, r) {
  const version = () => `${r.int(12)}.${r.int(30)}.${r.int(20)}`;
  const name = () => `${r.pick(['', '', `@${r.pick(HOSTS)}/`])}`
    + `${r.pick(VERBS)}-${r.pick(NOUNS)}${r.pick(['', '-core', '-loader', '-token', '-auth'])}`;
  const list = (n, make) => Array.from({ length: n }, make);
  const npm = (n) => {
    const packages = {};
    for (const key of list(n, name)) {
      const v = version();
      packages[`node_modules/${key}`] = { version: v,
        resolved: `https://npm.fernway.net/${key}/-/${key.split('/').at(-1)}-${v}.tgz`,
        integrity: `sha512-${r.base64(64)}`, license: 'MIT', engines: { node: '>=18' } };
    }
    return JSON.stringify({ name: 'web', lockfileVersion: 3, requires: true, packages }, null, 2).split('\n');
  };
  const files = {
    'web/package-lock.json': npm(700),
    'legacy/site/package-lock.json': npm(120),
    'web/apps/admin/yarn.lock': ['# yarn lockfile v1', '', ...list(320, () => {
      const [key, v] = [name(), version()];
      return [`"${key}@^${v}":`, `  version "${v}"`,
        `  resolved "https://registry.yarnpkg.com/${key}/-/x-${v}.tgz#${r.hex(40)}"`,
        `  integrity sha512-${r.base64(64)}`, ''];
    }).flat()],
    'web/pnpm-lock.yaml': ["lockfileVersion: '9.0'", '', 'packages:', ...list(260, () =>
      [`  '${name()}@${version()}':`,
      `    resolution: {integrity: sha512-${r.base64(64)}}`, '']).flat()],
    'services/native/Cargo.lock': ['version = 3', '', ...list(300, () => ['[[package]]', `name = "${name()}"`,
      `version = "${version()}"`, 'source = "registry+https://github.com/rust-lang/crates.io-index"',
        `checksum = "${r.hex(64)}"`, '']).flat()],
    'services/ledger/go.sum': list(500, () =>
      `github.com/${r.pick(HOSTS)}/${r.pick(NOUNS)} v${version()} h1:${r.base64(32)}`),
    'services/billing/poetry.lock': list(180, () =>
      ['[[package]]', `name = "${name()}"`, `version = "${version()}"`, 'files = [',
      `    {file = "${r.pick(NOUNS)}.whl", hash = "sha256:${r.hex(64)}"},`, ']', '']).flat(),
    'services/billing/requirements.txt': list(80, () =>
      [`${r.pick(VERBS)}-${r.pick(NOUNS)}==${version()} \\`, `    --hash=sha256:${r.hex(64)}`]).flat(),
    'infra/terraform/prod/.terraform.lock.hcl': list(30, () =>
      [`provider "registry.terraform.io/${r.pick(HOSTS)}/${r.pick(NOUNS)}" {`,
      `  version = "${version()}"`, '  hashes = [', `    "h1:${r.base64(32)}",`, `    "zh:${r.hex(64)}",`, '  ]',
        '}']).flat(),
  };
  // All the sums are harmless; a dozen per file is listed, which is enough to name a false alarm.
  for (const [path, lines] of Object.entries(files)) tree.add(path,
    markSome(lines, /[\w+/]{40,}=*/, 'sum in a lock file', 12));
}

function markSome(lines, pattern, why, limit) {
  let left = limit;
  return lines.map((text) => {
    const shown = left > 0 ? pattern.exec(text)?.[0] : undefined;
    if (shown) left--;
    return { text, marks: shown ? [{ why, shown }] : [] };
  });
}

function translations(tree, r) {
  const texts = { de: 'Passwort', fr: 'Mot de passe', es: 'Contraseña', nl: 'Wachtwoord', fi: 'Salasana',
    pl: 'Hasło' };
  for (const [locale, word] of Object.entries(texts)) {
    const entries = { password: `${word}`, passwordPlaceholder: `${word} …`, forgotPassword: `${word}?`,
      secretQuestion: `${word} 1`,
      'auth.token.expired': `${word}: 15 min`, apiKey: 'API-Key', tokenLabel: 'Token', newPassword: `${word} (2)` };
    for (let i = 0; i < 160;
      i++) entries[`${r.pick(NOUNS)}.${r.pick(VERBS)}.${i}`] = `${capital(r.pick(NOUNS))} ${word.toLowerCase()} ${i}`;
    tree.add(`web/apps/shop/src/locales/${locale}.json`, markSome(
      JSON.stringify(entries, null, 2).split('\n'), /"(?:\w*password\w*|secretQuestion|apiKey|tokenLabel)": ".*"/i,
      'text for people', 6));
  }
}

/** Clean files of every ordinary family, so that most of the tree holds nothing at all. */
function cleanFiles(tree, r) {
  const amounts = { ts: 70, tsx: 60, tstest: 30, py: 50, pytest: 20, go: 45, java: 35, rb: 12, php: 12, tf: 25,
    md: 25, css: 30, html: 10,
    json: 12, yaml: 15, sh: 12, svg: 20, sql: 8, csv: 6, bundle: 6, map: 6, log: 6, xml: 8, ipynb: 4 };
  for (const [family, amount] of Object.entries(amounts)) {
    const size = { bundle: 400, map: 50, log: 160, csv: 150 }[family] ?? 10;
    for (let i = 0; i < amount; i++) {
      const blocks = Array.from({ length: r.range(size, size * 2) }, () => plain(FILLERS[family](r)));
      tree.add(tree.freePath(family), compose(r, family, blocks, false), { family });
    }
  }
}

export async function write(folder, seed = 1) {
  const r = makeRandom(seed);
  const tree = new Tree(r);
  plantKinds(tree, r);
  plantPairs(tree, r);
  plantPrivateKeys(tree, r);
  plantDecoys(tree, r);
  tree.deal();
  lockFiles(tree, r);
  translations(tree, r);
  cleanFiles(tree, r);
  const root = join(folder, 'tree');
  await rm(root, { recursive: true, force: true });
  let bytes = 0;
  for (const { path, body } of tree.files.values()) {
    const target = join(root, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, body);
    bytes += body.length;
  }
  const order = (a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.line - b.line);
  const labels = { labels: tree.labels.sort(order), decoys: tree.decoys.sort(order) };
  await writeFile(join(folder, 'labels.json'), `${JSON.stringify(labels, null, 1)}\n`);
  const kinds = new Set(labels.labels.map((label) => label.kind)).size;
  return { files: tree.files.size, bytes, labels: labels.labels.length, decoys: labels.decoys.length, kinds };
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  const [, , folder, seed = '1'] = process.argv;
  if (!folder) {
    console.error('usage: node labelled.mjs <folder> [seed]');
    process.exit(2);
  }
  console.log(JSON.stringify(await write(folder, Number(seed))));
}
