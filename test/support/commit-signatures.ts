// Reads the signatures of a commit from what `ostree show` prints of its detached metadata.
import { run } from './run.js';

/** What g_strescape() writes for a byte that it does not write in octal digits. */
const ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

function unescapeString(text: string): Buffer {
  const plain = text.replace(/\\([0-7]{3}|.)/g, (_, escaped: string) =>
    /^[0-7]/.test(escaped)
      ? String.fromCharCode(Number.parseInt(escaped, 8))
      : (ESCAPES[escaped] ?? escaped),
  );
  return Buffer.from(plain, 'latin1');
}

/**
 * Returns the byte arrays of a GVariant `aay` as text. An array whose only zero byte is its last
 * one is printed as a byte string, `b'...'`: of random signatures that is about one in 330.
 */
export function parseByteArrays(text: string): readonly Buffer[] {
  const arrays = text.matchAll(/\[(?:byte )?(0x[^[\]]*)\]|b(['"])((?:\\.|(?!\2)[^\\])*)\2/g);
  return [...arrays].map(([, digits, , string = '']) =>
    digits === undefined
      ? Buffer.concat([unescapeString(string), Buffer.of(0)])
      : Buffer.from(digits.replace(/0x|[, ]/g, ''), 'hex'),
  );
}

/** Returns the signatures of `commit` below `key`, in order, as the real ostree reads them. */
export function commitSignatures(repo: string, commit: string, key: string): readonly Buffer[] {
  const option = `--print-detached-metadata-key=${key}`;
  return parseByteArrays(run('ostree', [`--repo=${repo}`, 'show', option, commit]));
}
