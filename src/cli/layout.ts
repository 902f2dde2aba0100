import type { Command } from 'commander';
import { addLayoutExplainCommand } from './layout-explain.js';
import { addLayoutPlanCommand } from './layout-plan.js';
import { addLayoutSimulateCommand } from './layout-simulate.js';

export function addLayoutCommand(program: Command): void {
  const layout = program
    .command('layout')
    .summary('plan layers, and try out layouts, without building an image')
    .description('Plan which layer holds what, and try out layouts on recorded builds, without building an image.');
  addLayoutPlanCommand(layout);
  addLayoutExplainCommand(layout);
  addLayoutSimulateCommand(layout);
}
