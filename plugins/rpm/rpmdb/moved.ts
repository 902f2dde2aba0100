/** Where an ostree-shaped tree keeps what packages install elsewhere, as rpm-ostree moves it. */

interface Move {
  readonly installed: RegExp;
  /** Replacement for {@link installed}. */
  readonly moved: string;
  /** The way back. */
  readonly found: RegExp;
  readonly origin: string;
}

/** The first rule that fits an existing file counts. */
const MOVES: readonly Move[] = [
  {
    installed: /^\/etc\/(.*)$/s,
    moved: '/usr/etc/$1',
    found: /^\/usr\/etc\/(.*)$/s,
    origin: '/etc/$1',
  },
  // The kernel and what belongs to it: /boot/vmlinuz-KVER is usr/lib/modules/KVER/vmlinuz.
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
  // What a package puts below /boot otherwise, and into /opt and /var/lib.
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

/** Where a file that is installed as `path` may lie instead, likeliest first. */
export function movedPaths(path: string): string[] {
  return MOVES.filter(({ installed }) => installed.test(path)).map(({ installed, moved }) =>
    path.replace(installed, moved),
  );
}

/** What a file that lies at `path` may be installed as. */
export function originalPaths(path: string): string[] {
  return MOVES.filter(({ found }) => found.test(path)).map(({ found, origin }) =>
    path.replace(found, origin),
  );
}
