/** A plan that is canceled while it computes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planImage } from '../../src/builder/encapsulate.js';
import { silentLogger } from '../../src/log.js';
import type { ContentSource, LayoutStrategy } from '../../src/plugin.js';
import { byTopDirectory, separate } from '../support/build-image.js';
import { dir, RepoBuilder } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';

test('a plan that is canceled goes no further than the step that computes', async () => {
  const repo = new RepoBuilder('archive', '', scratchDirectory());
  const ref = repo.commit(repo.tree(dir({ usr: dir({ a: 'a' }) })));
  const canceling = new AbortController();
  const steps: string[] = [];
  const sources: readonly ContentSource[] = [byTopDirectory];
  const strategy: LayoutStrategy = {
    ...separate,
    plan: (components, limits) => {
      steps.push('layout');
      canceling.abort();
      return separate.plan(components, limits);
    },
  };
  const options = {
    ...{ repo: repo.path, ref, sources, strategy, maxLayers: 64, formatVersion: 2 as const },
    ...{ log: silentLogger, signal: canceling.signal },
  };
  await assert.rejects(planImage(options), /^OstrataError: planning layers: cancelled$/);
  await assert.rejects(planImage(options));
  assert.deepEqual(steps, ['layout'], 'the second plan is canceled before its layout');
});
