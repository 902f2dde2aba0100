/** The spec of any layer, and the writer that turns it into the tar of the layer. */
import type { BufferSource } from '../bytes/stream.js';
import { type ContentLocation, openContent } from '../tree/content-location.js';
import type { Sink } from './copy-content.js';
import type { PlainLayerSpec } from './plain-spec.js';
import { writePlainLayer } from './plain-write.js';
import type { OstreeLayerSpec } from './spec.js';
import { writeOstreeLayer } from './write.js';

/** What a layer will hold, in the format of its image. */
export type LayerSpec = OstreeLayerSpec | PlainLayerSpec;

/** Writes the whole tar of a layer to `sink`; reads content into `buffers` if there are any. */
export type LayerTarWriter = (spec: LayerSpec, sink: Sink, buffers?: BufferSource) => Promise<void>;

/** Opens the place where the content of layers lies. */
export function openLayerTarWriter(location: ContentLocation): LayerTarWriter {
  const content = openContent(location);
  return (spec, sink, buffers) =>
    spec.kind === 'plain'
      ? writePlainLayer(content, spec, sink, buffers)
      : writeOstreeLayer(content, spec, sink, buffers);
}
