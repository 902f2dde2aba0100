/** Extended attributes by name (no NUL), values as raw bytes; iteration is in byte order of the names. */
export type Xattrs = ReadonlyMap<string, Uint8Array>;
