/** What `ostrata doctor` finds out about one thing. */

/**
 * Whether everything works (`ok`), everything but what is named (`limited`), or builds or pulls
 * will fail (`problem`).
 */
type Status = 'ok' | 'limited' | 'problem';

export interface Check {
  readonly name: string;
  readonly status: Status;
  /** What was found: a sentence that begins in lower case, or a version. */
  readonly finding: string;
  /** What to do about it. */
  readonly nextStep?: string | undefined;
}

export function ok(name: string, finding: string): Check {
  return { name, status: 'ok', finding };
}

export function limited(name: string, finding: string, nextStep: string): Check {
  return { name, status: 'limited', finding, nextStep };
}

export function problem(name: string, finding: string, nextStep: string): Check {
  return { name, status: 'problem', finding, nextStep };
}
