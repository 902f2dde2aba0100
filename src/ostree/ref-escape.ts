/**
 * Escapes any text to the name of an ostree ref, as `refescape.rs` of bootc's ostree-ext does.
 * Letters, digits and `-` stay; `_` becomes `__`; `/` stays after a letter or digit unless it is
 * the last character; all others become `_XX_`, their code point in upper-case hex.
 */
import { must, OstrataError } from '../errors.js';

/** Escapes `text`. Throws `USAGE` if it is empty or has a NUL. */
export function escapeForRef(text: string): string {
  if (text === '' || text.includes('\0')) {
    throw new OstrataError('USAGE', `${JSON.stringify(text)} cannot be the name of a ref`);
  }

  const characters = [...text];
  const escaped = characters.map((character, i) => {
    const isKeptSlash =
      character === '/' && isAlphanumeric(characters[i - 1]) && i < characters.length - 1;
    if (isAlphanumeric(character) || character === '-' || isKeptSlash) {
      return character;
    }
    return character === '_' ? '__' : hexEscape(character);
  });
  return escaped.join('');
}

/**
 * Undoes {@link escapeForRef}. Throws `CORRUPT` for characters and escapes that it never produces.
 */
export function unescapeRef(ref: string): string {
  return ref.replaceAll(/__|_([0-9A-F]{2,6})_|[^A-Za-z0-9/-]/g, (match, hex?: string) => {
    if (match === '__') {
      return '_';
    }
    const code = Number.parseInt(hex ?? '', 16);
    if (!(code <= 0x10ffff)) {
      throw new OstrataError('CORRUPT', `${JSON.stringify(ref)} is not an escaped name`);
    }
    return String.fromCodePoint(code);
  });
}

function isAlphanumeric(character: string | undefined): boolean {
  return /^[A-Za-z0-9]$/.test(character ?? '');
}

function hexEscape(character: string): string {
  const code = must(character.codePointAt(0), 'a code point');
  return `_${code.toString(16).toUpperCase().padStart(2, '0')}_`;
}
