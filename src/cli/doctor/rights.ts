/** Checks of what this process may do: the rights of root, and folders that it has to write. */
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { messageOf } from '../../errors.js';
import { ownershipFault } from '../../system/ownership.js';
import { largeFilesParent } from '../../system/temporary-directory.js';
import { defaultCacheDirectory } from '../options/cache.js';
import { formatBytes } from '../output/format.js';
import { type Check, limited, ok, problem } from './check.js';

/** Capabilities that reading any tree and writing any repository take: capabilities(7). */
const CAPABILITIES: ReadonlyMap<string, number> = new Map([
  ['CAP_CHOWN', 0],
  ['CAP_DAC_OVERRIDE', 1],
  ['CAP_FOWNER', 3],
]);

/** A layer of a large system and the space to unpack it. */
const LARGE_SPACE = 4e9;

export function checkRights(): readonly Check[] {
  return [checkUser(), checkCache(), ...temporaryFolders().map(checkTemporary)];
}

function checkUser(): Check {
  const user = `user ${process.geteuid?.() ?? 'unknown'}`;
  const missing = missingCapabilities();
  return missing.length === 0
    ? ok('rights', `${user} with the capabilities that any tree and any repository take`)
    : limited(
        'rights',
        `${user} without ${missing.join(', ')}: trees have to be readable, and repositories of ` +
          'the mode bare cannot be written',
        'if you need that, run as root, or in a container with these capabilities',
      );
}

function missingCapabilities(): readonly string[] {
  const all = [...CAPABILITIES.keys()];
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const effective = BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(status)?.[1] ?? '0'}`);
    return all.filter((name) => {
      const bit = 1n << BigInt(CAPABILITIES.get(name) ?? 0);
      return (effective & bit) === 0n;
    });
  } catch {
    return process.geteuid?.() === 0 ? [] : all;
  }
}

function checkCache(): Check {
  const directory = defaultCacheDirectory();
  const nextStep = 'name another folder by --cache or $XDG_CACHE_HOME';
  const fault = ownershipFault(directory, { followSymlink: true });
  if (fault !== undefined) {
    return limited('cache', `${directory} ${fault}, so it is not used`, nextStep);
  }
  try {
    // The folder is made when it is first used.
    const existing = nearestExisting(resolve(directory));
    return ok('cache', `${directory}, ${freeSpace(existing)}`);
  } catch (error) {
    const finding = `${directory}: ${messageOf(error)}: layers are not kept for the next build`;
    return limited('cache', finding, nextStep);
  }
}

/** The folders for small and for large temporary files, which are one if TMPDIR is set. */
function temporaryFolders(): readonly string[] {
  return [...new Set([tmpdir(), largeFilesParent()])];
}

function checkTemporary(directory: string): Check {
  const nextStep = 'let TMPDIR name a folder that can be written and has space';
  try {
    const finding = `${directory}, ${freeSpace(directory)}`;
    return availableSpace(directory) < LARGE_SPACE
      ? limited('temporary', `${finding}, which large layers may exceed`, nextStep)
      : ok('temporary', finding);
  } catch (error) {
    return problem('temporary', `${directory}: ${messageOf(error)}`, nextStep);
  }
}

/** Returns the free space as text; throws the error of the system if nothing can be written. */
function freeSpace(directory: string): string {
  accessSync(directory, constants.W_OK | constants.X_OK);
  return `${formatBytes(availableSpace(directory))} free`;
}

function nearestExisting(directory: string): string {
  return existsSync(directory) ? directory : nearestExisting(dirname(directory));
}

/** Returns bytes. */
function availableSpace(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}
