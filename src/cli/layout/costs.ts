/** What the layers of a layout cost the clients that update. */
import { stabilities, unitKey } from '../../../plugins/layouts/probability.js';
import { jointOf, type Stability } from '../../../plugins/layouts/unchanged.js';
import { must } from '../../errors.js';
import type { RecordedLayer } from '../../layout/previous-layout.js';
import type { Component } from '../../plugin.js';
import type { SourceLayout } from './source.js';

/**
 * Expected downloads, in the model of the layout expected-download: components of one source
 * package change together, and a layer is fetched when any of its components changed.
 */
export class LayoutCosts {
  readonly #components: ReadonlyMap<string, Component>;
  /** By source package, or part of a component. */
  readonly #stabilities: ReadonlyMap<string, Stability>;

  constructor({ layout }: SourceLayout) {
    const byId = layout.components.map((component) => {
      const { id } = component;
      return [id, component] as const;
    });
    this.#components = new Map(byId);
    this.#stabilities = stabilities(layout.components, {
      maxLayers: layout.layers.length,
      history: layout.history,
    });
  }

  membersOf(layer: RecordedLayer): readonly Component[] {
    return layer.components.map((id) => {
      const component = this.#components.get(id);
      return must(component, `component ${id}`);
    });
  }

  /** Returns the probability that the next update changes the source package or the part. */
  probabilityOf(component: Component): number {
    return 1 - this.#stabilityOf([component]).unchangedProbability;
  }

  /** Returns the bytes that the next update is expected to fetch of a layer with these members. */
  expectedBytes(members: readonly Component[]): number {
    const { unchangedProbability } = this.#stabilityOf(members);
    return bytesOf(members) * (1 - unchangedProbability);
  }

  #stabilityOf(members: readonly Component[]): Stability {
    const keys = new Set(members.map(unitKey));
    const found: Stability[] = [];
    for (const key of keys) {
      const stability = this.#stabilities.get(key);
      if (stability !== undefined) {
        found.push(stability);
      }
    }
    return jointOf(found);
  }

  /** Returns by how much the expected bytes grow if `component` moves between two layers. */
  movingCost(component: Component, from: RecordedLayer, to: RecordedLayer): number {
    const members = this.membersOf(from);
    const others = members.filter(({ id }) => id !== component.id);
    const target = this.membersOf(to);
    const larger = [...target, component];
    const saved = this.expectedBytes(members) - this.expectedBytes(others);
    const added = this.expectedBytes(larger) - this.expectedBytes(target);
    return added - saved;
  }
}

export function bytesOf(components: readonly Component[]): number {
  return components.reduce((bytes, { size }) => bytes + size, 0);
}
