/**
 * Names of the files of an OCI image layout, relative to its root:
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
 */

/** Marks a directory as an image layout and states its version. */
export const LAYOUT_FILE = 'oci-layout';
export const LAYOUT_FILE_CONTENT = '{"imageLayoutVersion":"1.0.0"}';
/** The image index that names the manifests of all images in the layout. */
export const INDEX_FILE = 'index.json';
export const BLOBS_DIRECTORY = 'blobs/sha256';

/** Returns the path of the blob with the digest `sha256:HEX`. */
export function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}
