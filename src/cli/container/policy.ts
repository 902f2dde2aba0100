import type { Command } from 'commander';
import { enforcePolicy } from '../../client/verify/policy.js';
import {
  ACCEPT_ANYTHING,
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
import { terminalLogger } from '../output/terminal.js';
import { type InfoOptions, plainImgref } from './info.js';

export function addPolicyCommand(container: Command): void {
  const command = container
    .command('policy')
    .summary("whether the host's signature policy accepts an image, and which rule decides")
    .description(
      'Tell which rule of containers-policy.json(5) holds for an image, what is wrong with it (a missing key, signatures that ' +
        'are not looked for, an identity that cosign does not sign), and whether it accepts the image as ' +
        'ostree-image-signed: would. Nothing is pulled. The exit code is 0 only where a signature is wanted and good.',
    )
    .argument('<imgref>', 'TRANSPORT:..., also with ostree-image-signed: in front')
    .option('--json', 'print it as JSON')
    .action(async (text: string, options: InfoOptions) => {
      const imgref = plainImgref(text);
      const path = policyPath();
      const policy = readPolicy(path);
      const rule = policyRule(policy, imgref);
      const problems = ruleProblems(policy, rule);
      const reason = await refusal(imgref, options);
      const accepted = reason === undefined;
      if (!accepted || rule.requirements.some(({ type }) => type === ACCEPT_ANYTHING)) {
        process.exitCode = 1;
      }
      if (options.json) {
        console.log(JSON.stringify({ policy: path, ...rule, problems, accepted, reason }));
      } else {
        console.log(`policy:   ${path}\nrule:     ${rule.scope}`);
        for (const { type, keyPath, keyPaths = [] } of rule.requirements) {
          console.log(
            `wanted:   ${[type, ...(keyPath === undefined ? keyPaths : [keyPath])].join(' ')}`,
          );
        }
        for (const problem of problems) {
          console.log(`problem:  ${problem}`);
        }
        console.log(`accepted: ${accepted ? 'yes' : `no: ${reason}`}`);
      }
    });
  useOptions(command, [registryOptions, logOptions]);
}

/** Why the policy does not accept the image, or why that cannot be told; undefined where it does. */
async function refusal(imgref: string, options: InfoOptions): Promise<string | undefined> {
  const transport = transportOptions(options, [imgref], terminalLogger(options))(imgref);
  try {
    const image = await openImage(imgref, transport);
    await enforcePolicy(imgref, image, { ...transport, log: undefined }).finally(() =>
      image.close?.(),
    );
    return undefined;
  } catch (error) {
    if (error instanceof OstrataError && error.code !== 'CANCELLED') {
      return error.message;
    }
    throw error;
  }
}
