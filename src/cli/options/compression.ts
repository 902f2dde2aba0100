/** Options of commands that write layers: how they are compressed. */
import { type Command, Option } from 'commander';
import type { Compression } from '../../blobs/compress.js';
import { OstrataError } from '../../errors.js';
import type { LayerCompression } from '../../oci/media-types.js';
import { integer } from './values.js';

export interface CompressionOptions {
  readonly compression: LayerCompression;
  readonly compressionLevel?: number | undefined;
}

/** zstd's levels above 19 need more memory than clients may have to read them. */
const LEVELS: Readonly<
  Record<LayerCompression, { readonly highest: number; readonly standard: number }>
> = {
  gzip: { highest: 9, standard: 6 },
  zstd: { highest: 19, standard: 3 },
  none: { highest: 19, standard: 1 },
};

export function compressionOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--compression <name>', 'compression of new layers')
        .choices(Object.keys(LEVELS))
        .default('gzip'),
    )
    .addOption(
      new Option(
        '--compression-level <n>',
        '1 (fast) to 9 (small), for zstd to 19 (default: 6, for zstd 3)',
      ).argParser(integer(1, 19)),
    );
}

export function compressionOf({
  compression: name,
  compressionLevel,
}: CompressionOptions): Compression {
  const { highest, standard } = LEVELS[name];
  const level = compressionLevel ?? standard;
  if (level > highest) {
    throw new OstrataError(
      'USAGE',
      `option --compression-level: ${name} has levels from 1 to ${highest}, not ${level}`,
    );
  }
  return { name, level };
}
