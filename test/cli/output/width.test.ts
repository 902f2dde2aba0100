/** Tables and progress follow the width of the terminal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatDuration,
  formatTable,
  left,
  right,
  someNames,
} from '../../../src/cli/output/format.js';
import { terminalLogger } from '../../../src/cli/output/terminal.js';
import { lineWidth } from '../../../src/cli/output/width.js';

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

/** What a logger writes about 100 MB of work: one MB a second, reported each second. */
function progressOf(output: { isTTY: boolean; columns?: number }, options = {}): readonly string[] {
  const written: string[] = [];
  let now = 5000;
  const write = (text: string) => written.push(text);
  const log = terminalLogger(options, { ...output, write }, () => now);
  for (let done = 0; done <= 100; done++) {
    log.progress('fetching layers', done * 1e6, 100e6);
    now += 1000;
  }
  return written;
}

test('progress tells the time that is left, within the width of the terminal', () => {
  const wide = progressOf({ isTTY: true, columns: 100 });
  assert.match(wide[40] ?? '', / 40\.0 % {2}40\.0 MB of 100 MB {2}1\.0 MB\/s {2}1 min left$/);
  assert.equal(wide.at(-1), '\r\x1b[K');

  const narrow = progressOf({ isTTY: true, columns: 45 });
  const lengths = narrow.map((text) => text.length - '\r\x1b[K'.length);
  assert.ok(Math.max(...lengths) < 45, `${Math.max(...lengths)}`);
});

test('a log gets a line every 30 seconds, and nothing with --quiet', () => {
  const lines = progressOf({ isTTY: false });
  assert.equal(lines.length, 3);
  assert.match(lines[0] ?? '', /^fetching layers {2}30\.0 % {2}30\.0 MB of 100 MB .* left\n$/);
  assert.deepEqual(progressOf({ isTTY: false }, { quiet: true }), []);
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
