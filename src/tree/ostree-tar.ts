/**
 * The ostree repository that lies inside an encapsulated image ("ChunkedV1", as bootc's ostree-ext reads it): a repository
 * of mode bare-split-xattrs whose content objects are hard-linked to their paths.
 */

/** Where the repository lies in the image's root file system; no leading slash, as tar names have none. */
export const REPO_DIRECTORY = 'sysroot/ostree/repo';
