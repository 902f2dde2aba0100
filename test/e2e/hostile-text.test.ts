/**
 * An image whose every text tries to take over the terminal is described as one with harmless texts
 * is: in as many lines, and without any character that a terminal obeys.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import type { ImageReader } from '../../src/oci/image.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { changeManifest, type ForgedImage, forge } from '../support/forge-image.js';
import { newRepo } from '../support/import-image.js';
import { ostrata, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

/** Clears the screen, forges a line, sets the title, and reverses what follows. */
const HOSTILE = '\x1b[2J\nerror: forged\r\x1b]0;title\x07\x9b8m\u202eevil\u2066\u200f|<b>&';
const HARMLESS = 'harmless';

let image: ImageReader;
before(async () => {
  image = (await buildImage(dir({ usr: dir({ a: 'first', b: 'second' }) }))).image;
});

/** The image with `text` in labels, annotations, component names, history and a file name. */
async function imageOf(text: string, content: string): Promise<ForgedImage> {
  const labels = {
    [`label ${text}`]: text,
    version: text,
    'org.opencontainers.image.version': text,
  };
  const name = `usr/${text}`;
  const forged = await forge(image, () => {}, labels, [
    [{ name, type: 'file', content: Buffer.from(content) }],
    [{ name: `opt${text}/a`, type: 'file', content: Buffer.from(content) }],
  ]);
  changeManifest<{ layers: { annotations?: object }[]; annotations: object }>(
    forged,
    (manifest) => {
      manifest.annotations = { [`annotation ${text}`]: text };
      for (const layer of manifest.layers.slice(1)) {
        layer.annotations = { 'ostree.components': `${text},other ${text}` };
      }
    },
  );
  return forged;
}

/** Runs a command that prints texts of the image. Returns the lines of both its streams. */
function linesOf(args: readonly string[]): readonly string[] {
  const { stdout, stderr } = tryOstrata(args);
  const output = Buffer.from(`${stdout}\n--\n${stderr}`, 'latin1').toString();
  assert.doesNotMatch(output.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, args.join(' '));
  return output.split('\n');
}

/** Commands on two images and a repository into which the second one was pulled. */
const commands = (first: string, second: string, repo: string): readonly string[][] => [
  ['inspect', '--all', second],
  ['container', 'info', second],
  ['container', 'compare', first, second],
  ['diff', first, second],
  ['container', 'compare', '--markdown', first, second],
  ['verify', second],
  ['container', 'image', 'pull', '--dry-run', repo, `ostree-unverified-image:${second}`],
  ['container', 'image', 'pull', '--verbose', repo, `ostree-unverified-image:${second}`],
  ['container', 'image', 'history', `--repo=${repo}`, second],
  ['container', 'image', 'metadata', `--repo=${repo}`, second],
  ['layout', 'explain', second],
];

suite('texts of an image that try to take over the terminal', () => {
  test('neither add lines nor reach the terminal unescaped', async () => {
    const outputs = [];
    for (const text of [HARMLESS, HOSTILE]) {
      const first = await imageOf(text, 'first');
      const second = await imageOf(text, 'second');
      outputs.push(commands(first.imgref, second.imgref, newRepo()).map(linesOf));
    }
    const [harmless = [], hostile = []] = outputs;
    for (const [i, lines] of hostile.entries()) {
      assert.equal(lines.length, harmless[i]?.length, lines.join('\n'));
    }
  });

  test('are text in the page of diff: it has as many elements, and no character that is obeyed', async () => {
    const pages: string[] = [];
    for (const text of [HARMLESS, HOSTILE]) {
      const first = await imageOf(text, 'first');
      const second = await imageOf(text, 'second');
      const path = join(scratchDirectory(), 'page.html');
      ostrata(['diff', '--files', `--html=${path}`, first.imgref, second.imgref]);
      pages.push(readFileSync(path, 'utf8'));
    }
    const [harmless = '', hostile = ''] = pages;
    const tagsOf = (html: string) => html.match(/<\/?\w+/g) ?? [];
    assert.deepEqual(tagsOf(hostile), tagsOf(harmless));
    assert.doesNotMatch(hostile.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    assert.match(hostile, /evil/);
  });
});
