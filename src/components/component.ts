import type { Component } from '../plugin.js';

/** A component as it is to be planned; strategies see it without what is added here. */
export interface LayoutComponent extends Component {
  /** A layer of its own is asked for. */
  readonly exclusive?: boolean | undefined;
}
