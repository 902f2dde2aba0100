/** Tables follow the width of the terminal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatDuration,
  formatTable,
  left,
  right,
  someNames,
} from '../../../src/cli/output/format.js';
import { fitted, lineWidth, textWidth } from '../../../src/cli/output/width.js';

// A line is as wide as the tests say, whatever the environment of the tests says.
delete process.env.COLUMNS;

const names = ['bash', 'dash', 'glibc', 'openssl', 'perl', 'python', 'systemd', 'zlib'];

test('the width of a line is that of COLUMNS, else that of the terminal, else unknown', () => {
  assert.equal(lineWidth({ isTTY: true, columns: 132 }), 132);
  assert.equal(lineWidth({ columns: 132 }), Infinity);
  assert.equal(lineWidth({ isTTY: true, columns: 0 }), Infinity);
  process.env.COLUMNS = '60';
  assert.equal(lineWidth({ isTTY: true, columns: 132 }), 60);
  process.env.COLUMNS = 'wide';
  assert.equal(lineWidth({ isTTY: true, columns: 132 }), 132);
  delete process.env.COLUMNS;
});

test('a list of names is cut so that it fits, with the number of those left out', () => {
  assert.equal(someNames(names, 30), 'bash, dash, glibc and 5 more');
  assert.equal(someNames(names, 1), 'bash and 7 more');
  assert.equal(someNames(names, Infinity), names.join(', '));
  assert.equal(someNames([], 10), '');
});

test('rows of a table are no wider than the terminal', () => {
  const columns = [right('LAYER'), left('COMPONENTS')];
  const rows = [
    ['1', names],
    ['20', names.slice(0, 2)],
  ];
  for (const width of [40, 50, 60]) {
    const lines = formatTable(columns, rows, width).split('\n');
    assert.ok(
      lines.every((line) => line.length <= width),
      lines.join('\n'),
    );
  }
  const wide = formatTable(columns, rows, 50).length;
  assert.ok(wide > formatTable(columns, rows, 40).length);
  assert.match(formatTable(columns, rows, 200), /bash, .*, zlib$/m);
});

test('durations are told in the unit that fits', () => {
  assert.deepEqual([0.2, 59, 60, 200, 3600, 11_100].map(formatDuration), [
    '1 s',
    '59 s',
    '1 min',
    '3 min',
    '1 h 0 min',
    '3 h 5 min',
  ]);
});

test('wide characters fill two columns, marks none', () => {
  const widths = ['abc', 'é', 'e\u0301', '漢字', '한글', 'カナ', '！', '🙂', ''].map(textWidth);
  assert.deepEqual(widths, [3, 1, 1, 4, 4, 4, 2, 2, 0]);
});

test('text is cut or padded to columns, and no wide character is cut in two', () => {
  assert.equal(fitted('glibc', 8), 'glibc   ');
  assert.equal(fitted('glibc-common', 8), 'glibc-c~');
  assert.equal(fitted('漢字漢字漢字', 8), '漢字漢~ ');
  assert.equal(fitted('漢字漢字', 8), '漢字漢字');
  assert.equal(fitted('漢字', 1), '~');
});
