import { type Adaptation, type Adapter, textEdit } from "../adapter.ts";
import { filesMatching, textOf } from "../captured-system.ts";
import { driversOf } from "../hardware-drivers.ts";

const PATH = "/etc/dracut.conf.d/90-causeway.conf";
const CARD_NAMES = "/etc/systemd/network/10-causeway-*.link";

/**
 * dracut, of Red Hat and SUSE, which otherwise takes the drivers of the hardware on which it runs. Without
 * `hostonly` it leaves out the files that name cards. What an earlier adaptation wants stays.
 */
export const dracut: Adapter = {
  reads: [PATH, CARD_NAMES],
  adapt(system, wanted): Adaptation {
    if (!system.programs.has("/usr/bin/dracut") || system.programs.has("/usr/sbin/update-initramfs"))
      return {};
    const missing = system.kernels.flatMap((kernel) => driversOf(kernel, wanted).missing);
    const before = textOf(system, PATH) ?? "";
    const after = [
      setting("add_drivers", before, missing),
      setting(
        "install_items",
        before,
        filesMatching(system, [CARD_NAMES]).map(({ path }) => path),
      ),
    ].join("");
    const why = "every initramfs has the drivers of the machine's disks, and the names of its cards";
    return { edits: textEdit(PATH, before, after, why) };
  },
};

/** A line with what it had and what is added; none for nothing. */
function setting(name: string, before: string, added: readonly string[]): string {
  const [, had = ""] = new RegExp(`^${name}\\+="([^"]*)"$`, "m").exec(before) ?? [];
  const words = [...new Set([...had.split(" ").filter((word) => word !== ""), ...added])];
  return words.length === 0 ? "" : `${name}+=" ${words.join(" ")} "\n`;
}
