/**
 * What a plain image says about itself. Everything comes from the config that it is built with; the
 * layout record and the names of the components are added.
 */
import { compareUtf8 } from '../bytes/text.js';
import type { PlannedComponent } from '../components/assign.js';
import { newestBuildTime } from '../components/rates.js';
import { LAYOUT_LABEL } from '../layout/record.js';
import * as annotation from '../oci/annotations.js';
import type { BaseConfig } from '../oci/base-config.js';
import { inheritedHistory } from '../oci/history.js';
import type { HistoryEntry } from '../oci/types.js';
import type { BaseImage } from '../tree/kept-base.js';
import { mostFrequentArchitecture } from './architecture.js';
import { componentsAnnotation, type ImageDescription, type Labels } from './image-config.js';
import type { PlannedChunk } from './image-plan.js';
import type { ImageDescriptions } from './write-image.js';

/** What the user decides about the config of a plain image. */
export interface PlainImageOptions {
  /** The config to start from. */
  readonly base?: BaseConfig | undefined;
  /** The image whose layers are kept. */
  readonly baseImage?: BaseImage | undefined;
  /** Changes the labels of `base`. */
  readonly editLabels?: ((labels: Labels) => Labels) | undefined;
  /** Changes the annotations of `base`. */
  readonly editAnnotations?: ((annotations: Labels) => Labels) | undefined;
  /** GOARCH; by default that of `base`, else that of most packages, else that of this machine. */
  readonly architecture?: string | undefined;
  /**
   * Seconds since 1970 for `created`; by default that of `base`, else the build time of the newest
   * package, else 0.
   */
  readonly created?: number | undefined;
  /** The program that `history` names for the layers; by default `ostrata`. */
  readonly createdBy?: string | undefined;
}

/** These labels describe layers that the new image does not have, unless they are of its base. */
const DROPPED_LABELS: readonly string[] = [
  annotation.OSTREE_COMMIT,
  annotation.OSTREE_FINAL_DIFFID,
  annotation.HHD_RECHUNK_INFO,
];

/** chunkah states the probability that nothing changes within this many days. */
const STABILITY_DAYS = 7;

export function describePlainImage(
  components: readonly PlannedComponent[],
  options: PlainImageOptions,
): ImageDescription {
  const { base } = options;
  const facts = components.map((component) => component.facts);
  const editAnnotations = options.editAnnotations ?? ((annotations) => annotations);
  return {
    created: options.created ?? base?.created ?? newestBuildTime(facts),
    architecture: options.architecture ?? base?.architecture ?? architectureOf(components),
    variant: options.architecture === undefined ? base?.variant : undefined,
    os: base?.os,
    osVersion: base?.osVersion,
    osFeatures: base?.osFeatures,
    author: base?.author,
    history: historyAboveBase(options),
    config: base?.config ?? {},
    labels: (_layers, record) => {
      const labels = plainLabels(options);
      const annotations = editAnnotations(inherited(base?.annotations, options));
      return {
        labels: { ...labels, [LAYOUT_LABEL]: record },
        annotations: { ...annotations, [LAYOUT_LABEL]: record },
      };
    },
  };
}

/**
 * Returns the history of `base` without the entries of the image whose layers are kept. Those come
 * first, so an equal entry that follows is a step above that image.
 */
function historyAboveBase({ base, baseImage }: PlainImageOptions): readonly HistoryEntry[] {
  const ofBase = baseImage?.history.map((entry) => JSON.stringify(entry)) ?? [];
  const above: HistoryEntry[] = [];
  for (const entry of base?.history ?? []) {
    const position = ofBase.indexOf(JSON.stringify(entry));
    if (position === -1) {
      above.push(entry);
    } else {
      ofBase.splice(position, 1);
    }
  }
  return inheritedHistory(above);
}

/** Returns the labels that the image will have, apart from the layout record. */
export function plainLabels(options: PlainImageOptions): Labels {
  const { base, editLabels } = options;
  const labels = inherited(base?.labels, options);
  return editLabels === undefined ? labels : editLabels(labels);
}

/** Returns the keys of the labels of `base` that the image does not inherit. */
export function droppedLabels(options: PlainImageOptions): readonly string[] {
  const labels = options.base?.labels ?? {};
  const kept = inherited(labels, options);
  return Object.keys(labels).filter((key) => !Object.hasOwn(kept, key));
}

function inherited(labels: Labels = {}, { baseImage }: PlainImageOptions): Labels {
  const entries = Object.entries(labels).filter(([key, value]) => {
    const isOfBase = baseImage?.labels.get(key) === value;
    return isOfBase || !DROPPED_LABELS.includes(key);
  });
  return Object.fromEntries(entries);
}

function architectureOf(components: readonly PlannedComponent[]): string {
  return mostFrequentArchitecture(components.flatMap(({ facts }) => facts.packages));
}

/**
 * Describes a layer for ostrata and for the tools of chunkah: names of components joined by spaces,
 * and the probability that the layer does not change within a week.
 */
export function layerDescriber(createdBy: string): ImageDescriptions['describeLayer'] {
  return ({ components, changesPerYear }: PlannedChunk) => {
    const names = new Set(components.map(chunkahName));
    const sortedNames = [...names].sort(compareUtf8);
    const comment = sortedNames.join(' ');
    const stability = Math.exp((-changesPerYear * STABILITY_DAYS) / 365);
    return {
      annotations: {
        ...componentsAnnotation(components),
        [annotation.CHUNKAH_COMPONENT]: comment,
        [annotation.CHUNKAH_STABILITY]: stability.toFixed(3),
      },
      author: createdBy,
      createdBy,
      comment,
    };
  };
}

/** The name of a component as chunkah gives it: `rpm/SOURCE`, or the id. */
function chunkahName({ id, source, facts }: PlannedComponent): string {
  const name = facts.packages.length > 0 ? `rpm/${source}` : id;
  return name.replaceAll(' ', '%20');
}
