import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type ProcessCost, runProcess } from "./run-process.ts";

/** One way to back up a disk image and to get it back. */
export interface Contender {
  name: string;
  /** Backs up the image into the empty folder. Resolves with the cost, and the bottleneck if it is known. */
  capture(image: string, folder: string): Promise<Capture>;
  /** Restores the image to `to`. */
  restore(folder: string, to: string): Promise<Restore>;
  /** Ends what `capture` left running. */
  close?(folder: string): Promise<void>;
}
export interface Capture extends ProcessCost {
  storedMiB: number;
  limitingStage?: string;
  /** The cost of the embedded S3, in addition to the agent's. */
  serverCpuSeconds?: number;
}
export interface Restore extends ProcessCost {
  /** The path of the restored image, if the tool chose it. */
  path: string;
  serverCpuSeconds?: number;
}

/** One whose second capture, of a changed image, is measured, too. */
export interface DeltaContender extends Contender {
  /** Backs up the image again, into the folder of `capture`. */
  again(image: string, folder: string): Promise<ProcessCost>;
}

/** The size of all files under a folder, as `du` counts it. */
export async function storedMiB(folder: string): Promise<number> {
  const { stdout } = await runProcess("du", ["-sm", folder]);
  return Number.parseInt(stdout, 10);
}

/** restic's best case: its repository is a folder of this machine. */
export const restic: DeltaContender = {
  name: "restic",
  async capture(image, folder) {
    const env = resticEnvironment(folder);
    await runProcess("restic", ["init"], { env });
    const cost = await runProcess("restic", ["backup", image], { env });
    return { ...cost, storedMiB: await storedMiB(join(folder, "repository")) };
  },
  again: (image, folder) => runProcess("restic", ["backup", image], { env: resticEnvironment(folder) }),
  async restore(folder, to) {
    const cost = await runProcess("restic", ["restore", "latest", "--target", to], {
      env: resticEnvironment(folder),
    });
    return { ...cost, path: (await runProcess("find", [to, "-type", "f"])).stdout.trim() };
  },
};

function resticEnvironment(folder: string): Record<string, string> {
  const repository = join(folder, "repository");
  return { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: "bench", RESTIC_CACHE_DIR: join(folder, "cache") };
}

/** Fixed 1 MiB chunks, zstd level 1, encrypted. */
export const borg: DeltaContender = {
  name: "borg",
  async capture(image, folder) {
    const env = borgEnvironment(folder);
    await runProcess("borg", ["init", "--encryption", "repokey-blake2"], { env });
    const cost = await runProcess("borg", ["create", ...BORG_OPTIONS, "::bench", image], { env });
    return { ...cost, storedMiB: await storedMiB(join(folder, "repository")) };
  },
  again: (image, folder) =>
    runProcess("borg", ["create", ...BORG_OPTIONS, "::again", image], { env: borgEnvironment(folder) }),
  async restore(folder, to) {
    await runProcess("mkdir", ["-p", to]);
    const cost = await runProcess("borg", ["extract", "--sparse", "::bench"], {
      env: borgEnvironment(folder),
      cwd: to,
    });
    return { ...cost, path: (await runProcess("find", [to, "-type", "f"])).stdout.trim() };
  },
};

const BORG_OPTIONS = ["--compression", "zstd,1", "--chunker-params", "fixed,1048576"];

function borgEnvironment(folder: string): Record<string, string> {
  const unattended = {
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
    BORG_RELOCATED_REPO_ACCESS_IS_OK: "yes",
  };
  return {
    BORG_REPO: join(folder, "repository"),
    BORG_PASSPHRASE: "bench",
    BORG_BASE_DIR: folder,
    ...unattended,
  };
}

/** No encryption, no deduplication: a compressed image. */
export const qemuImg: Contender = {
  name: "qemu-img",
  async capture(image, folder) {
    const to = join(folder, "image.qcow2");
    const options = ["-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd"];
    const cost = await runProcess("qemu-img", ["convert", ...options, image, to]);
    return { ...cost, storedMiB: Math.round((await stat(to)).blocks / 2048) };
  },
  async restore(folder, to) {
    await rm(to, { force: true });
    const cost = await runProcess("qemu-img", ["convert", "-O", "raw", join(folder, "image.qcow2"), to]);
    return { ...cost, path: to };
  },
};
