/** The style of the pages. */
import { CHARTS } from './charts.js';
import { MEDIA } from './media.js';
import { TABLES } from './tables.js';
import { TEXT } from './text.js';
import { THEME } from './theme.js';
import { TREEMAPS } from './treemaps.js';

export const STYLE = [THEME, TEXT, TABLES, TREEMAPS, CHARTS, MEDIA].join('');
