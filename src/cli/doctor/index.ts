/** `keyward doctor`: looks at a deployment and at the project around it, and says what is wrong, why that matters and what to do. */
import type { Command } from 'commander';
import { asking, deploymentUrl, KEY_HELP, type Asking } from '../connection.js';
import { out, plural, print, printJson, toned } from '../print.js';
import { examine } from './deployment.js';
import { blank, type Report } from './finding.js';
import { examineProject } from './project.js';

const ORDER = ['high', 'medium', 'low'];

function told({ findings, unchecked, fine }: Report): string {
  const blocks = findings.map(({ code, severity, what, why, fix }) => `${toned(severity)}  ${out('bold', what)}  ${out('dim', code)}\n  ${why}\n  ${out('cyan', 'do')}: ${fix}`);
  const lines = [
    ...fine.map((text) => `${out('green', 'ok')}  ${text}`),
    ...unchecked.map(({ what, why }) => `${out('yellow', '--')}  not looked at: ${what} (${why})`),
  ];
  const most = plural(findings.length, 'finding');
  return [...blocks, lines.join('\n'), findings.length === 0 ? out('green', 'nothing found') : `${most}, ${findings.filter(({ severity }) => severity === 'high').length} of them serious`].filter(Boolean).join('\n\n');
}

export function doctorCommand(program: Command, version: string): void {
  asking(program.command('doctor'))
    .summary('find what is wrong with a deployment and a project')
    .description('Looks at a deployment (--url or KEYWARD_URL) and at the project in this folder: configuration, clocks, caches, root secrets, unsafe keys, open routes,\n'
      + 'keys in built front ends, files of variables that git would take. It changes nothing.')
    .option('--no-project', 'look at the deployment alone')
    .option('--no-deployment', 'look at the project alone')
    .addHelpText('after', `
Exit codes
  0  nothing serious    1  something serious    2  it could not look

Examples
  keyward doctor --url https://keys.example
  keyward doctor --no-deployment                       in CI, before a deploy
  keyward doctor --json | jq '.findings[] | select(.severity == "high")'
${KEY_HELP}`)
    .action(async (options: Asking & { project: boolean; deployment: boolean }) => {
      const report = blank();
      if (options.deployment) await examine(deploymentUrl(options.url), version, report);
      if (options.project) await examineProject(report);
      report.findings.sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
      process.exitCode = report.findings.some(({ severity }) => severity === 'high') ? 1 : 0;
      if (options.json) printJson(report);
      else print(told(report));
    });
}
