/** How the difference between two layouts is printed. */
import type { Comparison, PairedDifference } from '../../layout/paired.js';

export function differenceText(
  { strategy, maxLayers }: Comparison,
  { best, percent, interval }: PairedDifference,
): string {
  if (best.strategy === strategy && best.maxLayers === maxLayers) {
    return 'best';
  }
  const difference = `${signed(percent)} %`;
  if (interval === undefined) {
    return difference;
  }
  const low = signed(interval.low);
  const high = signed(interval.high);
  return `${difference} (${low} to ${high})`;
}

/** Returns `+1.2`. */
function signed(percent: number): string {
  const text = percent.toFixed(1);
  if (text === '-0.0') {
    return '+0.0';
  }
  return percent < 0 ? text : `+${text}`;
}
