import { readFile } from "node:fs/promises";

/** What a confined process may use. */
export interface Bounds {
  /** How much memory it may map, including its own code. */
  addressSpaceBytes: number;
  /** The limit for each file that it writes. Writing beyond it fails with EFBIG. */
  fileBytes: number;
}

/** The rights of the process that starts another one. */
export interface Starter {
  uid: number;
  pid: number;
  /** The effective set, one bit for each capability. */
  capabilities: bigint;
}

/** Bits of `<linux/capability.h>`. */
const SETGID = 1n << 6n;
const SETUID = 1n << 7n;
const SETPCAP = 1n << 8n;
const SYS_ADMIN = 1n << 21n;

/** User ids that no distribution and no systemd assigns: https://systemd.io/UIDS-GIDS/. */
export const FREE_UIDS = { first: 60_578, count: 606 };
/** For threads; QEMU uses a few dozen. */
const MAX_THREADS = 256;

/** The rights of this process. */
export async function thisStarter(): Promise<Starter> {
  const status = await readFile("/proc/self/status", "utf8");
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\w+)`, "m").exec(status)?.[1] ?? "0";
  return { uid: Number(field("Uid")), pid: process.pid, capabilities: BigInt(`0x${field("CapEff")}`) };
}

/** The user and group id that a confined command gets; `undefined` if it keeps the starter's. */
export function confinedUser({ uid, pid, capabilities }: Starter): number | undefined {
  const needed = SETUID | SETGID | SETPCAP;
  if (uid !== 0 || (capabilities & needed) !== needed) return undefined;
  return FREE_UIDS.first + (pid % FREE_UIDS.count);
}

/**
 * The command that runs `command` with as few rights as the starter can give up: a user id of its own without
 * capabilities or new privileges, a network with no interface, bounded memory and files, the lowest priority
 * for processor and disk, and the first to be killed when memory runs out. It ends with its starter.
 *
 * A starter that is not root can only give up its own rights: the user id and the network stay.
 */
export function confined(command: readonly string[], bounds: Bounds, starter: Starter): string[] {
  const user = confinedUser(starter);
  return [
    ...((starter.capabilities & SYS_ADMIN) !== 0n ? ["unshare", "--net", "--ipc"] : []),
    ...["nice", "-n", "5", "ionice", "-c", "2", "-n", "7", "choom", "-n", "500", "--"],
    ...["prlimit", "--core=0", `--as=${bounds.addressSpaceBytes}`, `--fsize=${bounds.fileBytes}`],
    // The limit counts all processes of a user id, so it works only for one that has no others.
    ...(user !== undefined ? [`--nproc=${MAX_THREADS}`] : []),
    ...["setpriv", "--pdeathsig", "KILL", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all"],
    ...(user !== undefined
      ? ["--reuid", `${user}`, "--regid", `${user}`, "--clear-groups", "--bounding-set=-all"]
      : []),
    // If the signal is not ignored, it kills a process that writes beyond its limit.
    ...["env", "--ignore-signal=XFSZ"],
    ...command,
  ];
}
