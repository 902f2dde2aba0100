// What the packages of all distributions install.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Returns what each shell loads to complete command lines. */
export function readCompletions(root) {
  const main = join(root, 'dist/src/cli/main.js');
  const print = (shell) => execFileSync(process.execPath, [main, 'completion', shell]);
  return { bash: print('bash'), fish: print('fish'), zsh: print('zsh') };
}

/**
 * Writes the files below `folder`, as if it was the root directory, all with the same time.
 * @param places where a distribution expects the completion of zsh, and the licenses
 */
export function stageFiles(
  folder,
  { root, version, programs, completions, processor, places, time },
) {
  function put(path, content, mode = 0o644) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content, { mode });
  }

  const program = readFileSync(join(programs, `ostrata-${version}-linux-${processor}`));
  put('usr/bin/ostrata', program, 0o755);
  put(places.licenses, readFileSync(join(programs, `ostrata-${version}-licenses.txt`)));
  put('usr/share/doc/ostrata/CHANGELOG.md', readFileSync(join(root, 'CHANGELOG.md')));

  const manual = join(programs, 'man');
  for (const page of readdirSync(manual)) {
    const text = readFileSync(join(manual, page));
    put(`usr/share/man/man1/${page}.gz`, gzipSync(text, { level: 9 }));
  }
  put('usr/share/bash-completion/completions/ostrata', completions.bash);
  put('usr/share/fish/vendor_completions.d/ostrata.fish', completions.fish);
  put(places.zsh, completions.zsh);
  execFileSync('find', [folder, '-exec', 'touch', `--date=@${time}`, '{}', '+']);
}
