import { readFileSync } from "node:fs";

/**
 * Names a process so that no other one has the name, before or after a restart of the machine; `undefined` if
 * there is no such process.
 */
export function processIdentity(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const status = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name of the program comes before these, in brackets; the 22nd field in all is when it was started.
    const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
    return `${boot} ${pid} ${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** The process that has this identity, if it still runs. */
export function findProcess(identity: string): number | undefined {
  const pid = Number(identity.split(" ")[1]);
  return Number.isSafeInteger(pid) && pid > 1 && processIdentity(pid) === identity ? pid : undefined;
}
