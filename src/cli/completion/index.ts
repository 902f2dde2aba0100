/** `ostrata completion`: lets shells complete commands, options and their values. */
import { Argument, type Command } from 'commander';
import { SHELL_COMMANDS } from '../help.js';
import { print } from '../output/print.js';
import { complete } from './candidates.js';
import { SCRIPTS } from './scripts.js';

const EXAMPLE = `
Examples:
  source <(ostrata completion bash)
  ostrata completion zsh > ~/.zfunc/_ostrata
  ostrata completion fish > ~/.config/fish/completions/ostrata.fish`;

export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .helpGroup(SHELL_COMMANDS)
    .summary('print what a shell needs to complete command lines')
    .description(
      'Print a script for a shell, which then completes commands, options and their values.',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices([...SCRIPTS.keys()]))
    .action((shell: string) => {
      print(SCRIPTS.get(shell) ?? '');
    })
    .addHelpText('after', EXAMPLE);
}

/** The command that the scripts call. */
export function addCompleteCommand(program: Command): void {
  program
    .command('complete', { hidden: true })
    .description('Print what the last word can become.')
    .argument('[word...]', 'the words after the name of the program; the last is at the cursor')
    .action((words: readonly string[]) => {
      const { names, candidates } = complete(program, words);
      const lines = candidates.map(({ value, description }) => `${value}\t${description}`);
      print([names, ...lines].join('\n'));
    });
}
