/** What is placed as one: a source package's components, or a whole layer of the previous image. */
export interface Item {
  readonly size: number;
  /** The probability that none of it changes with the next update. */
  readonly stays: number;
  /** What an update pays once when this shares its layer with anything else: nobody fetches it otherwise. */
  readonly moving?: number | undefined;
}

interface Group {
  size: number;
  stays: number;
  moving: number;
  items: number[];
}

/**
 * Groups `items` into at most `count` groups so that the expected bytes, the sum of size x (1 - the product of `stays`),
 * are few: first the two groups whose union costs least more than they do are merged, again and again, then items
 * move to other groups while that costs less. No group exceeds `maxSize` unless one item does, or `count` asks for it.
 * Returns indices of `items` by group. Quadratic in time up to {@link MAX_PAIRWISE} items, where every group knows its
 * best later partner; of more, neighbours by probability are merged first.
 */
export function partition(items: readonly Item[], count: number, maxSize = Infinity): number[][] {
  const groups = agglomerate(
    narrow(
      items.map(({ size, stays, moving = 0 }, i) => ({ size, stays, moving, items: [i] })),
      Math.max(MAX_PAIRWISE, count),
      maxSize,
    ),
    Math.max(1, count),
    maxSize,
  );
  climb(groups, items, maxSize);
  return groups.map((group) => group.items);
}

const cost = (size: number, stays: number): number => size * (1 - stays);

/** What `a` and `b` as one cost more than each alone. Beyond `maxSize` it is more than any union within it, but finite. */
function increase(a: Group, b: Group, maxSize: number): number {
  const size = a.size + b.size;
  const more =
    cost(size, a.stays * b.stays) -
    cost(a.size, a.stays) -
    cost(b.size, b.stays) +
    a.moving +
    b.moving;
  return size > maxSize ? Number.MAX_SAFE_INTEGER + size : more;
}

/** Pairs of as many are compared in a fraction of a second. A distribution has 200 to 600 source packages. */
const MAX_PAIRWISE = 1000;

/**
 * At most `count` groups: of those next to each other in order of probability, the two that cost least together are
 * merged, again and again. What is merged here is small, and changes as seldom.
 */
function narrow(alone: Group[], count: number, maxSize: number): Group[] {
  if (alone.length <= count) {
    return alone;
  }
  const line = alone.toSorted((a, b) => a.stays - b.stays || a.size - b.size);
  const pair = (i: number): number =>
    i < 0 || i + 1 >= line.length
      ? Infinity
      : increase(line[i] as Group, line[i + 1] as Group, maxSize);
  const more = line.map((_, i) => pair(i));
  while (line.length > count) {
    let at = 0;
    for (let i = 1; i < more.length; i++) {
      if ((more[i] as number) < (more[at] as number)) {
        at = i;
      }
    }
    line.splice(at, 2, union(line[at] as Group, line[at + 1] as Group));
    more.splice(at, 2, pair(at));
    if (at > 0) {
      more[at - 1] = pair(at - 1);
    }
  }
  return line;
}

function agglomerate(alone: Group[], count: number, maxSize: number): Group[] {
  const alive = [...alone.keys()];
  const partner = new Int32Array(alone.length).fill(-1);
  const least = new Float64Array(alone.length).fill(Infinity);
  const at = (i: number): Group => alone[i] as Group;
  const best = (i: number): number => least[i] as number;
  const search = (i: number): void => {
    least[i] = Infinity;
    for (let k = alive.length - 1; k >= 0 && (alive[k] as number) > i; k--) {
      const j = alive[k] as number;
      const more = increase(at(i), at(j), maxSize);
      if (more > best(i)) {
        continue;
      }
      least[i] = more;
      partner[i] = j;
    }
  };
  if (alive.length > count) {
    alive.forEach(search);
  }
  while (alive.length > count) {
    const kept = alive.reduce((a, b) => (best(b) < best(a) ? b : a));
    const gone = partner[kept] as number;
    alive.splice(alive.indexOf(gone), 1);
    alone[kept] = union(at(kept), at(gone));
    search(kept);
    for (const i of alive) {
      if (i === kept) {
        continue;
      }
      if (partner[i] === gone || partner[i] === kept) {
        search(i);
      } else if (i < kept && increase(at(i), at(kept), maxSize) < best(i)) {
        least[i] = increase(at(i), at(kept), maxSize);
        partner[i] = kept;
      }
    }
  }
  return alive.map(at);
}

function union(a: Group, b: Group): Group {
  return {
    size: a.size + b.size,
    stays: a.stays * b.stays,
    moving: 0,
    items: [...a.items, ...b.items],
  };
}

/** A round rarely finds anything after the tenth; the bound is for inputs nobody has seen. */
const MAX_ROUNDS = 50;
/** Bytes: less than this is rounding. */
const LEAST_GAIN = 1e-3;

/** Moves items one by one to the group where they cost least, until none gains. */
function climb(groups: readonly Group[], items: readonly Item[], maxSize: number): void {
  for (let round = 0, moved = true; moved && round < MAX_ROUNDS; round++) {
    moved = false;
    for (const from of groups) {
      for (const i of [...from.items]) {
        if (from.items.length === 1) {
          break;
        }
        const to = betterGroup(i, from, groups, items, maxSize);
        if (to === undefined) {
          continue;
        }
        const item = items[i] as Item;
        Object.assign(from, without(from, i, items));
        Object.assign(to, union(to, { ...item, moving: 0, items: [i] }));
        moved = true;
      }
    }
  }
}

function betterGroup(
  i: number,
  from: Group,
  groups: readonly Group[],
  items: readonly Item[],
  maxSize: number,
): Group | undefined {
  const { size, stays } = items[i] as Item;
  // Making the product anew for each of a group of thousands takes seconds; only a zero asks for it.
  const left = from.stays > 0 ? from.stays / stays : without(from, i, items).stays;
  const saved = cost(from.size, from.stays) - cost(from.size - size, left);
  let best: Group | undefined;
  let least = saved - LEAST_GAIN;
  for (const group of groups) {
    if (group === from || group.size + size > maxSize) {
      continue;
    }
    const more =
      cost(group.size + size, group.stays * stays) - cost(group.size, group.stays) + group.moving;
    if (more >= least) {
      continue;
    }
    least = more;
    best = group;
  }
  return best;
}

/** `group` without item i. The product is made anew: `stays` may be 0. */
function without(group: Group, i: number, items: readonly Item[]): Group {
  const rest = group.items.filter((each) => each !== i);
  return {
    size: group.size - (items[i] as Item).size,
    stays: rest.reduce((product, each) => product * (items[each] as Item).stays, 1),
    moving: group.moving,
    items: rest,
  };
}
