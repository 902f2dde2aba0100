#!/usr/bin/env node
/** The command line: `ostrata COMMAND`. One file here per command. */
import { createRequire } from 'node:module';
import { Command } from 'commander';
import { addContainerCommand } from './container.js';
import { addContainerEncapsulateCommand } from './container-encapsulate.js';
import { addInspectCommand } from './inspect.js';
import { addLayoutCommand } from './layout.js';
import { addRpmdbCommand } from './rpmdb.js';
import { runToExit } from './run.js';
import { addVerifyCommand } from './verify.js';

const { version, description } = createRequire(import.meta.url)('ostrata/package.json') as {
  readonly version: string;
  readonly description: string;
};

const program = new Command('ostrata')
  .description(`${description}.`)
  .version(version)
  .exitOverride()
  .showSuggestionAfterError(false)
  .addHelpText('after', '\nEvery command explains itself: ostrata COMMAND --help');

addContainerEncapsulateCommand(program);
addContainerCommand(program);
addInspectCommand(program);
addLayoutCommand(program);
addVerifyCommand(program);
addRpmdbCommand(program);

await runToExit(() => program.parseAsync());
