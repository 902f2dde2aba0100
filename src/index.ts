/** The public library: what `import ... from 'ostrata'` gives. Plugins use `ostrata/plugin`, package databases `ostrata/rpmdb`. */
export type { OwnedComponent } from './components/assign.js';
export {
  type ImagePlan,
  type PlanImageOptions,
  type PlannedChunk,
  planImage,
  type WriteImageOptions,
  type WrittenImage,
  type WrittenLayer,
  writeImage,
} from './encapsulate.js';
export { type ErrorCode, OstrataError } from './errors.js';
export { type EncapsulatedImage, type ReadLayer, readEncapsulated } from './image/encapsulated.js';
export type { FetchEvent } from './image/fetch.js';
export { type ImportCounts, type ImportPlan, importCounts, type PlannedLayer } from './image/import-plan.js';
export {
  type PreviousBuild,
  previousFromImage,
  previousFromImages,
  previousFromManifest,
} from './image/previous.js';
export { type VerifiedImage, verifyImage } from './image/verify.js';
export type { Compression, CompressionName } from './layers/compress.js';
export type { FormatVersion } from './layers/spec.js';
export type { ComponentChange } from './layout/changes.js';
export { type Logger, silentLogger } from './log.js';
export { openRepo } from './ostree/repo.js';
export { type PullResult, pullImage } from './pull.js';
export { createImage, openImage } from './transports/imgref.js';
export { type OstreeImgref, parseOstreeImgref, type Verification } from './transports/ostree-imgref.js';
export type { ImageReader, ImageWriter } from './transports/transport.js';
export { lookupCommit } from './tree/commit-lookup.js';
export { lookupDirectory, openDirectoryTree } from './tree/directory.js';
export { openImageTree } from './tree/image.js';
export type { LookupTree, PathLookup } from './tree/lookup.js';
export { type CommitTree, openCommitTree } from './tree/ostree.js';
export type { FileEntry, Tree, TreePath } from './tree/tree.js';
export {
  type ImportEvent,
  type ImportOptions,
  type ImportResult,
  planUnencapsulate,
  unencapsulate,
} from './unencapsulate.js';
