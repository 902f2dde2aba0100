/** Loads the module of a plugin from a file or a package. */
import { existsSync } from 'node:fs';
import nodeModule, { createRequire } from 'node:module';
import { join, resolve as resolvePath } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inContextAsync, messageOf, OstrataError } from '../../errors.js';
import { definePlugin, type Plugin } from '../../plugin.js';
import { runProgram } from '../../system/program.js';
import { resolve } from './plugin-resolver.js';

const FILE_NAME = /^\.{0,2}\/|\.[cm]?[jt]s$/;
/** The place of an error in a line of its stack: a path and the number of a line. */
const PLACE = /(?:^|[\s(]|file:\/\/)(\/[^():]+:\d+)(?::\d+)?\)?$/;

/**
 * Loads a plugin: a file, or a package that is installed for the working directory or beside
 * ostrata. Throws `PLUGIN`, with file and line as far as they are known, if that fails, and if the
 * module exports no plugin.
 */
export function loadPlugin(name: string): Promise<Plugin> {
  return inContextAsync(`plugin ${name}`, async () => {
    provideOwnModules();
    const path = findModule(name);
    const loaded = await import(path === undefined ? name : pathToFileURL(path).href).catch(
      async (error: unknown) => {
        throw await loadingError(error, path);
      },
    );
    return definePlugin(loaded.default);
  });
}

/** Returns the path of a module; undefined for a package that only this program may find. */
function findModule(name: string): string | undefined {
  if (existsSync(name)) {
    return resolvePath(name);
  }
  if (FILE_NAME.test(name)) {
    throw new OstrataError('NOT_FOUND', 'there is no such file');
  }
  try {
    return createRequire(join(process.cwd(), 'plugin.js')).resolve(name);
  } catch {
    return undefined;
  }
}

/** From Node 22.15 on; the types are those of Node 20. */
interface SynchronousHooks {
  readonly registerHooks?: (hooks: { readonly resolve: typeof resolve }) => void;
}

let isProvided = false;

/** Lets modules import `ostrata/plugin` from anywhere. */
function provideOwnModules(): void {
  if (isProvided) {
    return;
  }
  isProvided = true;
  const { registerHooks }: typeof nodeModule & SynchronousHooks = nodeModule;
  if (registerHooks === undefined) {
    nodeModule.register('./plugin-resolver.js', import.meta.url);
  } else {
    registerHooks({ resolve });
  }
}

async function loadingError(error: unknown, path: string | undefined): Promise<OstrataError> {
  if (error instanceof OstrataError) {
    return error;
  }
  const place = placeOf(error) ?? (await syntaxErrorPlace(error, path));
  const where = place === undefined ? '' : `${place}: `;
  // The message of Node goes on with the modules that led to the one that is missing.
  const [message] = messageOf(error).split('\n', 1);
  return new OstrataError('PLUGIN', `loading the module: ${where}${message}`, { cause: error });
}

/** Returns the place that begins the stack of an error, or that of its first call. */
function placeOf(error: unknown): string | undefined {
  const stack = error instanceof Error ? (error.stack ?? '').split('\n') : [];
  const firstCall = stack.find((line) => line.startsWith('    at '));
  return [stack[0], firstCall].map((line = '') => PLACE.exec(line)?.[1]).find(Boolean);
}

/** Node tells where a syntax error is only on standard error, so another Node has to find it. */
async function syntaxErrorPlace(
  error: unknown,
  path: string | undefined,
): Promise<string | undefined> {
  if (!(error instanceof SyntaxError) || path === undefined) {
    return undefined;
  }
  const purpose = 'finding the syntax error';
  const { stderr } = await runProgram(process.execPath, ['--check', path], { purpose });
  return PLACE.exec(stderr.split('\n', 1)[0] ?? '')?.[1];
}
