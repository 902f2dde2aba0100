/** Parses the header `WWW-Authenticate`: RFC 9110, section 11.6.1. */

export interface Challenge {
  /** The authentication scheme in lower case, e.g. `bearer`. */
  readonly scheme: string;
  /** Parameters by their names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** A registry names two or three schemes with a few parameters. */
const MAX_HEADER_LENGTH = 8192;
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** A parameter or the name of a scheme. Both may follow a comma. */
const PART = new RegExp(
  [
    '[\\s,]*(?:',
    `(?<name>${TOKEN})\\s*=\\s*(?:"(?<quoted>(?:[^"\\\\]|\\\\.)*)"|(?<plain>${TOKEN}))`,
    `|(?<scheme>${TOKEN})(?=[\\s,]|$)`,
    ')',
  ].join(''),
  'gy',
);

/** Returns the challenges of a header up to the first part that cannot be read. */
export function parseChallenges(header: string): readonly Challenge[] {
  const text = header.slice(0, MAX_HEADER_LENGTH);
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  for (const { groups } of text.matchAll(PART)) {
    const { scheme, name = '', quoted, plain = '' } = groups ?? {};
    if (scheme !== undefined) {
      challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
    } else {
      const value = quoted?.replace(/\\(.)/g, '$1') ?? plain;
      challenges.at(-1)?.parameters.set(name.toLowerCase(), value);
    }
  }
  return challenges;
}
