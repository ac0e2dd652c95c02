import { hash } from "node:crypto";
import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import type { Adaptation } from "./adapter.ts";
import { ADAPTERS } from "./adapters.ts";
import type { CapturedSystem, InstalledKernel, SystemFile } from "./captured-system.ts";

const NEW_FILE_MODE = 0o644;

/** A change of one file, for exactly the version of it that was seen. */
export interface PlannedChange {
  path: string;
  /** SHA-256 of what it was, lower-case hexadecimal; absent if it did not exist. */
  beforeSha256?: string | undefined;
  /** Absent if the file is removed. */
  after?: Buffer | undefined;
  mode: number;
  /** At least one reason, for people. */
  why: string[];
}

/** A program of the system that runs in it once the files are changed. */
export interface PlannedRun {
  command: readonly string[];
  /** The kernel whose initramfs it builds. */
  kernel?: string | undefined;
  why: string[];
}

export interface AdaptationPlan {
  /** In the order of their paths. */
  changes: PlannedChange[];
  runs: PlannedRun[];
  /** What an operator has to look after. */
  notes: string[];
}

/** What has to change so that the system starts on the machine, and is reached there as it was. Pure. */
export function planAdaptation(system: CapturedSystem, wanted: WantedMachine): AdaptationPlan {
  const files = new Map(system.files);
  const reasons = new Map<string, string[]>();
  const parts = ADAPTERS.map(({ adapt }) => {
    const added = [...files.keys()].filter((path) => !system.files.has(path));
    const part = adapt({ ...system, files, added }, wanted);
    for (const { path, after, why } of part.edits ?? []) {
      if (after === undefined) files.delete(path);
      else files.set(path, { content: after, mode: files.get(path)?.mode ?? NEW_FILE_MODE });
      reasons.set(path, [...new Set([...(reasons.get(path) ?? []), why])]);
    }
    return part;
  });
  const built = buildRuns(system, parts);
  return {
    changes: [...reasons]
      .map(([path, why]) => changeOf(path, system.files.get(path), files.get(path), why))
      .filter((change) => change !== undefined)
      .sort((a, b) => (a.path < b.path ? -1 : 1)),
    runs: [
      ...parts.flatMap(({ run = [] }) => run.map((command) => ({ command, why: ["it makes new files"] }))),
      ...built.runs,
    ],
    notes: [...parts.flatMap(({ notes = [] }) => notes), ...built.notes],
  };
}

/** `undefined` if the file is as it was. */
function changeOf(
  path: string,
  before: SystemFile | undefined,
  after: SystemFile | undefined,
  why: string[],
): PlannedChange | undefined {
  if (before === undefined ? after === undefined : after?.content.equals(before.content)) return undefined;
  return {
    path,
    ...(before ? { beforeSha256: hash("sha256", before.content, "hex") } : {}),
    ...(after ? { after: after.content } : {}),
    mode: after?.mode ?? before?.mode ?? NEW_FILE_MODE,
    why,
  };
}

/** The programs that build initramfs images, the one that is used first. */
const BUILDERS = [
  {
    program: "/usr/sbin/update-initramfs",
    command: ({ version }: InstalledKernel) => ["update-initramfs", "-u", "-k", version],
  },
  {
    program: "/usr/bin/dracut",
    command: ({ version, initramfs }: InstalledKernel) => [
      ...["dracut", "--force", "--no-hostonly", "--kver", version, initramfs?.path ?? ""],
    ],
  },
];

function buildRuns(
  { kernels, programs }: CapturedSystem,
  parts: readonly Adaptation[],
): { runs: PlannedRun[]; notes: string[] } {
  const rebuild = parts.flatMap((part) => part.rebuild ?? []);
  const runs: PlannedRun[] = [];
  const notes: string[] = [];
  const builder = BUILDERS.find(({ program }) => programs.has(program));
  for (const kernel of kernels) {
    const why = rebuild.filter((one) => !one.kernels || one.kernels.includes(kernel.version));
    if (why.length === 0 || !kernel.initramfs) continue;
    const reasons = why.map((one) => `the initramfs is built again: ${one.why}`);
    if (builder) runs.push({ command: builder.command(kernel), kernel: kernel.version, why: reasons });
    else
      notes.push(
        `nothing here builds the initramfs of kernel ${kernel.version} again: ${reasons.join("; ")}`,
      );
  }
  return { runs, notes };
}
