/**
 * The colors of the pages. Text has a contrast of 4.5:1 or more in both themes. What is new is told
 * from what is not by lightness, so that it can be told apart without color, too.
 */

const LIGHT = `
  --page: #fff;
  --text: #1b1f24;
  --muted: #57606a;
  --rule: #d0d7de;
  --soft: #f4f6f8;
  --new: #0b5cad;
  --on-new: #fff;
  --along: #cfe3f7;
  --on-along: #12304f;
  --whisker: #e08a1e;
  --kept: #e9edf1;
  --on-kept: #4b545e;
  --area-1: #e1e6eb;
  --area-2: #c6ced6;
  --line-1: #0b5cad;
  --line-2: #b8500a;
  --line-3: #00795a;
  --line-4: #a8447f;
  --line-5: #8a6d00;
  --line-6: #5b6570;
  --line-7: #1b1f24;
  --shade-1: #e6eff8;
  --shade-2: #b9d4ee;
  --shade-3: #7fb0de;
  --shade-4: #2f7cc4;
  --shade-5: #0a4a8c;
  --on-shade: #12263a;
  --on-dark-shade: #fff;
`;

const DARK = `
  --page: #14171b;
  --text: #e6e9ec;
  --muted: #a3adb8;
  --rule: #373e46;
  --soft: #1d2126;
  --new: #5aa5e8;
  --on-new: #08131e;
  --along: #1f405f;
  --on-along: #dcebfa;
  --whisker: #ffc46b;
  --kept: #282e35;
  --on-kept: #b4bdc7;
  --area-1: #2b323a;
  --area-2: #434d58;
  --line-1: #5aa5e8;
  --line-2: #f0975a;
  --line-3: #45c49c;
  --line-4: #e08fc0;
  --line-5: #d9b945;
  --line-6: #9aa5b1;
  --line-7: #e6e9ec;
  --shade-1: #1e2b38;
  --shade-2: #23486b;
  --shade-3: #2b6aa3;
  --shade-4: #5ba3e6;
  --shade-5: #b8dcff;
  --on-shade: #f2f7fc;
  --on-dark-shade: #08131e;
`;

export const THEME = `
:root {${LIGHT}}
@media screen and (prefers-color-scheme: dark) {
  :root {${DARK}}
}
`;
