/** What is printed cannot move the cursor, reverse the text or hide a part of it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { print, printable, printMessage } from '../../../src/cli/output/print.js';

/** Returns what `body` writes to a stream, which is written to nothing else meanwhile. */
function written(t: TestContext, stream: NodeJS.WriteStream, body: () => void): string {
  const write = t.mock.method(stream, 'write', () => true);
  body();
  write.mock.restore();
  return write.mock.calls.map(({ arguments: [chunk] }) => String(chunk)).join('');
}

test('control and format characters are escaped, all others stay', () => {
  assert.equal(printable('päth ☺ 漢字 🙂'), 'päth ☺ 漢字 🙂');
  assert.equal(printable('\x1b[2J\r\n\x7f\x9b'), '\\u001b[2J\\r\\n\\u007f\\u009b');
  const bidi = '\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c';
  for (const character of [...bidi, ...'\u200b\u200d\ufeff\u00ad\u2028\u2029', '\ud800']) {
    const digits = character.charCodeAt(0).toString(16).padStart(4, '0');
    assert.equal(printable(character), `\\u${digits}`);
  }
  assert.equal(printable('\u{e0041}'), '\\udb40\\udc41', 'a tag');
});

test('JSON is printed as the same JSON', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const value = { [text]: [text, '\u202e\x7f\x1b[31m'] };
      const line = written(t, process.stdout, () => print(JSON.stringify(value, undefined, 1)));
      assert.deepEqual(JSON.parse(line), value);
      assert.doesNotMatch(line.replaceAll('\n', ''), /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/u);
    }),
  );
});

test('a report keeps its lines and colors, and no other order to the terminal', (t) => {
  const report = '\x1b[1mbold\x1b[22m\n\x1b[2J\x1b]0;title\x07\x1b[8mhidden\r';
  assert.equal(
    written(t, process.stdout, () => print(report)),
    '\x1b[1mbold\x1b[22m\n\\u001b[2J\\u001b]0;title\\u0007\\u001b[8mhidden\\r\n',
  );
});

test('a message is one line of at most a kilobyte, whatever it contains', (t) => {
  for (const character of ['\n', '\x1b', 'a', 'é', '\u202e', '🙂']) {
    const message = `start ${character.repeat(100_000)} end`;
    const line = written(t, process.stderr, () => printMessage(message, 'error'));
    assert.ok(Buffer.byteLength(line) <= 1024, `${Buffer.byteLength(line)} bytes`);
    assert.match(line, /^error: start [^\p{Cc}\p{Cf}\ufffd]+\.\.\.[^\p{Cc}\p{Cf}\ufffd]+ end\n$/u);
  }
});
