// How the progress of long work is counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProgressEvent, silentLogger, startWork } from '../src/log.js';

test('a part that was abandoned counts nothing of what its stream still passes on', () => {
  const events: ProgressEvent[] = [];
  const log = { ...silentLogger, progress: (event: ProgressEvent) => void events.push(event) };
  const work = startWork(log, 'downloading', 100);
  const part = work.startPart('0', 'layer', 100);
  part.advance(30);
  part.abandon();
  part.advance(70);
  work.end();
  assert.deepEqual(
    events.map(({ event, done, total }) => [event, done, total]),
    [
      ['start', 0, 100],
      ['start', 0, 100],
      ['advance', 30, 100],
      ['end', 30, 30],
      ['end', 30, 30],
    ],
  );
});
