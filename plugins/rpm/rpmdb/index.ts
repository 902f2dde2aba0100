/**
 * Reads RPM package databases of every format: `import { openRpmdbAt } from 'ostrata/rpmdb'`. A
 * database is opened from a path of this machine (openRpmdbAt), from a tree such as a folder, an
 * ostree commit or an image (openTreeRpmdb), or from bytes (openRpmdb).
 */
export { isDamage } from './backend.js';
export {
  type Capability,
  parseCapability,
  providesCapability,
  requiresCapability,
} from './capability.js';
export { conversionByName } from './conversions.js';
export { openRpmdbAt } from './disk.js';
export { FileFlag, type FileState, type RpmFile } from './file.js';
export type { RpmHeader } from './header.js';
export {
  checkHeaderDigest,
  type HeaderDigest,
  type SignedHeader,
  signedHeader,
} from './header-digest.js';
export {
  findRpmdb,
  type LocatedRpmdb,
  openTreeRpmdb,
  type RpmdbLocation,
} from './locate.js';
export { movedPaths } from './moved.js';
export {
  compareEvr,
  compareVersions,
  formatEvr,
  formatNevra,
  type Nevra,
  sourceNameOf,
} from './nevra.js';
export { openRpmdb, type PackagesOptions, type Rpmdb, type RpmdbFiles } from './open.js';
export { readSignature, type SignatureFacts } from './openpgp.js';
export { findOwners, type PathOwners } from './owner.js';
export type { RpmPackage } from './package.js';
export { QueryFormat } from './query-format.js';
export { dependencyTexts } from './tag-values.js';
export { Tag, TagType } from './tags.js';
export {
  type FileVerdict,
  VERIFY_LETTERS,
  Verifier,
  VerifyBit,
  type VerifyLetter,
} from './verify.js';
