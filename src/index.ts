/**
 * The public library, `ostrata`. Plugins use `ostrata/plugin`; RPM databases are read by
 * `ostrata/rpmdb`.
 */

export type { Compression } from './blobs/compress.js';
export {
  type PlanPlainImageOptions,
  planPlainImage,
  type WritePlainImageOptions,
  writePlainImage,
} from './builder/build.js';
export {
  type CommitImagePlan,
  type PlanImageOptions,
  type PlanNewCommitOptions,
  planImage,
  planNewCommit,
  type WriteImageOptions,
  type WriteNewCommitOptions,
  writeImage,
  writeNewCommit,
} from './builder/encapsulate.js';
export type { ImagePlan, PlannedChunk, PlannedCommitLayer } from './builder/image-plan.js';
export type { MtimeOptions, MtimeRule } from './builder/mtimes.js';
export {
  type PreviousBuild,
  previousFromImage,
  previousFromImages,
  previousFromManifest,
} from './builder/previous.js';
export type { WrittenImage, WrittenLayer } from './builder/write-image.js';
export type { DeltaChoice, DeltaPlace } from './client/import/delta.js';
export type { FetchEvent } from './client/import/fetch.js';
export type { ImportCounts, ImportPlan, LayerToImport } from './client/import/plan.js';
export { type PullResult, pullImage } from './client/pull.js';
export {
  type ImportEvent,
  type ImportOptions,
  type ImportResult,
  previewImport,
} from './client/session.js';
export {
  checkOnlyCommit,
  type UnencapsulateOptions,
  unencapsulate,
} from './client/unencapsulate.js';
export {
  type OstreeImgref,
  parseOstreeImgref,
  type Verification,
} from './client/verify/ostree-image-reference.js';
export type { OwnedComponent, PlannedComponent } from './components/assign.js';
export { type ErrorCode, OstrataError } from './errors.js';
export { type DescribedImage, describeImage, type ReadLayer } from './image/encapsulated.js';
export { type VerifiedImage, verifyImage } from './image/verify.js';
export type { FormatVersion } from './layers/spec.js';
export type { ComponentChange } from './layout/changes.js';
export { type Logger, silentLogger } from './log.js';
export type { LayerCompression } from './oci/media-types.js';
export { openRepo } from './ostree/repo.js';
export { type CommitSigner, gpgSigner, keyFileSigner } from './ostree/sign/sign.js';
export { createImage, openImage } from './transports/image-reference.js';
export type { ImageReader, ImageWriter } from './transports/transport.js';
export { type CommitTree, openCommitTree } from './tree/commit.js';
export { lookupCommit } from './tree/commit-lookup.js';
export type { ContentLocation, LocatedTree } from './tree/content-location.js';
export { lookupDirectory } from './tree/directory.js';
export { type DirectoryTreeOptions, openDirectoryTree } from './tree/directory-tree.js';
export { openImageTree } from './tree/image.js';
export type { LookupTree, PathLookup, ReadableTree } from './tree/lookup.js';
export type { NewCommit } from './tree/new-commit.js';
export type { FileEntry, Tree, TreePath } from './tree/tree.js';
