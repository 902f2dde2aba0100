/** Options of every command, and the parsing of option values. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { PROGRESS_MODES } from '../output/terminal.js';
import { COMMAND_OPTIONS } from './groups.js';

/** `--quiet`, `--verbose` and `--progress`; see `LogOptions` in output/terminal.ts. */
export function logOptions(command: Command): Command {
  return command
    .optionsGroup(COMMAND_OPTIONS)
    .option('-q, --quiet', 'print results and errors only, no warnings and no progress')
    .option('-v, --verbose', 'print more detail')
    .addOption(
      new Option(
        '--progress <how>',
        'show progress on stderr: live on a terminal and else as plain (auto), a line now and ' +
          'then (plain), one JSON object per line for programs (json), or not at all (none)',
      )
        .choices(PROGRESS_MODES)
        .default('auto'),
    );
}

/** Parses a whole number of at least `minimum` and, where given, at most `maximum`. */
export function integer(
  minimum: number,
  maximum = Number.MAX_SAFE_INTEGER,
): (text: string) => number {
  const range =
    maximum === Number.MAX_SAFE_INTEGER
      ? `of at least ${minimum}`
      : `from ${minimum} to ${maximum}`;
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= minimum && value <= maximum)) {
      throw new InvalidArgumentError(`expected a whole number ${range}.`);
    }
    return value;
  };
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const AGE_UNITS_MS = new Map([
  ['h', HOUR_MS],
  ['d', DAY_MS],
  ['w', 7 * DAY_MS],
  ['y', 365 * DAY_MS],
]);

/** Returns an age such as 36h, 30d, 8w or 1y in milliseconds; undefined if `text` is none. */
export function parseAge(text: string): number | undefined {
  const [, digits, suffix = ''] = /^(\d{1,5})([a-z])$/.exec(text) ?? [];
  const unit = AGE_UNITS_MS.get(suffix);
  return digits === undefined || unit === undefined ? undefined : Number(digits) * unit;
}

/** Collects the values of an option that may be repeated. */
export function repeated(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text];
}

/** Collects `KEY=VALUE` of an option that may be repeated. */
export function keyValue(
  text: string,
  previous: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const equals = text.indexOf('=');
  if (equals < 1) {
    throw new InvalidArgumentError('expected KEY=VALUE.');
  }
  return { ...previous, [text.slice(0, equals)]: text.slice(equals + 1) };
}
