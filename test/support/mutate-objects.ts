/**
 * Random changes of ostree objects in the layers of an image, for fuzzers. All that names a changed
 * object follows, up to the commit, so that only the object itself can be wrong.
 */
import { must } from '../../src/errors.js';
import { S_IFLNK, S_IFREG } from '../../src/ostree/objects/dirmeta.js';
import { startFileChecksum } from '../../src/ostree/objects/file.js';
import { sha256Hex } from '../../src/ostree/objects/object-name.js';
import { type ForgedEntry, OBJECTS, objectName } from './forge-image.js';
import { damaged, pick, type Random } from './random-damage.js';

type Layers = ForgedEntry[][];

const NO_BYTES = new Uint8Array();
const METADATA = /^(dirtree|dirmeta|commit)$/;

interface NamedObject {
  readonly checksum: string;
  readonly kind: string;
}

function parseObject({ name }: ForgedEntry): NamedObject | undefined {
  const match = /^([0-9a-f]{2})\/([0-9a-f]{62})\.([a-z-]+)$/.exec(name.replace(OBJECTS, ''));
  if (match === null || !name.startsWith(OBJECTS)) {
    return undefined;
  }
  const [, start = '', end = '', kind = ''] = match;
  return { checksum: start + end, kind };
}

/** Changes one object. Returns the checksum that the commit has then. */
export function mutateObjects(layers: Layers, random: Random): string {
  const wanted = pick(['dirtree', 'dirmeta', 'commit', 'file', 'file'], random);
  const found = layers.flat().filter((entry) => parseObject(entry)?.kind === wanted);
  const entry = pick(found, random);
  if (wanted === 'file') {
    mutateContentObject(layers, entry, random);
  } else {
    replaceMetadata(layers, entry, changedBytes(entry.content ?? NO_BYTES, random));
  }
  const commit = layers[0]?.find((each) => parseObject(each)?.kind === 'commit');
  return must(commit && parseObject(commit), 'the commit').checksum;
}

/** Bytes with a changed bit or number; these objects are small, so that much damage says little. */
function changedBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Buffer.from(bytes);
  const at = random(Math.max(1, copy.length));
  const changes: readonly (() => Uint8Array)[] = [
    () => damaged(bytes, random),
    () => copy.fill((copy[at] ?? 0) ^ (1 << random(8)), at, at + 1),
    () => copy.fill(pick([0, 1, 0x2e, 0x2f, 0x7f, 0xff], random), at, at + 1),
    () => Buffer.concat([copy.subarray(0, at), Buffer.alloc(1), copy.subarray(at)]),
    () => Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1)]),
  ];
  return pick(changes, random)();
}

/** Gives a metadata object other bytes; objects that name it are changed in turn. */
function replaceMetadata(layers: Layers, entry: ForgedEntry, bytes: Uint8Array): void {
  const { checksum, kind } = must(parseObject(entry), entry.name);
  const replacement = sha256Hex(bytes);
  Object.assign(entry, { content: bytes, name: objectName(replacement, kind) });
  replaceChecksum(layers, checksum, replacement);
}

function replaceChecksum(layers: Layers, previous: string, replacement: string): void {
  const wanted = Buffer.from(previous, 'hex');
  for (const entry of layers.flat()) {
    const content = Buffer.from(entry.content ?? NO_BYTES);
    const isMetadata = METADATA.test(parseObject(entry)?.kind ?? '');
    if (isMetadata && previous !== replacement && content.includes(wanted)) {
      for (let at = content.indexOf(wanted); at >= 0; at = content.indexOf(wanted)) {
        content.write(replacement, at, 'hex');
      }
      replaceMetadata(layers, entry, content);
    }
  }
}

function mutateContentObject(layers: Layers, entry: ForgedEntry, random: Random): void {
  const { checksum } = must(parseObject(entry), entry.name);
  const { content = NO_BYTES, linkname = '', mode = 0o644 } = entry;
  const xattrsName = objectName(checksum, 'file-xattrs-link');
  const xattrs = must(
    layers.flat().find(({ name }) => name === xattrsName),
    xattrsName,
  );
  const numbers = [0, 1, 0o4755, 2 ** 21, 2 ** 32 - 1];
  const changes: readonly (() => void)[] = [
    () => Object.assign(entry, { content: damaged(content, random) }),
    () => Object.assign(entry, { mode: mode ^ (1 << random(12)) }),
    () => Object.assign(entry, { uid: pick(numbers, random) }),
    () => Object.assign(entry, { gid: pick(numbers, random) }),
    () => Object.assign(entry, { type: 'symlink', linkname: `${linkname}/x`, content: NO_BYTES }),
    () => Object.assign(entry, { type: 'symlink', linkname: 'x'.repeat(4094 + random(3)) }),
    () => Object.assign(entry, { type: 'file', linkname: '' }),
    () => Object.assign(xattrs, { type: 'file', linkname: '', content: xattrsBytes(random) }),
    () => Object.assign(xattrs, { type: 'file', linkname: '', content: xattrsBytes(random) }),
  ];
  pick(changes, random)();

  const replacement = contentChecksum(layers, entry, xattrs);
  const previousName = entry.name;
  for (const each of layers.flat()) {
    if (each.linkname === previousName && each.type === 'link') {
      Object.assign(each, { linkname: objectName(replacement, 'file') });
    }
  }
  Object.assign(entry, { name: objectName(replacement, 'file') });
  Object.assign(xattrs, { name: objectName(replacement, 'file-xattrs-link') });
  replaceChecksum(layers, checksum, replacement);
}

/** Xattrs in the form of ostree: one with an empty value, sound or damaged. */
function xattrsBytes(random: Random): Uint8Array {
  // a(ayay): the offset of the value in the pair, then that of the pair.
  const sound = Buffer.concat([Buffer.from('user.a\0'), Buffer.from([7, 8])]);
  return random(2) === 0 ? sound : changedBytes(sound, random);
}

function contentChecksum(layers: Layers, entry: ForgedEntry, xattrs: ForgedEntry): string {
  const holder =
    xattrs.type === 'link' ? layers.flat().find(({ name }) => name === xattrs.linkname) : xattrs;
  const { content = NO_BYTES, linkname, mode = 0o644, uid = 0, gid = 0, type } = entry;
  const isSymlink = type === 'symlink';
  const bytes = isSymlink ? NO_BYTES : content;
  const header = {
    uid,
    gid,
    mode: (mode & 0o7777) | (isSymlink ? S_IFLNK : S_IFREG),
    size: bytes.length,
    target: isSymlink ? linkname : undefined,
    xattrsBytes: holder?.content ?? NO_BYTES,
  };
  return startFileChecksum(header).update(bytes).digest('hex');
}
