/** Asks GNU tar and Python's tarfile what they read of tar archives. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, tryRun } from './run.js';
import { scratchDirectory } from './scratch.js';

/** An entry as Python's tarfile reads it. Texts have one character for each byte. */
export interface PythonEntry {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly linkname: string;
}

export type PythonVerdict = readonly PythonEntry[] | { readonly error: string };

const LIST_TARS = `
import json, sys, tarfile
TYPES = {tarfile.REGTYPE: 'file', tarfile.AREGTYPE: 'file', tarfile.CONTTYPE: 'file',
         tarfile.LNKTYPE: 'link', tarfile.SYMTYPE: 'symlink', tarfile.DIRTYPE: 'directory',
         tarfile.CHRTYPE: 'character device', tarfile.BLKTYPE: 'block device',
         tarfile.FIFOTYPE: 'fifo', tarfile.GNUTYPE_SPARSE: 'file'}
def text(value):
    return value.encode('utf-8', 'surrogateescape').decode('latin-1')
def entry(tar, each):
    size = len(tar.extractfile(each).read()) if each.isreg() else 0
    link = text(each.linkname) if each.islnk() or each.issym() else ''
    return dict(name=text(each.name), type=TYPES.get(each.type, 'other'), mode=each.mode & 0o7777,
                uid=each.uid, gid=each.gid, size=size, linkname=link)
def verdict(path):
    try:
        with tarfile.open(path, 'r:') as tar:
            return [entry(tar, each) for each in tar]
    except Exception as error:
        return dict(error=repr(error))
print(json.dumps([verdict(path.strip()) for path in sys.stdin]))
`;

/**
 * Writes archives into files, whole blocks as GNU tar and Python need them, for {@link listByPython} and
 * {@link countByGnuTar}.
 */
export function writeTars(tars: readonly Uint8Array[]): readonly string[] {
  const directory = join(scratchDirectory(), 'tars');
  mkdirSync(directory);
  return tars.map((tar, i) => {
    const path = join(directory, `${i}.tar`);
    writeFileSync(path, Buffer.concat([tar, Buffer.alloc((512 - (tar.length % 512)) % 512)]));
    return path;
  });
}

/** The entries that Python reads of each archive, by one run of the program. */
export function listByPython(paths: readonly string[]): readonly PythonVerdict[] {
  const input = paths.join('\n');
  return JSON.parse(run('python3', ['-c', LIST_TARS], { input })) as readonly PythonVerdict[];
}

/** The number of entries that GNU tar lists, or why it refuses the archive. */
export function countByGnuTar(path: string): number | { readonly error: string } {
  const options = ['--list', '--quoting-style=escape', '--absolute-names', `--file=${path}`];
  const { status, stdout, stderr } = tryRun('tar', options);
  return status === 0 ? stdout.split('\n').length - 1 : { error: stderr };
}
