/**
 * Hard links of a derived layer that come before the file that they name. Programs which sort the
 * entries of a layer by name write them, and libostree reads them.
 */
import { OstrataError } from '../errors.js';

interface WaitingLink {
  /** The directory that gets the link. */
  readonly directory: {
    readonly files: Map<string, string>;
    readonly dirs: ReadonlyMap<string, unknown>;
  };
  /** The name in that directory. */
  readonly name: string;
  /** The path of the link; other links may wait for it. */
  readonly path: string;
  /** The path of the file that it names. */
  readonly target: string;
}

export class WaitingLinks {
  readonly #byPath = new Map<string, WaitingLink>();

  /**
   * Keeps a link until {@link settle}. If a later entry of the layer has the same path, it replaces
   * the link.
   */
  add(link: WaitingLink): void {
    link.directory.files.delete(link.name);
    this.#byPath.set(link.path, link);
  }

  /**
   * Makes the links, also those to other links that wait. Throws `CORRUPT` if the layer has no file
   * that a link names.
   * @param find returns the checksum of the content object at a path
   */
  settle(find: (path: string) => string | undefined): void {
    const byTarget = new Map<string, WaitingLink[]>();
    for (const link of this.#byPath.values()) {
      const links = byTarget.get(link.target) ?? [];
      links.push(link);
      byTarget.set(link.target, links);
    }

    const targets = [...byTarget.keys()];
    for (const target of targets) {
      const checksum = find(target);
      const links = byTarget.get(target);
      if (checksum === undefined || links === undefined) {
        continue;
      }

      byTarget.delete(target);
      for (const link of links) {
        makeLink(link, checksum);
        targets.push(link.path);
      }
    }

    for (const [target, [link]] of byTarget) {
      throw new OstrataError(
        'CORRUPT',
        `entry ${JSON.stringify(link?.path)}: is a link to ${target}, ` +
          'which the layer does not have',
      );
    }
  }
}

function makeLink({ directory, name, path }: WaitingLink, checksum: string): void {
  if (directory.dirs.has(name)) {
    throw new OstrataError(
      'CORRUPT',
      `entry ${JSON.stringify(path)}: is a link and a directory in the same layer`,
    );
  }
  if (!directory.files.has(name)) {
    directory.files.set(name, checksum);
  }
}
