/** Reads the installed database of apk: https://wiki.alpinelinux.org/wiki/Apk_spec */
import { OstrataError } from '../../src/plugin.js';

/** One package of the database. */
export interface ApkPackage {
  readonly name: string;
  readonly architecture: string;
  readonly version: string;
  /** Name of the source package. */
  readonly origin: string;
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly buildTime: number | undefined;
  readonly files: readonly ApkFile[];
}

export interface ApkFile {
  readonly path: string;
  /** SHA-1 of the content in hex; undefined if the database has none. */
  readonly sha1: string | undefined;
}

/** Yields the packages of the database, or the error of a paragraph that cannot be read. */
export function* parseInstalled(
  text: string,
  database: string,
): Generator<ApkPackage | OstrataError> {
  let lines: string[] = [];
  let number = 0;
  for (const line of `${text}\n\n`.split('\n')) {
    number += 1;
    if (line !== '') {
      lines.push(line);
      continue;
    }
    if (lines.length > 0) {
      yield paragraph(lines, `${database}: line ${number - lines.length}`);
    }
    lines = [];
  }
}

function paragraph(lines: readonly string[], where: string): ApkPackage | OstrataError {
  const broken = lines.find((line) => !/^[A-Za-z]:/.test(line));
  if (broken !== undefined) {
    return new OstrataError('CORRUPT', `${where}: the package has a line that is not LETTER:VALUE`);
  }
  const fields = new Map(lines.map((line) => [line.charAt(0), line.slice(2)]));
  const name = fields.get('P') ?? '';
  const architecture = fields.get('A') ?? 'noarch';
  if (!/^[\w.+-]+$/.test(name) || !/^[\w.+-]+$/.test(architecture)) {
    const found = JSON.stringify(`${name}.${architecture}`);
    return new OstrataError('CORRUPT', `${where}: ${found} is not the name of a package`);
  }
  const buildTime = wholeNumber(fields.get('t'));
  return {
    name,
    architecture,
    version: fields.get('V') ?? '',
    origin: fields.get('o') || name,
    size: wholeNumber(fields.get('I')),
    buildTime: buildTime === 0 ? undefined : buildTime,
    files: filesOf(lines),
  };
}

/** `F` names a directory, `R` a file in it, and `Z` the checksum of the file before. */
function filesOf(lines: readonly string[]): readonly ApkFile[] {
  const files: ApkFile[] = [];
  let directory = '/';
  for (const line of lines) {
    const value = line.slice(2);
    switch (line.charAt(0)) {
      case 'F':
        directory = value === '' ? '/' : `/${value}/`;
        break;
      case 'R':
        files.push({ path: directory + value, sha1: undefined });
        break;
      case 'Z': {
        const last = files.pop();
        if (last !== undefined) {
          files.push({ ...last, sha1: sha1Of(value) });
        }
        break;
      }
    }
  }
  return files;
}

/** `Q1` begins a SHA-1 in base64. */
function sha1Of(checksum: string): string | undefined {
  if (!checksum.startsWith('Q1')) {
    return undefined;
  }
  const hex = Buffer.from(checksum.slice(2), 'base64').toString('hex');
  return hex.length === 40 ? hex : undefined;
}

function wholeNumber(text = ''): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}
