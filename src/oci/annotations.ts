/** Names of the annotations and labels of images. */

/** Annotations of OCI: https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md */
export const REF_NAME = 'org.opencontainers.image.ref.name';
export const IMAGE_VERSION = 'org.opencontainers.image.version';
/** The image that another one was built from, in a registry, and the digest of its manifest. */
export const BASE_NAME = 'org.opencontainers.image.base.name';
export const BASE_DIGEST = 'org.opencontainers.image.base.digest';

// Labels and annotations of encapsulated images, as bootc's ostree-ext writes them
// (container/encapsulate.rs and container/mod.rs).

/** Checksum of the ostree commit. */
export const OSTREE_COMMIT = 'ostree.commit';
/** diff_id of the last layer that belongs to the commit. Derived layers follow. */
export const OSTREE_FINAL_DIFFID = 'ostree.final-diffid';
export const OSTREE_BOOTABLE = 'ostree.bootable';
/** Version of the kernel in the image. */
export const OSTREE_LINUX = 'ostree.linux';
export const CONTAINERS_BOOTC = 'containers.bootc';
/** What hhd-dev's rechunk says about the layers that it made. */
export const HHD_RECHUNK_INFO = 'dev.hhd.rechunk.info';
/** Sorted names of the components in a layer, separated by commas. */
export const OSTREE_COMPONENTS = 'ostree.components';
/** Names of the components in a layer of chunkah, separated by spaces. */
export const CHUNKAH_COMPONENT = 'org.chunkah.component';
/** Probability that a layer of chunkah does not change within a week, with three decimals. */
export const CHUNKAH_STABILITY = 'org.chunkah.stability';
/**
 * What the annotations of a zstd:chunked layer begin with, which say where the table of contents is
 * in its blob. Older programs, such as skopeo 1.9, write and read the second name.
 * https://github.com/containers/storage/blob/v1.56.0/docs/containers-storage-zstd-chunked.md
 */
export const ZSTD_CHUNKED_PREFIXES: readonly string[] = [
  'io.github.containers.zstd-chunked.',
  'io.containers.zstd-chunked.',
];
