// Makes one index of the images in an OCI image layout.
// https://github.com/opencontainers/image-spec/blob/main/image-index.md
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const REF_NAME = 'org.opencontainers.image.ref.name';

/**
 * Replaces the images that the layout lists, which are named by their architectures, with an index
 * of them that is named `name`. Returns its digest.
 */
export function joinImages(layout, name, annotations) {
  const listFile = join(layout, 'index.json');
  const { manifests } = JSON.parse(readFileSync(listFile, 'utf8'));
  const images = manifests.map(({ mediaType, digest, size, annotations: { [REF_NAME]: tag } }) => {
    return { mediaType, digest, size, platform: { architecture: tag, os: 'linux' } };
  });
  const index = { schemaVersion: 2, mediaType: INDEX, manifests: images, annotations };
  const bytes = Buffer.from(JSON.stringify(index));
  const hex = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(layout, 'blobs/sha256', hex), bytes);

  const digest = `sha256:${hex}`;
  const entry = { mediaType: INDEX, digest, size: bytes.length, annotations: { [REF_NAME]: name } };
  const list = { schemaVersion: 2, mediaType: INDEX, manifests: [entry] };
  writeFileSync(listFile, JSON.stringify(list));
  return digest;
}
