import type { OwnedComponent } from '../../components/assign.js';

const HOUR = 3600;
/** What changes in every build, and what has no build time: the largest u32, as rpm-ostree has it for unpackaged content. */
const ALWAYS = 0xffff_ffff;

/** What `rpm-ostree compose container-encapsulate --write-contentmeta-json` writes of each component (ObjectSourceMetaSized). */
export function contentMeta(components: readonly OwnedComponent[]): readonly object[] {
  const buildTimes = components.map(buildTime);
  const first = Math.min(...buildTimes.filter((time) => time !== undefined));
  return components.map(({ id, name, source, changesPerYear, facts, size }, i) => {
    const time = buildTimes[i];
    return {
      identifier:
        facts.packages.length > 0 ? facts.packages.map(({ nevra }) => nevra).join(' and ') : id,
      name,
      srcid: source,
      change_time_offset: time === undefined ? ALWAYS : Math.floor((time - first) / HOUR),
      change_frequency: changesPerYear === Infinity ? ALWAYS : Math.round(changesPerYear),
      size,
    };
  });
}

function buildTime({ facts }: OwnedComponent): number | undefined {
  const times = facts.packages.flatMap((one) => one.buildTime ?? []);
  return times.length > 0 ? Math.max(...times) : undefined;
}
