/**
 * Imports layers of files: those that a container build put on top of the commit, or all layers of
 * a plain image. Each becomes a commit of its own tree, with a ref, so that other images with the
 * same layer find it.
 */
import { inContextAsync, must } from '../../errors.js';
import { holdsFiles } from '../../image/encapsulated.js';
import type { Logger } from '../../log.js';
import { encodeCommit, type Metadata } from '../../ostree/objects/commit.js';
import { sha256Hex } from '../../ostree/objects/object-name.js';
import type { EncodedObject } from '../../ostree/objects/object-set.js';
import type { OstreeRepo } from '../../ostree/repo.js';
import type { MutableTree } from '../../ostree/write/mutable-tree.js';
import { StagedContent } from '../../ostree/write/staged-content.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import { mergedTree, mutableTreeOfCommit } from '../merge.js';
import type { ImportSession } from '../session.js';
import {
  blobRef,
  DIFF_ID_KEY,
  labelingPolicy,
  POLICY_KEY,
  storedBlob,
  verifiedDiffId,
} from '../stored.js';
import { type LabeledLayer, labelLayers } from './derived-labels.js';
import { layerOfTree, treeOfLayer } from './derived-tree.js';
import { contentKey, type ImportPlan, type LayerToImport, layersToFetch } from './plan.js';
import { hasPolicy, NO_POLICY_ID, policyOf } from './selinux.js';
import { hasWritableRoot, removeUnkept } from './system-root.js';
import type { StagedLayer } from './worker.js';

/** A layer to import, labeled or not yet. */
interface FileLayer extends LabeledLayer {
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
  const missing = layersToFetch(layers);
  const fetched = await fetcher.fetchAll(missing, { kind: 'derived' }, fetchedLayer);
  const fetchedByKey = new Map(fetched.map((each) => [contentKey(each.layer), each]));
  const unlabeled = layers.map((layer) =>
    layer.present === undefined
      ? must(fetchedByKey.get(contentKey(layer)), `layer ${layer.index}`)
      : storedLayer(repo, layer, layer.present),
  );

  const labeled = await labelByMergedPolicy(writer, unlabeled, base);
  const trees = new Map<FileLayer, MutableTree>();
  for (const layer of new Set(labeled)) {
    trees.set(layer, mutableTreeOfCommit(repo, writeLayer(writer, layer)));
  }

  const dropped = fetched.map(({ derived }) => derived().dropped);
  if (base !== undefined && !(await hasWritableRoot(repo, mutableTreeOfCommit(repo, base)))) {
    dropped.push(...[...trees.values()].map(removeUnkept));
  }
  warnOfDropped(dropped, options.log);
  return labeled.map((layer) => must(trees.get(layer), 'the tree of a layer'));
}

function fetchedLayer(layer: LayerToImport, staged: StagedLayer, stage: string): FileLayer {
  const derived = must(staged.derived, 'what the layer holds');
  const { names } = staged;
  return { layer, derived: () => derived, policyId: NO_POLICY_ID, stage, names };
}

/** A layer that the repository has as `commit`. */
function storedLayer(repo: OstreeRepo, layer: LayerToImport, commit: string): FileLayer {
  // Layers that other tools imported may have any labels.
  const unlabeledId = verifiedDiffId(repo, commit) === undefined ? undefined : NO_POLICY_ID;
  return {
    layer,
    derived: () => layerOfTree(mutableTreeOfCommit(repo, commit)),
    policyId: labelingPolicy(repo, commit) ?? unlabeledId,
    stage: undefined,
    names: [],
  };
}

function warnOfDropped(counts: readonly ReadonlyMap<string, number>[], log: Logger): void {
  const dropped = new Map<string, number>();
  for (const [name, count] of counts.flatMap((each) => [...each])) {
    dropped.set(name, (dropped.get(name) ?? 0) + count);
  }
  if (dropped.size > 0) {
    const texts = [...dropped].map(([name, count]) => `/${name}: ${count}`).sort();
    const where = 'where an ostree system keeps none';
    log.warn(`layers have files ${where}; they are left out: ${texts.join(', ')}`);
  }
}

/**
 * The layers with SELinux labels. The policy that decides is the one of the whole system, so all
 * layers are merged first, whichever of them has the policy. If a layer removes the policy, that of
 * the base decides, as with ostree-ext: the system must not get files without labels. Layers that
 * the repository has are labeled again if another image gave them labels of another policy.
 */
async function labelByMergedPolicy(
  writer: RepoWriter,
  layers: readonly FileLayer[],
  base: string | undefined,
): Promise<readonly FileLayer[]> {
  const { repo } = writer;
  const trees = layers.map(({ layer, derived }) =>
    layer.present === undefined
      ? treeOfLayer(repo, derived())
      : mutableTreeOfCommit(repo, layer.present),
  );
  const merged = mergedTree(repo, base, trees);
  const isOfBase = base !== undefined && !hasPolicy(merged);
  const system = isOfBase ? mutableTreeOfCommit(repo, base) : merged;

  const content = new StagedContent(repo, writer.createStage(), layers);
  return inContextAsync('labeling layers', async () => {
    const policy = await policyOf(system, content);
    return labelLayers(writer, policy, content, layers);
  });
}

/**
 * Makes the ref of the layer name its commit, and returns that commit. Unless the repository has
 * the layer with the same labels, its objects are published with a new commit, which is the same
 * for everyone who has the layer.
 */
function writeLayer(writer: RepoWriter, { layer, derived, policyId, stage, names }: FileLayer) {
  const { repo } = writer;
  const ref = blobRef(layer.descriptor.digest);
  if (stage === undefined) {
    const commit = must(layer.present, 'the commit of a layer that is not staged');
    if (storedBlob(repo, layer.descriptor.digest) !== commit) {
      writer.setRef(ref, commit);
    }
    return commit;
  }

  const objects: EncodedObject[] = [];
  const root = treeOfLayer(repo, derived(), (object) => objects.push(object));
  const bytes = encodeCommit({
    metadata: layerMetadata(repo, layer, policyId),
    related: [],
    subject: '',
    body: '',
    timestamp: 0,
    dirtree: root.write((object) => objects.push(object)),
    dirmeta: root.dirmeta,
  });
  const checksum = sha256Hex(bytes);
  const staged = writer.stageMetadata([...objects, { kind: 'commit', checksum, bytes }]);
  writer.commit([{ directory: stage, names }, staged], [[ref, checksum]]);
  return checksum;
}

function layerMetadata(
  repo: OstreeRepo,
  { present, diffId }: LayerToImport,
  policyId: string | undefined,
): Metadata {
  const verified = present === undefined ? diffId : verifiedDiffId(repo, present);
  const entries = [
    [DIFF_ID_KEY, verified],
    [POLICY_KEY, policyId === NO_POLICY_ID ? undefined : policyId],
  ] as const;
  return new Map(
    entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, { type: 's', value }]])),
  );
}
