// What the site consists of: what stands in its header, and its documentation in the order in which it is read. The build fails if a
// page that is named here is not there, or if a document is there that is not named.

/** The header: pages by their path in the site. `under` is a folder whose pages count as the entry's own. */
export const NAVIGATION = [
  { path: 'index.html', label: 'Start' },
  { path: 'anatomy.html', label: 'Anatomy of a key' },
  { path: 'relay.html', label: 'Exposed or relayed' },
  { path: 'edges.html', label: 'Edges' },
  { path: 'rotation.html', label: 'Rotation' },
  { path: 'scan.html', label: 'Scan' },
  { path: 'docs/index.html', label: 'Docs', under: 'docs/' },
  { path: 'dashboard.html', label: 'Dashboard' },
  { path: 'api.html', label: 'API' },
];

/** The documentation: each name is a file `www/docs/{name}.md`. */
export const DOCUMENTS = [
  { label: 'Begin', names: ['start', 'concepts', 'rules'] },
  { label: 'Guides', names: ['javascript', 'command-line', 'guard-an-api', 'relay-a-front-end', 'rotate-a-providers-key', 'answer-a-leak', 'migrate', 'self-host', 'deploy-on-cloudflare'] },
  { label: 'Reference', names: ['format', 'threat-model', 'bounds'] },
];
