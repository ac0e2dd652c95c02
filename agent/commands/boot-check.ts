import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Progress } from "#shared/protocol/common.ts";
import { STAGE_NOTES } from "../hypervisor/guest-console.ts";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { putNamedByContent } from "../store/put-named-by-content.ts";
import type { Executor } from "./executor.ts";
import type { TargetDeps } from "./materialise.ts";

export interface BootCheckDeps extends Pick<TargetDeps, "images"> {
  hypervisor: Pick<Hypervisor, "bootCheck">;
  agentId: string;
  /** Stores objects under `evidence/<agentId>/`. */
  evidence: Pick<ObjectStore, "put" | "get">;
}

/** What a note may have. */
const NOTE_CHARACTERS = 200;

/** The progress of something that has no bytes to count. */
export function noteOnly(note: string, seconds: number): Progress {
  const none = { bytesDone: 0, bytesTotal: 0, rateBytesPerSecond: 0 };
  const time = `, ${Math.round(seconds)} s`;
  return { ...none, note: `${note.slice(0, NOTE_CHARACTERS - time.length)}${time}` };
}

/** The disks, with those first that the source's system started from: data disks can have boot code, too. */
function systemFirst<T extends { name: string }>(disks: readonly T[], systemDisks: readonly string[]): T[] {
  const isSystem = ({ name }: T) => systemDisks.includes(name);
  return [...disks.filter(isSystem), ...disks.filter((disk) => !isSystem(disk))];
}

/**
 * Boots a throw-away overlay of the disks. Keeps the screenshot and the console log beside the images and in
 * the bucket.
 */
export function bootCheckExecutor({
  hypervisor,
  images,
  agentId,
  evidence,
}: BootCheckDeps): Executor<"boot-check"> {
  return async (input, { signal, progress }) => {
    const { folder, disks } = await images.require(input);
    const result = await hypervisor.bootCheck({
      ownerId: input.ownerId,
      disks: systemFirst(disks, input.systemDisks ?? []).map(({ path, format }) => ({ path, format })),
      firmware: input.firmware,
      memoryMiB: input.memoryMiB,
      timeoutSeconds: input.timeoutSeconds,
      expect: input.expect,
      workDir: join(folder, "boot-check"),
      now: () => performance.now(),
      signal,
      onProgress: ({ stage, seconds }) => progress(noteOnly(STAGE_NOTES[stage], seconds)),
    });
    const keep = async (from: string, name: string): Promise<string> => {
      const path = join(folder, name);
      await rename(from, path);
      const { key } = await putNamedByContent(
        evidence,
        await readFile(path),
        (sha256) => `evidence/${agentId}/${input.ownerId}/${sha256}/${name}`,
      );
      return key;
    };
    const { verdict, reason, seconds } = result;
    return {
      verdict,
      reason,
      seconds,
      ...(result.screenshotPath
        ? { screenshotKey: await keep(result.screenshotPath, "boot-check.png") }
        : {}),
      consoleLogKey: await keep(result.consoleLogPath, "boot-check.log"),
    };
  };
}
