/**
 * Any text as the name of an ostree ref (bootc's ostree-ext, `refescape.rs`): letters, digits and `-` stay, `_` becomes
 * `__`, `/` stays after a letter or digit unless it is the last, all else is `_XX_` in upper-case hex.
 */
import { OstrataError } from '../errors.js';

export function escapeForRef(text: string): string {
  if (text === '' || text.includes('\0')) {
    throw new OstrataError('USAGE', `${JSON.stringify(text)} cannot be the name of a ref`);
  }
  const characters = [...text];
  const isAlphanumeric = (character: string | undefined) => /^[A-Za-z0-9]$/.test(character ?? '');
  return characters
    .map((character, i) => {
      if (isAlphanumeric(character) || character === '-') {
        return character;
      }
      if (character === '_') {
        return '__';
      }
      if (character === '/' && isAlphanumeric(characters[i - 1]) && i < characters.length - 1) {
        return character;
      }
      const hex = (character.codePointAt(0) as number).toString(16).toUpperCase();
      return `_${hex.padStart(2, '0')}_`;
    })
    .join('');
}

export function unescapeRef(ref: string): string {
  const corrupt = () => new OstrataError('CORRUPT', `${JSON.stringify(ref)} is no escaped name`);
  return ref.replaceAll(/__|_([0-9A-F]{2,6})_|[^A-Za-z0-9/-]/g, (match, hex?: string) => {
    if (match === '__') {
      return '_';
    }
    const code = Number.parseInt(hex ?? '', 16);
    if (!(code <= 0x10ffff)) {
      throw corrupt();
    }
    return String.fromCodePoint(code);
  });
}
