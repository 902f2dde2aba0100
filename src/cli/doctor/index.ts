/** `ostrata doctor`: says what is there, what is missing, and what to do about it. */
import type { Command } from 'commander';
import { isNotFound, messageOf, OstrataError } from '../../errors.js';
import { IMGREF_HELP } from '../container/image-info.js';
import { SHELL_COMMANDS } from '../help.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, type RegistryOptions, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { stdoutColors } from '../output/colors.js';
import { counted } from '../output/format.js';
import { print, printable } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { type Check, ok, problem } from './check.js';
import { checkMachine } from './machine.js';
import { checkRights } from './rights.js';

interface DoctorOptions extends LogOptions, RegistryOptions {
  readonly json?: boolean | undefined;
}

const EXAMPLE = `
Example:
  ostrata doctor registry:quay.io/os/base:latest`;

export function addDoctorCommand(program: Command): void {
  const command = program
    .command('doctor')
    .helpGroup(SHELL_COMMANDS)
    .summary('say what works here, what is missing, and what to do about it')
    .description(
      'Check what commands depend on: Node and native code, the programs that are run for some ' +
        'of them, rights, the layer cache, temporary folders, and, with an image reference, ' +
        'whether the image can be read with the given options. Nothing is changed. A line ' +
        '"limited" says what does not work; a line "problem" makes the exit code 1.',
    )
    .argument('[imgref]', IMGREF_HELP)
    .option('--json', 'print the checks as JSON')
    .action(doctor)
    .addHelpText('after', EXAMPLE);
  useOptions(command, [registryOptions, logOptions]);
}

async function doctor(imgref: string | undefined, options: DoctorOptions): Promise<void> {
  const image = imgref === undefined ? [] : [await checkImage(imgref, options)];
  const checks = [...(await checkMachine()), ...checkRights(), ...image];
  const problems = checks.filter(({ status }) => status === 'problem').length;
  print(options.json ? JSON.stringify({ problems, checks }) : textReport(checks, problems));
  if (problems > 0) {
    process.exitCode = 1;
  }
}

/** Throws `USAGE` for a reference that is wrong in any case. */
async function checkImage(imgref: string, options: DoctorOptions): Promise<Check> {
  try {
    const image = await imageOpener(options, [imgref], terminalLogger(options))(imgref);
    await image.close?.();
    return ok('image', `${imgref} has the manifest ${image.manifestDigest}`);
  } catch (error) {
    if (error instanceof OstrataError && error.code === 'USAGE') {
      throw error;
    }
    return problem('image', messageOf(error), nextStepFor(error));
  }
}

function nextStepFor(error: unknown): string {
  if (isNotFound(error)) {
    return 'check the name and the tag; a build can write it';
  }
  return 'check the name; for a registry also `podman login`, the network and HTTPS_PROXY';
}

function textReport(checks: readonly Check[], problems: number): string {
  const nameWidth = Math.max(...checks.map(({ name }) => name.length));
  const indent = ' '.repeat('limited  '.length + nameWidth + 2);
  const lines = checks.flatMap(({ name, status, finding, nextStep }) => {
    const label = colorOf(status)(status.padEnd('limited  '.length));
    const line = `${label}${name.padEnd(nameWidth)}  ${printable(finding)}`;
    return nextStep === undefined ? [line] : [line, `${indent}-> ${nextStep}`];
  });
  const summary = problems === 0 ? 'no problem' : counted(problems, 'problem');
  return [...lines, '', summary].join('\n');
}

function colorOf(status: Check['status']): (text: string) => string {
  switch (status) {
    case 'ok':
      return stdoutColors.green;
    case 'limited':
      return stdoutColors.yellow;
    case 'problem':
      return stdoutColors.red;
  }
}
