/** Orders versions as dpkg does: deb-version(7). */

/** Returns less than 0 if `a` is older than `b`, more than 0 if it is newer. */
export function compareDebianVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  return (
    left.epoch - right.epoch ||
    comparePart(left.upstream, right.upstream) ||
    comparePart(left.revision, right.revision)
  );
}

/** A version without a revision is older than one with any but `0`. */
function partsOf(version: string) {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const hyphen = rest.lastIndexOf('-');
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: hyphen < 0 ? rest : rest.slice(0, hyphen),
    revision: hyphen < 0 ? '' : rest.slice(hyphen + 1),
  };
}

/** Compares text and numbers in turn; each part begins with text, which may be empty. */
function comparePart(a: string, b: string): number {
  const left = a.split(/(\d+)/);
  const right = b.split(/(\d+)/);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const isNumber = i % 2 === 1;
    const compare = isNumber ? compareNumbers : compareText;
    const order = compare(left[i] ?? '', right[i] ?? '');
    if (order !== 0) {
      return order;
    }
  }
  return 0;
}

/** A number may be too large for a JavaScript number. */
function compareNumbers(a: string, b: string): number {
  const [left, right] = [a, b].map((digits) => digits.replace(/^0+/, ''));
  const [x, y] = [left ?? '', right ?? ''];
  return x.length - y.length || Number(x > y) - Number(x < y);
}

/** `~` comes before the end of the text, letters come before all other characters. */
function compareText(a: string, b: string): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const order = rank(a, i) - rank(b, i);
    if (order !== 0) {
      return order;
    }
  }
  return 0;
}

function rank(text: string, i: number): number {
  const character = text.charAt(i);
  if (character === '~') {
    return -1;
  }
  if (character === '') {
    return 0;
  }
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}
