/** How the configs of two images differ: what runs, with which settings and labels. */
import { isDeepStrictEqual } from 'node:util';
import { compareUtf8 } from '../bytes/text.js';
import { LAYOUT_LABEL } from '../layout/record.js';
import type { ImageConfig, Manifest } from '../oci/types.js';

/** One setting; undefined where an image does not have it. */
export interface ConfigChange {
  /** Such as `created`, `config.Cmd`, `config.Labels.version` or `annotations.version`. */
  readonly key: string;
  readonly old?: unknown;
  readonly new?: unknown;
}

/** What an image says about itself, besides its layers. */
export interface ImageSettings {
  readonly config: ImageConfig;
  readonly manifest: Manifest;
}

/** Compares settings, labels and annotations, but no layers, history and layout record. */
export function configChanges(old: ImageSettings, next: ImageSettings): readonly ConfigChange[] {
  const before = settingsOf(old);
  const after = settingsOf(next);
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort(compareUtf8);
  const changes: ConfigChange[] = [];
  for (const key of keys) {
    const change = { key, old: before.get(key), new: after.get(key) };
    if (!isDeepStrictEqual(change.old, change.new)) {
      changes.push(change);
    }
  }
  return changes.filter((change) => !isRepeated(change, changes));
}

/** Whether an annotation only says what a label says as well. */
function isRepeated(change: ConfigChange, changes: readonly ConfigChange[]): boolean {
  const { key, ...values } = change;
  const label = key.replace(/^annotations\./, 'config.Labels.');
  return (
    label !== key && changes.some((each) => isDeepStrictEqual(each, { key: label, ...values }))
  );
}

function settingsOf({ config, manifest }: ImageSettings): ReadonlyMap<string, unknown> {
  const { Labels, ...members } = config.config ?? {};
  const { architecture, os, created } = config;
  const settings = new Map<string, unknown>(Object.entries({ architecture, os, created }));
  addMembers(settings, 'config', members);
  addMembers(settings, 'config.Labels', Labels ?? {});
  addMembers(settings, 'annotations', manifest.annotations ?? {});
  settings.delete(`config.Labels.${LAYOUT_LABEL}`);
  settings.delete(`annotations.${LAYOUT_LABEL}`);
  return settings;
}

function addMembers(settings: Map<string, unknown>, prefix: string, members: object): void {
  for (const [name, value] of Object.entries(members)) {
    if (value !== null) {
      settings.set(`${prefix}.${name}`, value);
    }
  }
}
