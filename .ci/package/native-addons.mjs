// Takes the place of src/system/native-addons.ts in the program that is one file: native code is
// inside the file, but the system loads it from files only. So it is written to a folder that
// exists for that moment only; what is loaded stays.
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRawAsset } from 'node:sea';

/** Where the folder can be: often one of both allows no programs, or cannot be written. */
const PARENTS = [tmpdir(), '/dev/shm'];

/** Returns what `use` makes of a file with the asset, in the first place where it succeeds. */
function withFile(asset, use) {
  const failures = [];
  for (const parent of PARENTS) {
    try {
      return withFileIn(parent, asset, use);
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}

function withFileIn(parent, asset, use) {
  const directory = mkdtempSync(join(parent, 'ostrata-'));
  try {
    const path = join(directory, asset);
    writeFileSync(path, new Uint8Array(getRawAsset(asset)), { mode: 0o600 });
    return use(path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function loadAddon(path) {
  const addon = { exports: {} };
  process.dlopen(addon, path);
  return addon.exports;
}

/** Koffi, or the error that loading it gave: it would be the same the next time. */
let loaded;

function tryToLoadKoffi() {
  try {
    return { koffi: withFile('koffi.node', loadAddon) };
  } catch (error) {
    return { error };
  }
}

/** Returns koffi, loaded at most once per thread. Throws if there is no place to load it from. */
export function loadKoffi() {
  loaded ??= tryToLoadKoffi();
  if (loaded.koffi === undefined) {
    throw loaded.error;
  }
  return loaded.koffi;
}

/** Returns the file of the C library of zstd, which is open but no longer in a folder. */
export function findZstdLibrary() {
  return withFile('zstd.node', (path) => {
    loadKoffi().load(path, { deep: true });
    return `/proc/self/fd/${openSync(path, 'r')}`;
  });
}

/** Returns the end of the message for a feature that needs native code which cannot be loaded. */
export function howToInstall() {
  return 'let TMPDIR name a folder where libraries can be written and loaded';
}
