import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { cachedBootImage } from "../machines/cold-site.ts";
import { LibvirtHost } from "../machines/libvirt-host.ts";
import type { TargetHost } from "../machines/machine-site.ts";
import type { RunStep } from "./steps.ts";

/** Makes the folder of images that libvirt's user can reach, as the operations guide says. */
export async function prepareLibvirtTarget(dir: string, log: (line: string) => void): Promise<TargetHost> {
  chmodSync(dir, 0o711);
  mkdirSync(join(dir, "images"), { mode: 0o711 });
  return { bootImage: await cachedBootImage(log) };
}

/** Calls `work` while libvirt of this computer runs. */
export async function withLibvirt(step: RunStep, work: () => Promise<void>): Promise<void> {
  const libvirt = await step("start libvirt", () => LibvirtHost.start());
  try {
    await work();
  } finally {
    libvirt.stop();
  }
}
