export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Boxes in proportion to `sizes` (descending, all above 0) that fill width x height, as square as rows allow (Bruls et al. 2000). */
export function squarify(sizes: readonly number[], width: number, height: number): readonly Box[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const areas = sizes.map((size) => (size * width * height) / total);
  const boxes: Box[] = [];
  let free: Box = { x: 0, y: 0, width, height };
  for (let first = 0; first < areas.length; ) {
    const side = Math.min(free.width, free.height);
    let count = 1;
    while (
      first + count < areas.length &&
      worst(areas.slice(first, first + count + 1), side) <=
        worst(areas.slice(first, first + count), side)
    ) {
      count++;
    }
    const row = areas.slice(first, first + count);
    const depth = row.reduce((sum, area) => sum + area, 0) / side;
    let along = 0;
    for (const area of row) {
      const length = area / depth;
      boxes.push(
        free.width < free.height
          ? { x: free.x + along, y: free.y, width: length, height: depth }
          : { x: free.x, y: free.y + along, width: depth, height: length },
      );
      along += length;
    }
    free =
      free.width < free.height
        ? { ...free, y: free.y + depth, height: free.height - depth }
        : { ...free, x: free.x + depth, width: free.width - depth };
    first += count;
  }
  return boxes;
}

/** The largest ratio of the sides of boxes in a row along `side`. */
function worst(row: readonly number[], side: number): number {
  const sum = row.reduce((all, area) => all + area, 0);
  return Math.max(
    ...row.map((area) =>
      Math.max((side * side * area) / sum ** 2, sum ** 2 / (side * side * area)),
    ),
  );
}
