/** Progress is shown as it should be read: on a terminal of any size, and in a log. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { LiveRegion } from '../../../src/cli/output/live-region.js';
import { progressLines } from '../../../src/cli/output/progress-lines.js';
import { ProgressState, Rate } from '../../../src/cli/output/progress-state.js';
import { type LogOptions, terminalLogger } from '../../../src/cli/output/terminal.js';
import { type OutputStream, textWidth } from '../../../src/cli/output/width.js';
import { layerName } from '../../../src/layers/layer-name.js';
import { type Logger, silentLogger, startWork } from '../../../src/log.js';
import { SmallTerminal } from '../../support/small-terminal.js';

// Lines are as wide as the tests say, whatever the environment of the tests says.
delete process.env.COLUMNS;
process.env.TERM = 'xterm';

/** A build that writes four layers and uploads a fifth one, after five seconds. */
function buildAtWork(): { readonly state: ProgressState; readonly nowMs: number } {
  const state = new ProgressState();
  let nowMs = 5000;
  const log: Logger = {
    ...silentLogger,
    progress: (event) => void state.apply(event, nowMs),
  };
  const writing = startWork(log, 'writing layers', 2600e6);
  const kernel = writing.startPart('1', 'kernel-core and 3 more', 120e6);
  const firmware = writing.startPart('2', 'linux-firmware', 310e6);
  const fonts = writing.startPart('3', '文泉驛點陣正黑體字型-文泉驛微米黑', 12e6);
  writing.startPart('0', 'the ostree commit', 0);
  const finished = writing.startPart('4', 'bash', 2e6);
  nowMs += 4000;
  kernel.advance(45e6);
  firmware.advance(299.9e6);
  fonts.advance(6e6);
  finished.end();
  const uploading = startWork(log, 'uploading', 900e6);
  const hostile = uploading.startPart('sha256:1', 'glibc\x1b[2J\u202e', 99e6);
  nowMs += 1000;
  hostile.advance(33e6);
  return { state, nowMs };
}

function frame(columns: number, rows = 24): readonly string[] {
  const { state, nowMs } = buildAtWork();
  return progressLines(state.works, nowMs, { columns, rows });
}

suite('progress on a terminal', () => {
  test('has names, bars, bytes, the rate and the time that is left', () => {
    assert.deepEqual(frame(79), [
      'writing layers  13.6 %  353 MB of 2.6 GB  70.6 MB/s  32 s left',
      '  kernel-core and 3 more             [#######-------------]   45.0 MB of 120 MB',
      '  linux-firmware                     [###################-]    300 MB of 310 MB',
      '  文泉驛點陣正黑體字型-文泉驛微米黑  [##########----------]   6.0 MB of 12.0 MB',
      '  the ostree commit',
      'uploading   3.7 %  33.0 MB of 900 MB  33.0 MB/s  27 s left',
      '  glibc\\u001b[2J\\u202e               [######--------------]  33.0 MB of 99.0 MB',
    ]);
    const [, kernel] = frame(119);
    const name = 'kernel-core and 3 more'.padEnd(50);
    const bar = '#'.repeat(11).padEnd(30, '-');
    assert.equal(kernel, `  ${name}  [${bar}]   45.0 MB of 120 MB`);
  });

  test('leaves out what matters less on a narrow terminal', () => {
    assert.deepEqual(frame(39), [
      'writing layers  13.6 %  32 s left',
      '  kernel-core and~  [###-------]   37 %',
      '  linux-firmware    [#########-]   96 %',
      '  文泉驛點陣正黑~   [#####-----]   50 %',
      '  the ostree commit',
      'uploading   3.7 %  27 s left',
      '  glibc\\u001b[2J\\~  [###-------]   33 %',
    ]);
    const [heading, kernel] = frame(24);
    assert.equal(heading, 'writing layers  13.6 %');
    assert.equal(kernel, '  kernel-core an~   37 %');
  });

  test('names as many layers as there are rows for, and counts the others', () => {
    const names = (rows: number) => frame(39, rows).map((line) => line.slice(0, 15).trim());
    assert.deepEqual(names(6), [
      ...['writing layers', 'kernel-core a', 'linux-firmwar', 'and 2 more'],
      ...['uploading   3.7', 'glibc\\u001b[2'],
    ]);
    assert.deepEqual(names(4).slice(0, 2), ['writing layers', 'kernel-core a']);
    assert.deepEqual(names(4).slice(2), ['uploading   3.7', 'glibc\\u001b[2']);
    assert.deepEqual(names(2), ['writing layers', 'uploading   3.7']);
    assert.deepEqual(names(1), ['writing layers']);
  });

  test('stays within any terminal', () => {
    for (let columns = 1; columns <= 130; columns++) {
      for (const rows of [1, 2, 3, 7, 30]) {
        const lines = frame(columns, rows);
        assert.ok(lines.length <= rows, `${lines.length} of ${rows} rows`);
        for (const line of lines) {
          assert.ok(textWidth(line) <= columns, `${columns} columns: ${line}`);
          assert.doesNotMatch(line, /[\p{Cc}\p{Cf}]/u);
        }
      }
    }
  });
});

/** What a logger writes about 100 MB of work: one MB a second, reported each `stepMs`. */
function writtenBy(
  output: OutputStream,
  options: LogOptions = {},
  stepMs = 1000,
): readonly string[] {
  const written: string[] = [];
  let nowMs = 5000;
  const write = (text: string) => written.push(text);
  const log = terminalLogger(options, { ...output, write }, () => nowMs);
  const work = startWork(log, 'fetching layers', 100e6);
  for (let ms = 0; ms < 100_000; ms += stepMs) {
    nowMs += stepMs;
    work.advance(stepMs * 1000);
  }
  work.end();
  return written;
}

suite('a logger', () => {
  test('draws at most ten times a second, and leaves nothing behind', () => {
    const terminal = new SmallTerminal();
    const written = writtenBy({ isTTY: true, columns: 80 }, {}, 1);
    assert.ok(written.length > 900 && written.length < 1010, `${written.length}`);
    for (const text of written) {
      terminal.write(text);
      assert.ok(terminal.isAtNewLine);
    }
    assert.deepEqual(terminal.lines, ['']);
  });

  test('takes a terminal without a window for one of 80 columns and 24 rows', () => {
    const window = writtenBy({ isTTY: true, columns: 80, rows: 24 });
    assert.deepEqual(writtenBy({ isTTY: true, columns: 0, rows: 0 }), window);
    assert.deepEqual(writtenBy({ isTTY: true }), window);
  });

  test('writes a line every 30 seconds if there is no terminal', () => {
    const lines = [
      'fetching layers  30.0 %  30.0 MB of 100 MB  1.0 MB/s  1 min left\n',
      'fetching layers  60.0 %  60.0 MB of 100 MB  1.0 MB/s  40 s left\n',
      'fetching layers  90.0 %  90.0 MB of 100 MB  1.0 MB/s  10 s left\n',
    ];
    assert.deepEqual(writtenBy({ isTTY: false }), lines);
    assert.deepEqual(writtenBy({ isTTY: true, columns: 80 }, { progress: 'plain' }), lines);
    process.env.TERM = 'dumb';
    assert.deepEqual(writtenBy({ isTTY: true, columns: 80 }), lines);
    process.env.TERM = 'xterm';
  });

  test('writes nothing if it is not wanted', () => {
    assert.deepEqual(writtenBy({ isTTY: false }, { quiet: true }), []);
    assert.deepEqual(writtenBy({ isTTY: true, columns: 80 }, { quiet: true }), []);
    assert.deepEqual(writtenBy({ isTTY: true, columns: 80 }, { progress: 'none' }), []);
  });
});

suite('the region of a terminal', () => {
  test('has messages above it, also if it grows and shrinks', () => {
    const terminal = new SmallTerminal();
    const region = new LiveRegion(terminal);
    terminal.write('$ build\n');
    region.draw(['one', 'two']);
    region.above(() => terminal.write('warning: a\n'));
    assert.deepEqual(terminal.lines, ['$ build', 'warning: a', 'one', 'two', '']);
    region.draw(['1', '2', '3']);
    region.draw(['last']);
    region.above(() => terminal.write('warning: b\n'));
    assert.deepEqual(terminal.lines, ['$ build', 'warning: a', 'warning: b', 'last', '']);
    region.close();
    region.draw(['late']);
    assert.deepEqual(terminal.lines, ['$ build', 'warning: a', 'warning: b', '']);
  });

  test('is found again after the terminal has become narrower and broken its lines', () => {
    const written: string[] = [];
    const output = { isTTY: true, columns: 80, write: (text: string) => written.push(text) };
    const region = new LiveRegion(output);
    region.draw(['x'.repeat(79), '漢'.repeat(25)]);
    output.columns = 40;
    region.draw([]);
    const [order = ''] = written.at(-1)?.split('\r', 1) ?? [];
    assert.equal(order, '\x1b[4A');
  });
});

test('the name of a layer has at most 1,000 bytes, whatever an image says', () => {
  const long = '漢'.repeat(1e6);
  const names = [layerName([], long), layerName([long, 'bash'], 'layer 1')];
  for (const name of names) {
    assert.ok(Buffer.byteLength(name) <= 1000);
  }
  assert.match(names[1] ?? '', /^漢+\.\.\.漢+ and 1 more$/);
});

test('a rate is that of the last ten seconds, once it can be told', () => {
  const rate = new Rate();
  const done = (seconds: number) => (seconds <= 60 ? seconds * 100 : 6000 + (seconds - 60) * 10);
  for (let seconds = 0; seconds <= 80; seconds += 0.25) {
    rate.sample(done(seconds), seconds * 1000);
    const perSecond = rate.perSecond(done(seconds), seconds * 1000);
    if (seconds < 1) {
      assert.equal(perSecond, undefined);
    } else if (seconds <= 60) {
      assert.equal(perSecond, 100);
    } else if (seconds > 71) {
      assert.equal(perSecond, 10);
    }
  }
  assert.ok((rate.perSecond(done(80), 200_000) ?? 0) < 1, 'a transfer that has stopped');
});
