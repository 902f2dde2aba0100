/** Makes the deltas from several images to one, for `delta create` and for builds. */
import { type CreateDeltaOptions, type CreatedDelta, createDeltas } from '../../delta/create.js';
import { must } from '../../errors.js';
import type { ImageReader } from '../../oci/image.js';
import type { ImageWriter } from '../../transports/transport.js';

export interface MadeDelta extends CreatedDelta {
  /** The reference of the image that it leads from. */
  readonly source: string;
}

/** @param createWriter prepares to write one delta */
export async function makeDeltas(
  target: ImageReader,
  sources: readonly ImageReader[],
  createWriter: () => Promise<ImageWriter>,
  options: CreateDeltaOptions,
): Promise<readonly MadeDelta[]> {
  const writers: ImageWriter[] = [];
  try {
    for (const _ of sources) {
      writers.push(await createWriter());
    }
    const requests = sources.map((source, i) => ({ source, writer: must(writers[i], 'a writer') }));
    const created = await createDeltas(target, requests, options);
    return created.map((delta, i) => ({ source: sources[i]?.name ?? '', ...delta }));
  } finally {
    for (const writer of writers) {
      await writer.discard();
    }
  }
}
