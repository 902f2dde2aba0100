/** Text as bytes: strict UTF-8, and the order of names by their bytes. */

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const PRINTABLE_ASCII = /^[ -~]*$/;

/** Decodes `bytes`. Returns undefined if they are not valid UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Whether `text` is printable ASCII, as nearly all file names are. Each character is then one byte,
 * in UTF-8 as in Latin-1.
 */
export function isPrintableAscii(text: string): boolean {
  return PRINTABLE_ASCII.test(text);
}

/**
 * Compares strings by their UTF-8 bytes, as strcmp does. The operator `<` compares UTF-16 code
 * units, which gives another order from U+10000 on.
 */
export function compareUtf8(a: string, b: string): number {
  if (a === b) {
    return 0;
  }
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const unitA = a.charCodeAt(i);
    const unitB = b.charCodeAt(i);
    if (unitA !== unitB) {
      return rank(unitA) - rank(unitB);
    }
  }
  return a.length - b.length;
}

/**
 * Ranks a UTF-16 code unit. Surrogates (U+10000 and above) come after U+E000 to U+FFFF in UTF-8.
 */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
