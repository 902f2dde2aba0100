// Bundles the compiled program into a few modules in one folder: the program, its worker threads,
// what plugins import, and what several of these share.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

/** The modules that are loaded by name from inside the file, by their place in `dist`. */
const EXPORTS = {
  main: 'src/cli/main.js',
  index: 'src/index.js',
  plugin: 'src/plugin.js',
  plugins: 'plugins/index.js',
  rpmdb: 'plugins/rpm/rpmdb/index.js',
};

/** Packages that are no ECMAScript modules call `require` for modules of Node. */
const REQUIRE =
  "import { createRequire as createRequireHere } from 'node:module';" +
  'const require = createRequireHere(import.meta.url);';

/** How the program names the module of a worker thread. */
const WORKER = /new URL\('(\.\/[\w-]+\.js)', import\.meta\.url\)/g;

/** What takes the place of a module of the program. */
const REPLACED = new Map([
  ['dist/src/system/native-addons.js', '.ci/package/native-addons.mjs'],
  // With its WebAssembly inside.
  ['node_modules/sql.js/dist/sql-wasm.js', 'node_modules/sql.js/dist/sql-wasm-inline.js'],
]);

/**
 * Returns the text of each module by its name, and the folders of the packages that they came from.
 * The same sources give the same texts, wherever the checkout lies.
 */
export async function bundle(root) {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: entryPoints(root),
    outdir: 'modules',
    write: false,
    metafile: true,
    bundle: true,
    preserveSymlinks: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    legalComments: 'none',
    logLevel: 'warning',
    banner: { js: REQUIRE },
    // Decompresses zstd where Node cannot do so itself.
    external: ['@cloudpss/zstd/napi'],
    plugins: [replaceModules(root)],
  });
  const modules = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
  return { modules, bundledPackages: packagesOf(metafile) };
}

/** All in one folder, so that `./worker.js` names the same module from everywhere. */
function entryPoints(root) {
  const files = [...Object.entries(EXPORTS), ...workers(join(root, 'dist'))];
  const entries = files.map(([name, file]) => ({ out: name, in: join('dist', file) }));
  const names = new Set(entries.map(({ out }) => out));
  if (names.size < entries.length) {
    throw new Error(`two worker threads have the same name: ${entries.map((e) => e.in)}`);
  }
  return entries;
}

/** Returns the name and the file of each worker thread's module. */
function workers(dist) {
  const sources = ['src', 'plugins'].flatMap((folder) =>
    readdirSync(join(dist, folder), { recursive: true })
      .filter((name) => name.endsWith('.js'))
      .map((name) => join(folder, name)),
  );
  return sources.sort().flatMap((source) => {
    const text = readFileSync(join(dist, source), 'utf8');
    return [...text.matchAll(WORKER)].map(([, name]) => [
      basename(name, '.js'),
      join(dirname(source), name),
    ]);
  });
}

function replaceModules(root) {
  return {
    name: 'replace-modules',
    setup({ onLoad }) {
      onLoad({ filter: /\/(native-addons|sql-wasm)\.js$/ }, ({ path }) => {
        const replacement = REPLACED.get(relative(root, path));
        return { contents: readFileSync(join(root, replacement)), loader: 'js' };
      });
    },
  };
}

/** Returns the folder of each package of which a module is in the bundle. */
function packagesOf({ inputs }) {
  const folders = Object.keys(inputs).flatMap(
    (file) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? [],
  );
  return [...new Set(folders)].sort();
}
