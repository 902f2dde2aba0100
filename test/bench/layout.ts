/**
 * Rows of the bench: planning the layers of a large system, and of one that is five times as large,
 * which must take far less than 25 times as long. No other program does only this, so there is no
 * reference.
 */
import { expectedDownload } from '../../plugins/layouts/expected-download.js';
import type { LayoutComponent } from '../../src/components/component.js';
import { planLayout } from '../../src/layout/plan.js';
import { parseBuild } from '../../src/layout/series.js';
import type { Subject } from './subjects.js';

const COUNTS = [2000, 10_000];
const PER_SOURCE = 3;
const LAYERS = 63;

export function layoutSubjects(): Subject[] {
  const whole = COUNTS.map((count) => subject(count, '', () => components(count)));
  const [count = 0] = COUNTS;
  const split = () => [...components(count), ...firmware()];
  return [...whole, subject(count, ' and parts of four', split)];
}

function subject(count: number, more: string, make: () => LayoutComponent[]): Subject {
  return {
    name: `layout of ${count.toLocaleString('en-US')} components${more}`,
    run: () => {
      const all = make();
      const start = performance.now();
      const before = process.cpuUsage();
      planLayout(all, expectedDownload, { maxLayers: LAYERS });

      const { user, system } = process.cpuUsage(before);
      return { seconds: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 };
    },
  };
}

/** Packages that are large enough to be split, with more directories than there may be parts. */
function firmware(): LayoutComponent[] {
  const directories = Array.from({ length: 150 }, (_, i) => [
    `usr/lib/firmware/vendor${i}`,
    { size: 20_000_000 + i, version: '1' },
  ]);
  const size = 150 * 20_000_000 + (150 * 149) / 2;
  const components = Array.from({ length: 4 }, (_, i) => ({
    name: `firmware-${i}`,
    version: '1',
    size,
    changesPerYear: 52,
    directories: Object.fromEntries(directories),
  }));
  return [...parseBuild(JSON.stringify({ components }), 'build', 'bench').components];
}

/**
 * Components of 1 kB to 60 MB that change from never to weekly, spread as on real systems, where
 * most are small and seldom change.
 */
function components(count: number): LayoutComponent[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `package-${i}.x86_64`,
    name: `package-${i}.x86_64`,
    source: `source-${Math.floor(i / PER_SOURCE)}`,
    size: Math.round(1000 * 60_000 ** (((i * 7919) % count) / count)),
    changesPerYear: 52 * (((i * 104729) % count) / count) ** 4,
    version: '1',
  }));
}
