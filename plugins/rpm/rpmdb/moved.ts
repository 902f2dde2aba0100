/**
 * Where an ostree-shaped tree keeps files that packages install elsewhere: rpm-ostree moves them.
 */

/** One rule, in both directions. Replacements are those of `String.replace`. */
interface Move {
  /** Matches the path that the package names. */
  readonly installed: RegExp;
  readonly moved: string;
  /** Matches the path in the tree. */
  readonly found: RegExp;
  readonly origin: string;
}

/** The first rule that fits an existing file counts. */
const MOVES: readonly Move[] = [
  {
    installed: /^\/etc(|\/.*)$/s,
    moved: '/usr/etc$1',
    found: /^\/usr\/etc(|\/.*)$/s,
    origin: '/etc$1',
  },
  // The kernel and its files: /boot/vmlinuz-KVER is usr/lib/modules/KVER/vmlinuz.
  {
    installed: /^\/boot\/(vmlinuz|config|System\.map|symvers\.gz|symvers\.xz)-(.+)$/,
    moved: '/usr/lib/modules/$2/$1',
    found: /^\/usr\/lib\/modules\/([^/]+)\/(vmlinuz|config|System\.map|symvers\.gz|symvers\.xz)$/,
    origin: '/boot/$2-$1',
  },
  {
    installed: /^\/boot\/\.(vmlinuz-(.+)\.hmac)$/,
    moved: '/usr/lib/modules/$2/.vmlinuz.hmac',
    found: /^\/usr\/lib\/modules\/([^/]+)\/\.vmlinuz\.hmac$/,
    origin: '/boot/.vmlinuz-$1.hmac',
  },
  // Everything else in /boot, and files in /opt and /var/lib.
  {
    installed: /^\/boot\/(.*)$/s,
    moved: '/usr/lib/ostree-boot/$1',
    found: /^\/usr\/lib\/ostree-boot\/(.*)$/s,
    origin: '/boot/$1',
  },
  {
    installed: /^\/opt\/(.*)$/s,
    moved: '/usr/lib/opt/$1',
    found: /^\/usr\/lib\/opt\/(.*)$/s,
    origin: '/opt/$1',
  },
  {
    installed: /^\/var\/lib\/(.*)$/s,
    moved: '/usr/lib/sysimage/$1',
    found: /^\/usr\/lib\/sysimage\/(.*)$/s,
    origin: '/var/lib/$1',
  },
];

/**
 * Returns where a file that a package installs as `path` may lie instead, the likeliest place
 * first.
 */
export function movedPaths(path: string): string[] {
  const moves = MOVES.filter(({ installed }) => installed.test(path));
  return moves.map(({ installed, moved }) => path.replace(installed, moved));
}

/** Returns the paths that packages may name for a file that lies at `path`. */
export function originalPaths(path: string): string[] {
  const moves = MOVES.filter(({ found }) => found.test(path));
  return moves.map(({ found, origin }) => path.replace(found, origin));
}
