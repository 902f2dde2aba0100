/**
 * How a query format shows a value: `%{TAG:conversion}`, as rpm does in the C locale.
 * Spec: https://rpm-software-management.github.io/rpm/manual/queryformat.html
 */
import { OstrataError } from '../../../src/errors.js';
import { base64Lines, bufferOf, showJson, showXml } from './markup.js';
import { readSignature } from './openpgp.js';
import { triggerType } from './query-triggers.js';
import { comparisonSigns } from './tag-values.js';
import { VERIFY_LETTERS, VerifyBit, type VerifyLetter } from './verify.js';

/** Returns the text of a value. @param value a string has one character per byte */
export type Conversion = (value: number | string | Uint8Array) => string;

const NOT_A_NUMBER = '(not a number)';

function numeric(convert: (value: number) => string): Conversion {
  return (value) => (typeof value === 'number' ? convert(value) : NOT_A_NUMBER);
}

const DAYS = 'Sun Mon Tue Wed Thu Fri Sat'.split(' ');
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

function twoDigits(value: number, fill = '0'): string {
  return String(value).padStart(2, fill);
}

/** `Tue Mar 04`. @param fill stands before a day of one digit */
function weekdayAndDate(at: Date, fill: string): string {
  const weekday = DAYS[at.getDay()];
  const month = MONTHS[at.getMonth()];
  const day = twoDigits(at.getDate(), fill);
  return `${weekday} ${month} ${day}`;
}

/** Like `%c` of strftime in the C locale, in the local time zone: `Tue Mar  4 05:06:07 2025`. */
function formatTime(seconds: number): string {
  const at = new Date(seconds * 1000);
  const date = weekdayAndDate(at, ' ');
  const hour = twoDigits(at.getHours());
  const minute = twoDigits(at.getMinutes());
  const second = twoDigits(at.getSeconds());
  const year = at.getFullYear();
  return `${date} ${hour}:${minute}:${second} ${year}`;
}

/** `Tue Mar 04 2025`, in the local time zone. */
function formatDay(seconds: number): string {
  const at = new Date(seconds * 1000);
  const date = weekdayAndDate(at, '0');
  const year = at.getFullYear();
  return `${date} ${year}`;
}

/** The letter of `ls -l` by file type, the upper four bits of a mode. */
const TYPE_LETTERS: Readonly<Record<number, string>> = {
  1: 'p',
  2: 'c',
  4: 'd',
  6: 'b',
  8: '-',
  10: 'l',
  12: 's',
};

/** Shows a mode like `ls -l`: `-rwsr-xr-x`. */
function formatMode(mode: number): string {
  const isSetuid = (mode & 0o4000) !== 0;
  const isSetgid = (mode & 0o2000) !== 0;
  const isSticky = (mode & 0o1000) !== 0;
  const type = (mode >> 12) & 15;
  const letters = [
    TYPE_LETTERS[type] ?? '?',
    formatClass(mode >> 6, isSetuid, 's'),
    formatClass(mode >> 3, isSetgid, 's'),
    formatClass(mode, isSticky, 't'),
  ];
  return letters.join('');
}

/**
 * The three letters of user, group or others.
 * @param special the letter of setuid, setgid or sticky
 */
function formatClass(bits: number, isSpecial: boolean, special: string): string {
  const read = bits & 4 ? 'r' : '-';
  const write = bits & 2 ? 'w' : '-';
  const mayExecute = (bits & 1) !== 0;
  let execute = mayExecute ? 'x' : '-';
  if (isSpecial) {
    execute = mayExecute ? special : special.toUpperCase();
  }
  return `${read}${write}${execute}`;
}

/** rpm's letters of file flags, in the order in which it shows them. */
const FILE_FLAGS: readonly (readonly [bit: number, letter: string])[] = [
  [1 << 1, 'd'],
  [1 << 0, 'c'],
  [1 << 5, 's'],
  [1 << 3, 'm'],
  [1 << 4, 'n'],
  [1 << 6, 'g'],
  [1 << 7, 'l'],
  [1 << 8, 'r'],
  [1 << 12, 'a'],
];

function formatFileFlags(flags: number): string {
  const given = FILE_FLAGS.filter(([bit]) => (flags & bit) !== 0);
  const letters = given.map(([, letter]) => letter);
  return letters.join('');
}

/** The bits that say that an attribute could not be read (rpm's RPMVERIFY_*FAIL). */
const UNREADABLE_BITS: ReadonlyMap<VerifyLetter, number> = new Map([
  ['5', 1 << 29],
  ['L', 1 << 28],
]);

/** @param sound stands for what is as it should be */
function verifyFlags(sound: string): Conversion {
  return numeric((flags) => {
    const letters = VERIFY_LETTERS.map((letter) => {
      const unreadableBit = UNREADABLE_BITS.get(letter) ?? 0;
      if (flags & unreadableBit) {
        return '?';
      }
      return flags & VerifyBit[letter] ? letter : sound;
    });
    return letters.join('');
  });
}

/** rpm's names of dependency flags (rpmsenseFlags_e), in the order in which it shows them. */
const DEPENDENCY_TYPES: readonly (readonly [bits: number, name: string])[] = [
  [1 << 9, 'pre'],
  [1 << 10, 'post'],
  [1 << 11, 'preun'],
  [1 << 12, 'postun'],
  [1 << 13, 'verify'],
  [1 << 8, 'interp'],
  [1 << 24, 'rpmlib'],
  [(1 << 14) | (1 << 15), 'auto'],
  [1 << 6, 'prereq'],
  [1 << 7, 'pretrans'],
  [1 << 5, 'posttrans'],
  [1 << 28, 'config'],
  [1 << 19, 'missingok'],
  [1 << 29, 'meta'],
];

function formatDependencyType(flags: number): string {
  const given = DEPENDENCY_TYPES.filter(([bits]) => (flags & bits) !== 0);
  const names = given.map(([, name]) => name);
  return names.join(',') || 'manual';
}

/** What became of a file on installation (rpm's rpmfileState_e). */
const FILE_STATES: ReadonlyMap<number, string> = new Map([
  [0, 'normal'],
  [1, 'replaced'],
  [2, 'not installed'],
  [3, 'net shared'],
  [4, 'wrong color'],
  [0xffffffff, 'missing'],
]);

const UNITS = ['', 'K', 'M', 'G', 'T', 'P'];

/** A number with a unit, e.g. `4.2M`. rpm computes in single precision. @param base 1000 or 1024 */
function withUnit(base: number): Conversion {
  return numeric((value) => {
    let scaled = Math.fround(value);
    let unit = 0;
    for (; scaled >= base; unit++) {
      scaled = Math.fround(scaled / base);
    }
    const digits = scaled > 0 && scaled < 9.95 ? 1 : 0;
    const text = toFixedLikePrintf(scaled, digits);
    return `${text}${UNITS[unit]}`;
  });
}

/**
 * Rounds like printf: exactly half of the last digit goes to the even digit. Only quarters and
 * halves can be such ties, no other binary fraction.
 */
function toFixedLikePrintf(value: number, digits: number): string {
  const scale = 10 ** digits;
  const shifted = value * scale;
  const isTie = shifted % 1 === 0.5 && Number.isInteger(4 * value);
  if (!isTie) {
    return value.toFixed(digits);
  }
  const even = 2 * Math.round(shifted / 2);
  const rounded = even / scale;
  return rounded.toFixed(digits);
}

/** Shows a value without conversion: binary data in hexadecimal. */
export const showPlain: Conversion = (value) => {
  const isBinary = value instanceof Uint8Array;
  return isBinary ? bufferOf(value).toString('hex') : String(value);
};

function showBase64(value: number | string | Uint8Array): string {
  return value instanceof Uint8Array ? base64Lines(value) : '(not a blob)';
}

/** A signature is binary; rpm 6 keeps several as text in base64. */
function showSignature(value: number | string | Uint8Array): string {
  const isBinary = value instanceof Uint8Array;
  const bytes = isBinary ? value : Buffer.from(String(value), 'base64');
  const signature = readSignature(bytes);
  if (signature === undefined) {
    return isBinary ? '(not an OpenPGP signature)' : '(not a blob)';
  }
  const { keyAlgorithm, hashAlgorithm } = signature;
  const parts = [
    `${keyAlgorithm}/${hashAlgorithm}`,
    formatTime(signature.time),
    `Key ID ${signature.keyId}`,
  ];
  return parts.join(', ');
}

function quoteForShell(value: number | string | Uint8Array): string {
  if (value instanceof Uint8Array) {
    return '(invalid type)';
  }
  if (typeof value === 'number') {
    return String(value);
  }
  const escaped = value.replaceAll("'", "'\\''");
  return `'${escaped}'`;
}

/** By the names of rpm. */
const CONVERSIONS: ReadonlyMap<string, Conversion> = new Map(
  Object.entries({
    string: showPlain,
    date: numeric(formatTime),
    day: numeric(formatDay),
    hex: numeric((value) => value.toString(16)),
    octal: numeric((value) => value.toString(8)),
    perms: numeric(formatMode),
    permissions: numeric(formatMode),
    fflags: numeric(formatFileFlags),
    fstate: numeric((value) => FILE_STATES.get(value) ?? '(unknown)'),
    vflags: verifyFlags(''),
    fstatus: verifyFlags('.'),
    depflags: numeric(comparisonSigns),
    deptype: numeric(formatDependencyType),
    triggertype: numeric(triggerType),
    pgpsig: showSignature,
    xml: showXml,
    json: showJson,
    humansi: withUnit(1000),
    humaniec: withUnit(1024),
    base64: showBase64,
    shescape: quoteForShell,
  }),
);

/** These show the tag instead of a value. */
const CONVERSIONS_OF_TAGS = ['arraysize', 'tagname', 'tagnum'];

/** Returns the conversion with this name. Throws `USAGE` if there is none. */
export function conversionByName(name: string): Conversion {
  const conversion = CONVERSIONS.get(name);
  if (conversion !== undefined) {
    return conversion;
  }
  const known = [...CONVERSIONS.keys(), ...CONVERSIONS_OF_TAGS];
  const listed = known.join(', ');
  throw new OstrataError('USAGE', `unknown conversion :${name}, there are ${listed}`);
}
