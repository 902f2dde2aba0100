/** Options of the commands that plan layers: how many there may be, and how large. */
import { type Command, Option } from 'commander';
import {
  CLIENT_LAYERS,
  DEFAULT_MAX_LAYERS,
  DEFAULT_MAX_LAYERS_OF_BUILD,
  MIN_LAYERS,
} from '../../layout/max-layers.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
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

/** `--max-layers`, `--profile` and `--max-layer-size`. */
export function layerLimitOptions(command: Command): Command {
  return limitOptions(command, maxLayersOption(MAX_LAYERS_HELP, MIN_LAYERS));
}

/** The same options for `ostrata build`, whose images may have no commit layer. */
export function buildLayerLimitOptions(command: Command): Command {
  const maxLayers = maxLayersOption('at most this many layers in the image', 1);
  return limitOptions(command, maxLayers.default(DEFAULT_MAX_LAYERS_OF_BUILD));
}

function limitOptions(command: Command, maxLayers: Option): Command {
  const profile = new Option(
    '--profile <client>',
    'make as many layers as this client takes, those of images built on top included; ' +
      '--max-layers has precedence',
  );
  return command
    .optionsGroup('Layers:')
    .addOption(maxLayers)
    .addOption(profile.choices([...CLIENT_LAYERS.keys()]))
    .option('--max-layer-size <bytes>', MAX_LAYER_SIZE_HELP, integer(1))
    .hook('preAction', followProfile);
}

interface ProfileOptions extends LayerLimits, LogOptions {
  readonly profile?: string | undefined;
}

function followProfile(command: Command): void {
  const options = command.opts<ProfileOptions>();
  const { profile = '', maxLayers } = options;
  const taken = CLIENT_LAYERS.get(profile);
  if (taken === undefined) {
    return;
  }
  if (command.getOptionValueSource('maxLayers') === 'default') {
    command.setOptionValue('maxLayers', taken);
  } else if (maxLayers > taken) {
    const warning = `--max-layers ${maxLayers}: ${profile} takes at most ${taken} layers`;
    terminalLogger(options).warn(warning);
  }
}

/** @param minimum the fewest layers that an image can have */
export function maxLayersOption(help: string, minimum: number): Option {
  return new Option('--max-layers <n>', help)
    .argParser(integer(minimum))
    .default(DEFAULT_MAX_LAYERS);
}
