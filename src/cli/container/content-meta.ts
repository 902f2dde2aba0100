/**
 * The file of `container-encapsulate --write-contentmeta-json`: for each component what
 * `rpm-ostree compose container-encapsulate` writes, ObjectSourceMetaSized of
 * https://github.com/ostreedev/ostree-rs-ext/blob/main/lib/src/chunking.rs
 */
import type { PlannedComponent } from '../../components/assign.js';

const SECONDS_PER_HOUR = 3600;
/**
 * The offset of a component without a build time, and the frequency of one that every build
 * changes: the largest u32, which rpm-ostree writes for content without a package.
 */
const ALWAYS = 0xffff_ffff;

export function contentMeta(components: readonly PlannedComponent[]): readonly object[] {
  const buildTimes = components.map(buildTime);
  const oldest = Math.min(...buildTimes.filter((time) => time !== undefined));
  return components.map((component, i) => {
    const time = buildTimes[i];
    const { changesPerYear } = component;
    return {
      identifier: identifierOf(component),
      name: component.name,
      srcid: component.source,
      change_time_offset:
        time === undefined ? ALWAYS : Math.floor((time - oldest) / SECONDS_PER_HOUR),
      change_frequency: changesPerYear === Infinity ? ALWAYS : Math.round(changesPerYear),
      size: component.size,
    };
  });
}

function identifierOf({ id, facts }: PlannedComponent): string {
  const nevras = facts.packages.map(({ nevra }) => nevra);
  return nevras.length > 0 ? nevras.join(' and ') : id;
}

/** Returns the time of the newest package, in seconds since 1970. */
function buildTime({ facts }: PlannedComponent): number | undefined {
  const times = facts.packages.flatMap((each) => each.buildTime ?? []);
  return times.length > 0 ? Math.max(...times) : undefined;
}
