import type { Adaptation, Adapter } from "../adapter.ts";
import { driversOf } from "../hardware-drivers.ts";

/** Whether each kernel can reach its disks and cards on the new hardware. */
export const drivers: Adapter = {
  reads: [],
  adapt({ kernels }, wanted): Adaptation {
    const notes: string[] = [];
    const rebuild: { why: string; kernels: string[] }[] = [];
    for (const kernel of kernels) {
      const { missing, absent } = driversOf(kernel, wanted);
      for (const driver of absent) notes.push(`kernel ${kernel.version} has no driver ${driver}`);
      if (missing.length === 0) continue;
      if (kernel.initramfs)
        rebuild.push({ why: `it lacks ${missing.join(", ")}`, kernels: [kernel.version] });
      else notes.push(`kernel ${kernel.version} has no initramfs, and needs one for ${missing.join(", ")}`);
    }
    if (kernels.length === 0) notes.push("no kernel was found in /boot");
    return { rebuild, notes };
  },
};
