/** `ostrata layout`: plans and compares layouts without building an image. */

import type { Command } from 'commander';
import { BUILD_COMMANDS } from '../help.js';
import { addLayoutExplainCommand } from './explain.js';
import { addLayoutPlanCommand } from './plan.js';
import { addLayoutRecordCommand } from './record.js';
import { addLayoutReportCommand } from './report.js';
import { addLayoutSimulateCommand } from './simulate.js';

export function addLayoutCommand(program: Command): void {
  const layout = program
    .command('layout')
    .helpGroup(BUILD_COMMANDS)
    .summary('plan, explain and compare layouts without building an image')
    .description(
      'A component is a set of files that change together, such as an RPM package; a layout says ' +
        'which component goes into which layer. These commands plan, explain and compare layouts ' +
        'without building an image.',
    );
  addLayoutPlanCommand(layout);
  addLayoutExplainCommand(layout);
  addLayoutRecordCommand(layout);
  addLayoutSimulateCommand(layout);
  addLayoutReportCommand(layout);
}
