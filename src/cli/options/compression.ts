/** Options of commands that write layers: how the layers are compressed. */
import { type Command, Option } from 'commander';
import { type Compression, STANDARD_LEVELS } from '../../blobs/compress.js';
import { OstrataError } from '../../errors.js';
import type { LayerCompression } from '../../oci/media-types.js';
import type { Transport } from '../../transports/transport.js';
import { integer } from './values.js';

export interface CompressionOptions {
  readonly compression?: LayerCompression | undefined;
  readonly compressionLevel?: number | undefined;
}

/** Above level 19, reading zstd takes more memory than clients may have. */
const HIGHEST_LEVELS: Readonly<Record<LayerCompression, number>> = { gzip: 9, zstd: 19, none: 19 };

/** `--compression` and `--compression-level`. */
export function compressionOptions(command: Command): Command {
  return command
    .optionsGroup('Compression:')
    .addOption(
      new Option(
        '--compression <name>',
        'how new layers are compressed (default: gzip, or none where they are stored ' +
          'uncompressed: containers-storage:, docker-daemon:, docker-archive:)',
      ).choices(Object.keys(HIGHEST_LEVELS)),
    )
    .addOption(
      new Option(
        '--compression-level <n>',
        'from 1 (fast) to 9 (small), or to 19 with zstd (default: 6, or 3 with zstd)',
      ).argParser(integer(1, 19)),
    );
}

/**
 * Returns the compression that the options name, or that fits the destination; throws `USAGE` for a
 * level that it does not have.
 */
export function compressionOf(
  options: CompressionOptions,
  { storesUncompressed = false }: Transport,
): Compression {
  const standardName = storesUncompressed ? 'none' : 'gzip';
  const name = options.compression ?? standardName;
  const highest = HIGHEST_LEVELS[name];
  const level = options.compressionLevel ?? STANDARD_LEVELS[name];
  if (level > highest) {
    throw new OstrataError(
      'USAGE',
      `option --compression-level: ${name} has levels from 1 to ${highest}, not ${level}`,
    );
  }
  return { name, level };
}
