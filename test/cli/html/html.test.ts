/** The parts of the pages: markup, tables, treemaps and charts. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { element } from '../../../src/cli/html/element.js';
import { dateTicks, lineChart } from '../../../src/cli/html/line-chart.js';
import { htmlPage } from '../../../src/cli/html/page.js';
import { dataTable } from '../../../src/cli/html/table.js';
import { type TreemapGroup, treemapDrawing } from '../../../src/cli/html/treemap.js';

suite('element', () => {
  test('escapes text and attribute values, and keeps elements as they are', () => {
    const { html } = element('p', { title: '"a" & <b>' }, ['1 < 2', element('b', {}, ['&'])]);
    assert.equal(html, '<p title="&#34;a&#34; &#38; &#60;b&#62;">1 &#60; 2<b>&#38;</b></p>');
  });

  test('ends with an end tag unless it cannot have content', () => {
    assert.equal(element('td').html, '<td></td>');
    assert.equal(element('meta', { name: 'a', content: undefined }).html, '<meta name="a">');
  });
});

test('a page forbids scripts and everything from elsewhere', () => {
  const html = htmlPage({ kind: '', headline: 'a', lead: [], sections: [], footer: '' });
  assert.match(html, /Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-/);
  assert.doesNotMatch(html, /<script|<link|url\(|@import/);
});

suite('dataTable', () => {
  const columns = [
    {
      title: 'Name',
      kind: 'name',
    },
    {
      title: 'Size',
      kind: 'number',
    },
  ] as const;
  const table = (rows: number) => {
    const cells = Array.from({ length: rows }, (_, i) => [`row ${i}`, `${i} B`]);
    return dataTable({ caption: 'Things', columns, rows: cells })
      .map(({ html }) => html)
      .join('');
  };
  const count = (html: string, text: string) => html.split(text).length - 1;

  test('has a caption, and headers for columns and rows', () => {
    const html = table(1);
    assert.match(html, /<caption>Things<\/caption><thead><tr><th scope="col" class="name">Name</);
    assert.match(html, /<th scope="row" class="name">row 0<\/th><td class="number"[^>]*>0 B</);
    assert.doesNotMatch(html, /<details/);
  });

  test('shows the first rows, and has the rest in details', () => {
    const html = table(100);
    assert.match(html, /<summary>75 more rows</);
    assert.equal(count(html, '<th scope="row"'), 100);
  });

  test('says how many rows are left out of a very long one', () => {
    const html = table(5000);
    assert.match(html, /3,000 more rows are left out/);
    assert.equal(count(html, '<th scope="row"'), 2000);
  });
});

suite('treemapDrawing', () => {
  const group = (size: number, items: number): TreemapGroup => ({
    name: `layer of ${size}`,
    size,
    items: Array.from({ length: items }, (_, i) => {
      const name = `${size}-${i}`;
      return {
        name,
        size: items - i,
        title: name,
        tone: i % 2 === 0 ? 'new' : 'kept',
      };
    }),
  });
  interface Box {
    readonly left: number;
    readonly top: number;
    readonly width: number;
    readonly height: number;
  }
  const BOX =
    /class="box \w+" style="left:(.*?)%;top:(.*?)%;width:(.*?)%;height:(.*?)%" title="(.*?)"/g;
  const boxesOf = (groups: readonly TreemapGroup[]) => {
    const { html } = treemapDrawing('drawing', groups);
    const found = [...html.matchAll(BOX)];
    return new Map(
      found.map(([, left, top, width, height, title = '']) => [
        title,
        {
          left: Number(left),
          top: Number(top),
          width: Number(width),
          height: Number(height),
        },
      ]),
    );
  };

  test('gives each group its share of the area, whatever its items add up to', () => {
    const boxes = boxesOf([group(60, 1), group(30, 1), group(10, 1)]);
    const areaOf = ({ width, height }: Box) => (width * height) / 100;
    for (const [title, share] of [
      ['60-0', 60],
      ['30-0', 30],
      ['10-0', 10],
    ] as const) {
      const box = boxes.get(title);
      assert.ok(box !== undefined && Math.abs(areaOf(box) - share) < 1.5, title);
    }
  });

  test('keeps all boxes inside and apart from each other', () => {
    const boxes = [...boxesOf([group(60, 7), group(50, 3), group(40, 12), group(5, 1)])];
    assert.equal(boxes.length, 23);
    const tolerance = 0.02;
    for (const [i, [title, a]] of boxes.entries()) {
      assert.ok(a.left >= 0 && a.left + a.width <= 100 + tolerance, title);
      assert.ok(a.top >= 0 && a.top + a.height <= 100 + tolerance, title);
      for (const [other, b] of boxes.slice(i + 1)) {
        const overlapX = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
        const overlapY = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
        assert.ok(overlapX < tolerance || overlapY < tolerance, `${title} and ${other}`);
      }
    }
  });

  test('draws a bounded number of boxes, and the rest of a group by its colors', () => {
    const groups = Array.from({ length: 400 }, (_, i) => group(1000 - i, 3));
    assert.ok(boxesOf(groups).size <= 3 * 150 + 1);
    const { html } = treemapDrawing('', [group(10, 5000)]);
    assert.match(html, /title="2,480 more"/);
    assert.equal(html.split('class="box').length - 1, 42);
  });

  test('of nothing is an empty drawing', () => {
    assert.equal(boxesOf([]).size, 0);
  });
});

suite('lineChart', () => {
  test('labels round numbers of bytes, and describes itself', () => {
    const chart = lineChart({
      label: 'what it shows',
      lines: [
        {
          name: 'a',
          points: [
            [0, 0],
            [1, 930_000],
            [2, 410_000],
          ],
        },
      ],
      ticks: [{ x: 0, text: 'first' }],
    });
    const html = chart.map((each) => each.html).join('');
    assert.match(html, /role="img" aria-label="what it shows"/);
    assert.match(html, />200 kB<.*>1.0 MB</);
    assert.doesNotMatch(html, /NaN|undefined|Infinity/);
  });

  test('has a bounded number of dates on its axis, all inside it', () => {
    const [first, last] = [Date.UTC(2022, 10, 8), Date.UTC(2023, 9, 31)];
    const ticks = dateTicks(first, last, 5);
    assert.ok(ticks.length > 1 && ticks.length <= 5);
    for (const { x, text } of ticks) {
      assert.ok(x >= first && x <= last && /^202[23]-\d\d-01$/.test(text), text);
    }
  });
});
