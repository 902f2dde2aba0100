// The group `## Unreleased` of CHANGELOG.md, which a release turns into that of its version.

const HEADING = '## Unreleased\n';

/** Returns the text between the heading and the next one of its kind. */
function unreleased(changelog) {
  const start = changelog.indexOf(`\n${HEADING}`);
  if (start < 0) {
    throw new Error('CHANGELOG.md has no heading `## Unreleased`');
  }
  const [text] = changelog.slice(start + 1 + HEADING.length).split(/^## /m);
  if (!/^- /m.test(text)) {
    throw new Error(
      'CHANGELOG.md lists nothing below `## Unreleased`: there is nothing to release',
    );
  }
  return text.trim();
}

/** Gives the entries a heading with version and date, below an empty group of unreleased ones. */
export function closeUnreleased(changelog, version, date) {
  return changelog.replace(`\n${HEADING}`, `\n${HEADING}\n## ${version} - ${date}\n`);
}

/**
 * Returns the entries, each in one line, because a release of GitHub shows every line break.
 * Throws if there are none.
 */
export function releaseNotes(changelog) {
  const oneLineEach = unreleased(changelog).replace(/\n +(?![-* ])/g, ' ');
  return `${oneLineEach}\n`;
}
