/** Whether another user of the machine could have changed a file. */
import { lstatSync, type Stats, statSync } from 'node:fs';

/** The user who can change every file anyway. */
const ROOT = 0;
/** False on Windows, which has no user ids, and whose modes say nothing about other users. */
const HAS_OWNERS = process.geteuid !== undefined;
/** Permission of the group and of others to write. */
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Returns why another user can change the file or directory at `path`, in words that follow its
 * name in a message; undefined if nobody else can, or if there is no such file. Root does not count
 * as another user. Access control lists are covered, because their mask is in the permissions of
 * the group. A symlink at `path` is a fault unless it is followed.
 *
 * Only the file itself is checked. Whoever can write its directory can replace it all the same.
 */
export function ownershipFault(path: string, { followSymlink = false } = {}): string | undefined {
  const look = followSymlink ? statSync : lstatSync;
  const stats = look(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    return undefined;
  }
  if (stats.isSymbolicLink()) {
    return 'is a symbolic link';
  }
  if (!isOwn(stats) && stats.uid !== ROOT) {
    return `belongs to another user (uid ${stats.uid})`;
  }
  if (HAS_OWNERS && (stats.mode & WRITABLE_BY_OTHERS) !== 0) {
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
    return `can be written by other users (mode ${mode})`;
  }
  return undefined;
}

/** Whether the file belongs to the user of this process. */
export function isOwn({ uid }: Stats): boolean {
  return !HAS_OWNERS || uid === process.geteuid?.();
}
