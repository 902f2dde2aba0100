/** HTML and SVG elements. Text and attribute values are escaped, so that markup stays markup. */
import { printableLines } from '../output/print.js';

/** Markup that {@link element} made. */
export class Element {
  readonly html: string;

  constructor(html: string) {
    this.html = html;
  }
}

export type Content = Element | string;

/** Attributes that are undefined are left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Returns a share of 1 as a length in CSS. Two digits after the point are finer than a pixel. */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}

/** Elements of HTML that have no content, hence no end tag. */
const VOID = new Set(['meta', 'br', 'col']);

/** Returns `<name attributes>children</name>`. Strings among the children are text. */
export function element(
  name: string,
  attributes: Attributes = {},
  children: readonly Content[] = [],
): Element {
  let start = `<${name}`;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) {
      start += ` ${key}="${escaped(`${value}`)}"`;
    }
  }
  if (VOID.has(name)) {
    return new Element(`${start}>`);
  }
  const content = children.map(htmlOf);
  return new Element(`${start}>${content.join('')}</${name}>`);
}

function htmlOf(content: Content): string {
  return content instanceof Element ? content.html : escaped(content);
}

function escaped(text: string): string {
  return printableLines(text).replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
