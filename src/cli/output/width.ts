/** How wide lines may be, and how wide text is. */

/** What is known of a stream that may be a terminal. */
export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/**
 * Returns the characters of a line: those of the environment variable COLUMNS, or those of the
 * terminal. Infinite for files and pipes.
 */
export function lineWidth({ isTTY = false, columns }: OutputStream): number {
  const { COLUMNS = '' } = process.env;
  if (/^[1-9]\d{0,3}$/.test(COLUMNS)) {
    return Number(COLUMNS);
  }
  return isTTY && columns ? columns : Infinity;
}

/** Marks that are put on the character before them. */
const COMBINING = /^[\p{Mn}\p{Me}]$/u;
/** Characters that fill two columns: https://www.unicode.org/reports/tr11/ */
const WIDE_SETS = [
  '\\p{Script=Han}',
  '\\p{Script=Hangul}',
  '\\p{Script=Hiragana}',
  '\\p{Script=Katakana}',
  '\\p{Script=Yi}',
  '\\p{Emoji_Presentation}',
  '\\u3000-\\u303e',
  '\\uff01-\\uff60',
  '\\uffe0-\\uffe6',
];
const WIDE = new RegExp(`^[${WIDE_SETS.join('')}]$`, 'u');

/** Returns how many columns of a terminal a text fills that has no control characters. */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    width += characterWidth(character);
  }
  return width;
}

/** Returns `text` in exactly `width` columns: cut, with `~` in the last one, or padded. */
export function fitted(text: string, width: number): string {
  const missing = width - textWidth(text);
  if (missing >= 0) {
    return text + ' '.repeat(missing);
  }
  let shown = '';
  let left = width - 1;
  for (const character of text) {
    left -= characterWidth(character);
    if (left < 0) {
      break;
    }
    shown += character;
  }
  return fitted(`${shown}~`, width);
}

function characterWidth(character: string): number {
  if (character < '\u0300') {
    return 1;
  }
  if (COMBINING.test(character)) {
    return 0;
  }
  return WIDE.test(character) ? 2 : 1;
}
