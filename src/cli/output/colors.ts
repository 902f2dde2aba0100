/** Colors of text, for standard output and for standard error. */
import picocolors from 'picocolors';

/** A stream that is no terminal, such as a CI log, gets none unless FORCE_COLOR is set. */
function colorsOf(stream: NodeJS.WriteStream) {
  const isWanted = stream.isTTY || process.env.FORCE_COLOR !== undefined;
  return picocolors.createColors(isWanted && picocolors.isColorSupported);
}

export const stdoutColors = colorsOf(process.stdout);
export const stderrColors = colorsOf(process.stderr);
