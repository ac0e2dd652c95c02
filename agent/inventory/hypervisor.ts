import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Hypervisor, UNKNOWN } from "#shared/protocol/inventory.ts";
import { bootCheck } from "../target/boot-check.ts";
import { findUefiFirmware } from "../target/qemu-machine.ts";
import { printingDisk } from "../target/tiny-guest.ts";
import { clip, type Machine } from "./machine.ts";

const KVM_TIMEOUT_SECONDS = 5;
const GUEST_WORD = "running";

/** What this machine can do as a target host that keeps its images in `imagesPath`. */
export async function collectHypervisor(machine: Machine, imagesPath: string): Promise<Hypervisor> {
  const version = (await machine.run("qemu-system-x86_64", "--version"))?.output;
  const qemuVersion = /version (\S+)/.exec(version ?? "")?.[1];
  const imagesFreeBytes = await machine.freeBytes(imagesPath);
  return {
    ...(qemuVersion && { qemuVersion: clip(qemuVersion) }),
    kvm: qemuVersion ? await kvmState(machine, imagesPath) : UNKNOWN,
    uefiFirmware: await findUefiFirmware().then(
      () => true,
      () => false,
    ),
    imagesPath,
    ...(imagesFreeBytes !== undefined && { imagesFreeBytes }),
  };
}

async function kvmState(machine: Machine, folder: string): Promise<Hypervisor["kvm"]> {
  if (!(await machine.list("/dev")).includes("kvm")) return "unusable";
  verdict ??= tryKvm(folder);
  return verdict;
}

/** Kept while the process lives: the answer does not change before the next boot. */
let verdict: Promise<Hypervisor["kvm"]> | undefined;

/** Boots a guest that is one sector long. There are hosts where the device opens and virtual machines can be made, but none runs. */
async function tryKvm(folder: string): Promise<Hypervisor["kvm"]> {
  let workDir: string | undefined;
  try {
    workDir = await mkdtemp(join(folder, ".kvm-check-"));
    const path = join(workDir, "guest.raw");
    await writeFile(path, printingDisk(GUEST_WORD));
    const result = await bootCheck({
      disks: [{ path, format: "raw" }],
      firmware: "bios",
      memoryMiB: 64,
      cpuCount: 1,
      accelerator: "kvm",
      timeoutSeconds: KVM_TIMEOUT_SECONDS,
      expect: GUEST_WORD,
      workDir,
      now: () => 0,
      signal: new AbortController().signal,
    });
    return result.verdict === "booted" ? "usable" : "unusable";
  } catch (error) {
    return (error as Error).name === "QemuFailedError" ? "unusable" : UNKNOWN;
  } finally {
    if (workDir) await rm(workDir, { recursive: true, force: true });
  }
}
