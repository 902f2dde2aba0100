/** Splitting components into parts, from build to build. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { expectedDownload } from '../../plugins/layouts/expected-download.js';
import { single } from '../../plugins/layouts/single.js';
import type { LayoutComponent } from '../../src/components/component.js';
import { must } from '../../src/errors.js';
import { type LayoutPlan, planLayout } from '../../src/layout/plan.js';
import { formatPlan, parsePlan, strategyFromPlan } from '../../src/layout/plan-file.js';
import type { LayoutRecord } from '../../src/layout/previous-layout.js';
import { decodeRecord, encodeRecord, MAX_RECORD_BYTES, recordOf } from '../../src/layout/record.js';
import { formatBuild, parseBuild } from '../../src/layout/series.js';
import { silentLogger } from '../../src/log.js';
import type { LayoutStrategy } from '../../src/plugin.js';

type Directories = Readonly<Record<string, readonly [size: number, version: string]>>;

/** A build of a large package with these directories, and of many small packages. */
function build(directories: Directories, version = JSON.stringify(directories)) {
  const states = Object.entries(directories).map(([path, [size, version]]) => [
    path,
    { size, version },
  ]);
  const size = Object.values(directories).reduce((sum, [bytes]) => sum + bytes, 0);
  const large = {
    name: 'firmware',
    version,
    size,
    changesPerYear: 12,
    directories: Object.fromEntries(states),
  };
  const others = Array.from({ length: 100 }, (_, i) => ({
    name: `p${i}`,
    version: '1',
    size: 1000 + i,
    changesPerYear: i % 7,
  }));
  return parseBuild(JSON.stringify({ components: [large, ...others] }), 'build', '1').components;
}

const FIRST: Directories = {
  'lib/amdgpu': [4_000_000, '1'],
  'lib/intel': [3_000_000, '1'],
  'lib/old': [2_000_000, '1'],
  'lib/tiny': [10, '1'],
};
const whole = withoutParts(expectedDownload);

function withoutParts({ name, description, plan }: LayoutStrategy): LayoutStrategy {
  return { name, description, plan };
}

/** The ids that are the large package or its parts, and the record as an image carries it. */
function planned(
  components: readonly LayoutComponent[],
  previous?: LayoutRecord,
  strategy: LayoutStrategy = expectedDownload,
  maxLayers = 60,
) {
  const plan = planLayout(components, strategy, { maxLayers, previous });
  const label = encodeRecord(recordOf(plan), silentLogger) ?? '';
  const ids = plan.components.map(({ id }) => id).filter((id) => id.startsWith('firmware'));
  return { plan, ids: ids.sort(), record: decodeRecord(label, silentLogger) };
}

const PARTS = ['firmware#', 'firmware#lib/amdgpu', 'firmware#lib/intel', 'firmware#lib/old'];

suite('large components', () => {
  test('are split by directory, from 48 layers on and by strategies that place parts', () => {
    assert.deepEqual(planned(build(FIRST)).ids, PARTS);
    assert.deepEqual(planned(build(FIRST), undefined, expectedDownload, 47).ids, ['firmware']);
    assert.deepEqual(planned(build(FIRST), undefined, whole).ids, ['firmware']);
  });

  test('keep their parts while these exist, also if they become small', () => {
    const { record } = planned(build(FIRST));
    const later = build({ ...FIRST, 'lib/old': [20, '2'], 'lib/new': [5_000_000, '1'] });
    assert.deepEqual(planned(later, record).ids, [
      'firmware#',
      'firmware#lib/amdgpu',
      'firmware#lib/intel',
      'firmware#lib/new',
      'firmware#lib/old',
    ]);
  });

  test('get no new part out of content that clients have', () => {
    const { record } = planned(build({ ...FIRST, 'lib/b/1': [20_000, '1'] }));
    const { record: grown } = planned(
      build({ ...FIRST, 'lib/b/1': [20_000, '1'], 'lib/amdgpu': [1_000_000, '2'] }),
      record,
    );
    const shrunk: Directories = {
      ...FIRST,
      'lib/b/1': [20_000, '1'],
      'lib/amdgpu': [1_000_000, '2'],
      'lib/intel': [500_000, '2'],
      'lib/old': [500_000, '2'],
    };
    assert.ok(!planned(build(shrunk), grown).ids.includes('firmware#lib/b'));
    const changed = build({ ...shrunk, 'lib/tiny': [11, '2'] });
    assert.ok(planned(changed, grown).ids.includes('firmware#lib/b'));
  });

  test('that came whole are split with the update that changes them, and not before', () => {
    const { record } = planned(build(FIRST), undefined, whole);
    assert.deepEqual(planned(build(FIRST), record).ids, ['firmware']);
    assert.deepEqual(planned(build({ ...FIRST, 'lib/tiny': [10, '2'] }), record).ids, PARTS);
  });

  test('keep their counts when they become parts, and become whole again', () => {
    const builds = ['1', '2', '3', '4'].map((version) =>
      build({ ...FIRST, 'lib/intel': [3_000_000, version] }),
    );
    let record: LayoutRecord | undefined;
    for (const [i, components] of builds.entries()) {
      record = planned(components, record, i % 2 === 1 ? expectedDownload : whole).record;
      const wanted = i === 0 ? undefined : { updates: i, changes: i };
      assert.deepEqual(record?.history?.get('firmware'), wanted);
    }
  });

  test('split as a plan file says', () => {
    const { plan, ids } = planned(build(FIRST));
    const strategy = strategyFromPlan(parsePlan(formatPlan(plan.layers)), silentLogger);
    const followed = planned(build(FIRST), undefined, strategy, plan.layers.length);
    assert.deepEqual(followed.ids, ids);
    assert.deepEqual(followed.plan.layers, plan.layers);
  });

  test('have at most four parts for each layer in all, the largest first', () => {
    const many = Array.from({ length: 150 }, (_, i) => [`lib/${i}`, [1e6 + i, '1']] as const);
    const one = build(Object.fromEntries(many)).filter(({ id }) => id === 'firmware');
    const all = ['a', 'b'].flatMap((suffix) =>
      one.map(({ divisible, ...each }) => ({
        ...each,
        id: each.id + suffix,
        divisible: divisible && {
          pieces: () => divisible.pieces(),
          part: (id: string, pieces: readonly number[]) => divisible.part(id, pieces),
        },
      })),
    );
    const { plan } = planned(all, undefined, expectedDownload, 48);
    assert.ok(plan.components.length <= 4 * 48);
    assert.ok(plan.components.length > 180);
    assert.ok(!plan.components.some(({ id }) => id === 'firmwareb#lib/0'));
  });

  test('of an unknown rate are taken to change as often as others of their size', () => {
    const idsWith = (size: number) => {
      const directories = { a: { size, version: '1' }, b: { size, version: '1' } };
      const generated = {
        name: 'generated',
        version: '1',
        size: 2 * size,
        changesPerYear: null,
        directories,
      };
      const text = JSON.stringify({ components: [generated] });
      const components = [...build(FIRST), ...parseBuild(text, 'build', '1').components];
      const { plan } = planned(components);
      return plan.components.map(({ id }) => id).filter((id) => id.startsWith('generated'));
    };
    assert.deepEqual(idsWith(150_000), ['generated']);
    assert.deepEqual(idsWith(1_500_000), ['generated#a', 'generated#b']);
  });

  test('an exclusive component is not split', () => {
    const components = build(FIRST).map((each) => ({ ...each, exclusive: each.id === 'firmware' }));
    assert.deepEqual(planned(components).ids, ['firmware']);
  });

  test('a component that is named like a part keeps the other whole', () => {
    const [large, ...others] = build(FIRST);
    const named = others.map((each, i) => (i === 0 ? { ...each, id: 'firmware#' } : each));
    assert.deepEqual(planned([large as LayoutComponent, ...named]).ids, ['firmware', 'firmware#']);
  });
});

/** Bytes of the layers of a plan that an image with another plan lacks. */
function fetched(to: LayoutPlan<LayoutComponent>, from: LayoutPlan<LayoutComponent>): number {
  const layersOf = ({ layers, components }: LayoutPlan<LayoutComponent>) => {
    const byId = new Map(components.map((each) => [each.id, each]));
    return layers.map((layer) => layer.components.map((id) => must(byId.get(id), id)));
  };
  const key = (layer: readonly LayoutComponent[]) =>
    JSON.stringify(layer.map(({ id, version }) => [id, version]));

  const known = new Set(layersOf(from).map(key));
  const added = layersOf(to).filter((layer) => !known.has(key(layer)));
  return added.flat().reduce((sum, { size }) => sum + size, 0);
}

test('a large package can become whole, then parts, and then one part is fetched alone', () => {
  const firmwareSize = 9_000_010;
  const otherSizes = 120_000;
  const strategies = [expectedDownload, whole, expectedDownload, expectedDownload];
  const plans: LayoutPlan<LayoutComponent>[] = [];
  let record: LayoutRecord | undefined;
  for (const [i, strategy] of strategies.entries()) {
    const components = build({ ...FIRST, 'lib/intel': [3_000_000, `${i}`] });
    const next = planned(components, record, strategy);
    plans.push(next.plan);
    record = next.record;
  }
  const costs = plans.slice(1).map((plan, i) => fetched(plan, must(plans[i], 'a plan')));
  const contents = [firmwareSize, firmwareSize, 3_000_000];
  for (const [i, content] of contents.entries()) {
    const cost = costs[i] ?? 0;
    assert.ok(cost >= content && cost < content + otherSizes, `update ${i}: ${cost} bytes`);
  }
});

test('labels of images with thousands of components and parts stay below the bound', () => {
  const many = Array.from({ length: 150 }, (_, i) => [`lib/vendor${i}`, [1e6 + i, '1']] as const);
  const [firmware] = build(Object.fromEntries(many));
  const keysOfLabel = (count: number) => {
    const others = Array.from({ length: count }, (_, i) => component(`package-${i}.x86_64`));
    const components = [must(firmware, 'firmware'), ...others];
    const plan = planLayout(components, { ...single, parts: 'any' }, { maxLayers: 95 });
    assert.ok(plan.components.length > components.length + 100);

    const label = encodeRecord(recordOf(plan), silentLogger);
    assert.ok(label === undefined || Buffer.byteLength(label) <= MAX_RECORD_BYTES);
    return label && Object.keys(JSON.parse(label));
  };
  const complete = ['version', 'layers', 'wholes', 'fingerprints'];
  assert.deepEqual(keysOfLabel(3000), complete);
  assert.deepEqual(keysOfLabel(4500), complete.slice(0, -1));
  assert.equal(keysOfLabel(10_000), undefined);
});

function component(id: string): LayoutComponent {
  return { id, name: id, source: id, version: '1', size: 1000, changesPerYear: 1 };
}

const directories = fc.dictionary(
  fc.stringMatching(/^[ab](\/[abc]){0,3}$/),
  fc.tuple(fc.integer({ min: 0, max: 1e7 }), fc.constantFrom('1', '2', '3')),
  { minKeys: 1, maxKeys: 40 },
);

test('in a series of builds every piece is in exactly one part, and parts are few', () => {
  const steps = fc.array(fc.tuple(directories, fc.constantFrom(60, 60, 30)), { maxLength: 5 });
  fc.assert(
    fc.property(steps, (all) => {
      let record: LayoutRecord | undefined;
      for (const [state, maxLayers] of all) {
        const components = build(state);
        const { plan, record: label } = planned(components, record, expectedDownload, maxLayers);
        const total = (each: readonly LayoutComponent[]) =>
          each.reduce((sum, { size }) => sum + size, 0);
        assert.equal(total(plan.components), total(components));
        const parts = plan.components.filter(({ partOf }) => partOf !== undefined);
        assert.ok(parts.length <= 4 * maxLayers);
        assert.equal(parts.length > 0, plan.wholes.length > 0);
        record = label;
      }
    }),
  );
});

test('what a file of components says of directories is read back, also of small components', () => {
  const others = { ...component('others'), size: 1e9 };
  const small = build({ a: [2_000_000, '1'], b: [2_000_000, '1'] })
    .filter(({ id }) => id === 'firmware')
    .map((each) => ({ ...each, changesPerYear: 52 }));
  for (const components of [build(FIRST), [others, ...small]]) {
    const again = parseBuild(formatBuild({ build: '1', components }), 'build', '1');
    const { ids } = planned(components);
    assert.ok(ids.length > 1);
    assert.deepEqual(planned(again.components).ids, ids);
  }
});
