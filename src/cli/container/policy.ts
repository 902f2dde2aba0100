/** `ostrata container policy`: how the host's signature policy decides about an image. */
import type { Command } from 'commander';
import { withoutVerification } from '../../client/verify/ostree-image-reference.js';
import { enforcePolicy } from '../../client/verify/policy.js';
import {
  ACCEPT_ANYTHING,
  type PolicyRule,
  policyPath,
  policyRule,
  readPolicy,
  ruleProblems,
} from '../../client/verify/policy-rules.js';
import { OstrataError } from '../../errors.js';
import { openImage } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { registryOptions, transportOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { print, printable } from '../output/print.js';
import { terminalLogger } from '../output/terminal.js';
import type { InfoOptions } from './image-info.js';

export function addPolicyCommand(container: Command): void {
  const command = container
    .command('policy')
    .summary("show whether the host's signature policy accepts an image, and which rule decides")
    .description(
      'Show which rule of the signature policy, containers-policy.json(5), applies to an image, ' +
        'and whether that rule accepts the image, as a pull with ostree-image-signed: would. ' +
        'Problems of the rule are listed, such as a missing key, or an identity that cosign does ' +
        'not write into signatures. Nothing is pulled. The exit code is 0 only if the rule ' +
        'requires a signature and the signature is good.',
    )
    .argument('<imgref>', 'TRANSPORT:..., also with the prefix ostree-image-signed:')
    .option('--json', 'print the result as JSON')
    .action(policy);
  useOptions(command, [registryOptions, logOptions]);
}

interface PolicyResult {
  readonly path: string;
  readonly rule: PolicyRule;
  readonly problems: readonly string[];
  /** Why the policy does not accept the image; undefined if it does. */
  readonly refusal: string | undefined;
}

async function policy(reference: string, options: InfoOptions): Promise<void> {
  const result = await checkPolicy(withoutVerification(reference), options);
  if (result.refusal !== undefined || acceptsAnything(result.rule)) {
    process.exitCode = 1;
  }
  print(options.json ? jsonReport(result) : textReport(result));
}

async function checkPolicy(imgref: string, options: InfoOptions): Promise<PolicyResult> {
  const path = policyPath();
  const hostPolicy = readPolicy(path);
  const rule = policyRule(hostPolicy, imgref);
  const problems = ruleProblems(hostPolicy, rule);
  return { path, rule, problems, refusal: await findRefusal(imgref, options) };
}

function acceptsAnything({ requirements }: PolicyRule): boolean {
  return requirements.some(({ type }) => type === ACCEPT_ANYTHING);
}

/** Returns why the policy refuses the image, or why that cannot be found out. */
async function findRefusal(imgref: string, options: InfoOptions): Promise<string | undefined> {
  const transport = transportOptions(options, [imgref], terminalLogger(options))(imgref);
  try {
    const image = await openImage(imgref, transport);
    try {
      await enforcePolicy(imgref, image, { ...transport, log: undefined });
    } finally {
      await image.close?.();
    }
    return undefined;
  } catch (error) {
    if (error instanceof OstrataError && error.code !== 'CANCELLED') {
      return error.message;
    }
    throw error;
  }
}

function jsonReport({ path, rule, problems, refusal }: PolicyResult): string {
  const accepted = refusal === undefined;
  return JSON.stringify({ policy: path, ...rule, problems, accepted, reason: refusal });
}

function textReport({ path, rule, problems, refusal }: PolicyResult): string {
  const lines = [
    `policy:   ${path}`,
    `rule:     ${rule.scope}`,
    ...rule.requirements.map(requirementLine),
    ...problems.map((problem) => `problem:  ${problem}`),
    `accepted: ${refusal === undefined ? 'yes' : `no: ${refusal}`}`,
  ];
  return lines.map(printable).join('\n');
}

function requirementLine({ type, keyPath, keyPaths = [] }: PolicyRule['requirements'][number]) {
  const keys = keyPath === undefined ? keyPaths : [keyPath];
  return `requires: ${[type, ...keys].join(' ')}`;
}
