// As much of Cloudflare's API as wrangler asks for to deploy one Worker, on loopback: it keeps what is uploaded, and says what it
// was asked. What was uploaded is then run, in workerd, with the secrets and variables that came with it.
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { startKeyward } from '../../.ci/workerd.mjs';

export const ACCOUNT = '0123456789abcdef0123456789abcdef';
const MISSING = { status: 404, errors: [{ code: 10007, message: 'This Worker does not exist on your account.' }] };

export class Cloudflare {
  /** By name: `{secrets, metadata, modules}`; `metadata` holds what the Worker is bound to, and the migration it has come to. */
  workers = new Map();
  /** `METHOD path` of everything that was asked, and what nobody here answers. */
  asked = [];
  unknown = [];
  /** What is answered with a failure: a pattern of `METHOD path`. */
  refuses;

  static async start() {
    const cloudflare = new Cloudflare();
    cloudflare.server = createServer((request, response) => {
      cloudflare.answer(request).then(({ status = 200, result, errors }) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ success: errors === undefined, errors: errors ?? [], messages: [], result: result ?? null }));
      }, (error) => response.writeHead(500).end(JSON.stringify({ success: false, errors: [{ code: 1, message: String(error) }] })));
    }).listen(0, '127.0.0.1');
    await once(cloudflare.server, 'listening');
    return cloudflare;
  }

  /** What wrangler needs to find it. */
  get env() {
    return {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${this.server.address().port}/client/v4`,
      CLOUDFLARE_API_TOKEN: 'token-of-a-test', CLOUDFLARE_ACCOUNT_ID: ACCOUNT,
    };
  }

  async answer(request) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const form = () => new Response(body, { headers: { 'content-type': request.headers['content-type'] } }).formData();
    const { pathname } = new URL(request.url, 'http://cloudflare');
    const path = pathname.replace('/client/v4', '').replace(`/accounts/${ACCOUNT}`, '');
    const asked = `${request.method} ${path}`;
    this.asked.push(asked);
    if (this.refuses?.test(asked)) return { status: 400, errors: [{ code: 10021, message: 'refused by the test' }] };
    const [, name, rest] = /^\/workers\/scripts\/([^/]+)(\/.*)?$/.exec(path) ?? [];
    const worker = this.workers.get(name);
    switch (name === undefined ? asked : `${request.method} ${rest ?? ''}`) {
      case 'GET /user': return { result: { email: 'ada@example.net', id: 'u' } };
      case 'GET /user/tokens/verify': return { result: { status: 'active', id: 't' } };
      case 'GET /memberships': return { result: [{ id: 'm', account: { id: ACCOUNT, name: 'acme' } }] };
      case 'GET /accounts': return { result: [{ id: ACCOUNT, name: 'acme' }] };
      case 'GET /workers/scripts': return { result: [...this.workers].map(([id, { metadata }]) => ({ id, migration_tag: metadata?.migrations?.new_tag ?? undefined })) };
      case 'GET /workers/subdomain': return { result: { subdomain: 'acme' } };
      case 'GET /secrets': return worker ? { result: Object.keys(worker.secrets).map((secret) => ({ name: secret, type: 'secret_text' })) } : MISSING;
      case 'GET /settings': return worker ? { result: { bindings: Object.keys(worker.secrets).map((secret) => ({ name: secret, type: 'secret_text' })) } } : MISSING;
      case 'PATCH /settings': {
        const { bindings } = JSON.parse((await form()).get('settings'));
        for (const { name: secret, text } of bindings) if (text !== undefined) worker.secrets[secret] = text;
        return { result: {} };
      }
      case 'GET /deployments': return { result: { deployments: [{ id: 'd', source: 'wrangler', strategy: 'percentage', author_email: 'ada@example.net', created_on: '2026-01-01T00:00:00Z', versions: [{ version_id: 'v', percentage: 100 }] }] } };
      case 'POST /assets-upload-session': return { result: { jwt: 'uploaded', buckets: [] } };
      case 'GET /subdomain':
      case 'POST /subdomain': return { result: { enabled: true, previews_enabled: false } };
      // What newer releases ask instead of the settings.
      case 'PATCH /secrets-bulk': {
        if (!worker) return MISSING;
        const { secrets } = JSON.parse(body.toString());
        for (const [secret, { text }] of Object.entries(secrets)) worker.secrets[secret] = text;
        return { result: Object.keys(worker.secrets).map((secret) => ({ name: secret, type: 'secret_text' })) };
      }
      case 'POST /deployments': return { result: { id: 'd', number: 2 } };
      case 'PATCH /script-settings': return { result: {} };
      case 'POST /versions':
      case 'PUT ': {
        const fields = await form();
        const modules = {};
        for (const [module, content] of fields) if (module !== 'metadata') modules[module] = Buffer.from(await content.arrayBuffer());
        const metadata = JSON.parse(fields.get('metadata'));
        this.workers.set(name, { secrets: worker?.secrets ?? {}, modules, metadata: { ...metadata, migrations: metadata.migrations ?? worker?.metadata?.migrations } });
        return { result: { id: rest ? 'v' : name, startup_time_ms: 1, deployment_id: 'd', metadata: { has_preview: false }, resources: { script: {}, bindings: [] } } };
      }
      default:
    }
    // Where newer releases look for what `GET …/subdomain` tells.
    if (/^(GET|PATCH|PUT) \/workers\/workers\//.test(asked)) return { result: { subdomain: { enabled: true, previews_enabled: false } } };
    if (asked.startsWith('GET /workers/services/')) {
      const service = this.workers.has(path.split('/').pop());
      return service ? { result: { default_environment: { environment: 'production', script: { tag: 't', last_deployed_from: 'wrangler' } } } } : { status: 404, errors: [{ code: 10090, message: 'not found' }] };
    }
    this.unknown.push(asked);
    return { status: 404, errors: [{ code: 7003, message: `nobody answers ${asked} here` }] };
  }

  /** Runs what was uploaded; `pages` stand for the assets, which wrangler was told are there already. */
  run({ name, folder, port, pages }) {
    const { secrets, metadata, modules } = this.workers.get(name);
    const code = join(folder, 'code');
    for (const [module, content] of Object.entries(modules)) {
      mkdirSync(dirname(join(code, module)), { recursive: true });
      writeFileSync(join(code, module), content);
    }
    const vars = Object.fromEntries(metadata.bindings.filter(({ type }) => type === 'plain_text').map((binding) => [binding.name, binding.text]));
    return startKeyward({ state: join(folder, 'state'), code, port, pages, env: { ...vars, ...secrets } });
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
