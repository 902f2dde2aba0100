/**
 * What libselinux takes from the text of a pattern, before it is compiled: whether it is one path,
 * and the folders that it begins with (`label_file.h` of libselinux 3.8 and later).
 */

/** A character that stands for itself, or an escape that libselinux understands. */
const PLAIN = /(?:[^.^$?*+|[({\])}\\]|\\[.^$?*+|[({\])}_,-])*/y;
/** How many folders of a pattern are compared. */
const MAX_FOLDERS = 3;

/** Returns the one path that `pattern` is for; undefined if it is a pattern. */
export function literalPath(pattern: string): string | undefined {
  return isPlain(pattern) ? unescaped(pattern) : undefined;
}

/**
 * Returns the beginning of all paths that `pattern` can be for, with a slash at both ends: at most
 * three folders whose names are plain text. A path that does not lie below them gets no label from
 * this pattern, also if it matches: `/srv/?` is not for `/srv`.
 */
export function literalFolder(pattern: string): string {
  let folder = '/';
  // The first character is not looked at: patterns begin with a slash.
  let start = 1;
  for (let count = 0; count < MAX_FOLDERS; ) {
    const end = pattern.indexOf('/', start);
    const name = pattern.slice(start, end);
    if (end < 0 || !isPlain(name)) {
      break;
    }
    // Two slashes in sequence are one.
    if (name !== '') {
      folder += `${unescaped(name)}/`;
      count++;
    }
    start = end + 1;
  }
  return folder;
}

function isPlain(text: string): boolean {
  PLAIN.lastIndex = 0;
  return PLAIN.exec(text)?.[0].length === text.length;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, '$1');
}
