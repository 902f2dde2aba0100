/** Values and headers as XML and JSON, as `rpm --xml` and `rpm --json` print them. */

/** What is printed around the values. */
export interface Markup {
  /** Around all tags of a package. */
  readonly header: readonly [open: string, close: string];
  /** Between two tags. */
  readonly separator: string;
  /** Around the values of a tag that has `count` of them. */
  tag(name: string, count: number): readonly [open: string, close: string];
  /** Around one of them. */
  value(index: number, count: number): readonly [open: string, close: string];
}

/** Nothing. */
export const PLAIN: Markup = {
  header: ['', ''],
  separator: '',
  tag: () => ['', ''],
  value: () => ['', ''],
};

export const XML: Markup = {
  header: ['<rpmHeader>\n', '</rpmHeader>\n'],
  separator: '',
  tag: (name) => [`  <rpmTag name="${titleCase(name)}">\n`, '  </rpmTag>\n'],
  value: () => ['', ''],
};

const JSON_OBJECT: Markup = {
  header: ['{\n', '\n}\n'],
  separator: ',\n',
  tag(name, count) {
    const key = `    "${titleCase(name)}": `;
    return count > 1 ? [`${key}[\n`, '    ]'] : [key, ''];
  },
  value(index, count) {
    const comma = index < count - 1 ? ',' : '';
    return count > 1 ? ['\t', `${comma}\n`] : ['\t', ''];
  },
};

/** By the name of the conversion. */
export const MARKUPS: ReadonlyMap<string, Markup> = new Map([
  ['xml', XML],
  ['json', JSON_OBJECT],
]);

/** Returns the name of a tag as rpm shows it: `Buildtime`. */
export function titleCase(name: string): string {
  return `${name[0]}${name.slice(1).toLowerCase()}`;
}

export function showXml(value: number | string | Uint8Array): string {
  if (typeof value === 'number') {
    return `\t<integer>${value}</integer>`;
  }
  return typeof value === 'string'
    ? xmlElement('string', value)
    : xmlElement('base64', base64Lines(value));
}

function xmlElement(name: string, content: string): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return escaped === '' ? `\t<${name}/>` : `\t<${name}>${escaped}</${name}>`;
}

export function showJson(value: number | string | Uint8Array): string {
  return JSON.stringify(value instanceof Uint8Array ? bufferOf(value).toString('base64') : value);
}

const BASE64_LINE = /.{1,64}/g;

/** Returns lines of 64 characters, each with its end. */
export function base64Lines(bytes: Uint8Array): string {
  const lines = bufferOf(bytes).toString('base64').match(BASE64_LINE) ?? [];
  return `${lines.join('\n')}\n`;
}

export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
