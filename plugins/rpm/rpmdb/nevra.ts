import { compareUtf8 } from '../../../src/bytes/text.js';

/** Name, epoch, version, release and architecture of a package; a `gpg-pubkey` has no architecture. */
export interface Nevra {
  readonly name: string;
  readonly epoch?: number | undefined;
  readonly version: string;
  readonly release: string;
  readonly arch?: string | undefined;
}

/** `[epoch:]version-release`, the epoch where there is one (0 too), as rpm's EVR tag. */
export function formatEvr({ epoch, version, release }: Nevra): string {
  return `${epoch === undefined ? '' : `${epoch}:`}${version}-${release}`;
}

/** `name-[epoch:]version-release[.arch]`, as rpm's NEVRA tag. */
export function formatNevra(nevra: Nevra): string {
  return `${nevra.name}-${formatEvr(nevra)}${nevra.arch === undefined ? '' : `.${nevra.arch}`}`;
}

/** The name in `name-version-release.src.rpm` (or `.nosrc.rpm`); undefined where the text is not of that form. */
export function sourceNameOf(sourceRpm: string): string | undefined {
  return /^(.+)-[^-]+-[^-]+\.(?:no)?src\.rpm$/s.exec(sourceRpm)?.[1];
}

/**
 * Orders versions or releases as rpm does (rpmvercmp): runs of digits as numbers, runs of letters as text, digits above
 * letters, `~` below everything, `^` above the end and below the rest.
 * Spec: https://rpm-software-management.github.io/rpm/manual/dependencies.html#versioning
 */
export function compareVersions(a: string, b: string): number {
  const left = segments(a);
  const right = segments(b);
  for (let i = 0; ; i++) {
    const x = left[i] ?? '';
    const y = right[i] ?? '';
    if (x === y) {
      if (x === '') {
        return 0;
      }
      continue;
    }
    const difference = rank(x) - rank(y);
    if (difference !== 0) {
      return difference;
    }
    if (!isDigits(x)) {
      return compareUtf8(x, y);
    }
    const [m, n] = [x.replace(/^0+/, ''), y.replace(/^0+/, '')];
    if (m !== n) {
      return m.length - n.length || compareUtf8(m, n);
    }
  }
}
const segments = (version: string) => version.match(/\d+|[A-Za-z]+|[~^]/g) ?? [];
const isDigits = (segment: string) => segment >= '0' && segment < ':';
function rank(segment: string): number {
  if (segment === '~') {
    return 0;
  }
  if (segment === '') {
    return 1;
  }
  if (segment === '^') {
    return 2;
  }
  return isDigits(segment) ? 4 : 3;
}
