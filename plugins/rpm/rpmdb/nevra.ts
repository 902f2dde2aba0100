/** Names of packages with epoch, version, release and architecture, and how rpm orders versions. */
import { compareUtf8 } from '../../../src/bytes/text.js';

/**
 * Name, epoch, version, release and architecture of a package; a `gpg-pubkey` has no architecture.
 */
export interface Nevra {
  readonly name: string;
  readonly epoch?: number | undefined;
  readonly version: string;
  readonly release: string;
  readonly arch?: string | undefined;
}

/** Returns `[epoch:]version-release` like rpm's EVR tag; the epoch 0 is written, too. */
export function formatEvr({ epoch, version, release }: Nevra): string {
  return `${epoch === undefined ? '' : `${epoch}:`}${version}-${release}`;
}

/** Returns `name-[epoch:]version-release[.arch]` like rpm's NEVRA tag. */
export function formatNevra(nevra: Nevra): string {
  return `${nevra.name}-${formatEvr(nevra)}${nevra.arch === undefined ? '' : `.${nevra.arch}`}`;
}

/**
 * Returns the name in `name-version-release.src.rpm` (or `.nosrc.rpm`), or undefined if the text
 * has another form.
 */
export function sourceNameOf(sourceRpm: string): string | undefined {
  return /^(.+)-[^-]+-[^-]+\.(?:no)?src\.rpm$/s.exec(sourceRpm)?.[1];
}

/**
 * Orders versions or releases as rpm does (rpmvercmp): runs of digits as numbers, runs of letters
 * as text, digits above letters, `~` below everything, `^` above the end and below the rest. Spec:
 * https://rpm-software-management.github.io/rpm/manual/dependencies.html#versioning
 */
export function compareVersions(a: string, b: string): number {
  const left = segmentsOf(a);
  const right = segmentsOf(b);
  const count = Math.max(left.length, right.length);
  for (let i = 0; i < count; i++) {
    const order = compareSegments(left[i] ?? END, right[i] ?? END);
    if (order !== 0) {
      return order;
    }
  }
  return 0;
}

/**
 * Orders packages of one name by epoch, version and release; a missing epoch is 0.
 */
export function compareEvr(a: Nevra, b: Nevra): number {
  return (
    (a.epoch ?? 0) - (b.epoch ?? 0) ||
    compareVersions(a.version, b.version) ||
    compareVersions(a.release, b.release)
  );
}

/** Stands for the end of a version. */
const END = '';

function segmentsOf(version: string): readonly string[] {
  return version.match(/\d+|[A-Za-z]+|[~^]/g) ?? [];
}

function compareSegments(a: string, b: string): number {
  const byKind = rank(a) - rank(b);
  if (byKind !== 0) {
    return byKind;
  }
  if (!isNumber(a)) {
    return compareUtf8(a, b);
  }
  // A number may be too large for a JavaScript number.
  const [digitsA, digitsB] = [withoutLeadingZeros(a), withoutLeadingZeros(b)];
  return digitsA.length - digitsB.length || compareUtf8(digitsA, digitsB);
}

function rank(segment: string): number {
  switch (segment) {
    case '~':
      return 0;
    case END:
      return 1;
    case '^':
      return 2;
    default:
      return isNumber(segment) ? 4 : 3;
  }
}

function isNumber(segment: string): boolean {
  return /^\d/.test(segment);
}

function withoutLeadingZeros(digits: string): string {
  return digits.replace(/^0+/, '');
}
