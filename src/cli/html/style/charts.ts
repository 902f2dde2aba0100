/** The style of charts: lines that differ in color and dashes, and the labels beside them. */

const DASHES = [
  '', // a solid line
  '7 3',
  '2 3',
  '9 3 2 3',
  '12 4',
  '4 2',
  '1 4',
];

/** Number of lines that can be told apart. */
export const LINE_STYLES = DASHES.length;

const LINES = DASHES.map((dashes, i) => {
  const stroke = `stroke: var(--line-${i + 1})`;
  const dashed = dashes === '' ? '' : `; stroke-dasharray: ${dashes}`;
  return `path.line-${i + 1} { ${stroke}${dashed} }`;
});

export const CHARTS = `
.plot {
  display: grid;
  grid-template: 17rem 1.6rem / auto minmax(0, 1fr);
  column-gap: .5rem;
  font-size: .8rem;
  color: var(--muted);
  font-variant-numeric: tabular-nums;
  margin: 1rem 0 .5rem;
}
.plot > svg {
  width: 100%;
  height: 100%;
  overflow: visible;
  grid-area: 1 / 2;
}
.plot path,
.sample path {
  fill: none;
  vector-effect: non-scaling-stroke;
  stroke-width: 2;
}
.plot path.area-1 {
  fill: var(--area-1);
  stroke: none;
}
.plot path.area-2 {
  fill: var(--area-2);
  stroke: none;
}
.area-1 {
  background: var(--area-1);
}
.area-2 {
  background: var(--area-2);
}
.plot path.rule {
  stroke: var(--rule);
  stroke-width: 1;
}
.scale-y {
  position: relative;
  min-width: 4rem;
}
.scale-y span {
  position: absolute;
  right: 0;
  transform: translateY(50%);
  white-space: nowrap;
}
.scale-x {
  position: relative;
  grid-area: 2 / 2;
}
.scale-x span {
  position: absolute;
  top: .3rem;
  transform: translateX(-50%);
  white-space: nowrap;
}
.scale-x span.first {
  transform: none;
}
.scale-x span.last {
  transform: translateX(-100%);
}
${LINES.join('\n')}
`;
