/** HTML and SVG elements. Text and attribute values are escaped, so that markup stays markup. */
import { printableLines } from '../../output/print.js';

/** Markup that {@link element} made. */
export class Element {
  readonly html: string;

  constructor(html: string) {
    this.html = html;
  }
}

type Attributes = Readonly<Record<string, string | number>>;

/** Returns `<name attributes>children</name>`. Strings among the children are text. */
export function element(
  name: string,
  attributes: Attributes = {},
  children: readonly (Element | string)[] = [],
): Element {
  const values = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${escaped(`${value}`)}"`,
  );
  const start = `<${name}${values.join('')}`;
  if (children.length === 0) {
    return new Element(`${start}/>`);
  }
  const content = children.map((each) => (each instanceof Element ? each.html : escaped(each)));
  return new Element(`${start}>${content.join('')}</${name}>`);
}

function escaped(text: string): string {
  return printableLines(text).replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
