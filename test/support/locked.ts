/** A lock between test processes, for what one of them makes and all of them read. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LOCK_POLL_MS = 200;

/** Runs `body` in one process at a time; the lock of a process that has ended counts as free. */
export async function locked(lock: string, body: () => void): Promise<void> {
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw error;
      }
      if (existsSync(lock) && isGone(lock)) {
        rmSync(lock, { force: true });
      } else {
        await sleep(LOCK_POLL_MS);
      }
    }
  }
  try {
    body();
  } finally {
    rmSync(lock, { force: true });
  }
}

function isGone(lock: string): boolean {
  try {
    const pid = Number(readFileSync(lock, 'utf8'));
    // The file is empty between its creation and the write of the process id.
    if (pid > 0) {
      process.kill(pid, 0);
    }
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
