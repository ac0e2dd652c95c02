import type { Machine } from "../../machine/machine.ts";
import { readOsRelease } from "../../machine/system.ts";

/** GRUB's commands as the machine's distribution names them. */
export interface GrubTools {
  mkconfig: string;
  editenv: string;
}

/** If GRUB 2 was installed beside the old GRUB, it kept the digit. */
const WITH_DIGIT =
  /^(rhel|fedora|centos|rocky|almalinux|ol|amzn|suse|opensuse.*|sles|sled|sl-micro|mageia|photon)$/;

export async function grubToolsOf(machine: Machine): Promise<GrubTools> {
  const { ID = "", ID_LIKE = "" } = await readOsRelease(machine);
  const hasDigit = [ID, ...ID_LIKE.split(/\s+/)].some((name) => WITH_DIGIT.test(name));
  const name = hasDigit ? "grub2" : "grub";
  return { mkconfig: `${name}-mkconfig`, editenv: `${name}-editenv` };
}
