/** Options of the commands that plan layers: how many there may be, and how large. */
import { type Command, Option } from 'commander';
import {
  DEFAULT_MAX_LAYERS,
  DEFAULT_MAX_LAYERS_OF_BUILD,
  MIN_LAYERS,
} from '../../layout/max-layers.js';
import { integer } from './values.js';

export interface LayerLimits {
  /** Counts all layers of the image, the commit layer of an encapsulated image included. */
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
    .addOption(maxLayersOption(MAX_LAYERS_HELP, MIN_LAYERS))
    .option('--max-layer-size <bytes>', MAX_LAYER_SIZE_HELP, integer(1));
}

/** The same options for `ostrata build`, whose images may have no commit layer. */
export function buildLayerLimitOptions(command: Command): Command {
  const maxLayers = maxLayersOption('at most this many layers in the image', 1);
  return command
    .optionsGroup('Layers:')
    .addOption(maxLayers.default(DEFAULT_MAX_LAYERS_OF_BUILD))
    .option('--max-layer-size <bytes>', MAX_LAYER_SIZE_HELP, integer(1));
}

/** @param minimum the fewest layers that an image can have */
export function maxLayersOption(help: string, minimum: number): Option {
  return new Option('--max-layers <n>', help)
    .argParser(integer(minimum))
    .default(DEFAULT_MAX_LAYERS);
}
