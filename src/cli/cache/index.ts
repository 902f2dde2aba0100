/** `ostrata cache`: the caches of layers that builds share. */
import type { Command } from 'commander';
import { BUILD_COMMANDS } from '../help.js';
import { addPruneCommand } from './prune.js';

export function addCacheCommand(program: Command): void {
  const cache = program
    .command('cache')
    .helpGroup(BUILD_COMMANDS)
    .summary('delete old layers from a cache in a registry')
    .description(
      'Builds with --cache-from and --cache-to share compressed layers through a repository of ' +
        'a registry. The cache on the disk needs no such command: --cache-size limits it.',
    );
  addPruneCommand(cache);
}
