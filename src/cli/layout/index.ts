import type { Command } from 'commander';
import { addLayoutExplainCommand } from './explain.js';
import { addLayoutPlanCommand } from './plan.js';
import { addLayoutSimulateCommand } from './simulate.js';

export function addLayoutCommand(program: Command): void {
  const layout = program
    .command('layout')
    .summary('plan layers, and try out layouts, without building an image')
    .description(
      'Plan which layer holds what, and try out layouts on recorded builds, without building an image.',
    );
  addLayoutPlanCommand(layout);
  addLayoutExplainCommand(layout);
  addLayoutSimulateCommand(layout);
}
