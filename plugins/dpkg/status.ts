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
}

const NAME = /^[a-z0-9A-Z][a-z0-9A-Z+.-]*$/;
const ARCHITECTURE = /^[a-z0-9A-Z][a-z0-9A-Z-]*$/;
const NOT_INSTALLED = /\bnot-installed$/;

/**
 * Yields the packages of a status file, or the error of a paragraph that cannot be read. Packages
 * that are not installed are left out.
 */
export function* parseStatus(text: string, file: string): Generator<DpkgPackage | OstrataError> {
  let fields = new Map<string, string>();
  let start = 1;
  let broken: number | undefined;
  let number = 0;
  for (const line of `${text}\n\n`.split('\n')) {
    number += 1;
    if (line.trim() === '') {
      yield* paragraph(fields, `${file}: line ${broken ?? start}`, broken !== undefined);
      fields = new Map();
      broken = undefined;
      start = number + 1;
    } else if (!/^[ \t]/.test(line)) {
      const field = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line);
      if (field === null) {
        broken ??= number;
      } else {
        const [, name = '', value = ''] = field;
        fields.set(name.toLowerCase(), value.trim());
      }
    }
  }
}

function* paragraph(
  fields: ReadonlyMap<string, string>,
  where: string,
  isBroken: boolean,
): Generator<DpkgPackage | OstrataError> {
  if (isBroken) {
    yield new OstrataError('CORRUPT', `${where}: expected NAME: VALUE`);
    return;
  }
  if (fields.size === 0 || NOT_INSTALLED.test(fields.get('status') ?? '')) {
    return;
  }

  const name = fields.get('package') ?? '';
  const architecture = fields.get('architecture') ?? 'all';
  if (!NAME.test(name) || !ARCHITECTURE.test(architecture)) {
    const found = JSON.stringify(`${name}:${architecture}`);
    yield new OstrataError('CORRUPT', `${where}: ${found} is not the name of a package`);
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
  };
}
