/**
 * The one place that loads koffi (https://koffi.dev), which calls functions of C libraries. It is
 * an optional dependency: without it, a few features are missing or slower.
 */
import { createRequire } from 'node:module';

/** Returns koffi, loaded at most once per thread. Throws Node's error if it is not installed. */
export function loadKoffi(): typeof import('koffi') {
  return createRequire(import.meta.url)('koffi');
}
