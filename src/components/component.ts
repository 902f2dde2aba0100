/**
 * The input of layout planning: what strategies see of a component, and what only the core sees.
 */
import type { Component } from '../plugin.js';

/** A component for which a layout is planned. */
export interface LayoutComponent extends Component {
  /**
   * It asks for a layer that holds nothing else. The core sets it aside; strategies never see it.
   */
  readonly exclusive?: boolean | undefined;
}
