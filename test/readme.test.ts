/**
 * What the README files say is true: commands have the options that they show, scripts of npm
 * exist, programs run, plugins and mappings work, links and file names lead somewhere.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, suite, test } from 'node:test';
import { Command } from 'commander';
import { addBuildCommand } from '../src/cli/build/build.js';
import { addCacheCommand } from '../src/cli/cache/index.js';
import { addContainerEncapsulateCommand } from '../src/cli/container/encapsulate.js';
import { addContainerCommand } from '../src/cli/container/index.js';
import { addInspectCommand } from '../src/cli/container/inspect.js';
import { addVerifyCommand } from '../src/cli/container/verify.js';
import { addDeltaCommand } from '../src/cli/delta/index.js';
import { addDiffCommand } from '../src/cli/diff/diff.js';
import { addDoctorCommand } from '../src/cli/doctor/index.js';
import { addLayoutCommand } from '../src/cli/layout/index.js';
import { addRpmdbCommand } from '../src/cli/rpmdb/index.js';
import type { Plugin } from '../src/plugin.js';
import { repoRoot } from './support/root.js';
import { ostrata, run } from './support/run.js';
import { scratchDirectory } from './support/scratch.js';

const FOLDERS = ['src', 'plugins', 'test', '.github'];
const SAMPLE_REPO = join(repoRoot, 'rpmdb-fixtures/sample/new');
const SAMPLE_RPMDB = join(repoRoot, 'rpmdb-fixtures/bookworm-sqlite');

interface Block {
  /** The name of the file, relative to the checkout. */
  readonly file: string;
  readonly text: string;
}

function markdownFiles(): string[] {
  const below = FOLDERS.flatMap((folder) => {
    try {
      const names = readdirSync(join(repoRoot, folder), { recursive: true, encoding: 'utf8' });
      return names.map((name) => `${folder}/${name}`);
    } catch {
      return []; // an unpacked release has no .github
    }
  });
  return ['README.md', ...below.filter((name) => name.endsWith('.md')).sort()];
}

/** All code blocks of a language, in all files. */
function blocks(language: string): Block[] {
  const pattern = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms');
  return markdownFiles().flatMap((file) => {
    const markdown = readFileSync(join(repoRoot, file), 'utf8');
    return [...markdown.matchAll(pattern)].map(([, text = '']) => ({ file, text }));
  });
}

/** The lines of shell blocks without comments, pipes and what follows them; each once. */
function shellLines(): Block[] {
  const lines = blocks('sh').flatMap(({ file, text }) => {
    const joined = text.replace(/\\\n\s*/g, '');
    return joined.split('\n').map((line) => ({ file, text: line.replace(/ [#|>&].*/, '').trim() }));
  });
  return [...new Map(lines.map((line) => [line.text, line])).values()];
}

const helpTexts = new Map<string, string>();

function helpOf(names: readonly string[]): string {
  const key = names.join(' ');
  const help = helpTexts.get(key) ?? ostrata([...names, '--help']);
  helpTexts.set(key, help);
  return help;
}

/** The words of a call that name the command, as far as its help knows them. */
function commandNames(words: readonly string[]): string[] {
  const names: string[] = [];
  for (const word of words) {
    const isName = /^[a-z][a-z-]*$/.test(word);
    const longer = [...names, word];
    if (!isName || !helpOf(longer).includes(`ostrata ${longer.join(' ')} `)) {
      return names;
    }
    names.push(word);
  }
  return names;
}

suite('commands', () => {
  const calls = shellLines().filter(({ text }) => text.startsWith('ostrata '));
  assert.ok(calls.length > 10, `${calls.length} calls of ostrata`);

  for (const { file, text } of calls) {
    test(`${file}: ${text}`, () => {
      const words = text.split(' ').slice(1);
      const names = commandNames(words);
      assert.notEqual(names.length, 0, `${words[0]} is a command`);
      const help = helpOf(names);
      for (const [, option] of text.matchAll(/ (--?[a-z][a-z-]*)/g)) {
        assert.match(help, new RegExp(`(^|[ ,])${option}\\b`, 'm'));
      }
    });
  }
});

test('src/JSON.md documents every command that has --json', () => {
  const program = new Command();
  for (const addCommand of [
    addBuildCommand,
    addContainerEncapsulateCommand,
    addContainerCommand,
    addInspectCommand,
    addVerifyCommand,
    addLayoutCommand,
    addDeltaCommand,
    addCacheCommand,
    addDiffCommand,
    addDoctorCommand,
    addRpmdbCommand,
  ]) {
    addCommand(program);
  }
  const markdown = readFileSync(join(repoRoot, 'src/JSON.md'), 'utf8');
  const titles = [...markdown.matchAll(/^## `ostrata ([^`]+)`/gm)].map(([, title = '']) => title);
  // An option that changes what a command prints has its own section.
  const documented = new Set(titles.map((title) => title.replace(/ --.*/, '')));
  assert.deepEqual([...documented].sort(), jsonCommands(program, []).sort());
});

/** The names of all commands with the option `--json`. */
function jsonCommands(command: Command, names: readonly string[]): string[] {
  const own = command.options.some(({ long }) => long === '--json') ? [names.join(' ')] : [];
  const below = command.commands.flatMap((each) => jsonCommands(each, [...names, each.name()]));
  return [...own, ...below];
}

suite('scripts of npm', () => {
  const { scripts } = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));

  for (const { file, text } of shellLines()) {
    const script = /^npm (?:run )?([a-z:]+)/.exec(text)?.[1];
    if (script !== undefined && !['ci', 'install', 'link', 'pack', 'publish'].includes(script)) {
      test(`${file}: ${text}`, () => {
        assert.ok(Object.hasOwn(scripts, script), `package.json has a script ${script}`);
      });
    }
  }
});

suite('links and file names', () => {
  for (const file of markdownFiles()) {
    const markdown = readFileSync(join(repoRoot, file), 'utf8');

    test(`${file}: relative links lead to a file, and to a heading in it`, () => {
      for (const [, target = ''] of markdown.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
        const [path = '', heading] = target.split('#');
        const linked = path === '' ? file : join(dirname(file), path);
        assert.ok(existsSync(join(repoRoot, linked)), `${linked} exists`);
        if (heading !== undefined) {
          assert.ok(headingsOf(linked).includes(heading), `${linked} has a heading ${heading}`);
        }
      }
    });

    // A word in capitals stands for any name.
    test(`${file}: source files that it names exist`, () => {
      for (const [, name = ''] of markdown.matchAll(
        /`([a-z\d.-]+(?:\/[a-z\d.-]+)+\.(?:ts|mjs))`/g,
      )) {
        const places = ['', 'src', dirname(file)].map((folder) => join(repoRoot, folder, name));
        assert.ok(places.some(existsSync), `${name} exists`);
      }
    });
  }
});

/** The anchors of the headings of a file, as GitHub makes them. */
function headingsOf(file: string): readonly string[] {
  const markdown = readFileSync(join(repoRoot, file), 'utf8');
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}

suite('programs, plugins and mappings', () => {
  // Within the package, so that programs can import it by its name.
  const folder = mkdtempSync(join(repoRoot, 'dist/readme-'));
  after(() => rmSync(folder, { recursive: true }));
  const image = join(scratchDirectory(), 'image');
  let count = 0;

  function write(text: string, extension: string): string {
    const file = join(folder, `${count++}.${extension}`);
    writeFileSync(file, text);
    return file;
  }

  const isPlugin = ({ text }: Block) => /^export default /m.test(text);
  const plugins = blocks('js').filter(isPlugin);
  const programs = blocks('js').filter((block) => !isPlugin(block));
  const mappings = blocks('json').filter(({ text }) => text.includes('"paths"'));

  test('the files show a plugin, a program and a mapping', () => {
    for (const found of [plugins, programs, mappings]) {
      assert.notEqual(found.length, 0);
    }
  });

  /** The components of a planned image, by layer. */
  function plan(...options: readonly string[]): string[][] {
    const call = ['container-encapsulate', `--repo=${SAMPLE_REPO}`, '--dry-run', '--json'];
    const limit = '--max-layers=5';
    const output = ostrata([...call, limit, ...options, 'sample/os', `oci:${image}`]);
    const { layers } = JSON.parse(output) as { layers: { components: string[] }[] };
    return layers.map(({ components }) => components);
  }

  for (const { file, text } of plugins) {
    test(`${file}: the plugin ${text.split('\n', 1)} changes the plan of an image`, async () => {
      const path = write(text, 'mjs');
      const plugin = (await import(path)).default as Plugin;
      const layouts = plugin.layoutStrategies ?? [];
      const options = layouts.slice(0, 1).map(({ name }) => `--layout=${name}`);
      assert.notDeepEqual(plan(`--plugin=${path}`, ...options), plan());
    });
  }

  for (const { file, text } of mappings) {
    test(`${file}: the mapping makes layers`, () => {
      const call = ['layout', 'plan', `--repo=${SAMPLE_REPO}`, 'sample/os', '--json'];
      const { layers } = JSON.parse(
        ostrata([...call, '--max-layers=6', `--mapping=${write(text, 'json')}`]),
      ) as { layers: { components: string[] }[] };
      const components = layers.flatMap((layer) => layer.components);
      assert.ok(
        components.some((id) => id.startsWith('mapping:')),
        `${components}`,
      );
    });
  }

  for (const { file, text } of programs) {
    test(`${file}: ${text.split('\n', 1)}`, () => {
      const program = text
        .replaceAll("'REPO'", JSON.stringify(SAMPLE_REPO))
        .replaceAll('os/stable', 'sample/os')
        .replaceAll("openRpmdbAt('/')", `openRpmdbAt(${JSON.stringify(SAMPLE_RPMDB)})`)
        .replaceAll('oci:image', `oci:${image}`);
      assert.notEqual(run(process.execPath, [write(program, 'mjs')]), '');
    });
  }
});
