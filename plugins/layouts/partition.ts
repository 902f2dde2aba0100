/** What is placed as one: bytes, and the probability that none of them changes with the next update. */
export interface Item {
  readonly size: number;
  readonly stays: number;
}

/**
 * Groups `items` into at most `count` groups by merging, again and again, the two groups whose union costs least more
 * than they do; returns each item's group, numbered from 0. A group costs size x (1 - the product of `stays`).
 * Quadratic in time: every group knows its best later partner. Unions over `maxSize` bytes come last.
 */
export function agglomerate(items: readonly Item[], count: number, maxSize = Infinity): number[] {
  const n = items.length;
  const size = Float64Array.from(items, (item) => item.size);
  const stays = Float64Array.from(items, (item) => item.stays);
  const cost = size.map((bytes, i) => bytes * (1 - at(stays, i)));
  const partner = new Int32Array(n).fill(-1);
  const increase = new Float64Array(n).fill(Infinity);
  const into = Int32Array.from({ length: n }, (_, i) => i);
  const alive = Array.from({ length: n }, (_, i) => i);

  const union = (i: number, j: number): number => {
    const bytes = at(size, i) + at(size, j);
    const more = bytes * (1 - at(stays, i) * at(stays, j)) - at(cost, i) - at(cost, j);
    // Any union within the limit is cheaper than one beyond it; all finite, so that `count` is always reached.
    return bytes > maxSize ? more + bytes * n * 2 : more;
  };
  const search = (i: number): void => {
    increase[i] = Infinity;
    for (const j of alive) {
      if (j <= i) continue;
      const more = union(i, j);
      if (more < at(increase, i)) {
        increase[i] = more;
        partner[i] = j;
      }
    }
  };
  for (const i of alive) search(i);
  while (alive.length > Math.max(1, count)) {
    let best = -1;
    for (const i of alive) if (at(increase, i) < (best < 0 ? Infinity : at(increase, best))) best = i;
    const gone = at(partner, best);
    into[gone] = best;
    alive.splice(alive.indexOf(gone), 1);
    size[best] = at(size, best) + at(size, gone);
    stays[best] = at(stays, best) * at(stays, gone);
    cost[best] = at(size, best) * (1 - at(stays, best));
    search(best);
    for (const i of alive) {
      if (i === best) continue;
      if (at(partner, i) === gone || at(partner, i) === best) search(i);
      else if (i < best && union(i, best) < at(increase, i)) {
        increase[i] = union(i, best);
        partner[i] = best;
      }
    }
  }
  const number = new Map(alive.map((i, group) => [i, group]));
  const root = (i: number): number => (at(into, i) === i ? i : root(at(into, i)));
  return Array.from(into, (_, i) => number.get(root(i)) ?? 0);
}

function at(array: Float64Array | Int32Array, i: number): number {
  return array[i] ?? 0;
}
