/**
 * Where a path of a commit is in its image and in a system that runs: ostree keeps `/etc` as `/usr/etc`. What is made of it is the
 * same for a commit, its image and a root folder, so that the layout of one is a layout of the others.
 */
export function deployedPath(path: string): string {
  return path === '/usr/etc' || path.startsWith('/usr/etc/') ? path.slice('/usr'.length) : path;
}
