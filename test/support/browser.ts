/**
 * Shows pages in headless Chromium: each in several widths and in both themes, in frames of one
 * page that measures them, looks for what keeps people from reading them (axe-core), and prints the
 * result.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { run, tryRun } from './run.js';
import { scratchDirectory } from './scratch.js';

const frameSchema = v.object({
  name: v.string(),
  /** Serious and critical findings: the rule, and the elements. */
  findings: v.array(v.string()),
  /** Pixels by which the page is wider than its frame. */
  overflow: v.number(),
  /** Elements that are seen and reach out of the page. */
  outside: v.array(v.string()),
  /** Boxes of treemaps that are seen, and those that reach out of their treemap. */
  boxes: v.number(),
  strayBoxes: v.number(),
  /** Levels of the headings, in their order. */
  headings: v.array(v.number()),
  tables: v.number(),
  background: v.string(),
});
export type ShownPage = v.InferOutput<typeof frameSchema>;

/** Each theme and each width is seen at least once. */
const VIEWS = [
  {
    theme: 'light',
    width: 1280,
  },
  {
    theme: 'dark',
    width: 1280,
  },
  {
    theme: 'light',
    width: 360,
  },
];
const POLICY = /<meta http-equiv="Content-Security-Policy"[^>]*>/;
const DARK = '@media screen and (prefers-color-scheme: dark)';

/** What chromium prints of the console of a page, such as errors and breaches of its policy. */
const CONSOLE = /:CONSOLE[(:].*/g;

const OPTIONS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'];

/** Runs in the page, once in each frame. */
const MEASURE = `
async function measure(frame) {
  const { contentWindow: view, contentDocument: page } = frame;
  const script = page.createElement('script');
  script.textContent = document.getElementById('axe').textContent;
  page.head.append(script);
  const { violations } = await view.axe.run(page, { resultTypes: ['violations'] });
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const seen = [...page.body.querySelectorAll('*')].filter((each) => each.checkVisibility());
  const boxOf = (each) => each.getBoundingClientRect();
  const isOutside = (each) =>
    each.closest('.scroll') === null && boxOf(each).right > view.innerWidth + 1;
  const boxes = [...page.querySelectorAll('.box')];
  const isStray = (each) => {
    const [inner, outer] = [boxOf(each), boxOf(each.closest('.treemap'))];
    // A box has a border of 1 pixel, however small it is.
    return inner.left < outer.left - 2 || inner.top < outer.top - 2 ||
      inner.right > outer.right + 2 || inner.bottom > outer.bottom + 2;
  };
  return {
    name: frame.title,
    findings: serious.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')),
    overflow: page.documentElement.scrollWidth - view.innerWidth,
    outside: seen.filter(isOutside).map((each) => each.outerHTML.slice(0, 200)),
    boxes: boxes.length,
    strayBoxes: boxes.filter(isStray).length,
    headings: [...page.querySelectorAll('h1, h2, h3, h4')].map(({ tagName }) => +tagName[1]),
    tables: page.querySelectorAll('table').length,
    background: view.getComputedStyle(page.body).backgroundColor,
  };
}
addEventListener('load', async () => {
  const shown = [];
  for (const frame of document.querySelectorAll('iframe')) {
    shown.push(await measure(frame));
  }
  document.getElementById('result').textContent = encodeURIComponent(JSON.stringify(shown));
});
`;

/** Returns what is seen of each page in each of the {@link VIEWS}, with all its details open. */
export function showPages(pages: ReadonlyMap<string, string>): readonly ShownPage[] {
  const frames: string[] = [];
  for (const [name, html] of pages) {
    const open = html.replace(POLICY, '').replaceAll('<details>', '<details open>');
    for (const { theme, width } of VIEWS) {
      const text = theme === 'dark' ? open.replace(DARK, '@media screen') : open;
      const title = `${name}, ${theme}, ${width}`;
      frames.push(frame(title, width, text));
    }
  }
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  const page = join(scratchDirectory(), 'frames.html');
  writeFileSync(
    page,
    `<!doctype html><meta charset="utf-8"><pre id="result"></pre>
<script type="text/plain" id="axe">${axe}</script><script>${MEASURE}</script>${frames.join('')}`,
  );
  const text = dumpDom(page);
  const [, result = ''] = /<pre id="result">([^<]*)</.exec(text) ?? [];
  return parseJson(decodeURIComponent(result), v.array(frameSchema));
}

function frame(title: string, width: number, html: string): string {
  const text = html.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  const style = `width:${width}px;height:800px;border:0`;
  return `<iframe title="${title}" style="${style}" srcdoc="${text}"></iframe>`;
}

function dumpDom(page: string): string {
  const args = ['--dump-dom', '--virtual-time-budget=60000', pathToFileURL(page).href];
  return run('chromium', [...OPTIONS, ...profile(), ...args]);
}

/** Shows a page as it is. Returns what its console says: nothing, unless something is wrong. */
export function consoleOf(page: string): readonly string[] {
  const args = ['--enable-logging=stderr', '--dump-dom', pathToFileURL(page).href];
  const { stderr } = tryRun('chromium', [...OPTIONS, ...profile(), ...args]);
  return stderr.match(CONSOLE) ?? [];
}

/** Prints a page. Returns the PDF. */
export function printPage(page: string): Uint8Array {
  const pdf = join(scratchDirectory(), 'page.pdf');
  const args = [`--print-to-pdf=${pdf}`, pathToFileURL(page).href];
  run('chromium', [...OPTIONS, ...profile(), ...args]);
  return readFileSync(pdf);
}

/** Everything that chromium keeps goes into a temporary folder. */
function profile(): readonly string[] {
  return [`--user-data-dir=${scratchDirectory()}`];
}
