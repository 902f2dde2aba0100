/** What a new image keeps of the history of the image that it is made from. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { historyOfImage, inheritedHistory } from '../../src/oci/history.js';
import { OCI_CONFIG, OCI_LAYER } from '../../src/oci/media-types.js';
import type { HistoryEntry, ImageConfig, Manifest } from '../../src/oci/types.js';

const DIGESTS = ['a', 'b', 'c', 'd'].map((digit) => `sha256:${digit.repeat(64)}`);

function manifestOf(annotations: readonly Record<string, string>[]): Manifest {
  const [digest = ''] = DIGESTS;
  return {
    schemaVersion: 2,
    config: { mediaType: OCI_CONFIG, digest, size: 1 },
    layers: annotations.map((each) => ({
      mediaType: OCI_LAYER,
      digest,
      size: 1,
      annotations: each,
    })),
  };
}

function configOf(history: HistoryEntry[], labels: Record<string, string> = {}): ImageConfig {
  return {
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: labels },
    rootfs: { type: 'layers', diff_ids: DIGESTS },
    history,
  };
}

const namesOf = (history: readonly HistoryEntry[]) => history.map((entry) => entry.created_by);

suite('the history of an image', () => {
  const history = [
    { created_by: 'FROM' },
    { created_by: 'ENV', empty_layer: true },
    { created_by: 'packages' },
    { created_by: 'chunk' },
    { created_by: 'RUN' },
  ];

  test('lacks layers that name their components', () => {
    const manifest = manifestOf([
      {},
      { 'ostree.components': 'bash' },
      { 'org.chunkah.component': 'x' },
      {},
    ]);
    const kept = historyOfImage(manifest, configOf(history));
    assert.deepEqual(namesOf(kept), ['FROM', 'ENV', 'RUN']);
  });

  test('lacks the layers of a commit', () => {
    const labels = { 'ostree.final-diffid': DIGESTS[2] ?? '' };
    const kept = historyOfImage(manifestOf([{}, {}, {}, {}]), configOf(history, labels));
    assert.deepEqual(namesOf(kept), ['ENV', 'RUN']);
  });
});

suite('a new image inherits', () => {
  test('entries without a layer, and none of programs that only lay out images', () => {
    const created = '2024-01-02T03:04:05.123456789+02:00';
    const history = [
      { created, created_by: 'RUN', author: 'me', comment: 'a step' },
      { created_by: 'chunkah' },
      { created_by: 'ostrata' },
      { created_by: 'rpm-ostree' },
      { created: 'yesterday', empty_layer: true },
    ];
    const [first, second, ...others] = inheritedHistory(history);
    assert.deepEqual(first, { ...history[0], empty_layer: true });
    assert.equal(second?.created, undefined, 'Go would refuse the config');
    assert.equal(others.length, 0);
  });

  test('the newest 200 entries, and 2000 characters of each text', () => {
    const history = Array.from({ length: 300 }, (_, i) => ({ created_by: `RUN ${i}` }));
    const kept = inheritedHistory(history);
    assert.equal(kept.length, 200);
    assert.equal(kept.at(-1)?.created_by, 'RUN 299');

    const [cut] = inheritedHistory([{ comment: `${'x'.repeat(1999)}😀` }]);
    assert.equal(cut?.comment, `${'x'.repeat(1999)}...`);
  });
});
