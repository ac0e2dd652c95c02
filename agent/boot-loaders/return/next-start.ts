import { isTold } from "../grub-script/state.ts";
import { attended, type Judgement, UNATTENDED, unknown } from "./judgement.ts";
import { isOtherRoot, rootIn } from "./root.ts";

const REMEDY = "Make this system's entry the default (GRUB_DEFAULT in /etc/default/grub).";

/** Whether what the boot loader may start is the system that runs with this command line. */
export function judgeStarts(starts: readonly (readonly string[])[], commandLine: string): Judgement[] {
  const running = rootIn(commandLine.split(/\s+/));
  return starts.map(([command = "", ...words]) => {
    if (command === "chainloader" || command === "ntldr" || command === "freedos") {
      return unknown(
        `GRUB's default hands over to another boot loader: ${[command, ...words].join(" ")}`,
        REMEDY,
      );
    }
    const root = rootIn(words);
    // A hypervisor has no root of its own: the kernel and other files are its modules.
    const isPart = /^(multiboot2?|xen_hypervisor|module2?|xen_module)$/.test(command);
    if (root === running || (isPart && root === undefined)) return UNATTENDED;
    const reason = `GRUB's default starts root=${root ?? "(none)"}, and this system runs with root=${running ?? "(none)"}`;
    const isOther = root !== undefined && isTold(root) && isOtherRoot(root, running);
    return (isOther ? attended : unknown)(reason.replaceAll("\0", "…"), REMEDY);
  });
}
