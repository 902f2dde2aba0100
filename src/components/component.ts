/**
 * The input of layout planning: what strategies see of a component, and what only the core sees.
 */
import type { Component } from '../plugin.js';
import type { Divisible } from './parts.js';

/** A component for which a layout is planned. */
export interface LayoutComponent extends Component {
  /**
   * It asks for a layer that holds nothing else. The core sets it aside; strategies never see it.
   */
  readonly exclusive?: boolean | undefined;
  /** How it can be divided into parts; undefined if it always comes as a whole. */
  readonly divisible?: Divisible<LayoutComponent> | undefined;
}
