/**
 * Treemaps: areas in proportion to bytes, in boxes that are as square as possible. The boxes are
 * HTML, not SVG: their labels keep their size at any width and end where their box ends.
 */
import { type HierarchyRectangularNode, hierarchy, treemap, treemapSquarify } from 'd3-hierarchy';
import { formatBytes, formatCount } from '../output/format.js';
import { type Element, element, percent } from './element.js';

export interface TreemapItem {
  readonly name: string;
  /** A second line below the name, where there is room. */
  readonly detail?: string | undefined;
  /** Bytes; any unit, if `weight` is given for the group. */
  readonly size: number;
  /** What is known about it, for who points at it. */
  readonly title: string;
  /** Its color: a class of the style. */
  readonly tone: string;
}

/** Boxes that are together, such as the packages in a layer. */
export interface TreemapGroup {
  readonly name: string;
  /** Bytes: the area of the group, whatever its items add up to. */
  readonly size: number;
  readonly items: readonly TreemapItem[];
}

/** The proportions that boxes are squared for. */
const WIDTH = 976;
const HEIGHT = 512;
/** Height of a label of a group. */
const LABEL_HEIGHT = 17;
/** A smaller group has no label. */
const MIN_LABELED_WIDTH = 100;
const MIN_LABELED_HEIGHT = 48;
/** Items of a group that are drawn apart: the largest ones. */
const MAX_ITEMS = 40;
/** Groups that are drawn apart: the largest ones. */
const MAX_GROUPS = 150;

interface Datum {
  readonly group?: TreemapGroup | undefined;
  readonly item?: TreemapItem | undefined;
  readonly children?: readonly Datum[] | undefined;
  /** Its share of the whole. */
  readonly area?: number | undefined;
}
type Node = HierarchyRectangularNode<Datum>;

/** @param label describes the drawing to those who cannot see it */
export function treemapDrawing(label: string, groups: readonly TreemapGroup[]): Element {
  const children = boundedGroups(groups).map(groupDatum);
  const root = hierarchy<Datum>({ children }, ({ children = [] }) => children);
  root.sum(({ area = 0 }) => area);
  root.sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
  const layOut = treemap<Datum>()
    .tile(treemapSquarify)
    .size([WIDTH, HEIGHT])
    .paddingOuter((node) => (node.depth === 1 ? 1 : 0))
    .paddingTop((node) => (isLabeled(node) ? LABEL_HEIGHT : Number(node.depth === 1)));
  const boxes = layOut(root)
    .descendants()
    .flatMap((node) => boxOf(node) ?? []);
  return element('div', { class: 'treemap', role: 'img', 'aria-label': label }, boxes);
}

function boundedGroups(groups: readonly TreemapGroup[]): readonly TreemapGroup[] {
  const sorted = groups.filter(({ size }) => size > 0).toSorted((a, b) => b.size - a.size);
  const rest = sorted.slice(MAX_GROUPS);
  if (rest.length === 0) {
    return sorted;
  }
  const size = rest.reduce((sum, group) => sum + group.size, 0);
  const name = `${formatCount(rest.length)} more layers`;
  const item = {
    name,
    size,
    title: `${name}: ${formatBytes(size)}`,
    tone: 'kept',
  };
  return [...sorted.slice(0, MAX_GROUPS), { name, size, items: [item] }];
}

/** Divides the area of a group by the sizes of its items. */
function groupDatum(group: TreemapGroup): Datum {
  const items = boundedItems(group.items);
  const total = items.reduce((sum, { size }) => sum + size, 0);
  const children = items.map((item) => {
    const share = total > 0 ? item.size / total : 1 / items.length;
    return {
      item,
      area: share * group.size,
    };
  });
  return {
    group,
    children,
  };
}

/** The rest of each color is one box, so that no color is lost. */
function boundedItems(items: readonly TreemapItem[]): readonly TreemapItem[] {
  const sorted = items.toSorted((a, b) => b.size - a.size);
  const rest = sorted.slice(MAX_ITEMS);
  const tones = new Set(rest.map(({ tone }) => tone));
  const merged = Array.from(tones, (tone) => {
    const others = rest.filter((item) => item.tone === tone);
    const size = others.reduce((sum, item) => sum + item.size, 0);
    const name = `${formatCount(others.length)} more`;
    return {
      name,
      size,
      title: name,
      tone,
    };
  });
  return [...sorted.slice(0, MAX_ITEMS), ...merged];
}

function isLabeled(node: Node): boolean {
  return (
    node.depth === 1 &&
    (node.children?.length ?? 0) > 1 &&
    node.x1 - node.x0 >= MIN_LABELED_WIDTH &&
    node.y1 - node.y0 >= MIN_LABELED_HEIGHT
  );
}

function boxOf(node: Node): Element | undefined {
  const { item, group } = node.data;
  const style = positionOf(node);
  if (item !== undefined) {
    const lines = item.detail === undefined ? [item.name] : [item.name, item.detail];
    const labels = lines.map((line) => element('span', {}, [line]));
    return element('div', { class: `box ${item.tone}`, style, title: item.title }, labels);
  }
  if (group === undefined || !isLabeled(node)) {
    return undefined;
  }
  const label = element('span', {}, [group.name]);
  return element('div', { class: 'layer', style, title: group.name }, [label]);
}

function positionOf({ x0, x1, y0, y1 }: Node): string {
  const lengths = {
    left: x0 / WIDTH,
    top: y0 / HEIGHT,
    width: (x1 - x0) / WIDTH,
    height: (y1 - y0) / HEIGHT,
  };
  return Object.entries(lengths)
    .map(([name, share]) => `${name}:${percent(share)}`)
    .join(';');
}

/** @param entries pairs of a class of the style and what it means */
export function colorLegend(entries: readonly (readonly [tone: string, text: string])[]): Element {
  const items = entries.map(([tone, text]) =>
    element('li', {}, [element('span', { class: `swatch ${tone}` }), text]),
  );
  return element('ul', { class: 'legend' }, items);
}
