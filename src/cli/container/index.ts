/** `ostrata container`: commands on images and on the repositories that images are pulled into. */

import type { Command } from 'commander';
import { IMAGE_COMMANDS } from '../help.js';
import { addCompareCommand } from './compare.js';
import { addStoredImageCommands } from './image.js';
import { addInfoCommand } from './info.js';
import { addPolicyCommand } from './policy.js';
import { addPullCommand, addUnencapsulateCommand } from './pull.js';

export function addContainerCommand(program: Command): void {
  const container = program
    .command('container')
    .helpGroup(IMAGE_COMMANDS)
    .summary('pull images and recover their ostree commits')
    .description(
      'Pull images that hold an ostree commit, recover the commit, and describe images without ' +
        'pulling them.',
    );
  addUnencapsulateCommand(container);
  addInfoCommand(container);
  addCompareCommand(container);
  addPolicyCommand(container);

  const image = container
    .command('image')
    .summary('pull images into an ostree repository, and manage them there')
    .description(
      'Pull images into an ostree repository, and manage the images that it has. rpm-ostree and ' +
        'bootc find the same images there.',
    );
  addPullCommand(image);
  addStoredImageCommands(image);
}
