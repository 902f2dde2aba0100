/** A storage of podman and buildah for one test, and the program in containers. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repoRoot } from './root.js';
import { run, tryRun } from './run.js';

/** Options of podman that containers without systemd need. */
const PODMAN = ['--runtime=runc', '--cgroup-manager=cgroupfs', '--events-backend=file'];
/** Options of `podman run` that work within the limits of a container. */
export const PODMAN_RUN = [
  '--rm',
  '--network=none',
  '--ulimit=nofile=1024:1024',
  '--ulimit=nproc=1024:1024',
];

export interface ContainerStorage {
  /** The environment of programs that use the storage. */
  readonly env: Readonly<Record<string, string>>;
  /** Options of podman, before its command. */
  readonly podmanOptions: readonly string[];
  buildah(...args: readonly string[]): string;
  podman(...args: readonly string[]): string;
  /** Makes an image of the tree at `root` with more lines of a Containerfile. */
  makeImage(name: string, root: string, lines: readonly string[]): void;
  /** Stops what podman may have started. */
  reset(): void;
}

/** Makes an empty storage in `directory`, which is also where the programs run. */
export function containerStorage(directory: string): ContainerStorage {
  const settings = join(directory, 'storage.conf');
  const [graph, runRoot] = [join(directory, 'graph'), join(directory, 'run')];
  writeFileSync(
    settings,
    `[storage]\ndriver = "vfs"\ngraphroot = "${graph}"\nrunroot = "${runRoot}"\n`,
  );
  // Other tests may reset their storage at the same time.
  const podmanOptions = [...PODMAN, `--tmpdir=${join(directory, 'libpod')}`];
  const env = { CONTAINERS_STORAGE_CONF: settings };
  const buildah = (...args: readonly string[]) => run('buildah', args, { cwd: directory, env });
  const podman = (...args: readonly string[]) =>
    run('podman', [...podmanOptions, ...args], { cwd: directory, env });
  const makeImage = (name: string, root: string, lines: readonly string[]) => {
    run('tar', ['-C', root, '-cf', join(directory, 'tree.tar'), '.']);
    const file = ['FROM scratch', 'ADD tree.tar /', ...lines].join('\n');
    writeFileSync(join(directory, 'Containerfile'), file);
    buildah('build', '--isolation=chroot', `--tag=${name}`, directory);
  };
  const reset = () => {
    const args = [...podmanOptions, 'system', 'reset', '--force'];
    // What cleans up after a container that has ended may still write while all is deleted.
    for (let attempt = 1; tryRun('podman', args, { cwd: directory, env }).status !== 0; attempt++) {
      assert.ok(attempt < 5, 'the storage of podman cannot be reset');
    }
  };
  return { env, podmanOptions, buildah, podman, makeImage, reset };
}

/** Returns options that give a container the program and Node. */
export function programVolumes(): readonly string[] {
  const prefix = dirname(dirname(process.execPath));
  const modules = realpathSync(join(repoRoot, 'node_modules'));
  const directories = new Set(['/usr', prefix, repoRoot, modules]);
  for (const name of ['/lib', '/lib64']) {
    if (existsSync(name) && !lstatSync(name).isSymbolicLink()) {
      directories.add(name);
    }
  }
  return [...directories].map((path) => `--volume=${path}:${path}:ro`);
}
