/** What each layer costs over time, as a table with a strip of the updates that fetched it. */
import type { SimulationRun } from '../../../layout/simulate.js';
import { type Element, element } from '../../html/element.js';
import { paragraph } from '../../html/page.js';
import { dataTable } from '../../html/table.js';
import { formatBytes, formatCount, someNames } from '../../output/format.js';
import { type LayerCost, layerCosts } from './layer-costs.js';

const NAMES_WIDTH = 60;
const STRIP_HEIGHT = 10;

export function layersFigure(run: SimulationRun): readonly Element[] {
  const costs = layerCosts(run);
  if (costs.length === 0) {
    return [paragraph('No update fetched any layer.')];
  }
  const total = costs.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = costs.map((cost) => {
    const { components, size, fetched, bytes } = cost;
    const times = fetched.filter((each) => each > 0).length;
    const names = someNames(components, NAMES_WIDTH) || 'layers that are gone';
    return [
      names,
      size > 0 ? formatBytes(size) : '',
      `${formatCount(times)} of ${formatCount(fetched.length)}`,
      strip(cost),
      formatBytes(bytes),
      `${((100 * bytes) / total).toFixed(1)} %`,
    ];
  });
  return dataTable({
    caption: 'Layers by what all updates fetched of them; a mark is an update that fetched it',
    columns: [
      {
        title: 'Layer',
        kind: 'words',
      },
      {
        title: 'Size',
        kind: 'number',
      },
      {
        title: 'Fetched',
        kind: 'number',
      },
      {
        title: 'Over time',
        kind: 'bars',
      },
      {
        title: 'Total',
        kind: 'number',
      },
      {
        title: 'Share',
        kind: 'number',
      },
    ],
    rows,
  });
}

/** A mark for each update that fetched the layer, as high as its bytes. */
function strip({ fetched }: LayerCost): Element {
  const most = Math.max(1, ...fetched);
  const marks = fetched.map((bytes, i) => {
    const height = Math.ceil((bytes / most) * STRIP_HEIGHT);
    return height > 0 ? `M${i},${STRIP_HEIGHT}v-${height}h.8v${height}z` : '';
  });
  const size = {
    viewBox: `0 0 ${fetched.length} ${STRIP_HEIGHT}`,
    preserveAspectRatio: 'none',
  };
  const path = element('path', { d: marks.join('') });
  return element('svg', { class: 'strip', 'aria-hidden': 'true', ...size }, [path]);
}
