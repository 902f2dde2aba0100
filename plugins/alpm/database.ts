/** Reads the local database of pacman: a folder for each package (alpm-db(7)). */
import { gunzipSync } from 'node:zlib';
import { OstrataError } from '../../src/plugin.js';

/** Bytes of an unpacked mtree file: far more than any has. */
const MAX_MTREE_SIZE = 1 << 27;

/** One package of the database. */
export interface AlpmPackage {
  readonly name: string;
  readonly architecture: string;
  readonly version: string;
  /** Name of the source package. */
  readonly base: string;
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly buildTime: number | undefined;
}

/** What mtree(5) records of a file or symlink. */
export interface MtreeFile {
  readonly path: string;
  /** Seconds since 1970. */
  readonly mtime: number | undefined;
  readonly size: number | undefined;
  readonly sha256: string | undefined;
  readonly target: string | undefined;
}

/** Reads a `desc` file. Throws `CORRUPT` if it does not name a package. */
export function parseDesc(text: string, path: string): AlpmPackage {
  const sections = parseSections(text);
  const first = (name: string) => sections.get(name)?.[0] ?? '';
  const [name, architecture] = [first('NAME'), first('ARCH') || 'any'];
  if (!/^[\w@.+-]+$/.test(name) || !/^[\w-]+$/.test(architecture)) {
    const found = JSON.stringify(`${name}.${architecture}`);
    throw new OstrataError('CORRUPT', `${path}: ${found} is not the name of a package`);
  }
  return {
    name,
    architecture,
    version: first('VERSION'),
    base: first('BASE') || name,
    size: wholeNumber(first('SIZE')) ?? 0,
    buildTime: wholeNumber(first('BUILDDATE')),
  };
}

/** Returns the paths that a `files` file lists, without directories. */
export function parseFiles(text: string): readonly string[] {
  const listed = parseSections(text).get('FILES') ?? [];
  return listed.filter((path) => !path.endsWith('/')).map((path) => `/${path}`);
}

/** Returns the lines of each section; `%NAME%` begins one and an empty line ends it. */
function parseSections(text: string): ReadonlyMap<string, readonly string[]> {
  const sections = new Map<string, string[]>();
  let section: string[] = [];
  for (const line of text.split('\n')) {
    const [, name] = /^%([A-Z0-9]+)%$/.exec(line) ?? [];
    if (name !== undefined) {
      section = [];
      sections.set(name, section);
    } else if (line !== '') {
      section.push(line);
    }
  }
  return sections;
}

/** Reads an `mtree` file. Throws `CORRUPT` if it is not gzip or unpacks to too much. */
export function parseMtree(bytes: Uint8Array, path: string): readonly MtreeFile[] {
  let text: string;
  try {
    text = gunzipSync(bytes, { maxOutputLength: MAX_MTREE_SIZE }).toString();
  } catch (error) {
    const rule = `expected gzip of at most ${MAX_MTREE_SIZE} bytes`;
    throw new OstrataError('CORRUPT', `${path}: ${rule}`, { cause: error });
  }

  const files: MtreeFile[] = [];
  let defaults = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [name = '', ...words] = line.split(' ');
    if (name === '/set') {
      defaults = keywords(words);
    } else if (name.startsWith('./')) {
      const found = new Map([...defaults, ...keywords(words)]);
      files.push(mtreeFile(unescaped(name.slice(1)), found));
    }
  }
  return files;
}

function mtreeFile(path: string, found: ReadonlyMap<string, string>): MtreeFile {
  const target = found.get('link');
  const [seconds = ''] = (found.get('time') ?? '').split('.');
  return {
    path,
    mtime: wholeNumber(seconds),
    size: wholeNumber(found.get('size') ?? ''),
    sha256: found.get('sha256digest'),
    target: target === undefined ? undefined : unescaped(target),
  };
}

function keywords(words: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const word of words) {
    const end = word.indexOf('=');
    found.set(word.slice(0, Math.max(0, end)), word.slice(end + 1));
  }
  return found;
}

/** Replaces `\\040` by the byte with this octal number. */
function unescaped(text: string): string {
  if (!text.includes('\\')) {
    return text;
  }
  const latin = Buffer.from(text).toString('latin1');
  const octal = /\\([0-3][0-7]{2})/g;
  const bytes = latin.replace(octal, (_, digits) => String.fromCharCode(parseInt(digits, 8)));
  return Buffer.from(bytes, 'latin1').toString();
}

function wholeNumber(text: string): number | undefined {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
