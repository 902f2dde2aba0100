/** The users and groups of a tree, which rpm compares by name. */
import type { LookupTree } from '../../../src/tree/lookup.js';

/** Names and numbers of users, or of groups. */
export class Accounts {
  readonly #ids = new Map([['root', 0]]);
  readonly #names = new Map([[0, 'root']]);

  /** Adds the lines of a file such as `/etc/passwd`. The first line of a name or number counts. */
  add(text: string): void {
    for (const line of text.split('\n')) {
      const [name = '', , id = ''] = line.split(':');
      if (name === '' || !/^\d+$/.test(id)) {
        continue;
      }
      const number = Number(id);
      if (!this.#ids.has(name)) {
        this.#ids.set(name, number);
      }
      if (!this.#names.has(number)) {
        this.#names.set(number, name);
      }
    }
  }

  /** Whether `id` belongs to `name`, or `name` to `id`: two names may have one number. */
  isOwner(name: string, id: number): boolean {
    return this.#ids.get(name) === id || this.#names.get(id) === name;
  }
}

/** Where a tree has them: ostree moves `/etc`, and keeps the accounts of packages in `/usr/lib`. */
const DIRECTORIES = ['/etc', '/usr/etc', '/usr/lib'] as const;

/** Reads the users or groups of a tree; root is always one. */
export async function readAccounts(tree: LookupTree, file: 'passwd' | 'group'): Promise<Accounts> {
  const accounts = new Accounts();
  for (const directory of DIRECTORIES) {
    const entry = tree.files.resolve(`${directory}/${file}`, true);
    if (entry?.type === 'file') {
      accounts.add(Buffer.from(await tree.bytes(entry.path)).toString());
    }
  }
  return accounts;
}
