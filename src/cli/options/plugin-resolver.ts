/**
 * A hook for Node's module loader: `ostrata/...` is this program's own copy, wherever the module
 * lies that imports it. See https://nodejs.org/docs/latest-v20.x/api/module.html#hooks
 */

/** The part of a loader's context that the hook uses. */
interface ResolveContext {
  readonly parentURL?: string | undefined;
}

type NextResolve<T> = (specifier: string, context: ResolveContext) => T;

const OWN_MODULE = /^ostrata(\/|$)/;

/** Resolves what a module imports; serves as a synchronous and as an asynchronous hook. */
export function resolve<T>(specifier: string, context: ResolveContext, next: NextResolve<T>): T {
  const isOwn = OWN_MODULE.test(specifier);
  // A package can import itself by its name.
  return next(specifier, isOwn ? { ...context, parentURL: import.meta.url } : context);
}
