// Takes the place of src/system/native-addons.ts in the program that is one file: native code is
// inside the file, but the system loads it from files only. So it is written to a file that has no
// name any more by the time it is loaded, and that the system frees when the process ends.
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRawAsset } from 'node:sea';

/** Where files are written for a moment; programs may not be loaded from the one or the other. */
const directories = () => [tmpdir(), '/dev/shm'];

/** Writes an asset to a file without a name, and returns a path by which this process reads it. */
function writeAsset(name, parent) {
  const directory = mkdtempSync(join(parent, 'ostrata-'));
  try {
    const path = join(directory, name);
    writeFileSync(path, new Uint8Array(getRawAsset(name)), { mode: 0o600 });
    return `/proc/self/fd/${openSync(path, 'r')}`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Returns what `load` makes of the file of an asset, in the first folder where that succeeds. */
function inAnyFolder(name, load) {
  let first;
  for (const parent of directories()) {
    try {
      return load(writeAsset(name, parent));
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}

let koffi;

/** Returns koffi, loaded at most once per thread. Throws if no folder can hold it for a moment. */
export function loadKoffi() {
  koffi ??= inAnyFolder('koffi.node', (path) => {
    const loaded = { exports: {} };
    process.dlopen(loaded, path);
    return loaded.exports;
  });
  return koffi;
}

/** Returns the file of the C library of zstd. */
export function findZstdLibrary() {
  return inAnyFolder('zstd.node', (path) => {
    loadKoffi().load(path, { deep: true });
    return path;
  });
}

/** Returns the end of the message for a feature that needs native code which cannot be loaded. */
export function howToInstall() {
  return 'let TMPDIR name a folder where libraries can be written and loaded';
}
