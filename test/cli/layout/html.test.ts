/** The parts of the HTML report of `layout simulate`: markup, and the boxes of the treemap. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { element } from '../../../src/cli/layout/html/element.js';
import { squarify } from '../../../src/cli/layout/html/squarify.js';

suite('element', () => {
  test('escapes text and attribute values, and keeps elements as they are', () => {
    const { html } = element('p', { title: '"a" & <b>' }, ['1 < 2', element('b', {}, ['&'])]);
    assert.equal(html, '<p title="&#34;a&#34; &#38; &#60;b&#62;">1 &#60; 2<b>&#38;</b></p>');
  });

  test('without children is closed at once', () => {
    assert.equal(element('line', { x1: 0, y1: 2.5 }).html, '<line x1="0" y1="2.5"/>');
  });
});

suite('squarify', () => {
  const sizes = [60, 50, 40, 9, 5, 1];
  const boxes = squarify(sizes, 300, 200);
  const total = sizes.reduce((sum, size) => sum + size, 0);

  test('gives each size its share of the area', () => {
    for (const [i, { width, height }] of boxes.entries()) {
      const expected = ((sizes[i] ?? 0) * 300 * 200) / total;
      assert.ok(Math.abs(width * height - expected) < 1e-6, `box ${i}`);
    }
  });

  test('keeps all boxes inside the rectangle and apart from each other', () => {
    const tolerance = 1e-9;
    for (const [i, a] of boxes.entries()) {
      assert.ok(a.x >= 0 && a.x + a.width <= 300 + tolerance, `box ${i}`);
      assert.ok(a.y >= 0 && a.y + a.height <= 200 + tolerance, `box ${i}`);
      for (const b of boxes.slice(i + 1)) {
        const overlapX = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
        const overlapY = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
        assert.ok(overlapX < tolerance || overlapY < tolerance, `box ${i} overlaps another`);
      }
    }
  });

  test('makes boxes of equal size nearly square', () => {
    for (const { width, height } of squarify([1, 1, 1, 1, 1, 1], 300, 200)) {
      assert.ok(Math.abs(width - height) < 1e-9, `${width} x ${height}`);
    }
  });
});
