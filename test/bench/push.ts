/** Rows for pushes to an empty registry on this machine, beside `skopeo copy` of the same image. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { measure, measureNode } from './measure.js';
import { atRegistry } from './registry.js';
import { has, type Place, program, type Subject } from './subjects.js';

/** Uses the cache and the gzip image that earlier subjects made. */
export function pushSubjects({ repo, ref, scratch }: Place): Subject[] {
  if (![has('docker-registry'), has('skopeo')].every(Boolean)) {
    return [];
  }
  const atNewRegistry = async <T>(push: (host: string) => T): Promise<T> => {
    const folder = join(scratch, 'registry');
    try {
      return await atRegistry(folder, push);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  const copy = ['skopeo', 'copy', '-q', '--dest-tls-verify=false', '--preserve-digests'];
  const encapsulate = [
    'container-encapsulate',
    `--repo=${repo}`,
    '-q',
    `--cache=${join(scratch, 'cache')}`,
  ];
  return [
    {
      name: 'skopeo copy to a registry',
      uses: 'ostrata, gzip, 2 jobs',
      run: () =>
        atNewRegistry((host) =>
          measure([...copy, `oci:${join(scratch, 'gzip')}:bench`, `docker://${host}/os:bench`]),
        ),
    },
    {
      name: 'ostrata, rebuilt with the cache to a registry',
      reference: 'skopeo copy to a registry',
      uses: 'ostrata, filling the cache',
      run: () =>
        atNewRegistry((host) =>
          measureNode([
            program,
            ...encapsulate,
            '--tls-verify=false',
            ref,
            `registry:${host}/os:bench`,
          ]),
        ),
    },
  ];
}
