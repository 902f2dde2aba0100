import type { Command } from 'commander';
import { verifyImage } from '../../image/verify.js';
import { IMGREF_FORMS } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, type RegistryOptions, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { counted, formatCount } from '../output/format.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';

export function addVerifyCommand(program: Command): void {
  const command = program
    .command('verify')
    .summary('recompute everything that an image says of itself')
    .description(
      'Read a whole image and recompute every digest, size, diff_id and label, the checksum of every ostree object, and ' +
        'that the commit is complete: what a client would refuse is found here. Signatures are not looked at.',
    )
    .argument('<imgref>', IMGREF_FORMS)
    .option('--json', 'print the counts as JSON')
    .action(
      async (
        imgref: string,
        options: LogOptions & RegistryOptions & { readonly json?: boolean | undefined },
      ) => {
        const log = terminalLogger(options);
        const image = await imageOpener(options, [imgref], log)(imgref);
        const verified = await verifyImage(image, log).finally(() => image.close?.());
        if (options.json) {
          return console.log(JSON.stringify(verified));
        }
        const { commit, layers, derivedLayers, metadataObjects, contentObjects, paths } = verified;
        const derived = derivedLayers > 0 ? `, ${formatCount(derivedLayers)} of them derived` : '';
        console.log(
          `${imgref}: valid\ncommit ${commit}: ${counted(layers, 'layer')}${derived}, ` +
            `${counted(contentObjects, 'content object')} at ${counted(paths, 'path')}, ` +
            `${counted(metadataObjects, 'metadata object')}`,
        );
      },
    );
  useOptions(command, [registryOptions, logOptions]);
}
