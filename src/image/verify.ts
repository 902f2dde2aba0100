/** Everything there is to check of an encapsulated image without a key: OCI digests, labels, ostree objects, completeness. */
import { OstrataError } from '../errors.js';
import { type LayerContents, readOstreeLayer } from '../layers/read.js';
import { tarPath } from '../layers/write.js';
import type { Logger } from '../log.js';
import * as annotation from '../oci/annotations.js';
import type { ImageReader } from '../oci/image.js';
import { parseConfig } from '../oci/types.js';
import { validateImage } from '../oci/validate.js';
import { decodeCommit } from '../ostree/objects/commit.js';
import { decodeDirtree } from '../ostree/objects/dirtree.js';
import { encodeObjectName, parseObjectName } from '../ostree/objects/object-name.js';
import type { TreePath } from '../tree/tree.js';
import { classifyLayers } from './encapsulated.js';

export interface VerifiedImage {
  readonly commit: string;
  readonly layers: number;
  /** Layers that a later build put on top; only their digests are checked. */
  readonly derivedLayers: number;
  readonly metadataObjects: number;
  readonly contentObjects: number;
  /** Paths of files and symlinks of the commit. */
  readonly paths: number;
}

/**
 * Reads the whole image. Throws `CORRUPT` with the layer, entry and rule for anything that a client would refuse or
 * misread: wrong digests or labels, broken, duplicate or missing objects, objects in no tree, paths linked wrongly.
 */
export async function verifyImage(image: ImageReader, log: Logger): Promise<VerifiedImage> {
  const layers = classifyLayers(image.manifest, parseConfig(await image.config()));
  const contents: LayerContents[] = [];
  const total = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  let done = 0;
  const config = await validateImage(image, async (number, tar) => {
    if (layers[number]?.kind === 'derived') {
      for await (const _ of tar) {
      }
    } else {
      contents.push(await readOstreeLayer(tar, number === 0 ? 'commit' : 'chunk'));
    }
    done += layers[number]?.descriptor.size ?? 0;
    log.progress('verifying', done, total);
  });
  const labels = config.config?.Labels ?? {};
  const { diff_ids: diffIds } = config.rootfs;
  const final = labels[annotation.OSTREE_FINAL_DIFFID] as string;
  if (diffIds.indexOf(final) !== diffIds.lastIndexOf(final)) {
    throw new OstrataError(
      'CORRUPT',
      `label ${annotation.OSTREE_FINAL_DIFFID}: ${final} occurs twice among the diff_ids`,
    );
  }
  for (const [key, value] of Object.entries(image.manifest.annotations ?? {})) {
    if (key in labels && labels[key] !== value) {
      throw new OstrataError(
        'CORRUPT',
        `manifest annotation ${key} is ${JSON.stringify(value)}, the label is ${JSON.stringify(labels[key])}`,
      );
    }
  }
  const counts = verifyCommit(contents, labels[annotation.OSTREE_COMMIT]);
  return { ...counts, layers: layers.length, derivedLayers: layers.length - contents.length };
}

type CommitCounts = Pick<VerifiedImage, 'commit' | 'metadataObjects' | 'contentObjects' | 'paths'>;

/** The commit of the first layer against the objects and paths of all. */
function verifyCommit(layers: readonly LayerContents[], label: string | undefined): CommitCounts {
  const metadata = layers[0]?.metadata ?? new Map<string, Uint8Array>();
  const corrupt = (rule: string) => new OstrataError('CORRUPT', rule);
  const [commitName = ''] = metadata.keys();
  const commit = parseObjectName(commitName, ['commit']).checksum;
  if (label !== undefined && label !== commit) {
    throw corrupt(`label ${annotation.OSTREE_COMMIT} is ${label}, the commit is ${commit}`);
  }
  const wanted = new Set([commitName, encodeObjectName(commit, 'commitmeta')]);
  const files = new Set<string>();
  let paths = 0;
  const object = (name: string) => {
    wanted.add(name);
    const bytes = metadata.get(name);
    if (bytes === undefined) {
      throw corrupt(`layer 0: object ${name} is missing`);
    }
    return bytes;
  };
  const { dirtree, dirmeta } = decodeCommit(object(commitName));
  const pending: [TreePath | '', string, string][] = [['', dirtree, dirmeta]];
  const holders = holdersOf(layers);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [path, tree, meta] = next;
    object(encodeObjectName(meta, 'dirmeta'));
    const { files: entries, dirs } = decodeDirtree(object(encodeObjectName(tree, 'dirtree')));
    for (const { name, checksum } of entries) {
      const layer = holders.get(checksum);
      if (layer === undefined) {
        throw corrupt(`content object ${checksum} of ${path}/${name} is missing`);
      }
      const found = layer.paths.get(tarPath(`${path}/${name}`));
      if (found !== checksum) {
        throw corrupt(
          `${path}/${name} is ${found ?? 'missing'} in the image, not object ${checksum}`,
        );
      }
      files.add(checksum);
      paths++;
    }
    for (const dir of dirs) {
      pending.push([`${path}/${dir.name}`, dir.dirtree, dir.dirmeta]);
    }
  }
  for (const name of metadata.keys()) {
    if (!wanted.has(name)) {
      throw corrupt(`layer 0: object ${name} is in no tree of the commit`);
    }
  }
  for (const checksum of holders.keys()) {
    if (!files.has(checksum)) {
      throw corrupt(`content object ${checksum} is in no tree of the commit`);
    }
  }
  return { commit, metadataObjects: metadata.size, contentObjects: files.size, paths };
}

/** The layer that holds each content object; an object in two layers is an error. */
function holdersOf(layers: readonly LayerContents[]): ReadonlyMap<string, LayerContents> {
  const holders = new Map<string, LayerContents>();
  for (const layer of layers) {
    for (const checksum of layer.files) {
      if (holders.has(checksum)) {
        throw new OstrataError('CORRUPT', `content object ${checksum} is in two layers`);
      }
      holders.set(checksum, layer);
    }
  }
  return holders;
}
