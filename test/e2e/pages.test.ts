/**
 * The pages of `ostrata diff --html` and `ostrata layout simulate --html` in a browser: readable in
 * both themes, on wide and narrow screens, by keyboard and screen reader.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import type { ContentReport } from '../../src/cli/diff/contents.js';
import { htmlReport } from '../../src/cli/diff/html/report.js';
import type { LayerReport } from '../../src/cli/diff/layers.js';
import type { DiffReport, FileReport, ReportedPackage } from '../../src/cli/diff/report.js';
import { consoleOf, printPage, type ShownPage, showPages } from '../support/browser.js';
import { repoRoot } from '../support/root.js';
import { ostrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const SERIES = join(repoRoot, 'rpmdb-fixtures/series/firmware.jsonl.gz');

/** Words without a place to break, markup, and characters that reverse what follows. */
const HOSTILE = `<script>alert(1)</script>"><img src=x onerror=alert(1)>\u202e${'x'.repeat(300)}`;

const packageOf = (i: number, evr: string): ReportedPackage => {
  const name = i === 0 ? HOSTILE : `package-with-a-long-name-${i}`;
  return {
    name,
    arch: 'x86_64',
    evr,
    nevra: `${name}-${evr}.x86_64`,
    size: 1000 * (i + 1),
  };
};

const layerOf = (index: number): LayerReport => ({
  index,
  digest: `sha256:${'0'.repeat(64)}`,
  diffId: `sha256:${'1'.repeat(64)}`,
  size: 1_000_000 * (index + 1),
  because: [`${HOSTILE} changed`, ...Array.from({ length: 30 }, (_, i) => `cause ${i} changed`)],
  changes: [],
});

const contentOf = (index: number): ContentReport => ({
  index,
  size: 1_000_000 * (index + 1),
  isNew: index % 3 === 0,
  createdBy: index === 1 ? `RUN ${HOSTILE}` : undefined,
  components: Array.from({ length: index === 1 ? 0 : (index % 7) + 1 }, (_, i) => ({
    id: `${HOSTILE}${index}-${i}`,
    name: i === 0 ? HOSTILE : `package-${index}-${i}`,
    size: i === 2 ? undefined : 1000 * (i + 1),
    change: i % 2 === 0 ? 'changed' : undefined,
    updates: 10,
    changes: i,
  })),
});

/** A report with everything that a page can show. */
const report: DiffReport = {
  old: { name: `oci:${HOSTILE}`, kind: 'image', layers: 40, size: 80_000_000 },
  new: { name: 'oci:new', kind: 'image', layers: 40, size: 82_000_000, created: HOSTILE },
  update: {
    layers: 12,
    size: 30_000_000,
    removedLayers: 3,
    delta: { manifestDigest: 'sha256:2', size: 9_000_000 },
  },
  packages: {
    upgraded: Array.from({ length: 32 }, (_, i) => ({
      from: packageOf(i, '1-1'),
      to: packageOf(i, `2-1.${HOSTILE}`),
      changelog: [{ time: 1_600_000_000, name: HOSTILE, text: `- one\n- ${HOSTILE}` }],
    })),
    downgraded: [],
    renamed: [],
    added: [packageOf(41, '1-1')],
    removed: [packageOf(42, '1-1')],
    unchanged: 100,
  },
  layers: Array.from({ length: 4 }, (_, i) => layerOf(i)),
  contents: Array.from({ length: 16 }, (_, i) => contentOf(i)),
  settings: [{ key: `config.Labels.${HOSTILE}`, old: HOSTILE, new: { a: HOSTILE } }],
  components: [
    {
      ...{ id: `file:/${HOSTILE}`, name: HOSTILE, files: 2, size: 10 },
      changedFiles: 1,
      newSize: 5,
      because: HOSTILE,
    },
  ],
  files: Array.from(
    { length: 20 },
    (_, i): FileReport => ({
      path: `/usr/${i === 0 ? HOSTILE : i}`,
      change: 'changed',
      aspects: ['content', 'mtime'],
      isDirectory: false,
      layer: 0,
    }),
  ),
};

function layoutPage(): string {
  const path = join(scratchDirectory(), 'layout.html');
  ostrata([
    ...['layout', 'simulate', SERIES, '--max-layers=16,20'],
    ...['--strategy=expected-download,hash-tiers,single', `--html=${path}`],
  ]);
  return readFileSync(path, 'utf8');
}

suite('the pages', needs('chromium'), () => {
  const pages = new Map<string, string>();
  let shown: readonly ShownPage[] = [];

  before(() => {
    pages.set('diff', htmlReport(report));
    pages.set('layout', layoutPage());
    shown = showPages(pages);
  });

  const listOf = (pick: (page: ShownPage) => readonly string[]) =>
    shown.flatMap((page) => pick(page).map((text) => `${page.name}: ${text}`));

  test('are shown in both themes', () => {
    assert.equal(shown.length, 6);
    for (const { name, background } of shown) {
      assert.equal(background === 'rgb(255, 255, 255)', name.includes('light'), name);
    }
  });

  test('have nothing that axe-core finds serious or critical', () => {
    assert.deepEqual(
      listOf(({ findings }) => findings),
      [],
    );
  });

  test('are never wider than the screen', () => {
    assert.deepEqual(
      listOf(({ outside, overflow }) =>
        overflow > 0 ? [`${overflow} pixels`, ...outside] : outside,
      ),
      [],
    );
  });

  test('keep the boxes of treemaps inside', () => {
    for (const { name, boxes, strayBoxes } of shown) {
      assert.ok(boxes > 30, `${name}: ${boxes}`);
      assert.equal(strayBoxes, 0, name);
    }
  });

  test('have one main heading, and no level is left out', () => {
    for (const { name, headings, tables } of shown) {
      assert.deepEqual([headings[0], headings.lastIndexOf(1)], [1, 0], name);
      assert.ok(
        headings.every((level, i) => level <= (headings[i - 1] ?? 0) + 1),
        `${name}: ${headings.join()}`,
      );
      assert.ok(tables > 2, name);
    }
  });

  test('break no rule of their own policy, and run nothing', () => {
    for (const [name, html] of pages) {
      assert.doesNotMatch(html, /<script|<img|https?:\/\/(?!www\.w3\.org)/, name);
      const path = join(scratchDirectory(), `${name}.html`);
      writeFileSync(path, html);
      assert.deepEqual(consoleOf(path), [], name);
    }
  });

  test('print: the PDF is not one of blank sheets', () => {
    for (const [name, html] of pages) {
      const path = join(scratchDirectory(), `${name}.html`);
      writeFileSync(path, html);
      const { length } = printPage(path);
      assert.ok(length > 10_000, `${name}: ${length} bytes`);
    }
  });

  test('are the same bytes each time', () => {
    assert.equal(htmlReport(report), pages.get('diff'));
    assert.equal(layoutPage(), pages.get('layout'));
  });
});
