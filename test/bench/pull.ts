// node dist/test/bench/pull.js OLD NEW REPO COMMIT: what pulling the image OLD, then NEW, from a registry on this machine costs, in
// two modes of repository, against `skopeo copy` of OLD to a folder and `ostree pull-local` of its COMMIT from REPO. One run
// each. OLD and NEW are oci:DIR:TAG; needs docker-registry, skopeo, ostree, and root.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../root.js';
import { startRegistry } from '../transports/docker-registry.js';

const program = join(repoRoot, 'dist/src/cli/main.js');
const MODES = ['archive', 'bare-user'];
/** Loaded into the measured process: its worker threads count into its peak. */
const REPORT_PEAK =
  'data:text/javascript,process.on("exit",()=>console.error("peak KiB:",process.resourceUsage().maxRSS))';

interface Measured {
  readonly seconds: number;
  readonly stdout: string;
  readonly stderr: string;
}

function measure(command: string, ...args: readonly string[]): Measured {
  const start = performance.now();
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  const seconds = (performance.now() - start) / 1000;
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${status}\n${stderr}`);
  return { seconds, stdout, stderr };
}

function report(name: string, { seconds, stdout, stderr }: Measured): void {
  const peak = /peak KiB: (\d+)/.exec(stderr)?.[1];
  const { layersFetched, bytesFetched } = stdout.startsWith('{')
    ? JSON.parse(stdout.trim().split('\n').at(-1) as string)
    : { layersFetched: '', bytesFetched: 0 };
  const fetched = bytesFetched > 0 ? `${layersFetched} layers, ${(bytesFetched / 1e6).toFixed(0)} MB` : '';
  const memory = peak === undefined ? '' : `${(Number(peak) / 1024).toFixed(0)} MiB`;
  console.log(`${name.padEnd(44)}${seconds.toFixed(1).padStart(8)} s  ${fetched.padEnd(22)}${memory}`);
}

const [old = '', next = '', repo = '', commit = ''] = process.argv.slice(2);
// On the disk, not in /tmp, which may be memory.
const scratch = mkdtempSync('/var/tmp/ostrata-bench-');
const registry = await startRegistry(join(scratch, 'registry'));
try {
  for (const [tag, image] of [
    ['old', old],
    ['new', next],
  ] as const)
    measure(
      'skopeo',
      'copy',
      '--quiet',
      '--dest-tls-verify=false',
      '--preserve-digests',
      image,
      `docker://${registry.host}/os:${tag}`,
    );
  const newRepo = (name: string, mode: string) => {
    measure('ostree', `--repo=${join(scratch, name)}`, 'init', `--mode=${mode}`);
    return join(scratch, name);
  };
  for (const mode of MODES) {
    const ours = newRepo(`ours-${mode}`, mode);
    const pull = (tag: string) => {
      const image = `ostree-unverified-registry:${registry.host}/os:${tag}`;
      const args = ['--import', REPORT_PEAK, program, 'container', 'unencapsulate', '--json', '--tls-verify=false'];
      return measure(process.execPath, ...args, `--repo=${ours}`, `--write-ref=${tag}`, image);
    };
    report(`ostrata, ${mode}, all`, pull('old'));
    report(`ostrata, ${mode}, update`, pull('new'));
    const directory = join(scratch, `dir-${mode}`);
    const image = `docker://${registry.host}/os:old`;
    report(
      `skopeo copy to dir:`,
      measure('skopeo', 'copy', '--quiet', '--src-tls-verify=false', image, `dir:${directory}`),
    );
    report(
      `ostree pull-local, ${mode}`,
      measure('ostree', `--repo=${newRepo(`local-${mode}`, mode)}`, 'pull-local', repo, commit),
    );
    for (const name of [`ours-${mode}`, `dir-${mode}`, `local-${mode}`])
      rmSync(join(scratch, name), { recursive: true });
  }
} finally {
  await registry.stop();
  rmSync(scratch, { recursive: true, force: true });
}
