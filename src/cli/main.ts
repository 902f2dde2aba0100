#!/usr/bin/env node
/** The command line: `ostrata COMMAND`. One file here per command. */
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import { runToExit } from './run.js';

/** Percent by which the heap may outgrow what is in use. Left to itself, it grew to 1.9 GB for a million files, so to 1.5 GB. */
setFlagsFromString('--heap-growing-percent=50');
/** From this version on young objects get several times the memory: 130 MB more for a large tree, and no faster. */
const ROOMY_NODE = 24;
if (Number.parseInt(process.versions.node, 10) >= ROOMY_NODE) {
  setFlagsFromString('--semi-space-growth-factor=1');
}

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

/** In the order of the help. Each loads what its command needs and nothing else: all together take 0.1 s. */
const COMMANDS = new Map<string, () => Promise<(program: Command) => void>>([
  [
    'container-encapsulate',
    async () => (await import('./container/encapsulate.js')).addContainerEncapsulateCommand,
  ],
  ['container', async () => (await import('./container/index.js')).addContainerCommand],
  ['inspect', async () => (await import('./container/inspect.js')).addInspectCommand],
  ['layout', async () => (await import('./layout/index.js')).addLayoutCommand],
  ['verify', async () => (await import('./container/verify.js')).addVerifyCommand],
  ['rpmdb', async () => (await import('./rpmdb/index.js')).addRpmdbCommand],
]);

await runToExit(async () => {
  const called = COMMANDS.get(process.argv[2] ?? '');
  // Whatever is not the name of a command (--help, a mistake) is answered by a program that knows all.
  const needed = called ? [called] : process.argv[2] === '--version' ? [] : COMMANDS.values();
  for (const load of needed) {
    (await load())(program);
  }
  await program.parseAsync();
});
