/** Options of the commands that plan layers: how many there may be, and how large. */
import { type Command, Option } from 'commander';
import { DEFAULT_MAX_LAYERS, MIN_LAYERS } from '../../layout/max-layers.js';
import { integer } from './values.js';

export interface LayerLimits {
  /** Counts all layers of the image, the commit layer included. */
  readonly maxLayers: number;
  /** Bytes of content. */
  readonly maxLayerSize?: number | undefined;
}

export const MAX_LAYERS_HELP = 'at most this many layers in the image, the commit layer included';
export const MAX_LAYER_SIZE_HELP =
  'bytes of content that a layer should not exceed, unless one component alone does';

/** `--max-layers` and `--max-layer-size`. */
export function layerLimitOptions(command: Command): Command {
  return command
    .optionsGroup('Layers:')
    .addOption(
      new Option('--max-layers <n>', MAX_LAYERS_HELP)
        .argParser(integer(MIN_LAYERS))
        .default(DEFAULT_MAX_LAYERS),
    )
    .option('--max-layer-size <bytes>', MAX_LAYER_SIZE_HELP, integer(1));
}
