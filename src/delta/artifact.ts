/**
 * The artifact that holds a delta between two images:
 * https://github.com/containers/oci-delta#delta-file-format
 *
 * Its layers are told apart by an annotation: the manifest and the config of the target image, and
 * for each layer that the source image lacks either a tar-diff or the layer as it is.
 */
import * as v from 'valibot';
import { parseJson } from '../bytes/json.js';
import { type ByteStream, collect } from '../bytes/stream.js';
import { inContext, inContextAsync, must, OstrataError } from '../errors.js';
import { EMPTY_CONFIG } from '../oci/empty-config.js';
import type { ImageReader } from '../oci/image.js';
import { canonicalJson } from '../oci/json.js';
import { OCI_MANIFEST } from '../oci/media-types.js';
import {
  type Descriptor,
  digestSchema,
  type ImageConfig,
  MAX_JSON_SIZE,
  type Manifest,
  parseConfig,
  parseManifest,
} from '../oci/types.js';
import { verified } from '../transports/verified.js';

export const DELTA_TYPE = 'application/vnd.io.github.containers.oci-delta.v1';
export const TAR_DIFF = 'application/vnd.tar-diff';

const PREFIX = 'io.github.containers.delta.';
const TARGET = `${PREFIX}target`;
const SOURCE = `${PREFIX}source`;
const SOURCE_CONFIG = `${PREFIX}source-config`;
const REUSED = `${PREFIX}reused`;
const REUSED_DIFF_IDS = `${PREFIX}reused-diff-id`;
const CONTENT = `${PREFIX}content`;
/** The digest of the layer that a layer of the delta rebuilds. */
const TO = `${PREFIX}to`;

const MANIFEST_CONTENT = 'image-manifest';
const CONFIG_CONTENT = 'image-config';
const LAYER_CONTENT = 'image-layer';
const SIGNATURE_CONTENT = 'cosign-signature';
const SIGNATURE_BLOB_CONTENT = 'cosign-signature-content';

/** An image as its documents describe it. */
export interface ImageDocuments {
  readonly manifestDigest: string;
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  readonly configBytes: Uint8Array;
  readonly config: ImageConfig;
}

/** A layer of the target image. */
export interface TargetLayer {
  readonly index: number;
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** What the delta has for it; undefined if the source image has the layer. */
  readonly blob: Descriptor | undefined;
}

export interface Delta {
  /** Digest of the delta's own manifest. */
  readonly digest: string;
  readonly target: ImageDocuments;
  /** Digest of the manifest of the source image, if the delta states it. */
  readonly source: string | undefined;
  readonly sourceConfig: string;
  /** All layers of the target image. */
  readonly layers: readonly TargetLayer[];
  /** The manifests of the target's signatures that it carries. */
  readonly signatures: readonly Descriptor[];
}

/** Reads the documents of an image. */
export async function readDocuments(image: ImageReader): Promise<ImageDocuments> {
  const { manifestDigest, manifestBytes, manifest } = image;
  const configBytes = await image.config();
  const config = inContext(`reading ${image.name}`, () => parseConfig(configBytes));
  checkDiffIds(manifest, config);
  return { manifestDigest, manifestBytes, manifest, configBytes, config };
}

/** A manifest, of an image or of an artifact. */
export type ManifestDocument = Pick<
  ImageDocuments,
  'manifest' | 'manifestBytes' | 'manifestDigest'
>;

export function manifestDescriptor({
  manifest,
  manifestBytes,
  manifestDigest,
}: ManifestDocument): Descriptor {
  const { mediaType = OCI_MANIFEST } = manifest;
  return { mediaType, digest: manifestDigest, size: manifestBytes.length };
}

/**
 * Returns the manifest of a delta.
 * @param blobs what the delta has for layers of the target, by the digest of the layer
 * @param signatures the manifests of the target's signatures
 */
export function encodeDelta(
  source: ImageDocuments,
  target: ImageDocuments,
  blobs: ReadonlyMap<string, Descriptor>,
  signatures: readonly ManifestDocument[],
): Uint8Array {
  const targetManifest = manifestDescriptor(target);
  const { config, layers } = target.manifest;
  const isReused = layers.map(({ digest }) => !blobs.has(digest));
  const reused = layers.filter((_, index) => isReused[index]);
  const reusedDiffIds = target.config.rootfs.diff_ids.filter((_, index) => isReused[index]);
  const layerBlobs = [...blobs].map(([digest, blob]) =>
    withContent(blob, { [CONTENT]: LAYER_CONTENT, [TO]: digest }),
  );

  return canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: DELTA_TYPE,
    config: EMPTY_CONFIG,
    layers: [
      withContent(targetManifest, { [CONTENT]: MANIFEST_CONTENT }),
      withContent(config, { [CONTENT]: CONFIG_CONTENT }),
      ...layerBlobs,
      ...signatures.flatMap(signatureBlobs),
    ],
    subject: targetManifest,
    annotations: {
      [TARGET]: target.manifestDigest,
      [SOURCE]: source.manifestDigest,
      [SOURCE_CONFIG]: source.manifest.config.digest,
      [REUSED]: JSON.stringify(reused.map(({ digest }) => digest)),
      [REUSED_DIFF_IDS]: JSON.stringify(reusedDiffIds),
    },
  });
}

function withContent(
  { mediaType, digest, size }: Descriptor,
  annotations: Readonly<Record<string, string>>,
): Descriptor {
  return { mediaType, digest, size, annotations };
}

/** Returns what the manifest of a delta lists for a signature, its manifest first. */
function signatureBlobs(signature: ManifestDocument): readonly Descriptor[] {
  const { config, layers } = signature.manifest;
  const content = [config, ...layers].map((blob) =>
    withContent(blob, { [CONTENT]: SIGNATURE_BLOB_CONTENT }),
  );
  const manifest = withContent(manifestDescriptor(signature), { [CONTENT]: SIGNATURE_CONTENT });
  return [manifest, ...content];
}

/**
 * Reads the manifest of a delta and the documents that it embeds. Throws `CORRUPT` if its parts
 * contradict each other. Layers with contents that this version does not know are ignored.
 * @param image opened with the artifact type {@link DELTA_TYPE}
 * @param known the target image, if the caller has it: then a delta of another image is refused,
 *   and no blob is read
 */
export async function readDelta(image: ImageReader, known?: ImageDocuments): Promise<Delta> {
  return inContextAsync(`reading ${image.name}`, async () => {
    const { manifest, manifestDigest } = image;
    const annotations = annotationsOf(manifest);
    const sourceConfig = digestOf(annotations, SOURCE_CONFIG);
    const target = await embeddedTarget(image, known);
    checkTarget(manifest, target);
    const blobs = layerBlobs(manifest, target.manifest);
    const layers = target.manifest.layers.map((descriptor, index) => ({
      index,
      descriptor,
      diffId: must(target.config.rootfs.diff_ids[index], `diff_id ${index}`),
      blob: blobs.get(descriptor.digest),
    }));
    checkReused(annotations, layers);
    const source = annotations.has(SOURCE) ? digestOf(annotations, SOURCE) : undefined;
    const signatures = manifest.layers.filter((layer) => contentOf(layer) === SIGNATURE_CONTENT);
    return { digest: manifestDigest, target, source, sourceConfig, layers, signatures };
  });
}

function corrupt(rule: string): OstrataError {
  return new OstrataError('CORRUPT', rule);
}

type Annotations = ReadonlyMap<string, string>;

function annotationsOf({ annotations = {} }: Pick<Descriptor, 'annotations'>): Annotations {
  return new Map(Object.entries(annotations));
}

function digestOf(annotations: Annotations, name: string): string {
  const value = annotations.get(name);
  const parsed = v.safeParse(digestSchema, value);
  if (!parsed.success) {
    throw corrupt(`annotation ${name}: expected a digest, got ${JSON.stringify(value)}`);
  }
  return parsed.output;
}

/** Limit for the deltas that are compared: a registry may list thousands. */
const MAX_LISTED = 8;

/**
 * Returns the newest deltas that are listed beside `image` and, as the list states, lead from an
 * image of whose config `isSource` accepts the digest.
 */
export async function listDeltas(
  image: ImageReader,
  isSource: (configDigest: string) => boolean,
): Promise<readonly Descriptor[]> {
  const listed = (await image.referrers?.(DELTA_TYPE)) ?? [];
  const fitting = listed.filter((each) => isSource(annotationsOf(each).get(SOURCE_CONFIG) ?? ''));
  return fitting.slice(-MAX_LISTED);
}

/** Returns the manifest of the source image, as the descriptor of a delta in a list states it. */
export function listedSource(descriptor: Descriptor): string | undefined {
  const { success, output } = v.safeParse(digestSchema, annotationsOf(descriptor).get(SOURCE));
  return success ? output : undefined;
}

async function embeddedTarget(
  image: ImageReader,
  known: ImageDocuments | undefined,
): Promise<ImageDocuments> {
  const manifestBlob = onlyLayer(image.manifest, MANIFEST_CONTENT);
  const configBlob = onlyLayer(image.manifest, CONFIG_CONTENT);
  if (known !== undefined) {
    checkEmbedded('manifest', manifestBlob.digest, known.manifestDigest);
    checkEmbedded('config', configBlob.digest, known.manifest.config.digest);
    return known;
  }
  const manifestBytes = await readDocument(image, manifestBlob);
  const configBytes = await readDocument(image, configBlob);
  const manifest = parseManifest(manifestBytes);
  const config = parseConfig(configBytes);
  if (manifest.config.digest !== configBlob.digest) {
    throw corrupt(
      `its manifest names the config ${manifest.config.digest}, it holds ${configBlob.digest}`,
    );
  }
  checkDiffIds(manifest, config);
  return { manifestDigest: manifestBlob.digest, manifestBytes, manifest, configBytes, config };
}

function checkEmbedded(what: string, embedded: string, wanted: string): void {
  if (embedded !== wanted) {
    throw corrupt(`it is for an image with the ${what} ${embedded}, not ${wanted}`);
  }
}

function checkDiffIds({ layers }: Manifest, { rootfs }: ImageConfig): void {
  if (rootfs.diff_ids.length !== layers.length) {
    throw corrupt(`${layers.length} layers and ${rootfs.diff_ids.length} diff_ids`);
  }
}

/** Throws unless subject and annotation name the image that is embedded. */
function checkTarget(delta: Manifest, target: ImageDocuments): void {
  const stated = [
    ['subject', delta.subject?.digest],
    [`annotation ${TARGET}`, annotationsOf(delta).get(TARGET)],
  ] as const;
  for (const [what, digest] of stated) {
    if (digest !== undefined && digest !== target.manifestDigest) {
      throw corrupt(`${what}: is ${digest}, but the delta holds ${target.manifestDigest}`);
    }
  }
}

function contentOf(layer: Descriptor): string | undefined {
  return annotationsOf(layer).get(CONTENT);
}

function onlyLayer({ layers }: Manifest, content: string): Descriptor {
  const found = layers.filter((layer) => contentOf(layer) === content);
  const [layer] = found;
  if (layer === undefined || found.length > 1) {
    throw corrupt(`${found.length} layers with the content ${content}, expected one`);
  }
  return layer;
}

/** Returns what the delta has for layers of the target, by their digests. */
function layerBlobs(delta: Manifest, target: Manifest): ReadonlyMap<string, Descriptor> {
  const wanted = new Map(target.layers.map((layer) => [layer.digest, layer]));
  const blobs = new Map<string, Descriptor>();
  for (const blob of delta.layers.filter((layer) => contentOf(layer) === LAYER_CONTENT)) {
    const to = digestOf(annotationsOf(blob), TO);
    const layer = wanted.get(to);
    if (layer === undefined) {
      throw corrupt(`it has a layer for ${to}, which the target image lacks`);
    }
    if (blobs.has(to)) {
      throw corrupt(`it has two layers for ${to}`);
    }
    if (blob.mediaType !== TAR_DIFF && blob.digest !== to) {
      throw corrupt(`layer ${blob.digest} for ${to} is of media type ${blob.mediaType}`);
    }
    blobs.set(to, blob);
  }
  return blobs;
}

/** Throws if a layer is neither in the delta nor in the source image, as far as that is stated. */
function checkReused(annotations: Annotations, layers: readonly TargetLayer[]): void {
  const text = annotations.get(REUSED_DIFF_IDS) ?? '[]';
  const reused = new Set(
    inContext(`annotation ${REUSED_DIFF_IDS}`, () => parseJson(text, v.array(digestSchema))),
  );
  const missing = layers.find(({ blob, diffId }) => blob === undefined && !reused.has(diffId));
  if (missing !== undefined) {
    throw corrupt(`layer ${missing.index} (${missing.diffId}) is neither in it nor reused`);
  }
}

/** Returns a small blob, whose digest has been checked. */
export async function readDocument(
  image: ImageReader,
  descriptor: Descriptor,
): Promise<Uint8Array> {
  if (descriptor.size > MAX_JSON_SIZE) {
    const rule = `blob ${descriptor.digest} of ${descriptor.size} bytes`;
    throw new OstrataError('LIMIT', `${rule}, at most ${MAX_JSON_SIZE}`);
  }
  return collect(verifiedBlob(image, descriptor), descriptor.size);
}

/** Streams a blob; iterating throws `CORRUPT` unless it has the descriptor's size and digest. */
export function verifiedBlob(image: ImageReader, descriptor: Descriptor): ByteStream {
  const blob = image.blob(descriptor);
  return image.isVerifying ? blob : verified(blob, descriptor);
}
