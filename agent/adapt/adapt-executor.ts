import { rm } from "node:fs/promises";
import { join } from "node:path";
import { MachineRunningError } from "#shared/errors.ts";
import { canonicalJson } from "#shared/protocol/canonical-json.ts";
import type { CommandInput, CommandOutput } from "#shared/protocol/commands.ts";
import type { HypervisorKind } from "#shared/protocol/defined-machine.ts";
import { NoBootImageError } from "../browse/errors.ts";
import type { SavedStarts } from "../browse/saved-starts.ts";
import { AgentRecords, type RecordsOptions } from "../commands/agent-records.ts";
import type { ConversionImages } from "../commands/conversion-images.ts";
import type { ExecutionContext, Executors } from "../commands/executor.ts";
import type { MachineRecord } from "../commands/machine.ts";
import type { MachineKeeper } from "../hypervisor/machine-keeper.ts";
import { insideFolder } from "../machine/inside-folder.ts";
import { applyToClone, type CloneDisk, computeOnClone } from "./adapt-clone.ts";
import { AdaptationRecord } from "./adaptation-record.ts";
import type { DiskKey } from "./disk-key.ts";
import { SystemNotAdaptedError } from "./errors.ts";

/** All diffs together: the answer is one message. */
const MOST_SHOWN_CHARACTERS = 60_000;

export interface AdaptDeps {
  /** The folder of a boot image, if the operator named one. */
  bootImageDir: string | undefined;
  /** Of what was computed, by owner. */
  records: Pick<AgentRecords<AdaptationRecord>, "read" | "write" | "forget">;
  machines: {
    records: Pick<AgentRecords<MachineRecord>, "read">;
    keepers: Readonly<Record<HypervisorKind, Pick<MachineKeeper, "power">>>;
  };
  images: Pick<ConversionImages, "require">;
  /** The keys for a source's encrypted volumes, if the administrator of this host has them. */
  diskKeys: (sourceId: string) => Promise<DiskKey[]>;
  /** Where the new contents of files are kept, in a folder for each owner. */
  contentsDir: string;
  clone: { compute: typeof computeOnClone; apply: typeof applyToClone };
  savedStarts?: Pick<SavedStarts, "start"> | undefined;
  now: () => number;
}

/** The clone of real guests. */
export const guestClone: AdaptDeps["clone"] = { compute: computeOnClone, apply: applyToClone };

/** What was computed, in the agent's own folder. */
export function adaptationStore(
  own: Pick<RecordsOptions<unknown>, "dataDir" | "suffix" | "key">,
): Pick<AdaptDeps, "records" | "contentsDir"> {
  return {
    records: new AgentRecords({ ...own, folder: "adaptations", schema: AdaptationRecord }),
    contentsDir: join(own.dataDir, "adapted-files"),
  };
}

export function adaptExecutor(deps: AdaptDeps): Required<Pick<Executors, "adapt-machine">> {
  return { "adapt-machine": (input, context) => adapt(deps, input, context) };
}

/** Removes what was computed for an owner, if anything. */
export async function forgetAdaptation(
  { records, contentsDir }: Pick<AdaptDeps, "records" | "contentsDir">,
  ownerId: string,
): Promise<void> {
  await rm(insideFolder(contentsDir, ownerId), { recursive: true, force: true });
  await records.forget(ownerId);
}

/**
 * Uses what was computed earlier for the same machine if the disks are still as they were then, and computes
 * it again otherwise. The disks change only once everything is computed.
 */
async function adapt(
  deps: AdaptDeps,
  input: CommandInput<"adapt-machine">,
  { signal }: ExecutionContext,
): Promise<CommandOutput<"adapt-machine">> {
  const { ownerId, wanted, dryRun } = input;
  const { bootImageDir, records, clone, now } = deps;
  if (bootImageDir === undefined) throw new NoBootImageError();
  const { folder, disks } = await deps.images.require(input);
  await requireOff(deps, ownerId);
  const options = {
    ...{ imageFolder: bootImageDir, workDir: folder, contentsDir: insideFolder(deps.contentsDir, ownerId) },
    disks: disks.map(({ name, path, format }): CloneDisk => {
      const source = input.sourceDisks.find((one) => one.name === name);
      return { ...source, name, path, format };
    }),
    keys: await deps.diskKeys(input.sourceId),
    savedStarts: deps.savedStarts,
    signal,
  };
  const earlier = dryRun ? undefined : await records.read(ownerId);
  let startedAt = now();
  const seconds = () => Math.round((now() - startedAt) / 100) / 10;
  let stale: string[] = [];
  if (earlier && canonicalJson(earlier.wanted) === canonicalJson(wanted)) {
    ({ stale } = await clone.apply(options, earlier));
    if (stale.length === 0)
      return { ...shown(earlier), isApplied: true, stale, computeSeconds: 0, applySeconds: seconds() };
  }
  startedAt = now();
  const record = await clone.compute(options, wanted);
  await records.write(ownerId, record);
  const computeSeconds = seconds();
  if (dryRun) return { ...shown(record), isApplied: false, stale, computeSeconds, applySeconds: 0 };
  startedAt = now();
  const applied = await clone.apply(options, record);
  if (applied.stale.length > 0)
    throw new SystemNotAdaptedError(
      `something else changes its disks: ${applied.stale.join(", ")}`,
      "unchanged",
    );
  return { ...shown(record), isApplied: true, stale, computeSeconds, applySeconds: seconds() };
}

/** Two systems must never write to one disk. */
async function requireOff({ machines }: AdaptDeps, ownerId: string): Promise<void> {
  const machine = (await machines.records.read(ownerId))?.machine;
  if (machine && (await machines.keepers[machine.hypervisor].power(machine)) === "on")
    throw new MachineRunningError(machine.name, "adapted");
}

/** What fits into the answer: the first diffs whole. */
function shown({
  changes,
  commands,
  notes,
}: AdaptationRecord): Pick<CommandOutput<"adapt-machine">, "changes" | "commands" | "notes"> {
  let left = MOST_SHOWN_CHARACTERS;
  return {
    changes: changes.map(({ path, why, diff }) => {
      left -= diff.length;
      return { path, why, diff: left >= 0 ? diff : `${diff.length} characters that are not shown` };
    }),
    commands: commands.map(({ command, seconds }) => ({ command, seconds })),
    notes,
  };
}
