/** Checks of what is installed: Node, native code, and the programs that ostrata runs. */
import { release } from 'node:os';
import * as v from 'valibot';
import { messageOf } from '../../errors.js';
import { libcIfInstalled } from '../../system/libc.js';
import { howToInstall } from '../../system/native-addons.js';
import { runProgram } from '../../system/program.js';
import { openZstdLibrary } from '../../system/zstd-library.js';
import { type Check, limited, ok, problem } from './check.js';

interface NeededProgram {
  readonly name: string;
  readonly purpose: string;
  /** The packages of distributions. */
  readonly packages: string;
}

const PROGRAMS: readonly NeededProgram[] = [
  {
    name: 'skopeo',
    purpose:
      'dir:, docker-archive:, containers-storage: and docker-daemon:, and signature policies',
    packages: 'skopeo',
  },
  {
    name: 'gpg',
    purpose: 'signatures of commits and packages by GPG',
    packages: 'gpg or gnupg2',
  },
  {
    name: 'ostree',
    purpose: 'deploying what was pulled; ostrata itself does not run it',
    packages: 'ostree',
  },
];

export async function checkMachine(): Promise<readonly Check[]> {
  const programs = await Promise.all(PROGRAMS.map(checkProgram));
  return [checkNode(), checkKoffi(), checkZstd(), ...programs];
}

const reportSchema = v.object({
  header: v.object({ glibcVersionRuntime: v.optional(v.string()) }),
});

function checkNode(): Check {
  const { header } = v.parse(reportSchema, process.report.getReport());
  const { glibcVersionRuntime: glibc } = header;
  const library = glibc === undefined ? 'without glibc' : `with glibc ${glibc}`;
  const system = `${process.platform} ${release()} on ${process.arch}`;
  return ok('node', `${process.versions.node} ${library}, ${system}`);
}

function checkKoffi(): Check {
  const purpose = 'extended attributes, file locks and native zstd';
  return libcIfInstalled() === undefined
    ? problem('koffi', `cannot be loaded; it is needed for ${purpose}`, howToInstall('koffi'))
    : ok('koffi', purpose);
}

function checkZstd(): Check {
  return openZstdLibrary() === undefined
    ? limited(
        'zstd',
        'the native library cannot be loaded: no deltas, and zstd layers take longer',
        howToInstall('koffi', '@cloudpss/zstd@0.2.16'),
      )
    : ok('zstd', 'deltas and zstd layers by the native library');
}

/** How long a program may take to print its version, in milliseconds. */
const PATIENCE_MS = 5000;

async function checkProgram({ name, purpose, packages }: NeededProgram): Promise<Check> {
  const command = `\`${name} --version\``;
  const repair = `run ${command} to see why, or install the package ${packages} again`;
  const signal = AbortSignal.timeout(PATIENCE_MS);
  try {
    const { code, stdout } = await runProgram(name, ['--version'], { purpose, signal });
    if (code !== 0) {
      const end = code === null ? 'was ended by a signal' : `ended with exit code ${code}`;
      return limited(name, `${command} ${end}`, repair);
    }
    const version = /\d+(\.\d+)+/.exec(stdout)?.[0] ?? 'unknown version';
    return ok(name, `${version}, for ${purpose}`);
  } catch (error) {
    return signal.aborted
      ? limited(name, `${command} did not end within ${PATIENCE_MS / 1000} s`, repair)
      : limited(name, messageOf(error), `install the package ${packages}`);
  }
}
