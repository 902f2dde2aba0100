/** Runs asynchronous operations ahead of the one whose result is needed next. */

import { must } from '../errors.js';

export interface InOrderOptions<Item> {
  /** Most operations that run at the same time, or wait until their result is needed. */
  readonly limit: number;
  /** Most weight of these operations together; one that is heavier runs alone. */
  readonly maxWeight: number;
  readonly weightOf: (item: Item) => number;
}

/**
 * Yields the results of `run` in the order of the items. If one fails, its error is thrown in its
 * turn, and the operations that run then are awaited first.
 */
export async function* inOrder<Item, Result>(
  items: Iterable<Item>,
  run: (item: Item) => Promise<Result>,
  { limit, maxWeight, weightOf }: InOrderOptions<Item>,
): AsyncGenerator<Result> {
  const running: { readonly result: Promise<Result>; readonly weight: number }[] = [];
  let total = 0;
  const takeFirst = (): Promise<Result> => {
    const { result, weight } = must(running.shift(), 'the first operation');
    total -= weight;
    return result;
  };
  try {
    for (const item of items) {
      const weight = weightOf(item);
      while (running.length > 0 && (running.length === limit || total + weight > maxWeight)) {
        yield await takeFirst();
      }
      const result = run(item);
      result.catch(() => {}); // thrown when it is awaited
      running.push({ result, weight });
      total += weight;
    }
    while (running.length > 0) {
      yield await takeFirst();
    }
  } finally {
    await Promise.allSettled(running.map(({ result }) => result));
  }
}
