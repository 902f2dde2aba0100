// What shells complete: each real shell loads its script and is asked as if TAB was pressed.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { underName } from '../support/other-name.js';
import { ostrata, run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

/** What the program answers for the last of `words`. */
function answer(...words: readonly string[]): { names: string; values: readonly string[] } {
  const [names = '', ...lines] = ostrata(['complete', '--', ...words])
    .trimEnd()
    .split('\n');
  return { names, values: lines.map((line) => line.split('\t', 1)[0] ?? '') };
}

suite('the program', () => {
  test('completes commands at every level, also after "help"', () => {
    assert.deepEqual(answer('bu').values, ['build']);
    assert.deepEqual(answer('container', 'image', 'pr').values, ['prune-layers']);
    assert.deepEqual(answer('help', 'del').values, ['delta']);
    assert.ok(!answer('').values.includes('complete'), 'hidden commands are not completed');
  });

  test('completes the options of a command, and values of which there is a choice', () => {
    assert.deepEqual(answer('build', '--rootf').values, ['--rootfs']);
    assert.deepEqual(answer('build', '--format', '').values, ['plain', 'ostree']);
    assert.deepEqual(answer('build', '--format=o').values, ['--format=ostree']);
    assert.deepEqual(answer('build', '--json', 'ref', '--mtime', 'z').values, ['zero']);
  });

  test('completes image references by transport, and then by file', () => {
    assert.deepEqual(answer('inspect', 'oci-'), { names: 'none', values: ['oci-archive:'] });
    assert.deepEqual(answer('inspect', 'oci:'), { names: 'files', values: [] });
    assert.deepEqual(answer('inspect', 'oci:image', ''), { names: 'none', values: [] });
  });

  test('tells folders, files and other values apart by what the help calls them', () => {
    assert.equal(answer('build', '--rootfs', '').names, 'folders');
    assert.equal(answer('build', '--config', '').names, 'files');
    assert.equal(answer('build', '--label', '').names, 'none');
    assert.deepEqual(answer('build', '--', '--').values, []);
  });
});

/** A folder with the program on the search path, and with files to complete. */
const { directory } = underName('ostrata');
const env = { PATH: `${directory}:${process.env.PATH}` };
const cwd = scratchDirectory();
mkdirSync(join(cwd, 'folder'));
writeFileSync(join(cwd, 'a file'), '');

/** A line, and the words of it after TAB is pressed at its end. */
const LINES: ReadonlyMap<string, readonly string[]> = new Map([
  ['bu', ['build']],
  ['build --format=o', ['build', '--format=ostree']],
  ['build --format p', ['build', '--format', 'plain']],
  ['inspect oci-', ['inspect', 'oci-archive:']],
  ['inspect oci:fo', ['inspect', 'oci:folder/']],
  ['build --rootfs=fo', ['build', '--rootfs=folder/']],
  ['build --rootfs fo', ['build', '--rootfs', 'folder/']],
  ['build --config a', ['build', '--config', 'a file']],
]);

/** Instead of the program, lines call a function that prints their words; each ends with a NUL. */
const PRINT_WORDS = `
ostrata() {
  if [ "$1" = complete ]; then command ostrata "$@"; else printf '%s\\0' "$@" >> words; fi
}
`;

/** Types lines from standard input in an interactive shell: they are completed at terminals only. */
const TYPE_LINES = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
for line in sys.stdin.read().splitlines():
    os.write(fd, b'ostrata ' + line.encode() + b'\\t\\n')
os.write(fd, b'exit\\n')
try:
    while os.read(fd, 65536):
        pass
except OSError:
    pass # the shell has ended
os.waitpid(pid, 0)
`;

function wordsTypedIn(...shell: readonly string[]): readonly string[] {
  const input = [...LINES.keys()].join('\n');
  const words = join(cwd, 'words');
  rmSync(words, { force: true });
  run('python3', ['-c', TYPE_LINES, ...shell], { cwd, env: { ...env, ZDOTDIR: cwd }, input });
  return readFileSync(words, 'utf8').split('\0').slice(0, -1);
}

test('bash completes lines as they are typed', needs('python'), () => {
  const script = join(cwd, 'bashrc');
  writeFileSync(script, `source <(ostrata completion bash)\n${PRINT_WORDS}`);
  const words = wordsTypedIn('bash', '--noprofile', '--rcfile', script, '-i');
  assert.deepEqual(words, [...LINES.values()].flat());
});

test('zsh completes lines as they are typed', needs('python', 'zsh'), () => {
  const setup =
    'setopt no_auto_remove_slash\nautoload -Uz compinit\ncompinit -D -u\nsource <(ostrata completion zsh)\n';
  writeFileSync(join(cwd, '.zshrc'), `${setup}${PRINT_WORDS}`);
  const words = wordsTypedIn('zsh', '-i');
  assert.deepEqual(words, [...LINES.values()].flat());
});

test('fish completes the last word of a line', needs('fish'), () => {
  for (const [line, words] of LINES) {
    const load = 'source (ostrata completion fish | psub)';
    const command = `${load}; complete --do-complete 'ostrata ${line}'`;
    const [completed = ''] = run('fish', ['--no-config', '-c', command], { cwd, env }).split(
      /[\t\n]/,
    );
    assert.equal(completed, words.at(-1), line);
  }
});
