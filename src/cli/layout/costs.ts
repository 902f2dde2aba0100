/** What the layers of a layout cost the clients that update. */
import { changeProbabilities } from '../../../plugins/layouts/probability.js';
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
  /** By source package. */
  readonly #probabilities: ReadonlyMap<string, number>;

  constructor({ build, layout }: SourceLayout) {
    this.#components = new Map(build.components.map((component) => [component.id, component]));
    this.#probabilities = changeProbabilities(build.components, layout.history);
  }

  membersOf(layer: RecordedLayer): readonly Component[] {
    return layer.components.map((id) => must(this.#components.get(id), `component ${id}`));
  }

  /** Returns the probability that the next update changes the source package. */
  probabilityOf(source: string): number {
    return this.#probabilities.get(source) ?? 0;
  }

  /** Returns the bytes that the next update is expected to fetch of a layer with these members. */
  expectedBytes(members: readonly Component[]): number {
    let unchangedProbability = 1;
    for (const source of new Set(members.map((member) => member.source))) {
      unchangedProbability *= 1 - this.probabilityOf(source);
    }
    return bytesOf(members) * (1 - unchangedProbability);
  }

  /** Returns by how much the expected bytes grow if `component` moves between two layers. */
  movingCost(component: Component, from: RecordedLayer, to: RecordedLayer): number {
    const members = this.membersOf(from);
    const others = members.filter(({ id }) => id !== component.id);
    const target = this.membersOf(to);
    const saved = this.expectedBytes(members) - this.expectedBytes(others);
    const added = this.expectedBytes([...target, component]) - this.expectedBytes(target);
    return added - saved;
  }
}

export function bytesOf(components: readonly Component[]): number {
  return components.reduce((bytes, { size }) => bytes + size, 0);
}
