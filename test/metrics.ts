/**
 * npm run metrics: figures of the sources in src and plugins, and the limits they must stay within.
 * Exit codes: 0 every limit is kept, 1 a limit is broken (each place is named).
 * The compiler that is installed for the build parses the files, so that the figures are exact.
 */
import { readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as ast from 'typescript/unstable/ast';
import { API, type Program, type Project } from 'typescript/unstable/sync';
import { repoRoot } from './support/root.js';

const FOLDERS = ['src', 'plugins'];
const MAX_COLUMNS = 100;
/** The only file that may call `JSON.parse`: it bounds what it reads. */
const JSON_READER = 'src/bytes/json.ts';
/** The only folder whose files may print: they escape what could give orders to a terminal. */
const PRINTERS = 'src/cli/output/';

/** A place in a source file, such as `src/log.ts:12 line of 104 columns`. */
type Place = string;

export interface Metric {
  readonly name: string;
  readonly value: string;
  /** What is allowed, as text; undefined if the figure is only shown. */
  readonly limit?: string;
  /** Empty if the limit is kept. */
  readonly broken: readonly Place[];
}

interface Item {
  readonly size: number;
  readonly place: Place;
}

/** What was found in all files. */
interface Findings {
  readonly files: Item[];
  readonly functions: Item[];
  readonly tokensOfLines: number[];
  readonly wideLines: Place[];
  readonly conditionalSpreads: Place[];
  readonly casts: Place[];
  readonly nestedTernaries: Place[];
  readonly floatingPromises: Place[];
  readonly withoutHeader: Place[];
  readonly bareParsing: Place[];
  readonly prints: Place[];
  readonly lookups: Place[];
  readonly imports: Map<string, readonly string[]>;
}

/** Measures every source file below {@link FOLDERS} in the checkout. */
export function measureSources(): Metric[] {
  const api = new API({ cwd: repoRoot });
  try {
    const snapshot = api.updateSnapshot({ openProject: join(repoRoot, 'tsconfig.json') });
    const [project] = snapshot.getProjects();
    if (project === undefined) {
      throw new Error('tsconfig.json: the compiler opened no project');
    }
    return metricsOf(findAll(project));
  } finally {
    api.close();
  }
}

function findAll(project: Project): Findings {
  const findings: Findings = {
    files: [],
    functions: [],
    tokensOfLines: [],
    wideLines: [],
    conditionalSpreads: [],
    casts: [],
    nestedTernaries: [],
    floatingPromises: [],
    withoutHeader: [],
    bareParsing: [],
    prints: [],
    lookups: [],
    imports: new Map(),
  };
  for (const name of sourceNames()) {
    measureFile(name, project, findings);
  }
  return findings;
}

function sourceNames(): string[] {
  const names = FOLDERS.flatMap((folder) =>
    readdirSync(join(repoRoot, folder), { recursive: true, encoding: 'utf8' }).map(
      (name) => `${folder}/${name}`,
    ),
  );
  return names.filter((name) => name.endsWith('.ts')).sort();
}

function measureFile(name: string, project: Project, findings: Findings): void {
  const file = sourceFile(project.program, name);
  const lines = file.text.replace(/\n$/, '').split('\n');
  findings.files.push({ size: lines.length, place: `${name} file of ${lines.length} lines` });

  for (const [index, line] of lines.entries()) {
    const columns = [...line].length;
    if (columns > MAX_COLUMNS) {
      findings.wideLines.push(`${name}:${index + 1} line of ${columns} columns`);
    }
  }

  findings.tokensOfLines.push(...tokensOfLines(file.text));
  if (!hasHeader(file)) {
    findings.withoutHeader.push(`${name} no header comment`);
  }
  findings.imports.set(name, importsOf(name, file));
  measureNodes(name, file, findings);
  findings.floatingPromises.push(...floatingPromises(name, file, project));
  findings.lookups.push(...lookups(name, file, project));
}

function sourceFile(program: Program, name: string): ast.SourceFile {
  const file = program.getSourceFile(join(repoRoot, name));
  if (file === undefined) {
    throw new Error(`${name}: not a file of tsconfig.json`);
  }
  return file;
}

/** The number of words and punctuation marks on each line that is not blank without comments. */
function tokensOfLines(text: string): number[] {
  const withoutBlocks = text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/./g, ''));
  return withoutBlocks
    .split('\n')
    .map((line) => line.replace(/(^|\s)\/\/.*/, ''))
    .filter((line) => line.trim() !== '')
    .map((line) => line.match(/\w+|[^\s\w]/g)?.length ?? 0);
}

/**
 * Whether the file begins with a comment about the file: one that is followed by an empty line, by
 * another comment or by imports, so that it is not the documentation of the first declaration.
 */
function hasHeader(file: ast.SourceFile): boolean {
  const text = file.text.replace(/^#!.*\n/, '');
  const comment = /^(\/\*[\s\S]*?\*\/\n|(\/\/.*\n)+)/.exec(text)?.[0];
  if (comment === undefined) {
    return false;
  }

  const rest = text.slice(comment.length);
  const [first] = file.statements;
  const beginsWithImport =
    first !== undefined && (ast.isImportDeclaration(first) || ast.isExportDeclaration(first));
  return rest.startsWith('\n') || rest.startsWith('/') || beginsWithImport;
}

/** The files of this project that a file imports, types included. */
function importsOf(name: string, file: ast.SourceFile): string[] {
  const specifiers = file.imports.map((literal) => ('text' in literal ? `${literal.text}` : ''));
  return specifiers
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => normalize(join(dirname(name), specifier)).replace(/\.js$/, '.ts'));
}

function placeOf(name: string, file: ast.SourceFile, node: ast.Node, what: string): Place {
  const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
  return `${name}:${line + 1} ${what}`;
}

function measureNodes(name: string, file: ast.SourceFile, findings: Findings): void {
  const place = (node: ast.Node, what: string) => placeOf(name, file, node, what);

  const visit = (node: ast.Node): void => {
    if (ast.isFunctionLikeDeclaration(node) && 'body' in node && node.body !== undefined) {
      const size = lineCount(file, node);
      findings.functions.push({ size, place: place(node, `function of ${size} lines`) });
    } else if (isConditionalSpread(node)) {
      findings.conditionalSpreads.push(place(node, 'conditional spread'));
    } else if (isCast(node, file)) {
      findings.casts.push(place(node, 'cast'));
    } else if (isNestedTernary(node)) {
      findings.nestedTernaries.push(place(node, 'nested ternary'));
    } else if (name !== JSON_READER && isJsonParse(node, file)) {
      findings.bareParsing.push(place(node, 'JSON.parse'));
    } else if (!name.startsWith(PRINTERS) && isPrint(node, file)) {
      findings.prints.push(place(node, node.getText(file)));
    }
    node.forEachChild(visit);
  };
  visit(file);
}

function lineCount(file: ast.SourceFile, node: ast.Node): number {
  const first = file.getLineAndCharacterOfPosition(node.getStart(file)).line;
  return file.getLineAndCharacterOfPosition(node.end).line - first + 1;
}

/** `...(a && { b })` or `...(a ? { b } : {})` in an object literal. */
function isConditionalSpread(node: ast.Node): boolean {
  if (!ast.isSpreadAssignment(node)) {
    return false;
  }
  let spread: ast.Node = node.expression;
  while (ast.isParenthesizedExpression(spread)) {
    spread = spread.expression;
  }
  const isAnd =
    ast.isBinaryExpression(spread) &&
    spread.operatorToken.kind === ast.SyntaxKind.AmpersandAmpersandToken;
  return isAnd || ast.isConditionalExpression(spread);
}

/** `x as T` or `<T>x`, which say what the compiler cannot check; `x as const` does not. */
function isCast(node: ast.Node, file: ast.SourceFile): boolean {
  const isAs = ast.isAsExpression(node) && node.type.getText(file) !== 'const';
  return isAs || ast.isTypeAssertion(node);
}

/** A conditional expression that is an operand of another one. */
function isNestedTernary(node: ast.Node): boolean {
  let { parent } = node;
  while (parent !== undefined && ast.isParenthesizedExpression(parent)) {
    parent = parent.parent;
  }
  return (
    ast.isConditionalExpression(node) && parent !== undefined && ast.isConditionalExpression(parent)
  );
}

function isJsonParse(node: ast.Node, file: ast.SourceFile): boolean {
  return ast.isPropertyAccessExpression(node) && node.getText(file) === 'JSON.parse';
}

/** `console.log`, `process.stdout.write` and the like. */
function isPrint(node: ast.Node, file: ast.SourceFile): boolean {
  return (
    ast.isPropertyAccessExpression(node) &&
    /^(console\.\w+|process\.std(out|err)\.(write|end))$/.test(node.getText(file))
  );
}

/**
 * Lookups of any text in an object, `table[text]`: every object has `constructor` and `__proto__`,
 * so text from outside would find what the table does not have. A Map finds its own keys only.
 */
function lookups(name: string, file: ast.SourceFile, { checker }: Project): Place[] {
  const accesses: ast.ElementAccessExpression[] = [];
  const visit = (node: ast.Node): void => {
    if (ast.isElementAccessExpression(node)) {
      accesses.push(node);
    }
    node.forEachChild(visit);
  };
  visit(file);
  if (accesses.length === 0) {
    return [];
  }

  const types = checker.getTypeAtLocation(accesses.map((each) => each.argumentExpression));
  const isText = (_: ast.Node, index: number) => {
    const type = types[index];
    return type !== undefined && checker.typeToString(type) === 'string';
  };
  return accesses
    .filter(isText)
    .map((access) => placeOf(name, file, access, `lookup ${access.getText(file)}`));
}

/**
 * Statements whose value is a promise that nobody awaits: a rejection of it would end the process.
 * Assignments, `void` and `.catch()` say that the promise is dealt with.
 */
function floatingPromises(name: string, file: ast.SourceFile, { checker }: Project): Place[] {
  const expressions: ast.Expression[] = [];
  const visit = (node: ast.Node): void => {
    if (ast.isExpressionStatement(node) && ast.isCallExpression(node.expression)) {
      expressions.push(node.expression);
    }
    node.forEachChild(visit);
  };
  visit(file);
  if (expressions.length === 0) {
    return [];
  }

  const types = checker.getTypeAtLocation(expressions);
  const isFloating = (expression: ast.Expression, index: number) => {
    const type = types[index];
    const returnsPromise = type !== undefined && /^Promise</.test(checker.typeToString(type));
    return returnsPromise && !/\.catch\($/.test(calleeText(expression, file));
  };
  return expressions
    .filter(isFloating)
    .map((expression) => placeOf(name, file, expression, 'promise that is not awaited'));
}

/** The text of a call up to its opening parenthesis. */
function calleeText(call: ast.Expression, file: ast.SourceFile): string {
  return ast.isCallExpression(call) ? `${call.expression.getText(file)}(` : '';
}

/** Groups of files that import each other, directly or through others of the group. */
function importCycles(imports: ReadonlyMap<string, readonly string[]>): Place[] {
  const reachable = (from: string): Set<string> => {
    const reached = new Set<string>();
    const queue = [...(imports.get(from) ?? [])];
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (!reached.has(next)) {
        reached.add(next);
        queue.push(...(imports.get(next) ?? []));
      }
    }
    return reached;
  };
  const reachableFrom = new Map([...imports.keys()].map((name) => [name, reachable(name)]));

  return [...imports.keys()]
    .filter((name) => reachableFrom.get(name)?.has(name))
    .map((name) => {
      const others = [...imports.keys()].filter(
        (other) => reachableFrom.get(name)?.has(other) && reachableFrom.get(other)?.has(name),
      );
      return `${name} in an import cycle of ${others.join(', ')}`;
    });
}

/** The smallest value that at least `share` of the values do not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

const spread = (values: readonly number[]) =>
  `median ${quantile(values, 0.5)}, p95 ${quantile(values, 0.95)}, max ${quantile(values, 1)}`;

function metricsOf(findings: Findings): Metric[] {
  const { files, functions, tokensOfLines: tokens } = findings;
  const fileSizes = files.map(({ size }) => size);
  const functionSizes = functions.map(({ size }) => size);
  const mean = sum(tokens) / tokens.length;
  const [median, p95] = [quantile(tokens, 0.5), quantile(tokens, 0.95)];

  return [
    shown('files', `${files.length}`),
    shown('lines', `${sum(fileSizes)}`),
    bounded('lines of a file', spread(fileSizes), 350, files),
    bounded('lines of a function', spread(functionSizes), 60, functions),
    counted(`lines over ${MAX_COLUMNS} columns`, 0, findings.wideLines),
    {
      name: 'tokens on a line of code',
      value: `median ${median}, mean ${mean.toFixed(2)}, p95 ${p95}`,
      limit: 'mean 9.5',
      broken: mean > 9.5 ? [`mean of ${mean.toFixed(2)} tokens on a line of code`] : [],
    },
    counted('conditional spreads', 0, findings.conditionalSpreads),
    counted('casts', 60, findings.casts),
    counted('nested ternaries', 0, findings.nestedTernaries),
    counted('floating promises', 0, findings.floatingPromises),
    counted('files in import cycles', 0, importCycles(findings.imports)),
    counted('files without header comment', 0, findings.withoutHeader),
    counted(`uses of JSON.parse outside ${JSON_READER}`, 0, findings.bareParsing),
    counted(`prints outside ${PRINTERS}`, 0, findings.prints),
    counted('lookups of any text in an object', 0, findings.lookups),
  ];
}

function shown(name: string, value: string): Metric {
  return { name, value, broken: [] };
}

function counted(name: string, limit: number, places: readonly Place[]): Metric {
  const broken = places.length > limit ? places : [];
  return { name, value: `${places.length}`, limit: `${limit}`, broken };
}

function bounded(name: string, value: string, limit: number, items: readonly Item[]): Metric {
  const broken = items.filter(({ size }) => size > limit).map(({ place }) => place);
  return { name, value, limit: `max ${limit}`, broken };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const metrics = measureSources();
  for (const { name, value, limit } of metrics) {
    const allowed = limit === undefined ? '' : ` (limit: ${limit})`;
    console.log(`${name.padEnd(30)} ${value}${allowed}`);
  }
  for (const { name, broken } of metrics.filter((metric) => metric.broken.length > 0)) {
    console.log(`\n${name}: the limit is broken`);
    for (const place of broken) {
      console.log(`  ${place}`);
    }
    process.exitCode = 1;
  }
}
