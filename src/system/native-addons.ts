/**
 * The one place that finds native code: koffi (https://koffi.dev), which calls functions of C
 * libraries, and the C library of zstd that @cloudpss/zstd contains. Both packages are optional:
 * without them, a few features are missing or slower. In the program that is one file,
 * `.ci/package/native-addons.mjs` takes the place of this module.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

/** Returns koffi, loaded at most once per thread. Throws Node's error if it is not installed. */
export function loadKoffi(): typeof import('koffi') {
  return createRequire(import.meta.url)('koffi');
}

/**
 * Returns the file of the C library of zstd; undefined except on Linux with glibc. Throws Node's
 * error if @cloudpss/zstd is not installed.
 */
export function findZstdLibrary(): string | undefined {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve('@cloudpss/zstd/package.json');
  const nodeGypBuild: { path(directory: string): string } =
    createRequire(manifest)('node-gyp-build');
  const file = nodeGypBuild.path(dirname(manifest));
  return file.includes('glibc') ? file : undefined;
}

/**
 * Returns the end of the message for a feature that needs native code which is missing.
 * @param packages how npm installs it
 */
export function howToInstall(...packages: readonly string[]): string {
  return `npm install ${packages.join(' ')}`;
}
