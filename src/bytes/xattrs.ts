/** The one form in which tar entries, ostree objects and trees hold extended attributes. */

/**
 * Extended attributes by name. A name has no NUL, a value is raw bytes; iteration is in the order
 * of the names' bytes.
 */
export type Xattrs = ReadonlyMap<string, Uint8Array>;
