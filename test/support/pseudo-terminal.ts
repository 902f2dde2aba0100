/** Runs the program on a pseudo-terminal, as a user does, by the module `pty` of Python. */
import { spawnSync } from 'node:child_process';
import { ostrataProgram } from './run.js';
import { scratchDirectory } from './scratch.js';

/** Types Ctrl-C once the program has written a text. Prints what it wrote, and exits as it did. */
const DRIVER = `
import fcntl, os, pty, struct, sys, termios
columns, interrupt_at, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    size = struct.pack('HHHH', 24, int(columns), 0, 0)
    fcntl.ioctl(0, termios.TIOCSWINSZ, size)
    os.execvp(command[0], command)
output = b''
is_interrupted = interrupt_at == ''
while True:
    try:
        read = os.read(terminal, 65536)
    except OSError:
        break
    if read == b'':
        break
    output += read
    if not is_interrupted and interrupt_at.encode() in output:
        os.write(terminal, b'\\x03')
        is_interrupted = True
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(output)
sys.stdout.flush()
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
`;

export interface TerminalRun {
  /** The exit code, or 128 and the number of the signal that ended the program. */
  readonly status: number | null;
  /** All that appeared, with the orders to the terminal. */
  readonly output: string;
}

/** @param interruptAt a text upon which Ctrl-C is typed; empty if it never is */
export function ostrataOnTerminal(
  args: readonly string[],
  columns: number,
  interruptAt = '',
): TerminalRun {
  const { COLUMNS, ...environment } = process.env;
  const command = [process.execPath, ostrataProgram, ...args];
  const { status, stdout } = spawnSync(
    'python3',
    ['-c', DRIVER, `${columns}`, interruptAt, ...command],
    {
      env: { ...environment, TERM: 'xterm', XDG_CACHE_HOME: scratchDirectory() },
      encoding: 'utf8',
    },
  );
  return { status, output: stdout };
}
