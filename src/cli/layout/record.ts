/** `ostrata layout record`: collects the builds of a system in a file, for `layout simulate`. */
import { type Command, InvalidArgumentError } from 'commander';
import { messageOf, OstrataError, wrapError } from '../../errors.js';
import { isDate } from '../../layout/series.js';
import { appendLines, lineOf, readSeriesLines, type SeriesLine } from '../../layout/series-file.js';
import { type Context, startWork } from '../../log.js';
import { isImgref } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { loadSources, SKIP_DAMAGED_HELP } from '../options/plugins.js';
import {
  imageOpener,
  type RegistryOptions,
  registryOptions,
  transportOptions,
} from '../options/registry.js';
import { integer, logOptions, parseAge, repeated } from '../options/values.js';
import { counted, formatTable, left } from '../output/format.js';
import { print } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { errorInDocument, interruptSignal } from '../run.js';
import { type FindOptions, type FoundBuild, findBuilds } from './record-sources.js';

interface RecordOptions extends RegistryOptions, LogOptions {
  readonly append: string;
  readonly tags?: readonly string[] | undefined;
  readonly since?: Since | undefined;
  readonly limit?: number | undefined;
  readonly repo?: string | undefined;
  readonly files?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly plugin?: readonly string[] | undefined;
  readonly skipDamagedPackages?: boolean | undefined;
}

/** The oldest time, or how much older than the newest build a build may be; milliseconds. */
type Since = { readonly time: number } | { readonly age: number };

const SOURCE_HELP =
  'with --tags, a repository: registry:HOST/PATH; ' +
  'else an image, ' +
  'REPO:REF for a commit of an ostree repository and its parents, ' +
  'an RPM database, ' +
  'a JSON file of components, ' +
  'the root folder of a system, ' +
  'or a folder of these';

const EXAMPLES = `
Examples:
  ostrata layout record docker://quay.io/os/base --tags='stable-*' --since=90d \\
    --append=history.jsonl.gz
  ostrata layout record /srv/repo:os/stable --limit=30 --append=history.jsonl.gz
  ostrata layout record rpmdbs/ --append=history.jsonl.gz --dry-run`;

export function addLayoutRecordCommand(layout: Command): void {
  const command = layout
    .command('record')
    .summary('collect the builds of a system in a file for `layout simulate`')
    .description(
      'Add builds to a file, in the order of their dates, which `layout simulate` reads. ' +
        'A build that the file has is not read again. ' +
        'Of images in a registry only manifests, configs and RPM databases are read. ' +
        'What is on this machine is read as a whole, ' +
        'so that large packages can be split by directory. ' +
        'If a build cannot be read, the others are added all the same, and the exit code is 1.',
    )
    .argument('<source...>', SOURCE_HELP)
    .requiredOption('--append <file>', 'add to this file; gzipped if its name ends in .gz')
    .option('--tags <pattern>', 'add the images whose tags match (repeatable)', repeated)
    .option(
      '--since <age>',
      'leave out builds that are older than the newest of their source by more than e.g. 90d, ' +
        '12w or 1y, or older than a date such as 2023-10-31',
      since,
    )
    .option('--limit <n>', 'add at most the newest n builds of each source', integer(1))
    .option('--repo <path>', 'sources are refs or commits of this ostree repository')
    .option('--files', 'read images in registries as a whole, too')
    .option('--plugin <module>', 'load content sources from this file or package', repeated)
    .option('--skip-damaged-packages', SKIP_DAMAGED_HELP)
    .option('--dry-run', 'print which builds would be added, and write nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action(record);
  useOptions(command, [registryOptions, logOptions]);
}

/** A build, or a whole source of which no more is known. */
interface Named {
  readonly source: string;
  readonly build?: string | undefined;
  readonly id?: string | undefined;
  readonly date?: string | undefined;
}

/** What became of it. */
interface Entry extends Named {
  readonly result: 'added' | 'present' | 'failed';
  readonly error?: OstrataError | undefined;
}

async function record(args: readonly string[], options: RecordOptions): Promise<void> {
  const log = terminalLogger(options);
  const find = await findOptions(args, options, log);
  const present = await readSeriesLines(options.append);
  const isDryRun = options.dryRun === true;
  const context = { log, signal: interruptSignal };
  const recorder = new Recorder(present, isDryRun, context);

  for (const argument of args) {
    await recorder.addSource(argument, async () => {
      const found = await findBuilds(argument, find);
      return selected(found, options);
    });
  }
  await recorder.read();

  const { lines, entries } = recorder;
  let total = present.length;
  if (lines.length > 0 && !isDryRun) {
    total = await appendLines(options.append, lines);
  }
  report(entries, total, options);
}

async function findOptions(
  args: readonly string[],
  options: RecordOptions,
  log: Context['log'],
): Promise<FindOptions> {
  const { tags, files = false, repo, skipDamagedPackages, plugin = [] } = options;
  const imgrefs = args.filter(isImgref);
  return {
    log,
    repo,
    files,
    skipDamagedPackages,
    sources: await loadSources(plugin, { skipDamagedPackages }),
    open: imageOpener(options, imgrefs, log),
    transportOptions: transportOptions(options, imgrefs, log),
    tags,
  };
}

/** Returns the builds that `--since` and `--limit` leave, the oldest first. */
function selected(
  found: readonly FoundBuild[],
  { since: from, limit = Infinity }: RecordOptions,
): readonly FoundBuild[] {
  const times = found
    .map(({ date }) => Date.parse(date ?? ''))
    .filter((time) => !Number.isNaN(time));
  const newest = Math.max(...times);
  const oldest = oldestTime(from, newest);
  const timeOf = ({ date }: FoundBuild) => {
    return date === undefined ? newest : Date.parse(date);
  };
  const inOrder = found.toSorted((a, b) => timeOf(a) - timeOf(b));
  // Without a date nothing is known of the age.
  const young = inOrder.filter((each) => each.date === undefined || timeOf(each) >= oldest);
  return limit < young.length ? young.slice(-limit) : young;
}

function oldestTime(from: Since | undefined, newest: number): number {
  if (from === undefined) {
    return -Infinity;
  }
  return 'time' in from ? from.time : newest - from.age;
}

/** Collects builds, each once. */
class Recorder {
  readonly entries: Entry[] = [];
  readonly lines: SeriesLine[] = [];
  /** The ids of builds that are in the file or will be. */
  readonly #known = new Set<string>();
  readonly #isDryRun: boolean;
  readonly #context: Context;
  readonly #waiting: FoundBuild[] = [];

  constructor(present: readonly SeriesLine[], isDryRun: boolean, context: Context) {
    this.#isDryRun = isDryRun;
    this.#context = context;
    for (const { id } of present) {
      this.#know(id);
    }
  }

  /** Notes the builds that `find` returns. */
  async addSource(source: string, find: () => Promise<readonly FoundBuild[]>): Promise<void> {
    try {
      for (const found of await find()) {
        if (this.#isKnown(found.id)) {
          this.#note('present', found);
        } else {
          this.#know(found.id);
          this.#waiting.push(found);
        }
      }
    } catch (error) {
      this.#fail({ source }, error);
    }
  }

  /** Reads the builds that are new. */
  async read(): Promise<void> {
    const { log } = this.#context;
    const total = this.#waiting.length;
    const work = startWork(log, 'reading builds', total, 'builds');
    for (const found of this.#waiting) {
      if (this.#isDryRun && found.id !== undefined) {
        this.#note('added', found);
      } else {
        await this.#readOne(found);
      }
      work.advance(1);
    }
    work.end();
  }

  async #readOne(found: FoundBuild): Promise<void> {
    try {
      const build = await found.read();
      // Some builds are known only now.
      const { source } = found;
      if (found.id === undefined && this.#isKnown(build.id)) {
        this.#note('present', { ...build, source });
        return;
      }
      const line = lineOf(build);
      this.lines.push(line);
      this.#know(build.id);
      this.#note('added', { ...build, source });
    } catch (error) {
      this.#fail(found, error);
    }
  }

  #note(result: Entry['result'], named: Named, error?: OstrataError): void {
    const entry: Entry = {
      result,
      source: named.source,
      build: named.build,
      id: named.id,
      date: named.date,
      error,
    };
    this.entries.push(entry);
  }

  #fail(named: Named, error: unknown): void {
    if (this.#context.signal.aborted) {
      throw error;
    }
    const { source } = named;
    const isNamed = messageOf(error).includes(source);
    const failure = isNamed && error instanceof OstrataError ? error : wrapError(source, error);
    this.#note('failed', named, failure);
  }

  #isKnown(id: string | undefined): boolean {
    return id !== undefined && this.#known.has(id);
  }

  #know(id: string | undefined): void {
    if (id !== undefined) {
      this.#known.add(id);
    }
  }
}

/** Prints what became of the builds; throws if one could not be read. */
function report(entries: readonly Entry[], total: number, options: RecordOptions): void {
  const { append: file, dryRun = false, json } = options;
  const error = failureOf(entries);
  if (json) {
    const builds = entries.map(({ error: failure, ...entry }) => {
      return { ...entry, message: failure?.message };
    });
    const document = { file, total, builds };
    const failure = error === undefined ? {} : errorInDocument(error);
    print(JSON.stringify(Object.assign(document, failure)));
  } else {
    print(textReport(entries, total, file, dryRun));
  }
  if (error !== undefined) {
    throw error;
  }
}

function textReport(
  entries: readonly Entry[],
  total: number,
  file: string,
  isDryRun: boolean,
): string {
  const columns = [left('RESULT'), left('BUILD'), left('DATE'), left('SOURCE')];
  const rows: string[][] = [];
  let added = 0;
  for (const { result, build = '', date = '', source } of entries) {
    if (result !== 'failed') {
      rows.push([result, build, date, source]);
    }
    if (result === 'added') {
      added++;
    }
  }
  const builds = counted(added, 'build');
  const summary = isDryRun
    ? `${builds} would be added to ${file}, which has ${total}`
    : `${builds} added to ${file}, which has ${total} now`;
  if (rows.length === 0) {
    return summary;
  }
  const table = formatTable(columns, rows);
  return `${table}\n\n${summary}`;
}

function failureOf(entries: readonly Entry[]): OstrataError | undefined {
  const errors = entries.flatMap(({ error }) => error ?? []);
  const [first, ...others] = errors;
  if (first === undefined || others.length === 0) {
    return first;
  }
  const messages = errors.map(messageOf).join('; ');
  const cause = new AggregateError(errors, messages);
  const message = `${errors.length} builds failed: ${messages}`;
  return new OstrataError(first.code, message, { cause });
}

function since(text: string): Since {
  const age = parseAge(text);
  if (age !== undefined) {
    return { age };
  }
  if (!isDate(text)) {
    throw new InvalidArgumentError('expected an age such as 90d, or a date such as 2023-10-31.');
  }
  return { time: Date.parse(text) };
}
