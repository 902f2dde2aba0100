/** Sums up the files of a delta by their kind. */
import type { DeltaFile } from '../../delta/contents.js';
import { formatBytes, formatCount, formatTable, left, right } from '../output/format.js';

/** The first one that fits the path of a file is its kind. */
const KINDS: readonly (readonly [string, RegExp])[] = [
  ['ostree metadata', /^sysroot\/ostree\/repo\//],
  ['initramfs', /\/init(ramfs|rd)[^/]*$/],
  ['kernel', /\/vmlinu[xz][^/]*$/],
  ['kernel modules', /\/lib\/modules\//],
  ['firmware', /\/lib\/firmware\//],
  ['package databases', /\/(rpm|dpkg|pacman|apk)\//],
  ['libraries', /\.so(\.[\d.]+)?$/],
  ['Python', /\.pyc?$/],
  ['programs', /^(usr\/)?(s?bin|libexec)\//],
  ['configuration', /^(usr\/)?etc\//],
  ['shared data', /^usr\/share\//],
  ['other files', /^/],
];

export interface KindOfFiles {
  readonly kind: string;
  /** Number of files. */
  files: number;
  /** Bytes of the files. */
  size: number;
  /** Bytes of the delta. */
  deltaSize: number;
}

/** Returns the kinds of which there are files, those with most bytes of the delta first. */
export function filesByKind(files: readonly DeltaFile[]): readonly KindOfFiles[] {
  const kinds = KINDS.map(([kind]) => ({ kind, files: 0, size: 0, deltaSize: 0 }));
  for (const { path, size, deltaSize } of files) {
    const kind = kinds[KINDS.findIndex(([, pattern]) => pattern.test(path))];
    if (kind !== undefined) {
      kind.files++;
      kind.size += size;
      kind.deltaSize += deltaSize;
    }
  }
  return kinds.filter((kind) => kind.files > 0).toSorted((a, b) => b.deltaSize - a.deltaSize);
}

export function kindTable(kinds: readonly KindOfFiles[]): string {
  const rows = kinds.map(({ kind, files, size, deltaSize }) => [
    kind,
    formatCount(files),
    formatBytes(size),
    formatBytes(deltaSize),
  ]);
  return formatTable([left('FILES OF'), right('COUNT'), right('CONTENT'), right('DELTA')], rows);
}
