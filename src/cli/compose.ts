/** `ostrata compose container-encapsulate`, as rpm-ostree spells `container-encapsulate`. */
import type { Command } from 'commander';
import { addContainerEncapsulateCommand } from './container/encapsulate.js';
import { BUILD_COMMANDS } from './help.js';

/** The command is not listed in the help: the shorter spelling is. */
export function addComposeCommand(program: Command): void {
  const compose = program
    .command('compose', { hidden: true })
    .helpGroup(BUILD_COMMANDS)
    .description('The command that builds images, as rpm-ostree spells it.');
  addContainerEncapsulateCommand(compose);
}
