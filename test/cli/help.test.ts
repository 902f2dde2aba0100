/** Help pages, mistyped commands and options, and errors as JSON. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { repoRoot } from '../support/root.js';
import { ostrata, ostrataProgram, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

const SAMPLE_REPO = join(repoRoot, 'rpmdb-fixtures/sample/new');

/** The help pages of all commands, by their names: `container image pull`. */
function helpPages(group: readonly string[] = []): ReadonlyMap<string, string> {
  const help = ostrata([...group, '--help']);
  const pages = new Map([[group.join(' '), help]]);
  const [, lists = ''] = /\n {2}-h, --help [^\n]*\n(.*)/s.exec(help) ?? [];
  const isGroup = / \[command\]\n/.test(help.slice(0, help.indexOf('\n\n') + 1));
  const names = isGroup ? lists.matchAll(/^ {2}([a-z-]+) {2,}\S/gm) : [];
  for (const [, name = ''] of names) {
    for (const [command, page] of helpPages([...group, name])) {
      pages.set(command, page);
    }
  }
  return pages;
}

suite('help', () => {
  test('every command has a help page that ends with the exit codes', () => {
    const pages = helpPages();
    assert.ok(pages.size > 20, `${pages.size} commands`);
    for (const [command, page] of pages) {
      assert.match(page, /\nExit codes: 0 .*\n$/, command);
    }
  });

  test('every command is listed under the heading of its kind', () => {
    const [, unsorted = ''] = /^Commands:\n(.*?)\n\n/ms.exec(ostrata(['--help'])) ?? [];
    assert.match(unsorted, /^ {2}help {2,}.*$/);
  });

  test('"help" prints the page of a command at any depth', () => {
    const names = ['container', 'image', 'pull'];
    const page = ostrata([...names, '--help']);
    assert.match(page, /^Usage: ostrata container image pull /);
    assert.equal(ostrata(['help', ...names]), page);
    assert.equal(ostrata(['container', 'help', 'image', 'pull']), page);
    assert.equal(ostrata(['container', 'image', 'help', 'pull']), page);
  });
});

suite('mistyped', () => {
  /** What the program prints of a call that it does not understand. */
  const usageError = (...args: string[]) => {
    const { status, stdout, stderr } = tryOstrata(args);
    assert.equal(status, 2, stderr);
    assert.equal(stdout, '');
    return stderr;
  };

  test('commands are told with the nearest one', () => {
    const nearest = "error: unknown command 'inspekt'; did you mean inspect?\n";
    assert.equal(usageError('inspekt'), nearest);
    const nested = "error: unknown command 'pul'; did you mean pull?\n";
    assert.equal(usageError('container', 'image', 'pul'), nested);
    assert.equal(usageError('help', 'container', 'image', 'pul'), nested);
  });

  test('options are told with the nearest one', () => {
    const nearest = "error: unknown option '--jsom'; did you mean --json?\n";
    assert.equal(usageError('verify', '--jsom', 'oci:x'), nearest);
  });

  test('refs are told with the nearest ones of the repository', () => {
    const { status, stderr } = tryOstrata(['rpmdb', 'list', `--repo=${SAMPLE_REPO}`, 'sampel/os']);
    assert.equal(status, 1);
    assert.match(stderr, /no ref or commit "sampel\/os" .*; did you mean sample\/os\?\n$/);
  });
});

test('a build that names no tree is wrong usage, before the previous build is opened', () => {
  const previous = `--previous-build=oci:${join(scratchDirectory(), 'missing')}`;
  for (const args of [[], [`--repo=${SAMPLE_REPO}`]]) {
    const { status, stderr } = tryOstrata(['build', previous, '--tag=x', ...args]);
    assert.equal(stderr, 'error: expected --rootfs DIR, --from IMGREF, or --repo REPO and a ref\n');
    assert.equal(status, 2);
  }
});

test("rpm-ostree's spelling of container-encapsulate builds the same image", () => {
  const image = `oci:${join(scratchDirectory(), 'image')}`;
  const args = ['container-encapsulate', `--repo=${SAMPLE_REPO}`, '--dry-run', 'sample/os', image];
  assert.equal(ostrata(['compose', ...args]), ostrata(args));
});

suite('errors with --json', () => {
  const missing = `oci:${join(scratchDirectory(), 'missing')}`;

  test('are an object with code and message on standard output, and a line for people', () => {
    const { status, stdout, stderr } = tryOstrata(['verify', '--json', missing]);
    assert.equal(status, 1);
    const { error, ...rest } = JSON.parse(stdout);
    assert.deepEqual(rest, {});
    assert.deepEqual(Object.keys(error), ['code', 'message']);
    assert.equal(error.code, 'NOT_FOUND');
    assert.equal(stderr, `error: ${error.message}\n`);
  });

  test('are printed for wrong usage, too', () => {
    const { status, stdout } = tryOstrata(['verify', '--json']);
    assert.equal(status, 2);
    assert.equal(JSON.parse(stdout).error.code, 'USAGE');
  });

  test('are not printed without it', () => {
    assert.equal(tryOstrata(['verify', missing]).stdout, '');
  });

  test('end with exit code 1 also if nobody reads them', async () => {
    const child = spawn(process.execPath, [ostrataProgram, 'verify', '--json', missing], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    child.stdout.destroy();
    const [code] = await once(child, 'close');
    assert.equal(code, 1);
  });
});
