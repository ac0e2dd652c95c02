import { readFileSync } from "node:fs";

/** The number of the mount through which a file was opened, as `/proc/self/mountinfo` has it. */
export function mountIdOf(fd: number): string {
  const id = findMountId(fd);
  if (id === undefined) throw new Error("the kernel does not say through which mount a file is open");
  return id;
}

/** The same; `undefined` if the kernel does not say. */
export function findMountId(fd: number): string | undefined {
  return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1];
}
