/** Names of annotations and labels. */

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md */
export const REF_NAME = 'org.opencontainers.image.ref.name';
export const IMAGE_VERSION = 'org.opencontainers.image.version';

/** Of encapsulated images: bootc's ostree-ext, `container/encapsulate.rs` and `container/mod.rs`. */
export const OSTREE_COMMIT = 'ostree.commit';
/** diff_id of the last layer that is part of the commit; what follows was derived. */
export const OSTREE_FINAL_DIFFID = 'ostree.final-diffid';
export const OSTREE_BOOTABLE = 'ostree.bootable';
export const OSTREE_LINUX = 'ostree.linux';
export const CONTAINERS_BOOTC = 'containers.bootc';
/** On a layer: names of its components, sorted, joined by commas. */
export const OSTREE_COMPONENTS = 'ostree.components';
/** The same of chunkah, joined by spaces. */
export const CHUNKAH_COMPONENT = 'org.chunkah.component';
