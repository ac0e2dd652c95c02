import { hash } from "node:crypto";
import { lstat } from "node:fs/promises";
import {
  MOST_DIFF_CHARACTERS,
  type SourceDiskIdentity,
  type WantedMachine,
} from "#shared/protocol/wanted-machine.ts";
import type { CapturedSystem } from "../captured-system.ts";
import { fileDiff } from "../file-diff.ts";
import { driversOf } from "../hardware-drivers.ts";
import type { FileChange, RanProgram } from "../messages.ts";
import { type AdaptationPlan, planAdaptation } from "../plan.ts";
import type { MountedSystem } from "./mounted-system.ts";
import { capturedSystem, inputsOf, modulesIn, readSystemFacts } from "./read-system.ts";
import { SystemFiles } from "./system-files.ts";

/** Where programs of the system leave what they make: initramfs images, their state, host keys. */
const OUTPUTS = ["/boot/*", "/var/lib/initramfs-tools/*", "/etc/ssh/ssh_host_*"];

/** Why a program of the system did not do what it was run for. */
export class ProgramFailedError extends Error {
  override readonly name = "ProgramFailedError";
}

export interface ComputedAdaptation {
  inputs: Map<string, string>;
  /** The content is on the mounted system. */
  changes: FileChange[];
  commands: RanProgram[];
  notes: string[];
}

/** The hashes of what the system's programs may make, before and after they run. */
interface Outputs {
  before: ReadonlyMap<string, string>;
  after: ReadonlyMap<string, string>;
}

/** Adapts the mounted system, and says what is different then. Throws `ProgramFailedError`. */
export async function computeAdaptation(
  system: Pick<MountedSystem, "root" | "run" | "volumes">,
  disks: readonly SourceDiskIdentity[],
  wanted: WantedMachine,
  say: (on: string) => Promise<void>,
): Promise<ComputedAdaptation> {
  const files = new SystemFiles(system);
  await say("reading the system");
  const facts = readSystemFacts(files);
  const inputs = await inputsOf(facts, files, { volumes: system.volumes, disks });
  await say("reading its initramfs images");
  const captured = await capturedSystem(facts, system, files, disks);
  const plan = planAdaptation(captured, wanted);
  const before = plan.runs.length > 0 ? await outputsOf(files) : new Map<string, string>();
  await writePlanned(plan, files);
  const commands: RanProgram[] = [];
  for (const { command, why } of plan.runs) {
    await say(command.join(" "));
    const startedAt = performance.now();
    const { succeeded, complaint } = await system.run(command);
    if (!succeeded) throw new ProgramFailedError(`${command.join(" ")} failed in the system: ${complaint}`);
    const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
    commands.push({ command: command.join(" "), why, seconds });
  }
  const after = plan.runs.length > 0 ? await outputsOf(files) : before;
  const doubts = await doubtsAboutBuilt(plan, captured, wanted, system, files, { before, after });
  const made = await madeByPrograms(files, { before, after }, plan);
  const planned = plan.changes.map((change) =>
    plannedChange(files, change, facts.files.get(change.path)?.content),
  );
  return { inputs, changes: [...planned, ...made], commands, notes: [...plan.notes, ...doubts] };
}

/**
 * A builder can succeed and build nothing: Debian's does with `update_initramfs=no`. Throws
 * `ProgramFailedError` if a driver is lacking still; returns what is not certain.
 */
async function doubtsAboutBuilt(
  { runs }: AdaptationPlan,
  { kernels }: CapturedSystem,
  wanted: WantedMachine,
  system: Pick<MountedSystem, "run">,
  files: SystemFiles,
  { before, after }: Outputs,
): Promise<string[]> {
  const doubts: string[] = [];
  for (const kernel of kernels) {
    const run = runs.find(({ kernel: version }) => version === kernel.version);
    if (!run || !kernel.initramfs) continue;
    const { path } = kernel.initramfs;
    const modules = await modulesIn(path, system, files);
    const { missing } = driversOf({ ...kernel, initramfs: { path, modules } }, wanted);
    if (modules !== "unknown" && missing.length > 0)
      throw new ProgramFailedError(
        `${run.command.join(" ")} succeeded, but ${path} still lacks ${missing.join(", ")}`,
      );
    if (missing.length > 0)
      doubts.push(`nothing here lists what is in ${path}; it needs ${missing.join(", ")}`);
    if (after.get(path) === before.get(path)) doubts.push(`${run.command.join(" ")} left ${path} as it was`);
  }
  return doubts;
}

async function writePlanned({ changes }: AdaptationPlan, files: SystemFiles): Promise<void> {
  for (const { path, after, mode } of changes) {
    if (after === undefined) await files.remove(path);
    else await files.write(path, after, mode);
  }
}

/** As it is after the programs have run, which may have made a removed file again. */
function plannedChange(
  files: SystemFiles,
  { path, beforeSha256, mode, why }: AdaptationPlan["changes"][number],
  before: Buffer | undefined,
): FileChange {
  const now = files.read(path);
  return {
    ...{ path, mode: now?.mode ?? mode, why },
    ...(beforeSha256 === undefined ? {} : { beforeSha256 }),
    ...(now ? { after: { sha256: hash("sha256", now.content, "hex"), sizeBytes: now.content.length } } : {}),
    diff: fileDiff(shownOf(path, before), shownOf(path, now?.content)).slice(0, MOST_DIFF_CHARACTERS),
  };
}

/** No diff shows a private key. */
function shownOf(path: string, content: Buffer | undefined): Buffer | undefined {
  const isSecret =
    /^\/etc\/ssh\/ssh_host_.*_key$/.test(path) || path.startsWith("/etc/NetworkManager/system-");
  return isSecret && content ? Buffer.from(`${content.length} bytes that are not shown\n`) : content;
}

/** The hash of every file that a program of the system may make. */
async function outputsOf(files: SystemFiles): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const pattern of OUTPUTS)
    for (const path of files.matching(pattern)) {
      const sha256 = await files.hash(path);
      if (sha256 !== undefined) found.set(path, sha256);
    }
  return found;
}

async function madeByPrograms(
  files: SystemFiles,
  { before, after }: Outputs,
  plan: AdaptationPlan,
): Promise<FileChange[]> {
  const planned = new Set(plan.changes.map(({ path }) => path));
  const why = [...new Set(plan.runs.flatMap((run) => run.why))];
  const changes: FileChange[] = [];
  for (const path of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(path), after.get(path)];
    if (old === now || planned.has(path)) continue;
    const stats = now === undefined ? undefined : await lstat(files.locate(path));
    changes.push({
      ...{ path, why, mode: stats ? stats.mode & 0o7777 : 0o644 },
      ...(old === undefined ? {} : { beforeSha256: old }),
      ...(stats && now ? { after: { sha256: now, sizeBytes: stats.size } } : {}),
      diff: stats ? `${stats.size} bytes, made by the system's own program` : "removed",
    });
  }
  return changes;
}
