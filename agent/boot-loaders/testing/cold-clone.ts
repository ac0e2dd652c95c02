/** For tests: the steps of a cold clone with a boot loader, one by one. */
import { join } from "node:path";
import type { BootMachine } from "../../machine/boot-machine.ts";
import type { Armed, BootLoaderAdapter, UsableLoader } from "../adapter.ts";
import type { ArmingNeed } from "../arming-need.ts";
import type { SavedBootState } from "../saved-state.ts";
import { type StagedImage, stage } from "../staging.ts";
import { createTestImage, type TestImage } from "./boot-image.ts";
import type { RootedMachine } from "./fake-machine.ts";

export const JOB_ID = "cv-1";
export const OVERLAY = Buffer.alloc(1024, "identity ");
export const SAVED_AT = new Date("2026-03-01T12:00:00Z");

export const NEED: ArmingNeed = {
  jobId: JOB_ID,
  kernelBytes: 5000,
  initrdBytes: 9000,
  unifiedKernelBytes: 20_000,
  overlayBytes: OVERLAY.length,
  signedForSecureBoot: false,
};

export function imageOf(machine: RootedMachine): Promise<TestImage> {
  return createTestImage(join(machine.root, "image"));
}

export async function probeUsable(adapter: BootLoaderAdapter): Promise<UsableLoader> {
  const loader = await adapter.probe(NEED);
  if (!loader.usable) throw new Error(`refused: ${loader.refusals.map(({ code }) => code).join(", ")}`);
  return loader;
}

export async function saveState(adapter: BootLoaderAdapter): Promise<SavedBootState> {
  return adapter.save(await probeUsable(adapter), {
    ...{ jobId: JOB_ID, savedAt: SAVED_AT, commandLine: "console=tty0 panic=10 causeway.job=1" },
  });
}

export function stageImage(
  machine: BootMachine,
  { form, folder }: Pick<UsableLoader, "form" | "folder">,
  image: TestImage,
): Promise<StagedImage> {
  return stage(machine, {
    jobId: JOB_ID,
    form,
    folder,
    imageDir: image.dir,
    imageId: image.id,
    publicKey: image.publicKey,
    overlay: OVERLAY,
    kernelArguments: ["causeway.job=1"],
  });
}

/** Stages and arms on a machine that may lose its power, from a state that was saved before. */
export async function stageAndArm(
  machine: BootMachine,
  {
    adapter,
    saved,
    loader,
    image,
  }: { adapter: BootLoaderAdapter; saved: SavedBootState; loader: UsableLoader; image: TestImage },
): Promise<Armed> {
  return adapter.arm(saved, await stageImage(machine, loader, image));
}
