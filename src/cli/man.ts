/**
 * `ostrata man DIR` writes the manual pages of all commands, from the definitions that `--help`
 * prints. The format is man(7): https://man.openbsd.org/man.7
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Argument, Command, Help, Option } from 'commander';
import { COMMAND_OPTIONS } from './options/groups.js';
import { print } from './output/print.js';

/** The command is not listed in the help: it is for those who make packages. */
export function addManCommand(program: Command): void {
  program
    .command('man', { hidden: true })
    .description('Write the manual pages of all commands into a folder.')
    .argument('<dir>', 'the folder')
    .action((directory: string) => {
      mkdirSync(directory, { recursive: true });
      for (const [name, page] of manualPages(program)) {
        writeFileSync(join(directory, name), page);
        print(join(directory, name));
      }
    });
}

/** Returns the pages by the names of their files: `ostrata-container-info.1`. */
export function manualPages(program: Command): ReadonlyMap<string, string> {
  const pages = new Map<string, string>();
  const addPages = (names: readonly string[], command: Command) => {
    pages.set(`${names.join('-')}.1`, manualPage(names, command, program));
    for (const each of documentedCommands(command)) {
      addPages([...names, each.name()], each);
    }
  };
  addPages([program.name()], program);
  return pages;
}

function documentedCommands(command: Command): readonly Command[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.filter((each) => each.name() !== 'help');
}

function manualPage(names: readonly string[], command: Command, program: Command): string {
  const help = command.createHelp();
  const title = names.join('-');
  const summary = help.subcommandDescription(command) || command.description();
  const lines = [
    `.TH ${title.toUpperCase()} 1 "" "${program.name()} ${program.version()}"`,
    '.SH NAME',
    `${roff(title)} \\- ${roff(summary)}`,
    '.SH SYNOPSIS',
    `.B ${roff(names.join(' '))}`,
    roff(command.usage()),
    '.SH DESCRIPTION',
    roff(command.description()),
    ...argumentLines(help, command),
    ...optionLines(help, command),
    ...commandLines(names, command),
    ...notesLines(command),
    ...seeAlsoLines(names),
  ];
  return `${lines.join('\n')}\n`;
}

function argumentLines(help: Help, command: Command): readonly string[] {
  const all = help.visibleArguments(command);
  const entries = all.map((argument: Argument) => ({
    term: `\\fI${roff(argument.name())}\\fR`,
    text: help.argumentDescription(argument),
  }));
  return section('ARGUMENTS', entries);
}

/** One section for each group of the help. */
function optionLines(help: Help, command: Command): readonly string[] {
  const groups = new Map<string, Option[]>();
  for (const option of help.visibleOptions(command)) {
    const heading = option.helpGroupHeading ?? COMMAND_OPTIONS;
    groups.set(heading, [...(groups.get(heading) ?? []), option]);
  }
  return [...groups].flatMap(([heading, options]) => {
    const entries = options.map((option) => ({
      term: flags(option),
      text: help.optionDescription(option),
    }));
    return section(heading.replace(/:$/, '').toUpperCase(), entries);
  });
}

/** `-q, --quiet` in bold, and the name of a value in italics. */
function flags({ flags }: Option): string {
  return flags
    .split(/([<[].*)/)
    .filter((part) => part !== '')
    .map((part, index) => (index === 0 ? `\\fB${roff(part)}\\fR` : `\\fI${roff(part)}\\fR`))
    .join('');
}

function commandLines(names: readonly string[], command: Command): readonly string[] {
  const help = command.createHelp();
  const entries = documentedCommands(command).map((each) => ({
    term: `\\fB${roff([...names, each.name()].join('-'))}\\fR(1)`,
    text: help.subcommandDescription(each),
  }));
  return section('COMMANDS', entries);
}

/** What the help prints after its lists: examples, and the exit codes. */
function notesLines(command: Command): readonly string[] {
  const parts = textAfterHelp(command).split(/^(\w[\w ]*):(?:\n| (?=[0-9]))/m);
  const [remark = '', ...sections] = parts;
  const lines = remark.trim() === '' ? [] : ['.SH NOTES', roff(remark.trim())];
  for (let i = 0; i + 1 < sections.length; i += 2) {
    const [title = '', text = ''] = sections.slice(i, i + 2);
    const unindented = text.trimEnd().replace(/^ {2}/gm, '');
    lines.push(`.SH ${title.toUpperCase()}`, '.nf', roff(unindented), '.fi');
  }
  return lines;
}

function textAfterHelp(command: Command): string {
  let text = '';
  const writeOut = (part: string) => {
    text += part;
  };
  const { writeOut: usual = () => {} } = command.configureOutput();
  command.configureOutput({ writeOut });
  command.outputHelp();
  command.configureOutput({ writeOut: usual });
  return text.slice(command.helpInformation().length);
}

function seeAlsoLines(names: readonly string[]): readonly string[] {
  const group = names.slice(0, -1).join('-');
  return group === '' ? [] : ['.SH SEE ALSO', `\\fB${roff(group)}\\fR(1)`];
}

interface Entry {
  readonly term: string;
  readonly text: string;
}

function section(title: string, entries: readonly Entry[]): readonly string[] {
  const lines = entries.flatMap(({ term, text }) => ['.TP', term, roff(text)]);
  return lines.length === 0 ? [] : [`.SH ${title}`, ...lines];
}

/** Returns text as it is meant: a hyphen can be copied, and no line is a request. */
function roff(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/gm, '\\&$&');
}
