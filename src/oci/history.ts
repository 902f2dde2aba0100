/**
 * The history of an image that is built again. Its layers are new, but how their content came about
 * is still true: https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md#properties
 */
import { CHUNKAH_COMPONENT, OSTREE_COMPONENTS, OSTREE_FINAL_DIFFID } from './annotations.js';
import type { HistoryEntry, ImageConfig, Manifest } from './types.js';

/** `created_by` of programs that only lay an image out anew. */
const CHUNKERS: ReadonlySet<string | undefined> = new Set(['ostrata', 'chunkah', 'rpm-ostree']);
/** Only the newest entries are kept. More come from images that are rebuilt on themselves. */
const MAX_ENTRIES = 200;
/** Longer texts are cut: a step of a build can hold a whole script. */
const MAX_TEXT_LENGTH = 2000;
/** RFC 3339; Go refuses a config with any other time. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** Returns the history of an image without the entries of layers that hold components. */
export function historyOfImage(
  { layers }: Manifest,
  { config, history, rootfs }: ImageConfig,
): readonly HistoryEntry[] {
  const finalDiffId = config?.Labels?.[OSTREE_FINAL_DIFFID];
  const lastOfCommit = finalDiffId === undefined ? -1 : rootfs.diff_ids.indexOf(finalDiffId);
  let layer = -1;
  return (history ?? []).filter(({ empty_layer }) => {
    if (empty_layer === true) {
      return true;
    }
    layer++;
    const annotations = layers[layer]?.annotations ?? {};
    const isNamed = OSTREE_COMPONENTS in annotations || CHUNKAH_COMPONENT in annotations;
    return !isNamed && layer > lastOfCommit;
  });
}

/**
 * Returns the entries that a new image inherits: the newest ones, none of which has a layer.
 * Entries of programs that laid the image out before are left out.
 */
export function inheritedHistory(history: readonly HistoryEntry[]): readonly HistoryEntry[] {
  return history
    .filter(({ created_by }) => !CHUNKERS.has(created_by))
    .slice(-MAX_ENTRIES)
    .map(({ created, author, created_by, comment }) => ({
      created: created !== undefined && TIME.test(created) ? created : undefined,
      author: cut(author),
      created_by: cut(created_by),
      comment: cut(comment),
      empty_layer: true,
    }));
}

function cut(text: string | undefined): string | undefined {
  if (text === undefined || text.length <= MAX_TEXT_LENGTH) {
    return text;
  }
  const wholeCharacters = text.slice(0, MAX_TEXT_LENGTH).replace(/[\ud800-\udbff]$/, '');
  return `${wholeCharacters}...`;
}
