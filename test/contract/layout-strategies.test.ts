/** What every layout strategy must do. A new strategy is one line in `plugins/index.ts`. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { layoutNames, loadLayoutStrategy } from '../../plugins/index.js';
import { planLayout, proveLayout } from '../../src/layout/plan.js';
import type { LayoutRecord } from '../../src/layout/previous-layout.js';
import { recordOf } from '../../src/layout/record.js';
import type { ChangeHistory, Component, LayoutStrategy, PriorLayer } from '../../src/plugin.js';

const ids = fc.uniqueArray(
  fc.string({
    unit: fc.constantFrom('a', 'b', '.', '/', 'é', '\u{1f980}'),
    minLength: 1,
    maxLength: 6,
  }),
  { minLength: 1, maxLength: 40 },
);
const size = fc.oneof(fc.constantFrom(0, 1, 4096, 5e9), fc.nat(1e8));
const rate = fc.oneof(
  fc.constantFrom(0, 0.01, Infinity),
  fc.double({ min: 0, max: 400, noNaN: true }),
);
const given = ids.chain((all) =>
  fc.record({
    components: fc.tuple(
      ...all.map((id) =>
        fc.record({
          id: fc.constant(id),
          name: fc.constant(id),
          source: fc.constantFrom(id, 'glibc', 'kernel'),
          size,
          changesPerYear: rate,
          version: fc.constantFrom('1', '2'),
        }),
      ),
    ),
    maxLayers: fc.integer({ min: 1, max: 50 }),
    maxLayerSize: fc.option(fc.constantFrom(1, 1e6, 1e12), { nil: undefined }),
    prior: fc.option(priorOf(all), { nil: undefined }),
    history: fc.option(historyOf(all), { nil: undefined }),
    clientCadence: fc.constantFrom(undefined, [1], [1, 4], [100]),
  }),
);

/** Layers of a previous image with some of the ids; there may be empty ones, and too many. */
function priorOf(all: readonly string[]): fc.Arbitrary<PriorLayer[]> {
  const places = fc.tuple(...all.map(() => fc.option(fc.nat(59))));
  const dirty = fc.array(fc.boolean(), { minLength: 60, maxLength: 60 });
  return fc.tuple(places, dirty).map(([places, dirty]) =>
    dirty.map((isDirty, layer) => ({
      components: all.filter((_, i) => places[i] === layer).sort(),
      dirty: isDirty,
    })),
  );
}

function historyOf(all: readonly string[]): fc.Arbitrary<ChangeHistory> {
  const count = fc
    .tuple(fc.nat(128), fc.nat(128))
    .map(([updates, changes]) => ({ updates, changes: Math.min(updates, changes) }));
  return fc
    .tuple(...all.map(() => fc.option(count)))
    .map(
      (counts) => new Map(all.flatMap((id, i) => (counts[i] ? [[id, counts[i]] as const] : []))),
    );
}

function plan(
  strategy: LayoutStrategy,
  {
    components,
    maxLayers,
    maxLayerSize,
    prior,
    history,
    clientCadence,
  }: typeof given extends fc.Arbitrary<infer T> ? T : never,
) {
  return strategy.plan(components, { maxLayers, maxLayerSize, prior, history, clientCadence });
}

const many = (count: number): Component[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `package-${i}.x86_64`,
    name: `package-${i}`,
    source: `source-${i % Math.ceil(count / 2)}`,
    size: ((i * 7919) % 1000) ** 2,
    changesPerYear: (i * 31) % 50,
    version: '1',
  }));

for (const name of layoutNames) {
  const strategy = (await loadLayoutStrategy(name)) as LayoutStrategy;
  suite(`layout strategy ${name}`, () => {
    test('has its name and a description', () => {
      assert.equal(strategy.name, name);
      assert.match(strategy.description, /^[^\n]{10,100}$/);
    });

    test('puts every component into exactly one of at most as many layers as allowed', () => {
      fc.assert(
        fc.property(given, (input) => {
          const { layers } = plan(strategy, input);
          proveLayout(
            name,
            layers,
            input.components.map(({ id }) => id),
            input.maxLayers,
          );
        }),
        { numRuns: 300 },
      );
    });

    test('gives the same layout every time and for any order of the components', () => {
      fc.assert(
        fc.property(given, fc.infiniteStream(fc.nat()), (input, keys) => {
          const shuffled = input.components
            .map((component) => ({ component, key: keys.next().value as number }))
            .sort((a, b) => a.key - b.key)
            .map(({ component }) => component);
          const sorted = ({ layers }: ReturnType<typeof plan>) =>
            layers.map(({ components }) => components.toSorted());
          const first = sorted(plan(strategy, input));
          assert.deepEqual(sorted(plan(strategy, input)), first);
          assert.deepEqual(sorted(plan(strategy, { ...input, components: shuffled })), first);
        }),
      );
    });

    test('does not change its input', () => {
      fc.assert(
        fc.property(given, (input) => {
          const before = structuredClone(input);
          plan(strategy, input);
          assert.deepEqual(structuredClone(input), before);
        }),
        { numRuns: 30 },
      );
    });

    test('plans every build of a random series with changing components and limits', () => {
      fc.assert(
        fc.property(
          fc.array(given, { minLength: 2, maxLength: 5 }),
          fc.boolean(),
          (builds, fromOtherTool) => {
            let previous: LayoutRecord | undefined;
            for (const { components, maxLayers, maxLayerSize } of builds) {
              const limits = {
                maxLayers,
                maxLayerSize,
                previous,
              };
              const plan = planLayout(components, strategy, limits); // proves the layout
              assert.ok(plan.layers.length <= maxLayers);
              previous = { ...recordOf(plan), fromOtherTool };
            }
          },
        ),
        { numRuns: 50 },
      );
    });

    test('handles a large distribution at any limit', () => {
      const components = many(2500);
      for (const maxLayers of [1, 2, 3, 63, 2499, 2500, 5000]) {
        proveLayout(
          name,
          strategy.plan(components, { maxLayers }).layers,
          components.map(({ id }) => id),
          maxLayers,
        );
      }
    });
  });
}

test('names of object properties, such as `constructor`, are not layout names', async () => {
  for (const name of ['nothing', 'constructor', '__proto__']) {
    assert.equal(await loadLayoutStrategy(name), undefined);
  }
});
