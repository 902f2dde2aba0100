/**
 * A page as one file: it has no scripts, and nothing is fetched from anywhere. The policy in its
 * head makes browsers enforce that: https://www.w3.org/TR/CSP3/
 */
import { type Content, Element, element } from './element.js';
import { STYLE } from './style/index.js';

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

export interface Page {
  /** What the page is about, which stands above the headline. */
  readonly kind: string;
  /** One sentence with the answer that readers look for. */
  readonly headline: string;
  /** More of the answer. */
  readonly lead: readonly Element[];
  readonly sections: readonly Element[];
  /** How the page was made. */
  readonly footer: string;
}

export function htmlPage({ kind, headline, lead, sections, footer }: Page): string {
  const head = element('head', {}, [
    element('meta', { charset: 'utf-8' }),
    element('meta', { 'http-equiv': 'Content-Security-Policy', content: POLICY }),
    element('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
    element('meta', { name: 'color-scheme', content: 'light dark' }),
    element('title', {}, [headline]),
    new Element(`<style>${STYLE}</style>`),
  ]);
  const header = [
    element('p', { class: 'kind path' }, [kind]),
    element('h1', {}, [headline]),
    ...lead,
  ];
  const body = element('body', {}, [
    element('header', {}, header),
    element('main', {}, sections),
    element('footer', {}, [footer]),
  ]);
  const root = element('html', { lang: 'en' }, [head, body]);
  return `<!doctype html>\n${root.html}\n`;
}

/** A part of the page with its heading. */
export function section(title: string, content: readonly Content[]): Element {
  return element('section', {}, [element('h2', {}, [title]), ...content]);
}

export function paragraph(text: string): Element {
  return element('p', {}, [text]);
}

/** A remark on how something was found out, or what is left out. */
export function note(text: string): Element {
  return element('p', { class: 'note' }, [text]);
}

/** A figure with what it means, such as `198 MB` and `in 21 of 64 layers`. */
export interface Fact {
  readonly title: string;
  readonly figure: string;
  readonly detail: string;
}

export function factList(facts: readonly Fact[]): Element {
  const items = facts.map(({ title, figure, detail }) =>
    element('div', {}, [
      element('dt', {}, [title]),
      element('dd', {}, [element('span', { class: 'figure' }, [figure]), detail]),
    ]),
  );
  return element('dl', { class: 'facts' }, items);
}
