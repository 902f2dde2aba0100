/** The layout that command lines of other tools get. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layoutOfOtherTool } from '../../src/cli/options/plugins.js';

test('the command line of another tool gets the stable layout unless it names a previous image', () => {
  const byDefault = { layout: 'expected-download' };
  assert.equal(layoutOfOtherTool(byDefault, undefined), 'stable');
  assert.equal(layoutOfOtherTool(byDefault, ['oci:image:1']), 'expected-download');
  assert.equal(layoutOfOtherTool({ layout: 'single' }, undefined), 'single');
});
