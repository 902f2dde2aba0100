import { spawn } from 'node:child_process';
import { OstrataError } from '../../errors.js';

/** Of standard error that is looked at. */
const MAX_STDERR = 1 << 16;
/** May hold passwords, and places on this machine are reached without. */
const WITHHELD = /^(https?|all)_proxy$/i;

/** Runs skopeo to its end; its last message is the error's. */
export async function runSkopeo(args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !WITHHELD.test(name)));
  const { code, stderr } = await new Promise<{ code: number | null; stderr: string }>((resolve, reject) => {
    const child = spawn('skopeo', args, { stdio: ['ignore', 'ignore', 'pipe'], env, ...(signal && { signal }) });
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text = `${text}${chunk}`.slice(-MAX_STDERR);
    });
    child.on('error', reject).on('close', (code) => resolve({ code, stderr: text }));
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new OstrataError('NOT_FOUND', 'skopeo is not installed, and this transport needs it');
  });
  if (code !== 0) throw new OstrataError('IO', `skopeo: ${lastMessage(stderr) || `ended with exit code ${code}`}`);
}

/** Of lines like `time="..." level=fatal msg="..."`. */
function lastMessage(stderr: string): string {
  const quoted = [...stderr.matchAll(/ msg=("(?:[^"\\]|\\.)*")/g)].at(-1)?.[1];
  try {
    return JSON.parse(quoted ?? '') as string;
  } catch {
    return stderr.trim().split('\n').at(-1) ?? '';
  }
}
