/** Files that dpkg installs elsewhere because another package has a file of that name. */

/** Where a package's file lies that the package lists as `path`. */
export type Diverted = (path: string, packageName: string) => string;

/**
 * Reads `/var/lib/dpkg/diversions`: three lines for each, the path, where the files of other
 * packages go instead, and the package that keeps the path (`:` if an administrator asked).
 */
export function parseDiversions(text: string): Diverted {
  const diversions = new Map<string, { readonly to: string; readonly keeper: string }>();
  const lines = text.split('\n');
  for (let at = 0; at + 2 < lines.length; at += 3) {
    const [from = '', to = '', keeper = ''] = lines.slice(at, at + 3);
    diversions.set(from, { to, keeper });
  }
  return (path, packageName) => {
    const diversion = diversions.get(path);
    return diversion === undefined || diversion.keeper === packageName ? path : diversion.to;
  };
}
