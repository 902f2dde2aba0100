/** `ostrata verify`: recomputes everything that an image says about itself. */

import type { Command } from 'commander';
import { type VerifiedImage, verifyImage } from '../../image/verify.js';
import { IMAGE_COMMANDS } from '../help.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, type RegistryOptions, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { counted } from '../output/format.js';
import { print } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { IMGREF_HELP } from './image-info.js';

interface VerifyOptions extends LogOptions, RegistryOptions {
  readonly json?: boolean | undefined;
}

export function addVerifyCommand(program: Command): void {
  const command = program
    .command('verify')
    .helpGroup(IMAGE_COMMANDS)
    .summary('check every digest, size, label and object of an image')
    .description(
      'Read a whole image and recompute what it says about itself: every digest, size, diff_id ' +
        'and label, and the checksum of every ostree object. Also checks that the commit is ' +
        'complete, and that derived layers and those of plain images are sound tar archives with ' +
        'valid whiteouts. An image that passes is one that clients can pull. Signatures are not ' +
        'checked.',
    )
    .argument('<imgref>', IMGREF_HELP)
    .option('--json', 'print the counts and what was checked as JSON')
    .action(verify);
  useOptions(command, [registryOptions, logOptions]);
}

async function verify(imgref: string, options: VerifyOptions): Promise<void> {
  const log = terminalLogger(options);
  const image = await imageOpener(options, [imgref], log)(imgref);
  const verified = await verifyImage(image, log).finally(() => image.close?.());
  print(options.json ? JSON.stringify(verified) : textReport(imgref, verified));
}

function textReport(imgref: string, verified: VerifiedImage): string {
  const { commit, layers, derivedLayers, checked } = verified;
  const lines = [`${imgref}: valid`];
  if (commit === undefined) {
    lines.push('no ostree commit');
  } else {
    const { metadataObjects, contentObjects, paths } = verified;
    const counts = [
      counted(layers - derivedLayers, 'layer'),
      `${counted(contentObjects, 'content object')} at ${counted(paths, 'path')}`,
      counted(metadataObjects, 'metadata object'),
    ];
    lines.push(`commit ${commit}: ${counts.join(', ')}`);
  }
  for (const { kind, layers, checks } of checked) {
    lines.push(`${counted(layers, `${kind} layer`)} checked for ${checks.join(', ')}`);
  }
  return lines.join('\n');
}
