#!/usr/bin/env node
/** The command line, `ostrata COMMAND`. Each command is a file or a folder here. */
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import * as v from 'valibot';
import { keepYoungGeneration } from '../system/memory.js';
import { addHelpCommands, EXIT_CODES, helpWidth } from './help.js';
import { rpmOstreeVersion } from './rpm-ostree-version.js';
import { runToExit } from './run.js';

/** Percent by which the heap may outgrow what is in use: 1.5 GB for a million files, not 1.9. */
setFlagsFromString('--heap-growing-percent=50');
keepYoungGeneration();

const packageSchema = v.object({ version: v.string(), description: v.string() });
const { version, description } = v.parse(
  packageSchema,
  createRequire(import.meta.url)('ostrata/package.json'),
);

type AddCommand = (program: Command) => void;
type LoadCommand = () => Promise<AddCommand>;

/** A link of such a name to the program makes it take the command line of that program. */
const OTHER_NAMES = new Map<string, LoadCommand>([
  ['chunkah', async () => (await import('./chunkah.js')).addChunkahBuildCommand],
  ['rpm-ostree', async () => (await import('./rpm-ostree.js')).addRpmOstreeCommands],
]);
const link = basename(process.argv[1] ?? '');
const name = OTHER_NAMES.has(link) ? link : 'ostrata';
const isRpmOstree = [name, process.argv[2]].includes('rpm-ostree');
const versionText = isRpmOstree ? rpmOstreeVersion(version) : version;

const program = new Command(name)
  .description(`${description}.`)
  .version(versionText, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .helpCommand(false)
  .exitOverride()
  .configureOutput({
    outputError: () => {},
    getOutHelpWidth: () => helpWidth(process.stdout),
    getErrHelpWidth: () => helpWidth(process.stderr),
  })
  .configureHelp({ subcommandTerm: (command) => command.name() })
  .addHelpText('after', `\nRun \`${name} COMMAND --help\` for the options of a command.`)
  .addHelpText('afterAll', EXIT_CODES);

/** In the order of the help. A command loads its own code only: loading all of it takes 0.1 s. */
const COMMANDS = new Map<string, LoadCommand>([
  [
    'container-encapsulate',
    async () => (await import('./container/encapsulate.js')).addContainerEncapsulateCommand,
  ],
  ['build', async () => (await import('./build/build.js')).addBuildCommand],
  ['chunkah', async () => (await import('./chunkah.js')).addChunkahCommand],
  ['rpm-ostree', async () => (await import('./rpm-ostree.js')).addRpmOstreeCommand],
  ['compose', async () => (await import('./compose.js')).addComposeCommand],
  ['layout', async () => (await import('./layout/index.js')).addLayoutCommand],
  ['delta', async () => (await import('./delta/index.js')).addDeltaCommand],
  ['cache', async () => (await import('./cache/index.js')).addCacheCommand],
  ['diff', async () => (await import('./diff/diff.js')).addDiffCommand],
  ['inspect', async () => (await import('./container/inspect.js')).addInspectCommand],
  ['verify', async () => (await import('./container/verify.js')).addVerifyCommand],
  ['container', async () => (await import('./container/index.js')).addContainerCommand],
  ['rpmdb', async () => (await import('./rpmdb/index.js')).addRpmdbCommand],
  ['doctor', async () => (await import('./doctor/index.js')).addDoctorCommand],
  ['completion', async () => (await import('./completion/index.js')).addCompletionCommand],
]);

/** Commands about the others, which are not in the help. */
const loadComplete: LoadCommand = async () =>
  (await import('./completion/index.js')).addCompleteCommand;
const loadMan: LoadCommand = async () => (await import('./man.js')).addManCommand;

/** Returns the commands that `words` need: all for the help and for a mistyped name. */
function commandsFor([word = '', ...others]: readonly string[]): readonly LoadCommand[] {
  const command = OTHER_NAMES.get(name) ?? COMMANDS.get(word);
  if (command !== undefined) {
    return [command];
  }
  if (word === 'complete') {
    // After `--` come the words of a command line, of which the last one is not complete.
    return [loadComplete, ...commandsFor(others.slice(1, -1))];
  }
  if (word === 'man') {
    return [loadMan, ...COMMANDS.values()];
  }
  return word === '--version' ? [] : [...COMMANDS.values()];
}

await runToExit(async () => {
  for (const load of commandsFor(process.argv.slice(2))) {
    const addCommand = await load();
    addCommand(program);
  }
  addHelpCommands(program);
  await program.parseAsync();
});
