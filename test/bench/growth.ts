/** Rows for trees of more and more small files: seconds and memory per file should not grow. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { RepoBuilder } from '../support/build-repo.js';
import { repoRoot } from '../support/root.js';
import { blobBytes, measureNode } from './measure.js';
import type { Subject } from './subjects.js';

const program = join(repoRoot, 'dist/src/cli/main.js');
const FILES_PER_DIRECTORY = 100;
/** Each component has so many files, so that there are thousands of components. */
const FILES_PER_COMPONENT = 500;

export function growthSubjects(scratch: string): Subject[] {
  return [10_000, 100_000, 1_000_000].map((count) => ({
    name: `${count.toLocaleString('en-US')} files`,
    run: () => {
      const { path, commit } = buildRepo(scratch, count);
      const image = join(scratch, 'image');
      const call = [
        'container-encapsulate',
        `--repo=${path}`,
        '-q',
        '--no-cache',
        '--jobs=2',
        commit,
        `oci:${image}`,
      ];
      const result = { ...measureNode([program, ...call]), bytesOut: blobBytes(image) };
      for (const made of [path, image]) {
        rmSync(made, { recursive: true });
      }
      return result;
    },
  }));
}

/** Makes a repository of small, different files at /usr/share/COMPONENT/DIRECTORY/FILE. */
function buildRepo(parent: string, count: number) {
  const repo = new RepoBuilder('bare-user-only', '', parent);
  const dirmeta = repo.dirmeta();
  const names = (length: number) => Array.from({ length }, (_, i) => String(i).padStart(5, '0'));
  const folder = (entries: readonly string[], treeOf: (name: string) => string) =>
    repo.dirtree({
      files: [],
      dirs: entries.map((name) => ({ name, dirtree: treeOf(name), dirmeta })),
    });
  const components = folder(names(count / FILES_PER_COMPONENT), (component) =>
    folder(names(FILES_PER_COMPONENT / FILES_PER_DIRECTORY), (directory) =>
      repo.dirtree({
        files: names(FILES_PER_DIRECTORY).map((name) => ({
          name,
          checksum: repo.file({ content: `${component} ${directory} ${name}\n`.repeat(20) }),
        })),
        dirs: [],
      }),
    ),
  );
  const usr = folder(['share'], () => components);
  return { path: repo.path, commit: repo.commit(folder(['usr'], () => usr)) };
}
