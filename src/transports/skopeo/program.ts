/** Runs skopeo (https://github.com/containers/skopeo) and reports its error messages. */

import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { OstrataError } from '../../errors.js';
import { runProgram } from '../../system/program.js';

/**
 * Variables that may contain the password of a proxy. skopeo does not get them: it only reads and
 * writes images on this machine.
 */
const PROXY_VARIABLE = /^(https?|all)_proxy$/i;

/** What skopeo says of an image that is in no storage, folder or archive. */
const NOT_THERE = /does not resolve to an image ID|no such (image|file)/i;

/**
 * Runs skopeo until it ends. If it fails, throws `IO` with its last message, or `NOT_FOUND` if
 * there is no such image.
 */
export async function runSkopeo(
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const variables = Object.entries(process.env);
  const env = Object.fromEntries(variables.filter(([name]) => !PROXY_VARIABLE.test(name)));
  const purpose = 'this transport';
  const { code, stderr } = await runProgram('skopeo', args, { purpose, env, signal });
  if (code !== 0) {
    const message = lastMessage(stderr) || `ended with exit code ${code}`;
    const errorCode = NOT_THERE.test(message) ? 'NOT_FOUND' : 'IO';
    throw new OstrataError(errorCode, `skopeo: ${message}`);
  }
}

/**
 * Returns the message of the last log line, `time="..." level=fatal msg="..."`, else the last line.
 */
export function lastMessage(stderr: string): string {
  const quoted = [...stderr.matchAll(/ msg=("(?:[^"\\]|\\.)*")/g)].at(-1)?.[1];
  try {
    return parseJson(quoted ?? '', v.string());
  } catch {
    return stderr.trim().split('\n').at(-1) ?? '';
  }
}
