/** Media types of images and of their parts, and the compression of layers that they stand for. */

/** Media types of OCI: https://github.com/opencontainers/image-spec/blob/v1.1.0/media-types.md */
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
export const OCI_LAYER_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const OCI_LAYER_ZSTD = 'application/vnd.oci.image.layer.v1.tar+zstd';

/**
 * Media types of Docker, version 2 schema 2:
 * https://distribution.github.io/distribution/spec/manifest-v2-2/
 */
const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';
const DOCKER_LAYER_GZIP = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
const DOCKER_LAYER_ZSTD = 'application/vnd.docker.image.rootfs.diff.tar.zstd';

export const INDEX_MEDIA_TYPES: readonly string[] = [OCI_INDEX, DOCKER_INDEX];
export const MANIFEST_MEDIA_TYPES: readonly string[] = [OCI_MANIFEST, DOCKER_MANIFEST];
export const CONFIG_MEDIA_TYPES: readonly string[] = [OCI_CONFIG, DOCKER_CONFIG];

/** How the tar of a layer is compressed. */
export type LayerCompression = 'none' | 'gzip' | 'zstd';

/** One standard's media types: a manifest, its config and its layers are all of one standard. */
interface Standard {
  readonly name: 'OCI' | 'Docker';
  readonly manifest: string;
  readonly config: string;
  readonly layers: Readonly<Record<LayerCompression, string>>;
}

const OCI: Standard = {
  name: 'OCI',
  manifest: OCI_MANIFEST,
  config: OCI_CONFIG,
  layers: { none: OCI_LAYER, gzip: OCI_LAYER_GZIP, zstd: OCI_LAYER_ZSTD },
};
const DOCKER: Standard = {
  name: 'Docker',
  manifest: DOCKER_MANIFEST,
  config: DOCKER_CONFIG,
  layers: { none: DOCKER_LAYER, gzip: DOCKER_LAYER_GZIP, zstd: DOCKER_LAYER_ZSTD },
};

const COMPRESSIONS: readonly LayerCompression[] = ['none', 'gzip', 'zstd'];
const LAYER_COMPRESSIONS: ReadonlyMap<string, LayerCompression> = new Map(
  [OCI, DOCKER].flatMap(({ layers }) => COMPRESSIONS.map((name) => [layers[name], name] as const)),
);
const STANDARD_NAMES: ReadonlyMap<string, Standard['name']> = new Map(
  [OCI, DOCKER].flatMap(({ name, manifest, config, layers }) =>
    [manifest, config, ...Object.values(layers)].map((mediaType) => [mediaType, name] as const),
  ),
);

/** Returns how layers of a media type are compressed; undefined if such layers cannot be read. */
export function layerCompression(mediaType: string): LayerCompression | undefined {
  return LAYER_COMPRESSIONS.get(mediaType);
}

/** Returns the media type of an OCI layer with the given compression. */
export function layerMediaType(compression: LayerCompression): string {
  return OCI.layers[compression];
}

/**
 * Returns the media type that a layer has in an OCI manifest: the blob of a layer is the same in
 * both standards. A media type of neither standard stays as it is.
 */
export function ociLayerMediaType(mediaType: string): string {
  const compression = layerCompression(mediaType);
  return compression === undefined ? mediaType : layerMediaType(compression);
}

/** Returns the media type that the same standard has for the layer if it is not compressed. */
export function uncompressedMediaType(mediaType: string): string {
  const { layers } = standardOf(mediaType) === 'Docker' ? DOCKER : OCI;
  return layers.none;
}

/**
 * Returns which standard defines the media type of a manifest, config or layer; undefined if
 * neither does.
 */
export function standardOf(mediaType: string): Standard['name'] | undefined {
  return STANDARD_NAMES.get(mediaType);
}
