import { OstrataError } from '../../errors.js';
import { runProgram } from '../../system/program.js';

/** May hold passwords, and places on this machine are reached without. */
const WITHHELD = /^(https?|all)_proxy$/i;

/** Runs skopeo to its end; its last message is the error's. */
export async function runSkopeo(
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !WITHHELD.test(name)),
  );
  const { code, stderr } = await runProgram('skopeo', args, {
    purpose: 'this transport',
    env,
    signal,
  });
  if (code !== 0) {
    throw new OstrataError(
      'IO',
      `skopeo: ${lastMessage(stderr) || `ended with exit code ${code}`}`,
    );
  }
}

/** skopeo's own words: of lines like `time="..." level=fatal msg="..."`. */
export function lastMessage(stderr: string): string {
  const quoted = [...stderr.matchAll(/ msg=("(?:[^"\\]|\\.)*")/g)].at(-1)?.[1];
  try {
    return JSON.parse(quoted ?? '') as string;
  } catch {
    return stderr.trim().split('\n').at(-1) ?? '';
  }
}
