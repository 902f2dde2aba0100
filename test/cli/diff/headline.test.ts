/** The sentence at the top of the page of `ostrata diff --html`. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ContentReport } from '../../../src/cli/diff/contents.js';
import { headlineOf } from '../../../src/cli/diff/html/headline.js';
import type { FileReport, PackageReport } from '../../../src/cli/diff/report.js';

const SIDES = {
  old: { name: 'old', kind: 'directory' },
  new: { name: 'new', kind: 'directory' },
} as const;

function packagesOf(changes: Partial<PackageReport>): PackageReport {
  const none = { upgraded: [], downgraded: [], renamed: [], added: [], removed: [] };
  return { unchanged: 0, ...none, ...changes };
}

function layerOf(size: number, name?: string): ContentReport {
  const components = name === undefined ? [] : [{ id: name, name, change: 'changed' } as const];
  return { index: 0, size, isNew: true, components };
}

/** The headline of an update that fetches all layers. */
function downloadHeadline(...contents: readonly ContentReport[]): string {
  const size = contents.reduce((sum, layer) => sum + layer.size, 0);
  const update = { layers: contents.length, size, removedLayers: 0 };
  return headlineOf({ ...SIDES, new: { ...SIDES.new, size }, update, contents });
}

suite('the headline', () => {
  test('counts removed packages among those of both sides', () => {
    const each = {
      name: 'a',
      arch: 'x86_64',
      version: '1',
      evr: '1',
      nevra: 'a-1.x86_64',
      size: 1,
    };
    const packages = packagesOf({ added: [each], removed: [each, each] });
    assert.equal(headlineOf({ ...SIDES, packages }), '3 of 3 packages differ: 1 added, 2 removed');
  });

  test('says that files differ if no package does', () => {
    const file: FileReport = { path: '/etc/a', isDirectory: false, change: 'added', aspects: [] };
    const report = { ...SIDES, files: [file] };
    assert.equal(headlineOf(report), '1 file differs');
    assert.equal(
      headlineOf({ ...report, packages: packagesOf({ unchanged: 15 }) }),
      'All 15 packages are the same, but 1 file differs',
    );
  });

  test('says of packages only that they are most of the download if they are', () => {
    const download = 'Clients download 4.0 kB, 100 % of the image';
    assert.equal(
      downloadHeadline(layerOf(3000), layerOf(1000, 'bash')),
      `${download}, part of it for bash (1.0 kB)`,
    );
    assert.equal(
      downloadHeadline(layerOf(1000), layerOf(3000, 'bash')),
      `${download}, most of it for bash (3.0 kB)`,
    );
  });
});
