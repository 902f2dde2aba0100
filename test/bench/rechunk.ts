/**
 * Rows for building an image of a registry again and putting it back: by podman in the seven steps
 * of Aurora's pipeline, and by one command.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Measurement, measure, measureNode } from './measure.js';
import { atRegistry } from './registry.js';
import { has, isRoot, type Place, program, type Subject } from './subjects.js';

/**
 * `$1` is the registry, `$2` a folder, and the arguments after it run `chunkah`. In a mount
 * namespace of their own, the mounts of podman end with the steps.
 */
const PODMAN_STEPS = `set -e
host=$1 folder=$2; shift 2
mkdir -p "$folder"
printf '[storage]\\ndriver = "overlay"\\nrunroot = "%s/run"\\ngraphroot = "%s/graph"\\n' \\
  "$folder" "$folder" >"$folder/storage.conf"
export CONTAINERS_STORAGE_CONF="$folder/storage.conf"
podman pull -q --tls-verify=false "$host/os:raw" >&2
podman inspect "$host/os:raw" >"$folder/config.json"
root=$(podman image mount "$host/os:raw")
"$@" build --rootfs "$root" --config "$folder/config.json" --prune /sysroot/ --compressed \\
  --max-layers 64 --output "oci:$folder/chunked" >&2
cd "$folder"
id=$(podman pull -q oci:chunked)
podman tag "$id" "$host/os:latest"
for tag in latest 1; do
  podman push -q --tls-verify=false --compression-format=zstd "$id" "$host/os:$tag" >&2
done
podman image umount -f "$host/os:raw" >&2
`;
const PODMAN = 'podman: pull, mount, chunkah, pull, push, push';

export function rechunkSubjects({ repo, ref, next, scratch }: Place): Subject[] {
  if (![has('docker-registry'), has('podman')].every(Boolean) || !isRoot('podman is')) {
    return [];
  }
  const at = (name: string) => join(scratch, name);
  const ostrata = (...args: readonly string[]) => {
    const call = [program, 'build', '--quiet', '--tls-verify=false', `--cache=${at('from-cache')}`];
    return measureNode([...call, ...args]);
  };
  const raw = (host: string, ...commit: readonly string[]) =>
    ostrata(...commit, '--no-cache', '--max-layers=16', `registry:${host}/os:raw`);
  const rebuilt = (host: string) =>
    ostrata(
      `--from=registry:${host}/os:raw`,
      '--previous-build=auto',
      '--compression=zstd', // as podman pushes it
      `registry:${host}/os:out`,
    );

  /** Runs `body` with a registry that has the image; `bytesOut` is what it adds to the registry. */
  const withImage = (body: (host: string) => Measurement, prepare = (_host: string) => {}) =>
    atRegistry(at('rechunk-registry'), (host) => {
      raw(host, `--repo=${repo}`, ref);
      prepare(host);
      const before = diskUsage(at('rechunk-registry'));
      const measurement = body(host);
      return { ...measurement, bytesOut: diskUsage(at('rechunk-registry')) - before };
    }).finally(() => {
      for (const name of ['rechunk-registry', 'rechunk-podman', 'from-cache']) {
        rmSync(at(name), { recursive: true, force: true });
      }
    });

  const chunkah = has('chunkah') ? ['chunkah'] : [process.execPath, program, 'chunkah'];
  const list: (Subject | false)[] = [
    {
      name: PODMAN,
      run: () =>
        withImage((host) => {
          const script = ['unshare', '--mount', 'sh', '-c', PODMAN_STEPS, 'sh'];
          return measure([...script, host, at('rechunk-podman'), ...chunkah]);
        }),
    },
    {
      name: 'ostrata build --from, registry to registry',
      reference: PODMAN,
      run: () => withImage(rebuilt),
    },
    next !== undefined && {
      name: 'ostrata build --from, the next day',
      reference: PODMAN,
      run: () =>
        withImage(rebuilt, (host) => {
          rebuilt(host);
          raw(host, `--repo=${next.repo}`, next.ref, '--previous-build=auto');
        }),
    },
  ];
  return list.filter((subject) => subject !== false);
}

function diskUsage(folder: string): number {
  const { bytesOut = 0 } = measure(['du', '-sb', folder], Number.parseInt);
  return bytesOut;
}
