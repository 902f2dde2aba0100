/** Copies an image from one transport to another, byte for byte. */
import { parseConfig } from '../../src/oci/types.js';
import { Semaphore } from '../../src/transports/semaphore.js';
import type { ImageReader, ImageWriter } from '../../src/transports/transport.js';

/** The number of blobs that are copied at the same time; skopeo and podman use the same. */
const MAX_COPIES = 6;

/**
 * Copies the blobs that the destination lacks and commits the image; on failure nothing is left.
 */
export async function copyImage(image: ImageReader, writer: ImageWriter): Promise<void> {
  try {
    const config = await image.config();
    const { architecture, os } = parseConfig(config);
    const layers = new Map(image.manifest.layers.map((layer) => [layer.digest, layer]));
    const parallel = new Semaphore(MAX_COPIES);
    const copies = [...layers.values()].map((layer) =>
      parallel.run(() => writer.mountBlob(layer, image)),
    );
    await Promise.all(copies).finally(() => Promise.allSettled(copies));
    await writer.commit({ config, manifest: image.manifestBytes, platform: { architecture, os } });
  } catch (error) {
    await writer.discard();
    throw error;
  }
}
