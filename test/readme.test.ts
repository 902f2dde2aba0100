/** The README is true: its commands have the options it shows, its programs run. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { repoRoot } from './support/root.js';
import { ostrata, run } from './support/run.js';
import { scratchDirectory } from './support/scratch.js';

const readme = readFileSync(join(repoRoot, 'README.md'), 'utf8');
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, text]) => text as string,
  );

suite('commands of the README', () => {
  const commands = blocks('sh').flatMap((block) =>
    block.split('\n').flatMap((line) => /^ostrata (.*?)(\s+#.*)?$/.exec(line)?.[1] ?? []),
  );
  for (const command of new Set(commands)) {
    test(`ostrata ${command}`, () => {
      const words = command.split(' ');
      // The names of the command are what stands before anything with a sign in it, as far as help knows them.
      const isHelp = (names: readonly string[]) =>
        ostrata([...names, '--help']).includes(`ostrata ${names.join(' ')} `);
      let names = 1;
      while (/^[a-z][a-z-]*$/.test(words[names] ?? '') && isHelp(words.slice(0, names + 1))) {
        names++;
      }
      const help = ostrata([...words.slice(0, names), '--help']);
      for (const [, option] of command.matchAll(/ (--?[a-z][a-z-]*)/g)) {
        assert.match(help, new RegExp(`(^|[ ,])${option}\\b`, 'm'));
      }
    });
  }
});

suite('programs of the README', () => {
  // Within the package, so that its own name is found.
  const folder = mkdtempSync(join(repoRoot, 'dist/readme-'));
  const image = join(scratchDirectory(), 'image');
  after(() => rmSync(folder, { recursive: true }));
  const plugin = blocks('js').find((block) => block.startsWith('// my-plugin.mjs\n')) ?? '';
  test('a plugin with a content source and a layout', () => {
    const file = join(folder, 'my-plugin.mjs');
    writeFileSync(file, plugin);
    const repo = join(repoRoot, 'rpmdb-fixtures/sample/new');
    const call = [
      'container-encapsulate',
      `--repo=${repo}`,
      '--dry-run',
      '--json',
      '--max-layers=5',
    ];
    const output = ostrata([
      ...call,
      `--plugin=${file}`,
      '--layout=by-rate',
      'sample/os',
      `oci:${image}`,
    ]);
    const { layers } = JSON.parse(output) as { layers: { components: string[] }[] };
    const chunks = layers.slice(1).map(({ components }) => components);
    assert.equal(chunks.length, 4);
    assert.ok(chunks.at(-1)?.includes('site'), `${chunks}`);
  });

  test('a mapping', () => {
    const file = join(folder, 'mapping.json');
    writeFileSync(file, blocks('json').find((block) => block.includes('"paths"')) ?? '');
    const call = [
      'layout',
      'plan',
      `--repo=${join(repoRoot, 'rpmdb-fixtures/sample/new')}`,
      'sample/os',
      '--json',
    ];
    const { layers } = JSON.parse(ostrata([...call, '--max-layers=6', `--mapping=${file}`]));
    assert.ok(
      layers.some((layer: { components: string[] }) => `${layer.components}` === 'mapping:site'),
    );
  });

  for (const [i, program] of blocks('js')
    .filter((block) => block !== plugin)
    .entries()) {
    test(program.split('\n', 1).join(), () => {
      const file = join(folder, `${i}.mjs`);
      const changed = program
        .replaceAll("'REPO'", JSON.stringify(join(repoRoot, 'rpmdb-fixtures/sample/new')))
        .replaceAll('os/stable', 'sample/os')
        .replaceAll(
          "openRpmdbAt('/')",
          `openRpmdbAt(${JSON.stringify(join(repoRoot, 'rpmdb-fixtures/bookworm-sqlite'))})`,
        )
        .replaceAll('oci:image', `oci:${image}`);
      writeFileSync(file, changed);
      assert.notEqual(run(process.execPath, [file]), '');
    });
  }
});
