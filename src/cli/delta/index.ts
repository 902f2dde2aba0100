/** `ostrata delta`: deltas between two images. */
import type { Command } from 'commander';
import { BUILD_COMMANDS } from '../help.js';
import { addApplyCommand } from './apply.js';
import { addCreateCommand } from './create.js';
import { addInspectCommand } from './inspect.js';
import { addPruneCommand } from './prune.js';

export function addDeltaCommand(program: Command): void {
  const delta = program
    .command('delta')
    .helpGroup(BUILD_COMMANDS)
    .summary('make, read and apply deltas: updates of what changed inside the files')
    .description(
      'A delta holds what an image has and an older one lacks, down to the bytes that changed ' +
        'inside files. It is an artifact beside the image, in the format of oci-delta, which ' +
        'bootc and other clients read as well. Files that are compressed themselves, such as an ' +
        'initramfs, hardly profit. `container image pull` takes deltas by itself.',
    );
  addCreateCommand(delta);
  addApplyCommand(delta);
  addInspectCommand(delta);
  addPruneCommand(delta);
}
