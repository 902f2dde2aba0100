// Runs first in each thread of the program that is one file: Node finds the modules that are inside
// the file below file:///proc/self/exe/, where no other file can be.
// https://nodejs.org/docs/latest-v24.x/api/module.html#synchronous-hooks
import { registerHooks } from 'node:module';
import { getAsset } from 'node:sea';

const ROOT = 'file:///proc/self/exe/';
/** What modules import from this package: `ostrata`, `ostrata/plugin`, `ostrata/package.json`. */
const OWN_EXPORT = /^ostrata(\/|$)/;

/** Returns the URL of a module inside the file; undefined for any other. */
function ownUrl(specifier, parent = ROOT) {
  if (specifier.startsWith(ROOT)) {
    return specifier;
  }
  if (!parent.startsWith(ROOT)) {
    return undefined;
  }
  if (OWN_EXPORT.test(specifier)) {
    const name = specifier.replace(OWN_EXPORT, '') || 'index';
    return `${ROOT}${name.includes('.') ? name : `${name}.js`}`;
  }
  return specifier.startsWith('.') ? new URL(specifier, parent).href : undefined;
}

registerHooks({
  resolve(specifier, context, next) {
    const url = ownUrl(specifier, context.parentURL);
    return url === undefined ? next(specifier, context) : { url, shortCircuit: true };
  },

  load(url, context, next) {
    if (!url.startsWith(ROOT)) {
      return next(url, context);
    }
    const source = getAsset(url.slice(ROOT.length), 'utf8');
    const format = url.endsWith('.json') ? 'json' : 'module';
    return { format, source, shortCircuit: true };
  },
});
