/** `ostrata layout report`: the report on an experiment that several machines have done. */
import type { Command } from 'commander';
import { inContextAsync } from '../../errors.js';
import { readSeriesText } from '../../layout/series.js';
import { useOptions } from '../options/groups.js';
import { runsOf } from './experiment.js';
import { type ReportOptions, reportOptions, reportRuns } from './results.js';
import { mergeShards, parseShard, type ShardFile } from './shard.js';

export function addLayoutReportCommand(layout: Command): void {
  const command = layout
    .command('report')
    .summary('report on layouts that several machines have simulated')
    .description(
      'Print what `layout simulate` would have printed, had it not been divided into shards by ' +
        '--shard. All shards are needed, each once, in any order; the series is not read again.',
    )
    .argument('<shards...>', 'files with what `layout simulate --shard` printed, plain or gzipped')
    .addHelpText(
      'after',
      `
Example:
  ostrata layout report shard-*.json --html=report.html`,
    )
    .action(report);
  useOptions(command, [reportOptions]);
}

async function report(paths: readonly string[], options: ReportOptions): Promise<void> {
  const files: ShardFile[] = [];
  for (const path of paths) {
    const file = await inContextAsync(`shard ${path}`, () => readShard(path));
    files.push(file);
  }
  const { experiment, outcomes } = mergeShards(files);
  await reportRuns(experiment.series, runsOf(experiment, outcomes), options);
}

async function readShard(path: string): Promise<ShardFile> {
  const text = await readSeriesText(path);
  const shard = parseShard(text);
  return { path, shard };
}
