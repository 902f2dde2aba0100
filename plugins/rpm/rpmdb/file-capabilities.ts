/**
 * Capabilities of files, as rpm stores them (the text of cap_from_text(3)) and as the kernel does
 * (the extended attribute `security.capability`, struct vfs_cap_data of linux/capability.h).
 */

/** The names of capabilities without `cap_`, by their numbers (capabilities(7)). */
const NAMES = [
  'chown',
  'dac_override',
  'dac_read_search',
  'fowner',
  'fsetid',
  'kill',
  'setgid',
  'setuid',
  'setpcap',
  'linux_immutable',
  'net_bind_service',
  'net_broadcast',
  'net_admin',
  'net_raw',
  'ipc_lock',
  'ipc_owner',
  'sys_module',
  'sys_rawio',
  'sys_chroot',
  'sys_ptrace',
  'sys_pacct',
  'sys_admin',
  'sys_boot',
  'sys_nice',
  'sys_resource',
  'sys_time',
  'sys_tty_config',
  'mknod',
  'lease',
  'audit_write',
  'audit_control',
  'setfcap',
  'mac_override',
  'mac_admin',
  'syslog',
  'wake_alarm',
  'block_suspend',
  'audit_read',
  'perfmon',
  'bpf',
  'checkpoint_restore',
];

/** Each set has one bit for each capability. */
interface CapabilitySets {
  e: bigint;
  p: bigint;
  i: bigint;
}

const LETTERS = ['e', 'p', 'i'] as const;

/**
 * Whether a file has the capabilities that its package gives it.
 * @param text as rpm stores it; empty for none
 * @param xattr the value of `security.capability`
 */
export function hasCapabilities(text: string, xattr: Uint8Array | undefined): boolean {
  const wanted = capabilitiesOfText(text);
  const found = capabilitiesOfXattr(xattr);
  return wanted !== undefined && LETTERS.every((letter) => wanted[letter] === found?.[letter]);
}

/** Returns undefined if the text has another form. */
function capabilitiesOfText(text: string): CapabilitySets | undefined {
  const sets: CapabilitySets = { e: 0n, p: 0n, i: 0n };
  for (const clause of text.split(/\s+/).filter((each) => each !== '')) {
    const [, list, actions = ''] = /^([^=+-]*)((?:[=+-][eip]*)+)$/.exec(clause) ?? [];
    const bits = list === undefined ? undefined : capabilityBits(list);
    if (bits === undefined) {
      return undefined;
    }
    for (const [, operator = '', letters = ''] of actions.matchAll(/([=+-])([eip]*)/g)) {
      change(sets, bits, operator, letters);
    }
  }
  return sets;
}

/** Returns the bits of names that are separated by commas; no name and `all` are all of them. */
function capabilityBits(list: string): bigint | undefined {
  if (list === '' || list === 'all') {
    return (1n << BigInt(NAMES.length)) - 1n;
  }
  let bits = 0n;
  for (const name of list.split(',')) {
    const number = NAMES.indexOf(name.replace(/^cap_/, ''));
    if (number === -1) {
      return undefined;
    }
    bits |= 1n << BigInt(number);
  }
  return bits;
}

function change(sets: CapabilitySets, bits: bigint, operator: string, letters: string): void {
  for (const letter of LETTERS) {
    const isNamed = letters.includes(letter);
    if (operator === '=' || (operator === '-' && isNamed)) {
      sets[letter] &= ~bits;
    }
    if (operator !== '-' && isNamed) {
      sets[letter] |= bits;
    }
  }
}

const MAGIC_SIZE = 4;
/** Of two sets with 32 capabilities each. */
const WORD_SIZE = 8;
const EFFECTIVE = 1;

/** No attribute means no capabilities. Returns undefined for a value of another form. */
function capabilitiesOfXattr(xattr: Uint8Array | undefined): CapabilitySets | undefined {
  const sets: CapabilitySets = { e: 0n, p: 0n, i: 0n };
  if (xattr === undefined) {
    return sets;
  }
  const view = new DataView(xattr.buffer, xattr.byteOffset, xattr.length);
  const version = xattr.length < MAGIC_SIZE ? 0 : view.getUint32(0, true) >>> 24;
  const words = version === 1 ? 1 : 2;
  if (version < 1 || version > 3 || xattr.length < MAGIC_SIZE + words * WORD_SIZE) {
    return undefined;
  }
  for (let word = 0; word < words; word++) {
    const at = MAGIC_SIZE + word * WORD_SIZE;
    const shift = BigInt(32 * word);
    sets.p |= BigInt(view.getUint32(at, true)) << shift;
    sets.i |= BigInt(view.getUint32(at + 4, true)) << shift;
  }
  const isEffective = (view.getUint32(0, true) & EFFECTIVE) !== 0;
  sets.e = isEffective ? sets.p | sets.i : 0n;
  return sets;
}
