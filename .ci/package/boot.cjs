// The main script of the program that is one file. Node runs what `--import` names in worker
// threads only, so here it has to be imported.
const [hooks] = process.execArgv.flatMap((option) => option.match(/(?<=^--import=).*/s) ?? []);
import(hooks).then(() => import('file:///proc/self/exe/main.js'));
