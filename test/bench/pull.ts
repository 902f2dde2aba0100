/**
 * Rows for pulls from a registry on this machine: a plain copy, then pulls into repositories of two
 * modes, beside `skopeo copy` and other ways to the same repository; then the pull of an update.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, renameSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { blobBytes, type Measurement, measure, measureNode, measureShell } from './measure.js';
import { atRegistry } from './registry.js';
import { has, type Place, program, type Subject } from './subjects.js';

const MODES = ['archive', 'bare-user'];
const copyProgram = fileURLToPath(new URL('./copy.js', import.meta.url));

/** Uses the gzip image that earlier subjects made, or makes it. */
export function pullSubjects({ repo, ref, next, scratch }: Place): Subject[] {
  if (![has('docker-registry'), has('skopeo'), has('ostree')].every(Boolean)) {
    return [];
  }
  const at = (name: string) => join(scratch, name);
  let discarded = 0;
  /**
   * Frees the space of a directory but keeps its inodes: ext4 passes over inodes that were deleted
   * in the last minutes, which would slow down whoever makes many files next. Files with several
   * links stay, because `ostree pull-local` may have linked files of the repository that is
   * measured.
   */
  const discard = (name: string) => {
    for (const entry of readdirSync(at(name), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || statSync(path).nlink > 1) {
        continue;
      }
      chmodSync(path, 0o600);
      truncateSync(path);
    }
    renameSync(at(name), at(`discarded-${discarded++}`));
  };

  const fillRegistry = (host: string) => {
    const old = `oci:${at('gzip')}:bench`;
    const encapsulate = [program, 'container-encapsulate', '-q', '--no-cache'];
    if (!existsSync(at('gzip'))) {
      measureNode([...encapsulate, `--repo=${repo}`, ref, old]);
    }
    measure([
      'skopeo',
      'copy',
      '-q',
      '--dest-tls-verify=false',
      '--preserve-digests',
      old,
      `docker://${host}/os:old`,
    ]);
    if (next === undefined) {
      return;
    }
    const options = [`--repo=${next.repo}`, `--previous-build=${old}`, '--tls-verify=false'];
    measureNode([...encapsulate, ...options, next.ref, `registry:${host}/os:next`]);
  };
  const withImages = (body: (host: string) => Measurement): Promise<Measurement> => {
    const isFilled = existsSync(at('images'));
    return atRegistry(at('images'), (host) => {
      if (!isFilled) {
        fillRegistry(host);
      }
      // A row that waits for the disk must not wait for the writes of earlier rows.
      spawnSync('sync', ['-f', scratch]);
      return body(host);
    });
  };
  const copied = (copy: (host: string, destination: string) => Measurement) => () =>
    withImages((host) => {
      const result = {
        ...copy(host, `oci:${at('copied')}:old`),
        bytesOut: blobBytes(at('copied')),
      };
      discard('copied');
      return result;
    });
  const skopeoCopy = ['skopeo', 'copy', '-q', '--src-tls-verify=false'];
  return [
    {
      name: 'skopeo copy, pulled to oci:',
      run: copied((host, destination) =>
        measure([...skopeoCopy, `docker://${host}/os:old`, destination]),
      ),
    },
    {
      name: 'ostrata, pulled to oci:',
      reference: 'skopeo copy, pulled to oci:',
      run: copied((host, destination) =>
        measureNode([copyProgram, `registry:${host}/os:old`, destination]),
      ),
    },
    ...MODES.flatMap((mode) => intoRepo(mode)),
  ];

  function intoRepo(mode: string): Subject[] {
    const pulled = at(`pulled-${mode}`);
    const reference = `skopeo copy to dir:, ostree pull-local, ${mode}`;
    const cold = `ostrata, pulled into ${mode}`;
    const pull = (host: string, tag: string) => {
      const options = ['--json', '--tls-verify=false'];
      const call = [
        'container',
        'image',
        'pull',
        ...options,
        pulled,
        `ostree-unverified-registry:${host}/os:${tag}`,
      ];
      return measureNode(
        [program, ...call],
        (stdout) => JSON.parse(stdout.trim().split('\n').at(-1) ?? '').bytesFetched,
      );
    };
    const pullAnew = (host: string) => {
      if (existsSync(pulled)) {
        discard(`pulled-${mode}`);
      }
      measure(['ostree', 'init', `--repo=${pulled}`, `--mode=${mode}`]);
      return pull(host, 'old');
    };
    const list: (Subject | false)[] = [
      {
        name: reference,
        run: () =>
          withImages((host) => {
            measure(['ostree', 'init', `--repo=${at('local')}`, `--mode=${mode}`]);
            const copy = `${skopeoCopy.join(' ')} "$1" "dir:$2"`;
            const script = `${copy} && ostree pull-local --repo="$3" "$4" "$5" >/dev/null`;
            const result = measureShell(
              script,
              `docker://${host}/os:old`,
              at('dir'),
              at('local'),
              repo,
              ref,
            );
            for (const name of ['dir', 'local']) {
              discard(name);
            }
            return result;
          }),
      },
      { name: cold, reference, run: () => withImages(pullAnew) },
      next !== undefined && {
        name: `ostrata, update pulled into ${mode}`,
        reference: cold,
        run: () =>
          withImages((host) => {
            if (!existsSync(pulled)) {
              pullAnew(host);
            }
            const result = pull(host, 'next');
            discard(`pulled-${mode}`);
            return result;
          }),
      },
    ];
    return list.filter((subject) => subject !== false);
  }
}
