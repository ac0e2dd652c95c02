import type { Adaptation, Adapter } from "../adapter.ts";
import { driversOf } from "../hardware-drivers.ts";

const PATH = "/etc/dracut.conf.d/90-causeway.conf";

/** dracut, of Red Hat and SUSE, which otherwise takes the drivers of the hardware on which it runs. */
export const dracut: Adapter = {
  reads: [PATH],
  adapt(system, wanted): Adaptation {
    if (!system.programs.has("/usr/bin/dracut") || system.programs.has("/usr/sbin/update-initramfs"))
      return {};
    const lacking = system.kernels.flatMap((kernel) =>
      driversOf(kernel, wanted).lacking.filter((driver) => kernel.modules.has(driver)),
    );
    if (lacking.length === 0) return {};
    const after = Buffer.from(`add_drivers+=" ${[...new Set(lacking)].join(" ")} "\n`);
    return {
      edits: [{ path: PATH, after, why: "every initramfs has the drivers of the machine's disks" }],
    };
  },
};
