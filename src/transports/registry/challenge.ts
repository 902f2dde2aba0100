/** `WWW-Authenticate`: RFC 9110, section 11.6.1. */

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** By lower case names. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** A registry names two or three schemes of a few parameters. */
const MAX_HEADER_LENGTH = 8192;
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** A parameter, or else the name of a scheme; both may follow a comma. */
const PART = new RegExp(
  `[\\s,]*(?:(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))|(${TOKEN})(?=[\\s,]|$))`,
  'y',
);

/** The challenges of a header; what cannot be read ends the list. */
export function parseChallenges(header: string): readonly Challenge[] {
  const text = header.slice(0, MAX_HEADER_LENGTH);
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  PART.lastIndex = 0;
  for (let part = PART.exec(text); part !== null; part = PART.exec(text)) {
    const [, name, quoted, plain, scheme] = part;
    if (scheme !== undefined) {
      challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
    } else {
      challenges
        .at(-1)
        ?.parameters.set(
          (name as string).toLowerCase(),
          quoted?.replace(/\\(.)/g, '$1') ?? (plain as string),
        );
    }
  }
  return challenges;
}
