/**
 * Dirtree objects: `(a(say)a(sayay))` = files (name, content checksum), directories (name, dirtree checksum, dirmeta
 * checksum); each list sorted by the bytes of its names. Source: ostree-core.h, OSTREE_TREE_GVARIANT_STRING.
 */
import { compareUtf8 } from '../bytes/text.js';
import { OstrataError } from '../errors.js';
import { decode, encode } from './gvariant.js';
import { checksumFromBytes, checksumToBytes } from './objects.js';

const DIRTREE_TYPE = '(a(say)a(sayay))';

export interface Dirtree {
  readonly files: readonly DirtreeFile[];
  readonly dirs: readonly DirtreeDir[];
}
export interface DirtreeFile {
  readonly name: string;
  readonly checksum: string;
}
export interface DirtreeDir {
  readonly name: string;
  readonly dirtree: string;
  readonly dirmeta: string;
}

/** Names are checked: path components, sorted, each once in the directory. */
export function decodeDirtree(bytes: Uint8Array): Dirtree {
  const [files, dirs] = decode(DIRTREE_TYPE, bytes) as [[string, Uint8Array][], [string, Uint8Array, Uint8Array][]];
  const dirtree: Dirtree = {
    files: files.map(([name, checksum]) => ({ name, checksum: checksumFromBytes(checksum) })),
    dirs: dirs.map(([name, tree, meta]) => ({
      name,
      dirtree: checksumFromBytes(tree),
      dirmeta: checksumFromBytes(meta),
    })),
  };
  checkNames(dirtree.files);
  checkNames(dirtree.dirs);
  const fileNames = new Set(dirtree.files.map((file) => file.name));
  for (const { name } of dirtree.dirs)
    if (fileNames.has(name)) throw new OstrataError('CORRUPT', `${JSON.stringify(name)} is a file and a directory`);
  return dirtree;
}

export function encodeDirtree(dirtree: Dirtree): Uint8Array {
  checkNames(dirtree.files);
  checkNames(dirtree.dirs);
  return encode(DIRTREE_TYPE, [
    dirtree.files.map(({ name, checksum }) => [name, checksumToBytes(checksum)]),
    dirtree.dirs.map(({ name, dirtree: tree, dirmeta }) => [name, checksumToBytes(tree), checksumToBytes(dirmeta)]),
  ]);
}

function checkNames(entries: readonly { readonly name: string }[]): void {
  let previous: string | undefined;
  for (const { name } of entries) {
    if (name === '' || name === '.' || name === '..' || name.includes('/'))
      throw new OstrataError('CORRUPT', `directory entry named ${JSON.stringify(name)}`);
    if (previous !== undefined && compareUtf8(previous, name) >= 0)
      throw new OstrataError(
        'CORRUPT',
        `directory entries ${JSON.stringify(previous)} and ${JSON.stringify(name)} are not in ascending order`,
      );
    previous = name;
  }
}
