/** Reads RPM package databases of every format, from bytes: `import { openRpmdb } from 'ostrata/rpmdb'`. */
export { FileFlag, type FileState, type RpmFile } from './file.js';
export type { RpmHeader } from './header.js';
export { findRpmdb, type RpmdbLocation } from './locate.js';
export { compareVersions, formatEvr, formatNevra, type Nevra, sourceNameOf } from './nevra.js';
export { openRpmdb, type Rpmdb, type RpmdbFiles } from './open.js';
export type { RpmPackage } from './package.js';
export { Tag, TagType } from './tags.js';
