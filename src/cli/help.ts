/** `ostrata help COMMAND`, at every level: `ostrata help container image pull`. */
import type { Command } from 'commander';
import { didYouMean } from '../bytes/nearest.js';
import { OstrataError } from '../errors.js';
import { lineWidth, type OutputStream } from './output/width.js';

/** Headings of the commands in the help of `ostrata`. */
export const BUILD_COMMANDS = 'Build images:';
export const IMAGE_COMMANDS = 'Read and pull images:';
export const PACKAGE_COMMANDS = 'Read RPM databases:';
export const SHELL_COMMANDS = 'This program:';

/** At the end of each help page. */
export const EXIT_CODES =
  '\nExit codes: 0 success, 1 failure, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM.';

/** Characters of a line of help where the width is unknown. */
const HELP_WIDTH = 80;

/** Returns the characters of a line of help that goes to `stream`. */
export function helpWidth(stream: OutputStream): number {
  const width = lineWidth(stream);
  return width === Infinity ? HELP_WIDTH : width;
}

/** Adds `help [command...]` to a command that has commands, and to these. */
export function addHelpCommands(group: Command): void {
  if (group.commands.length === 0) {
    return;
  }
  group.commands.forEach(addHelpCommands);
  group
    .command('help')
    .summary('print the help of a command')
    .description('Print the help of a command.')
    .argument('[command...]', 'the words that name the command, such as container image pull')
    .action((names: readonly string[]) => commandCalled(names, group).outputHelp());
}

function commandCalled(names: readonly string[], group: Command): Command {
  let found = group;
  for (const name of names) {
    const next = found.commands.find((command) => command.name() === name);
    if (next === undefined) {
      const known = found.commands.map((command) => command.name());
      throw new OstrataError('USAGE', `unknown command '${name}'${didYouMean(name, known)}`);
    }
    found = next;
  }
  return found;
}
