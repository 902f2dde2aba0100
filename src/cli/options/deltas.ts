/** Options of the commands that make deltas. */
import { type Command, Option } from 'commander';
import { DELTA_LEVELS, type DeltaLevel } from '../../delta/levels.js';
import { must } from '../../errors.js';
import { repeated } from './values.js';

/** The deltas that a build makes to its image. */
export interface DeltaOptions {
  /** References of the images that clients have. */
  readonly deltaFrom?: readonly string[] | undefined;
  readonly deltaLevel: string;
}

/** `--delta-from` and `--delta-level`. */
export function deltaOptions(command: Command): Command {
  return command
    .optionsGroup('Deltas:')
    .option(
      '--delta-from <imgref>',
      'also make a delta from this image, so that its clients download only what changed inside ' +
        'the files; `auto` is the image that the new one replaces, if there is one; the delta ' +
        'goes beside the new image, in a registry or into oci:DIR:TAG (repeatable)',
      repeated,
    )
    .addOption(levelOption('--delta-level'));
}

/** @param flag the name of the option */
export function levelOption(flag: string): Option {
  return new Option(`${flag} <name>`, 'how much time the search for a small delta takes')
    .choices([...DELTA_LEVELS.keys()])
    .default('default');
}

/** Returns the level with a name that the option accepts. */
export function deltaLevel(name: string): DeltaLevel {
  return must(DELTA_LEVELS.get(name), name);
}
