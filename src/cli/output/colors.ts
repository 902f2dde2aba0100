import picocolors from 'picocolors';

/** Colours of text for one stream: none where it is no terminal, such as a CI log; NO_COLOR and FORCE_COLOR decide. */
function colorsOf(stream: NodeJS.WriteStream) {
  const isWanted = stream.isTTY || process.env.FORCE_COLOR !== undefined;
  return picocolors.createColors(isWanted && picocolors.isColorSupported);
}

export const stdoutColors = colorsOf(process.stdout);
export const stderrColors = colorsOf(process.stderr);
