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
export { createImage, openImage } from './transports/imgref.js';
export type { ImageReader, ImageWriter } from './transports/transport.js';
