/**
 * Imports layers of files: those that a container build put on top of the commit, or all layers of
 * a plain image. Each becomes a commit of its own tree, with a ref, so that other images with the
 * same layer find it.
 */
import { collect } from '../../bytes/stream.js';
import { must } from '../../errors.js';
import { holdsFiles } from '../../image/encapsulated.js';
import { DEFAULT_DIRMETA, type DerivedLayer } from '../../layers/derived.js';
import type { Logger } from '../../log.js';
import { parseKeyFile } from '../../ostree/keyfile.js';
import { encodeCommit, type Metadata } from '../../ostree/objects/commit.js';
import { encodeDirmeta } from '../../ostree/objects/dirmeta.js';
import { sha256Hex } from '../../ostree/objects/object-name.js';
import type { EncodedObject } from '../../ostree/objects/object-set.js';
import type { OstreeRepo } from '../../ostree/repo.js';
import { MutableTree } from '../../ostree/write/mutable-tree.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import { mergedTree, mutableTreeOfCommit } from '../merge.js';
import type { ImportSession } from '../session.js';
import { blobRef, DIFF_ID_KEY } from '../stored.js';
import { labelLayers, type StagedDerivedLayer } from './derived-labels.js';
import type { ImportPlan, LayerToImport } from './plan.js';
import { policyTree } from './selinux.js';

/**
 * Locations of ostree-prepare-root's configuration; the first that exists counts. As in ostree and
 * ostree-ext, `/usr/etc` is not searched: it holds the defaults for the `/etc` of a system, and the
 * initramfs does not read it.
 */
const PREPARE_ROOT_CONFIGS = ['etc/ostree/prepare-root.conf', 'usr/lib/ostree/prepare-root.conf'];
const MAX_CONFIG_SIZE = 1 << 20;
const COMPOSEFS_ENABLED = ['yes', 'true', '1', 'maybe', 'signed', 'verity'];

interface FetchedLayer extends StagedDerivedLayer {
  readonly layer: LayerToImport;
}

/**
 * Imports the layers of files of the planned image and returns their trees in the order of the
 * manifest. Files for which an ostree system has no place are left out, with a warning.
 * @param base checksum of the commit that the layers lie on; undefined for a plain image, whose
 *   system is taken to have a composefs as its root
 */
export async function importDerived(
  { writer, fetcher, options }: ImportSession,
  plan: ImportPlan,
  base: string | undefined,
): Promise<readonly MutableTree[]> {
  const { repo } = writer;
  const layers = plan.layers.filter(holdsFiles);
  if (layers.length === 0) {
    return [];
  }
  const missing = layers.filter(({ present }) => present === undefined);

  const keepAll =
    base === undefined || (await hasWritableRoot(repo, mutableTreeOfCommit(repo, base)));
  const fetched = await fetcher.fetchAll(
    missing,
    { kind: 'derived', keepAll },
    (layer, staged, stage): FetchedLayer => ({
      layer,
      derived: must(staged.derived, 'what the derived layer holds'),
      stage,
      names: staged.names,
    }),
  );
  warnOfDropped(fetched, options.log);

  const labeled = await labelByMergedPolicy(writer, layers, fetched, base, options.log);
  const commits = new Map(labeled.map((each) => [each.layer.index, writeLayer(writer, each)]));
  return layers.map(({ index, present }) =>
    mutableTreeOfCommit(repo, must(present ?? commits.get(index), `commit of layer ${index}`)),
  );
}

/**
 * Whether the system's root directory can hold more than usr, etc and var: if it is transient or
 * a composefs, by ostree-prepare-root(1).
 */
async function hasWritableRoot(repo: OstreeRepo, root: MutableTree): Promise<boolean> {
  const checksum = PREPARE_ROOT_CONFIGS.map((path) => root.lookup(path)).find(Boolean);
  if (checksum === undefined) {
    return false;
  }
  const info = repo.fileInfo(checksum);
  if (info.type !== 'file' || info.size > MAX_CONFIG_SIZE) {
    return false;
  }

  const bytes = await collect(repo.readFile(checksum, info), info.size);
  const config = parseKeyFile(Buffer.from(bytes).toString());
  const isTransient = ['true', '1'].includes(config.get('root')?.get('transient') ?? '');
  const composefs = config.get('composefs')?.get('enabled') ?? '';
  return isTransient || COMPOSEFS_ENABLED.includes(composefs);
}

function warnOfDropped(fetched: readonly FetchedLayer[], log: Logger): void {
  const dropped = new Map<string, number>();
  for (const { derived } of fetched) {
    for (const [name, count] of derived.dropped) {
      dropped.set(name, (dropped.get(name) ?? 0) + count);
    }
  }
  if (dropped.size > 0) {
    const counts = [...dropped].map(([name, count]) => `/${name}: ${count}`).sort();
    log.warn(
      'layers have files where an ostree system keeps none; they are left out: ' +
        counts.join(', '),
    );
  }
}

/**
 * The fetched layers with SELinux labels. The policy that decides is the one of the whole system,
 * so all layers are merged first, whichever of them has the policy. If a layer removes the policy,
 * that of the base decides, as with ostree-ext: the system must not get files without labels.
 */
async function labelByMergedPolicy(
  writer: RepoWriter,
  layers: readonly LayerToImport[],
  fetched: readonly FetchedLayer[],
  base: string | undefined,
  log: Logger,
): Promise<readonly FetchedLayer[]> {
  if (fetched.length === 0) {
    return [];
  }
  const { repo } = writer;
  const fetchedTrees = new Map(
    fetched.map(({ layer, derived }) => [layer.index, treeOfLayer(repo, derived)]),
  );

  const trees = layers.map(({ index, present }) => {
    const tree =
      present === undefined ? fetchedTrees.get(index) : mutableTreeOfCommit(repo, present);
    return must(tree, `tree of layer ${index}`);
  });
  const policy =
    policyTree(mergedTree(repo, base, trees)) ??
    (base === undefined ? undefined : policyTree(mutableTreeOfCommit(repo, base)));
  return policy === undefined ? fetched : labelLayers(writer, policy, fetched, log);
}

/** The tree of a layer; `emit` gets the dirmeta objects that it needs. */
function treeOfLayer(
  repo: OstreeRepo,
  { directories }: DerivedLayer,
  emit: (object: EncodedObject) => void = () => {},
): MutableTree {
  const trees: MutableTree[] = [];
  for (const { parent, name, meta = DEFAULT_DIRMETA, files } of directories) {
    const bytes = encodeDirmeta(meta);
    const checksum = sha256Hex(bytes);
    emit({ kind: 'dirmeta', checksum, bytes });

    const tree = new MutableTree(repo, checksum);
    for (const [fileName, file] of files) {
      tree.setFile(fileName, file);
    }
    trees.push(tree);
    if (parent !== undefined) {
      must(trees[parent], 'tree of the parent').setDir(name, tree);
    }
  }
  return must(trees[0], 'tree of the root');
}

/**
 * Publishes the layer's objects, its commit and its ref; returns the commit, which is the same for
 * everyone who has the layer.
 */
function writeLayer(writer: RepoWriter, { layer, derived, stage, names }: FetchedLayer): string {
  const objects: EncodedObject[] = [];
  const root = treeOfLayer(writer.repo, derived, (object) => objects.push(object));
  const dirtree = root.write((object) => objects.push(object));

  const metadata: Metadata = new Map([[DIFF_ID_KEY, { type: 's', value: layer.diffId }]]);
  const bytes = encodeCommit({
    metadata,
    related: [],
    subject: '',
    body: '',
    timestamp: 0,
    dirtree,
    dirmeta: root.dirmeta,
  });
  const checksum = sha256Hex(bytes);
  const staged = writer.stageMetadata([...objects, { kind: 'commit', checksum, bytes }]);
  const ref = blobRef(layer.descriptor.digest);
  writer.commit([{ directory: stage, names }, staged], [[ref, checksum]]);
  return checksum;
}
