/**
 * Squarified treemaps: divides a rectangle into boxes of given areas that are as square as rows of
 * boxes allow. Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000,
 * https://www.win.tue.nl/~vanwijk/stm.pdf
 */

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Returns a box for each of `sizes`, in their order. Together they fill `width` x `height`.
 * @param sizes descending, all above 0
 */
export function squarify(sizes: readonly number[], width: number, height: number): readonly Box[] {
  const total = sum(sizes);
  const areas = sizes.map((size) => (size * width * height) / total);
  const boxes: Box[] = [];
  let free: Box = { x: 0, y: 0, width, height };
  for (let first = 0; first < areas.length; ) {
    const row = nextRow(areas.slice(first), Math.min(free.width, free.height));
    boxes.push(...placeRow(row, free));
    free = remaining(row, free);
    first += row.length;
  }
  return boxes;
}

/**
 * Returns the areas of the next row along `side`: it grows as long as its least square box does not
 * become less square.
 */
function nextRow(areas: readonly number[], side: number): readonly number[] {
  let count = 1;
  while (
    count < areas.length &&
    worstRatio(areas.slice(0, count + 1), side) <= worstRatio(areas.slice(0, count), side)
  ) {
    count++;
  }
  return areas.slice(0, count);
}

/** Places a row along the shorter side of `free`. */
function placeRow(row: readonly number[], free: Box): readonly Box[] {
  const isAcross = free.width < free.height;
  const depth = sum(row) / Math.min(free.width, free.height);
  let offset = 0;
  return row.map((area) => {
    const length = area / depth;
    const box = isAcross
      ? { x: free.x + offset, y: free.y, width: length, height: depth }
      : { x: free.x, y: free.y + offset, width: depth, height: length };
    offset += length;
    return box;
  });
}

function remaining(row: readonly number[], free: Box): Box {
  const depth = sum(row) / Math.min(free.width, free.height);
  return free.width < free.height
    ? { ...free, y: free.y + depth, height: free.height - depth }
    : { ...free, x: free.x + depth, width: free.width - depth };
}

/** Returns the largest ratio of the sides of a box, in a row of these areas along `side`. */
function worstRatio(row: readonly number[], side: number): number {
  const total = sum(row);
  const ratios = row.map((area) => {
    const ratio = (side * side * area) / total ** 2;
    return Math.max(ratio, total ** 2 / (side * side * area));
  });
  return Math.max(...ratios);
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
