/**
 * Checks all of an image that can be checked without a key: OCI digests, labels, the checksums of
 * ostree objects, that nothing is missing or superfluous, and that layers of files can be pulled.
 */
import { must, OstrataError } from '../errors.js';
import { type NewObjectSink, readDerivedLayer } from '../layers/derived.js';
import { layerName } from '../layers/layer-name.js';
import { DIRECTORY, type LayerContents, readOstreeLayer } from '../layers/read.js';
import { SKELETON } from '../layers/repository.js';
import { tarPath } from '../layers/write.js';
import { type Logger, startWork } from '../log.js';
import * as annotation from '../oci/annotations.js';
import type { ImageReader } from '../oci/image.js';
import { parseConfig } from '../oci/types.js';
import { validateImage } from '../oci/validate.js';
import { encodeObjectName } from '../ostree/objects/object-name.js';
import { type CommitWalk, walkCommit } from '../tree/commit-walk.js';
import { childPath } from '../tree/path.js';
import type { TreePath } from '../tree/tree.js';
import { classifyLayers, isPlain, type ReadLayer } from './encapsulated.js';
import { decodeLayerCommit } from './layer-commit.js';

type LayerKind = ReadLayer['kind'];

/** The layers of one kind, and what was checked of each of them. */
export interface CheckedLayers {
  readonly kind: LayerKind;
  /** Number of layers. */
  readonly layers: number;
  readonly checks: readonly string[];
}

/**
 * Directories that an image has and its commit need not have: those of the repository, and the one
 * for temporary files that ostree-ext adds.
 */
const ADDED_DIRECTORIES = [...SKELETON, 'var/tmp'];

const CHECKS_OF_BLOBS = ['size', 'digest', 'diff_id', 'tar archive'];
const CHECKS_OF_FILES = [...CHECKS_OF_BLOBS, 'paths', 'whiteouts', 'hard links'];
const CHECKS: ReadonlyMap<LayerKind, readonly string[]> = new Map([
  ['commit', [...CHECKS_OF_BLOBS, 'checksums of metadata objects', 'completeness of the commit']],
  ['chunk', [...CHECKS_OF_BLOBS, 'checksums of content objects', 'paths']],
  ['derived', CHECKS_OF_FILES],
  ['plain', CHECKS_OF_FILES],
]);

export interface VerifiedImage {
  /** Checksum of the commit; undefined for a plain image. */
  readonly commit?: string | undefined;
  /** Number of layers. */
  readonly layers: number;
  /** Number of layers that a later build put on top. */
  readonly derivedLayers: number;
  /** Number of layers of a plain image; 0 if the image holds a commit. */
  readonly plainLayers: number;
  /** What was checked, for each kind of layer that the image has. */
  readonly checked: readonly CheckedLayers[];
  readonly metadataObjects: number;
  readonly contentObjects: number;
  /** Number of files and symlinks of the commit; 0 for a plain image. */
  readonly paths: number;
}

type Labels = Readonly<Record<string, string>>;

/** Takes the content of layers of files, which is hashed but not kept. */
const DISCARD: NewObjectSink = { newFile: () => ({ write() {}, finish() {} }) };

/**
 * Reads the whole image. Throws `CORRUPT` with the layer, entry and rule for anything that a client
 * would refuse or misread: wrong digests or labels; broken, duplicate, missing or superfluous
 * objects; paths that are linked to the wrong object. Derived and plain layers must be sound tar
 * archives with valid whiteouts, and hold only what a repository can hold; otherwise this throws
 * `CORRUPT`, `UNSUPPORTED` or `LIMIT`.
 */
export async function verifyImage(image: ImageReader, log: Logger): Promise<VerifiedImage> {
  const layers = classifyLayers(image.manifest, parseConfig(await image.config()));
  const contents: LayerContents[] = [];
  const total = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const work = startWork(log, 'verifying', total);

  const config = await validateImage(image, async (number, tar) => {
    const { kind, descriptor, names } = must(layers[number], `layer ${number}`);
    const part = work.startPart(`${number}`, layerName(names, `layer ${number}`), descriptor.size);
    if (kind === 'derived' || kind === 'plain') {
      await readDerivedLayer(tar, DISCARD);
    } else {
      contents.push(await readOstreeLayer(tar, kind));
    }
    part.end();
  });
  work.end();

  const labels = config.config?.Labels ?? {};
  checkAnnotations(labels, image.manifest.annotations ?? {});
  const count = (wanted: LayerKind) => layers.filter(({ kind }) => kind === wanted).length;
  const checked = Array.from(CHECKS, ([kind, checks]) => ({ kind, layers: count(kind), checks }));
  const layerCounts = {
    layers: layers.length,
    derivedLayers: count('derived'),
    plainLayers: count('plain'),
    checked: checked.filter((each) => each.layers > 0),
  };
  if (isPlain(layers)) {
    return { ...layerCounts, metadataObjects: 0, contentObjects: 0, paths: 0 };
  }
  checkFinalDiffId(labels, config.rootfs.diff_ids);
  return { ...verifyCommit(contents, labels[annotation.OSTREE_COMMIT]), ...layerCounts };
}

/** A diff_id that occurs twice does not say which layer is the last one of the commit. */
function checkFinalDiffId(labels: Labels, diffIds: readonly string[]): void {
  const finalDiffId = labels[annotation.OSTREE_FINAL_DIFFID];
  if (diffIds.filter((diffId) => diffId === finalDiffId).length > 1) {
    throw corrupt(
      `label ${annotation.OSTREE_FINAL_DIFFID}: ${finalDiffId} occurs twice among the diff_ids`,
    );
  }
}

/** Some clients read labels and some read annotations: both have to say the same. */
function checkAnnotations(labels: Labels, annotations: Labels): void {
  const labelOf = new Map(Object.entries(labels));
  for (const [key, value] of Object.entries(annotations)) {
    if (labelOf.has(key) && labelOf.get(key) !== value) {
      const [stated, label] = [value, labelOf.get(key)].map((each) => JSON.stringify(each));
      throw corrupt(`manifest annotation ${key} is ${stated}, the label is ${label}`);
    }
  }
}

type CommitCounts = Pick<VerifiedImage, 'commit' | 'metadataObjects' | 'contentObjects' | 'paths'>;

/** Checks the commit in the first layer against the objects and paths of all layers. */
function verifyCommit(layers: readonly LayerContents[], label: string | undefined): CommitCounts {
  const metadata = layers[0]?.metadata ?? new Map<string, Uint8Array>();
  const commit = decodeLayerCommit({ metadata });
  if (label !== undefined && label !== commit.checksum) {
    throw corrupt(
      `label ${annotation.OSTREE_COMMIT} is ${label}, the commit is ${commit.checksum}`,
    );
  }

  const walk = walkCommit(commit);
  const holders = holdersOf(layers);
  const paths = checkPaths(walk, holders);
  checkMetadataUsed(commit.checksum, walk, metadata.keys());
  checkContentUsed(walk, holders.keys());
  checkPathsUsed(walk, layers, paths);
  return {
    commit: commit.checksum,
    metadataObjects: metadata.size,
    contentObjects: walk.checksums.size,
    paths,
  };
}

/** Returns the layer that holds each content object. Throws `CORRUPT` if two layers hold one. */
function holdersOf(layers: readonly LayerContents[]): ReadonlyMap<string, LayerContents> {
  const holders = new Map<string, LayerContents>();
  for (const layer of layers) {
    for (const checksum of layer.files) {
      if (holders.has(checksum)) {
        throw corrupt(`content object ${checksum} is in two layers`);
      }
      holders.set(checksum, layer);
    }
  }
  return holders;
}

interface CommitFile {
  readonly path: TreePath;
  /** Checksum of the content object. */
  readonly checksum: string;
}

/** Checks that each path links to its object, in the layer that holds the object; counts paths. */
function checkPaths(walk: CommitWalk, holders: ReadonlyMap<string, LayerContents>): number {
  let count = 0;
  for (const { path, checksum } of filesOf(walk)) {
    const layer = holders.get(checksum);
    if (layer === undefined) {
      throw corrupt(`content object ${checksum} of ${path} is missing`);
    }
    const found = layer.paths.get(tarPath(path));
    if (found !== checksum) {
      throw corrupt(`${path} is ${found ?? 'missing'} in the image, not object ${checksum}`);
    }
    count++;
  }
  return count;
}

/**
 * Checks that the image has no other paths than the commit. A client leaves them out, but a
 * container shows them.
 * @param count number of files of the commit, each of which is known to be in the image
 */
function checkPathsUsed(walk: CommitWalk, layers: readonly LayerContents[], count: number): void {
  const known = new Set(ADDED_DIRECTORIES);
  for (const { path } of walk.directories) {
    known.add(tarPath(path));
  }

  let files = 0;
  for (const [path, object] of pathsOf(layers)) {
    if (object !== DIRECTORY) {
      files++;
    } else if (!known.has(path)) {
      throw corrupt(`directory /${path} is in the image and not in the commit`);
    }
  }
  if (files > count) {
    throw corrupt(
      `/${superfluousFile(walk, layers)} is in the image more often than in the commit`,
    );
  }
}

/** Returns a file that the commit does not have, or that is in two layers. */
function superfluousFile(walk: CommitWalk, layers: readonly LayerContents[]): string {
  const unseen = new Set(Array.from(filesOf(walk), ({ path }) => tarPath(path)));
  for (const [path, object] of pathsOf(layers)) {
    if (object !== DIRECTORY && !unseen.delete(path)) {
      return path;
    }
  }
  throw new Error('all files are in the commit');
}

/** Yields what each layer has at its paths. */
function* pathsOf(layers: readonly LayerContents[]): Iterable<readonly [string, string]> {
  for (const { paths } of layers) {
    yield* paths;
  }
}

/** Yields the files and symlinks of a commit. */
function* filesOf({ directories, dirtrees }: CommitWalk): Iterable<CommitFile> {
  for (const directory of directories) {
    const { files } = must(dirtrees.get(directory.dirtree), 'dirtree of a walk');
    for (const { name, checksum } of files) {
      yield { path: childPath(directory.path, name), checksum };
    }
  }
}

function checkMetadataUsed(
  commit: string,
  { dirtrees, dirmetas }: CommitWalk,
  names: Iterable<string>,
): void {
  const used = new Set([
    encodeObjectName(commit, 'commit'),
    encodeObjectName(commit, 'commitmeta'),
    ...Array.from(dirtrees.keys(), (checksum) => encodeObjectName(checksum, 'dirtree')),
    ...Array.from(dirmetas.keys(), (checksum) => encodeObjectName(checksum, 'dirmeta')),
  ]);
  for (const name of names) {
    if (!used.has(name)) {
      throw corrupt(`layer 0: object ${name} is in no tree of the commit`);
    }
  }
}

function checkContentUsed({ checksums }: CommitWalk, found: Iterable<string>): void {
  for (const checksum of found) {
    if (!checksums.has(checksum)) {
      throw corrupt(`content object ${checksum} is in no tree of the commit`);
    }
  }
}

function corrupt(rule: string): OstrataError {
  return new OstrataError('CORRUPT', rule);
}
