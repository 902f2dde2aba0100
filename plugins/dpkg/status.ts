/** Reads the status file of dpkg: what is installed, one paragraph a package (deb-control(5)). */
import { OstrataError } from '../../src/plugin.js';

/** One package of the database. */
export interface DpkgPackage {
  readonly name: string;
  readonly architecture: string;
  readonly version: string;
  /** Name of the source package. */
  readonly source: string;
  /** Bytes. */
  readonly size: number;
  /** Files of settings, as this version of the package ships them. */
  readonly conffiles: readonly Conffile[];
}

/** A file of settings, which is not listed among the other checksums: users may change it. */
export interface Conffile {
  readonly path: string;
  /** MD5 in hex of the content that the package ships. */
  readonly md5: string;
}

const NAME = /^[a-z0-9A-Z][a-z0-9A-Z+.-]*$/;
const ARCHITECTURE = /^[a-z0-9A-Z][a-z0-9A-Z-]*$/;
const FIELD = /^([!-9;-~]+):[ \t]*(.*)$/;
const CONTINUATION = /^[ \t]/;
const NOT_INSTALLED = /\bnot-installed$/;
/** `newconffile` stands for the checksum until a file is installed. */
const CONFFILE = /^(\/.+) ([0-9a-f]{32})(?: obsolete| remove-on-upgrade)*$/;

/**
 * Yields the packages of a status file, or the error of a paragraph that cannot be read. Packages
 * that are not installed are left out.
 */
export function* parseStatus(text: string, file: string): Generator<DpkgPackage | OstrataError> {
  let lines: string[] = [];
  let number = 0;
  for (const line of `${text}\n\n`.split('\n')) {
    number += 1;
    if (line.trim() !== '') {
      lines.push(line);
      continue;
    }
    yield* paragraph(lines, file, number - lines.length);
    lines = [];
  }
}

/** @param start number of the first of `lines` */
function* paragraph(
  lines: readonly string[],
  file: string,
  start: number,
): Generator<DpkgPackage | OstrataError> {
  const broken = lines.findIndex((line) => !CONTINUATION.test(line) && !FIELD.test(line));
  if (broken >= 0) {
    yield new OstrataError('CORRUPT', `${file}: line ${start + broken}: expected NAME: VALUE`);
    return;
  }
  const fields = fieldsOf(lines);
  if (fields.size === 0 || NOT_INSTALLED.test(fields.get('status') ?? '')) {
    return;
  }

  const name = fields.get('package') ?? '';
  const architecture = fields.get('architecture') ?? 'all';
  if (!NAME.test(name) || !ARCHITECTURE.test(architecture)) {
    const found = JSON.stringify(`${name}:${architecture}`);
    const message = `${file}: line ${start}: ${found} is not the name of a package`;
    yield new OstrataError('CORRUPT', message);
    return;
  }
  // "Source: name (version)" names the version if it differs from that of the package.
  const [source = ''] = (fields.get('source') ?? '').split(' ');
  const kibibytes = Number(fields.get('installed-size') ?? 0);
  yield {
    name,
    architecture,
    version: fields.get('version') ?? '',
    source: source === '' ? name : source,
    size: Number.isSafeInteger(kibibytes) && kibibytes > 0 ? kibibytes * 1024 : 0,
    conffiles: conffilesOf(fields.get('conffiles') ?? ''),
  };
}

/** Returns values by names in lower case; lines that continue a value follow it. */
function fieldsOf(lines: readonly string[]): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let current: string | undefined;
  for (const line of lines) {
    const [, name, value = ''] = FIELD.exec(line) ?? [];
    if (name !== undefined) {
      current = name.toLowerCase();
      fields.set(current, value.trim());
    } else if (current !== undefined) {
      const begun = fields.get(current) ?? '';
      fields.set(current, `${begun}\n${line.trim()}`);
    }
  }
  return fields;
}

function conffilesOf(field: string): readonly Conffile[] {
  return field.split('\n').flatMap((line) => {
    const [, path, md5] = CONFFILE.exec(line) ?? [];
    return path === undefined || md5 === undefined ? [] : [{ path, md5 }];
  });
}
