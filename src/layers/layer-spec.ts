/** The spec of any layer, and the writer that turns it into the tar of the layer. */
import type { BufferSource } from '../bytes/stream.js';
import { must } from '../errors.js';
import { openRepo } from '../ostree/repo.js';
import { type ContentLocation, openContent, repoContent } from '../tree/content-location.js';
import type { Sink } from './copy-content.js';
import type { PlainLayerSpec } from './plain-spec.js';
import { writePlainLayer } from './plain-write.js';
import type { OstreeLayerSpec } from './spec.js';
import { writeOstreeLayer } from './write.js';

/** What a layer will hold, in the format of its image. */
export type LayerSpec = OstreeLayerSpec | PlainLayerSpec;

/** Writes the whole tar of a layer to `sink`; reads content into `buffers` if there are any. */
export type LayerTarWriter = (spec: LayerSpec, sink: Sink, buffers?: BufferSource) => Promise<void>;

/** Opens the place where the content of layers lies. Ostree layers need a repository. */
export function openLayerTarWriter(location: ContentLocation): LayerTarWriter {
  const repo = location.kind === 'repo' ? openRepo(location.path) : undefined;
  const content = repo === undefined ? openContent(location) : repoContent(repo);
  return async (spec, sink, buffers) => {
    if (spec.kind === 'plain') {
      await writePlainLayer(content, spec, sink, buffers);
      return;
    }
    const ostreeRepo = must(repo, 'the repository of an ostree layer');
    await writeOstreeLayer(ostreeRepo, spec, sink, buffers);
  };
}
