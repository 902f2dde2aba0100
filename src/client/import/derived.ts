/** Layers that were built on top of the commit, into a repository: each as a commit of its own tree, with its ref. */
import { collect } from '../../bytes/stream.js';
import type { Logger } from '../../log.js';
import { parseWhiteout } from '../../oci/whiteout.js';
import { parseKeyFile } from '../../ostree/keyfile.js';
import { encodeCommit, type Metadata } from '../../ostree/objects/commit.js';
import { type Dirmeta, encodeDirmeta, S_IFDIR } from '../../ostree/objects/dirmeta.js';
import { startFileChecksum } from '../../ostree/objects/file.js';
import { sha256Hex } from '../../ostree/objects/object-name.js';
import type { EncodedObject } from '../../ostree/objects/object-set.js';
import { encodeXattrs } from '../../ostree/objects/xattr-list.js';
import type { OstreeRepo } from '../../ostree/repo.js';
import { MutableTree } from '../../ostree/write/mutable-tree.js';
import { ObjectStage } from '../../ostree/write/stage.js';
import { StagedContent } from '../../ostree/write/staged-content.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import { mutableTreeOfCommit, overlay } from '../merge.js';
import { blobRef, DIFF_ID_KEY } from '../stored.js';
import type { DerivedDirectory, DerivedLayer } from './derived-layer.js';
import type { LayerFetcher } from './fetch.js';
import type { LayerToImport } from './plan.js';
import { hasPolicy, type LabelledEntry, SELINUX_XATTR, selinuxLabels } from './selinux.js';

/** Of directories that a layer does not name itself. */
const DEFAULT_META: Dirmeta = { uid: 0, gid: 0, mode: S_IFDIR | 0o755, xattrs: new Map() };
/** The first that is there counts; of /etc both the place in a commit and in a deployment. */
const PREPARE_ROOT = ['etc', 'usr/etc', 'usr/lib'].map(
  (directory) => `${directory}/ostree/prepare-root.conf`,
);
const MAX_CONFIG_SIZE = 1 << 20;

/** A layer that was fetched: its objects are staged. */
interface FetchedLayer {
  readonly layer: LayerToImport;
  readonly derived: DerivedLayer;
  readonly stage: string;
  readonly names: readonly string[];
}

/** Trees of the layers in their order. What was dropped of them is told by a warning. */
export async function importDerived(
  writer: RepoWriter,
  fetcher: LayerFetcher,
  layers: readonly LayerToImport[],
  base: string,
  log: Logger,
): Promise<readonly MutableTree[]> {
  const { repo } = writer;
  const fetched: FetchedLayer[] = [];
  const missing = layers.filter(({ present }) => present === undefined);
  const keepAll = await hasWritableRoot(repo, mutableTreeOfCommit(repo, base));
  await fetcher.fetch(missing, { kind: 'derived', keepAll }, (layer, { derived, names }, stage) => {
    fetched.push({ layer, derived: derived as DerivedLayer, stage, names });
  });
  warnOfDropped(fetched, log);
  const merged = mutableTreeOfCommit(repo, base);
  for (const layer of layers) {
    overlay(merged, unlabelledTree(repo, layer, fetched));
  }
  const labels =
    fetched.length > 0 && hasPolicy(merged)
      ? await labelLayers(writer, merged, fetched, log)
      : undefined;
  const commits = new Map(
    fetched.map((each) => [each.layer, writeLayer(writer, each, labels?.get(each))]),
  );
  return layers.map((layer) =>
    mutableTreeOfCommit(repo, layer.present ?? (commits.get(layer) as string)),
  );
}

/**
 * Whether the system's root can hold more than usr, etc and var: `root.transient`, or composefs, in ostree-prepare-root's
 * configuration.
 */
async function hasWritableRoot(repo: OstreeRepo, root: MutableTree): Promise<boolean> {
  const checksum = PREPARE_ROOT.map((path) => root.lookup(path)).find((each) => each !== undefined);
  if (checksum === undefined) {
    return false;
  }
  const info = repo.fileInfo(checksum);
  if (info.type !== 'file' || info.size > MAX_CONFIG_SIZE) {
    return false;
  }
  const config = parseKeyFile(
    Buffer.from(await collect(repo.readFile(checksum, info), info.size)).toString(),
  );
  const isSet = (value: string | undefined, words: readonly string[]) =>
    words.includes(value ?? '');
  return (
    isSet(config.get('root')?.get('transient'), ['true', '1']) ||
    isSet(config.get('composefs')?.get('enabled'), [
      'yes',
      'true',
      '1',
      'maybe',
      'signed',
      'verity',
    ])
  );
}

function warnOfDropped(fetched: readonly FetchedLayer[], log: Logger): void {
  const dropped = new Map<string, number>();
  for (const { derived } of fetched) {
    for (const [name, count] of derived.dropped) {
      dropped.set(name, (dropped.get(name) ?? 0) + count);
    }
  }
  if (dropped.size === 0) {
    return;
  }
  const counts = [...dropped].map(([name, count]) => `/${name}: ${count}`).sort();
  log.warn(
    `derived layers hold files where an ostree system keeps none, they are left out: ${counts.join(', ')}`,
  );
}

function unlabelledTree(
  repo: OstreeRepo,
  layer: LayerToImport,
  fetched: readonly FetchedLayer[],
): MutableTree {
  if (layer.present !== undefined) {
    return mutableTreeOfCommit(repo, layer.present);
  }
  const { derived } = fetched.find((each) => each.layer === layer) as FetchedLayer;
  return treeOfDirectory(repo, derived.root, () => {});
}

function treeOfDirectory(
  repo: OstreeRepo,
  { meta = DEFAULT_META, files, dirs }: DerivedDirectory,
  emit: (object: EncodedObject) => void,
): MutableTree {
  const bytes = encodeDirmeta(meta);
  const checksum = sha256Hex(bytes);
  emit({ kind: 'dirmeta', checksum, bytes });
  const tree = new MutableTree(repo, checksum);
  for (const [name, file] of files) {
    tree.setFile(name, file);
  }
  for (const [name, dir] of dirs) {
    tree.setDir(name, treeOfDirectory(repo, dir, emit));
  }
  return tree;
}

/** Publishes the layer's objects and writes its commit, which is the same for everyone who has the layer, and its ref. */
function writeLayer(
  writer: RepoWriter,
  { layer, derived, stage, names }: FetchedLayer,
  labelled?: FetchedLayer,
): string {
  const source = labelled ?? { derived, stage, names };
  const objects: EncodedObject[] = [];
  const emit = (object: EncodedObject) => void objects.push(object);
  const root = treeOfDirectory(writer.repo, source.derived.root, emit);
  const dirtree = root.write(emit);
  const metadata: Metadata = new Map([[DIFF_ID_KEY, { type: 's', value: layer.diffId }]]);
  const commit = { metadata, related: [], subject: '', body: '', timestamp: 0 };
  const bytes = encodeCommit({ ...commit, dirtree, dirmeta: root.dirmeta });
  const checksum = sha256Hex(bytes);
  const staged = writer.stageMetadata([...objects, { kind: 'commit', checksum, bytes }]);
  const ref = [blobRef(layer.descriptor.digest), checksum] as const;
  writer.commit([{ directory: source.stage, names: source.names }, staged], [ref]);
  return checksum;
}

/** The same layers with labels by the policy of `merged`; undefined where labels cannot be had. */
async function labelLayers(
  writer: RepoWriter,
  merged: MutableTree,
  fetched: readonly FetchedLayer[],
  log: Logger,
): Promise<ReadonlyMap<FetchedLayer, FetchedLayer> | undefined> {
  const content = new StagedContent(writer.repo, writer.createStage(), fetched);
  const entries = fetched.flatMap(({ derived }) => [...entriesOf(derived.root, '', content)]);
  const labels = await selinuxLabels(merged, content, entries, log);
  if (labels === undefined) {
    return undefined;
  }
  const labelled = new Map<FetchedLayer, FetchedLayer>();
  for (const each of fetched) {
    const directory = writer.createStage();
    const stage = new ObjectStage(writer.target, directory);
    try {
      const root = await labelDirectory(each.derived.root, '', labels, content, stage);
      const derived = { ...each.derived, root };
      labelled.set(each, { ...each, derived, stage: directory, names: [...stage.names] });
    } finally {
      stage.abandon();
    }
  }
  return labelled;
}

function* entriesOf(
  dir: DerivedDirectory,
  prefix: string,
  content: StagedContent,
): Iterable<LabelledEntry> {
  for (const [name, checksum] of dir.files) {
    if (parseWhiteout(name) !== undefined) {
      continue;
    }
    const { type, mode } = content.info(checksum);
    yield { name: `${prefix}${name}`, type, mode };
  }
  for (const [name, below] of dir.dirs) {
    yield { name: `${prefix}${name}`, type: 'directory', mode: (below.meta ?? DEFAULT_META).mode };
    yield* entriesOf(below, `${prefix}${name}/`, content);
  }
}

async function labelDirectory(
  { meta = DEFAULT_META, files, dirs }: DerivedDirectory,
  path: string,
  labels: ReadonlyMap<string, Uint8Array>,
  content: StagedContent,
  stage: ObjectStage,
): Promise<DerivedDirectory> {
  const below = (name: string) => (path === '' ? name : `${path}/${name}`);
  const label = labels.get(path);
  const labelled: DerivedDirectory = {
    meta:
      label === undefined
        ? meta
        : { ...meta, xattrs: new Map([...meta.xattrs, [SELINUX_XATTR, label]]) },
    files: new Map(),
    dirs: new Map(),
  };
  for (const [name, checksum] of files) {
    labelled.files.set(name, await labelFile(checksum, labels.get(below(name)), content, stage));
  }
  for (const [name, dir] of dirs) {
    labelled.dirs.set(name, await labelDirectory(dir, below(name), labels, content, stage));
  }
  return labelled;
}

/** The object with a label (and without one, where there is none for it) in `stage`; its checksum. */
async function labelFile(
  checksum: string,
  label: Uint8Array | undefined,
  content: StagedContent,
  stage: ObjectStage,
): Promise<string> {
  const info = content.info(checksum);
  const xattrs =
    label === undefined ? info.xattrs : new Map([...info.xattrs, [SELINUX_XATTR, label]]);
  const header = { ...info, xattrsBytes: encodeXattrs(xattrs) };
  const hash = startFileChecksum(header);
  const sink = stage.newFile(header);
  if (info.type === 'file') {
    for await (const bytes of content.read(checksum, info)) {
      hash.update(bytes);
      sink.write(bytes);
    }
  }
  const result = hash.digest('hex');
  sink.finish(result);
  return result;
}
