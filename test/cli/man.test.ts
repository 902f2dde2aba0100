// The manual pages, which are made from what --help prints; mandoc and groff are the judges.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { ostrata, run, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

suite('manual pages', needs('mandoc'), () => {
  const directory = scratchDirectory();
  ostrata(['man', directory]);
  const pages = readdirSync(directory);
  const render = (page: string) =>
    run('mandoc', ['-T', 'utf8', '-O', 'width=300', join(directory, page)]).replace(/.[\b]/g, '');

  test('there is one for each command of the help', () => {
    for (const name of ['ostrata', 'ostrata-build', 'ostrata-container-image-prune-layers']) {
      assert.ok(pages.includes(`${name}.1`), name);
    }
    assert.ok(!pages.includes('ostrata-man.1'), 'hidden commands have none');
  });

  test('are sound', () => {
    const files = pages.map((page) => join(directory, page));
    const { stdout } = tryRun('mandoc', ['-T', 'lint', '-W', 'warning', ...files]);
    // A page has no date, because the same sources make the same pages.
    const faults = stdout.split('\n').filter((line) => !/missing date|^$/.test(line));
    assert.deepEqual(faults, []);
  });

  test('have what the help has: options, values and examples', () => {
    const page = render('ostrata-build.1');
    const help = ostrata(['build', '--help'], { env: { COLUMNS: '300' } });
    const options = [...help.matchAll(/^ +(--[a-z-]+)(?: <(\S+)>)? {2}/gm)];
    assert.ok(options.length > 30);
    for (const [, option, value = ''] of options) {
      assert.match(page, new RegExp(`^ +${option}(?: <${value}>)?(?: |$)`, 'm'));
    }
    const [, example = ''] = /^Examples?:\n +(.*)$/m.exec(help) ?? [];
    assert.ok(page.includes(example) && example !== '', example);
    assert.match(page, /^EXIT CODES\n +0 success/m);
  });
});
