/**
 * What can come next on a command line, by the same definitions that the help is printed from:
 * commands, options, and their values.
 */
import type { Argument, Command, Option } from 'commander';
import { TRANSPORTS } from '../../transports/image-reference.js';

/** A word that can stand at the place of the cursor. */
interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** Which names of the file system fit if there is no candidate. */
type Names = 'none' | 'files' | 'folders';

export interface Completion {
  readonly candidates: readonly Candidate[];
  readonly names: Names;
}

const NOTHING: Completion = { candidates: [], names: 'none' };

/** What the values of options and arguments are, by the names that the help gives them. */
const FOLDERS: ReadonlySet<string> = new Set(['dir', 'path', 'repo', 'repo|imgref']);
const FILES: ReadonlySet<string> = new Set(['file', 'kind=file', 'module', 'args', 'series']);
const IMAGES: ReadonlySet<string> = new Set([
  'imgref',
  'image',
  'old',
  'new',
  'out',
  'delta',
  'source',
]);

/** Where a word stands: in which command, and after which of its words. */
interface Place {
  readonly command: Command;
  /** The option whose value the word is. */
  readonly option?: Option | undefined;
  /** How many arguments of the command come before the word. */
  readonly argumentCount: number;
  /** Whether the word can be an option. */
  readonly allowsOptions: boolean;
}

/**
 * Returns what the last of `words` can become.
 * @param words follow the name of the program; the last one is at the cursor and may be empty
 */
export function complete(program: Command, words: readonly string[]): Completion {
  const word = words.at(-1) ?? '';
  const place = words.slice(0, -1).reduce(nextPlace, placeIn(program));
  const { candidates, names } = completionAt(place, word);
  const fitting = candidates.filter(({ value }) => value.startsWith(word));
  // After `oci:` comes the name of a file.
  const isComplete = /[:/]$/.test(word) && fitting.length === 1;
  return fitting.length === 0 || isComplete
    ? { candidates: [], names }
    : { candidates: fitting, names: 'none' };
}

function placeIn(command: Command): Place {
  return { command, argumentCount: 0, allowsOptions: true };
}

/** Returns where the word after `word` stands. */
function nextPlace(place: Place, word: string): Place {
  const { command, argumentCount } = place;
  if (place.option !== undefined) {
    return { ...place, option: undefined };
  }
  if (place.allowsOptions && word.startsWith('-')) {
    const option = optionOf(command, word);
    const takesWord = option?.required === true;
    return { ...place, option: takesWord ? option : undefined, allowsOptions: word !== '--' };
  }
  if (word === 'help') {
    return place; // followed by the names of commands, as if it were not there
  }
  const named = command.commands.find((each) => each.name() === word);
  return named === undefined ? { ...place, argumentCount: argumentCount + 1 } : placeIn(named);
}

function optionOf(command: Command, flag: string): Option | undefined {
  return command.options.find(({ long, short }) => flag === long || flag === short);
}

function completionAt(place: Place, word: string): Completion {
  const { command, option, argumentCount } = place;
  if (option !== undefined) {
    return valuesOf(option);
  }
  if (place.allowsOptions && word.startsWith('-')) {
    return optionsOf(command, word);
  }
  if (command.commands.length > 0) {
    return { candidates: commandsOf(command), names: 'none' };
  }
  const { registeredArguments } = command;
  const argument = registeredArguments[argumentCount] ?? registeredArguments.at(-1);
  const isOneMore = argumentCount >= registeredArguments.length && !argument?.variadic;
  return argument === undefined || isOneMore ? NOTHING : valuesOf(argument);
}

function commandsOf(command: Command): readonly Candidate[] {
  const help = command.createHelp();
  return help.visibleCommands(command).map((each) => ({
    value: each.name(),
    description: help.subcommandDescription(each),
  }));
}

/** Returns the options, or the values of the one that `word` begins with: `--format=`. */
function optionsOf(command: Command, word: string): Completion {
  const help = command.createHelp();
  const [flag = '', value] = word.split('=', 2);
  if (value !== undefined) {
    const option = optionOf(command, flag);
    const { candidates, names } = option === undefined ? NOTHING : valuesOf(option);
    const withFlag = candidates.map((each) => ({ ...each, value: `${flag}=${each.value}` }));
    return { candidates: withFlag, names };
  }
  const candidates = help.visibleOptions(command).flatMap((option) => {
    const { long, short } = option;
    const flags = [long, short].filter((each) => each !== undefined);
    const [description = ''] = option.description.split('\n', 1);
    return flags.map((each) => ({ value: each, description }));
  });
  return { candidates, names: 'none' };
}

function valuesOf(valued: Option | Argument): Completion {
  const choices = valued.argChoices ?? [];
  if (choices.length > 0) {
    const candidates = choices.map((value) => ({ value, description: '' }));
    return { candidates, names: 'none' };
  }
  const name = valueName(valued);
  if (IMAGES.has(name)) {
    return { candidates: TRANSPORT_NAMES, names: 'files' };
  }
  if (FOLDERS.has(name)) {
    return { candidates: [], names: 'folders' };
  }
  return { candidates: [], names: FILES.has(name) ? 'files' : 'none' };
}

/** Returns what the help shows for a value: `dir` of `--rootfs <dir>`. */
function valueName(valued: Option | Argument): string {
  return 'flags' in valued ? (/[<[](.+)[>\]]/.exec(valued.flags)?.[1] ?? '') : valued.name();
}

/** `oci:`, `docker://` and the others. */
const TRANSPORT_NAMES: readonly Candidate[] = TRANSPORTS.map(({ form }) => ({
  value: /^[\w-]+:(\/\/)?/.exec(form)?.[0] ?? form,
  description: form,
}));
