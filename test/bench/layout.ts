/** What planning the layers of a large system costs: no references, for no other program does only this. */
import { expectedDownload } from '../../plugins/layouts/expected-download.js';
import { type PlannedComponent, planLayout } from '../../src/layout/plan.js';
import type { Subject } from './subjects.js';

const COMPONENTS = 2000;
const PER_SOURCE = 3;
const LAYERS = 63;

export function layoutSubjects(): Subject[] {
  return [
    {
      name: `layout of ${COMPONENTS.toLocaleString('en-US')} components`,
      run: () => {
        const start = performance.now();
        const before = process.cpuUsage();
        planLayout(components(), expectedDownload, { maxLayers: LAYERS });
        const { user, system } = process.cpuUsage(before);
        return { seconds: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 };
      },
    },
  ];
}

/** Sizes from 1 kB to 60 MB and rates from never to weekly, spread as on real systems: small and seldom are most. */
function components(): PlannedComponent[] {
  return Array.from({ length: COMPONENTS }, (_, i) => ({
    id: `package-${i}.x86_64`,
    name: `package-${i}.x86_64`,
    source: `source-${Math.floor(i / PER_SOURCE)}`,
    size: Math.round(1000 * 60_000 ** (((i * 7919) % COMPONENTS) / COMPONENTS)),
    changesPerYear: 52 * (((i * 104729) % COMPONENTS) / COMPONENTS) ** 4,
    version: '1',
  }));
}
