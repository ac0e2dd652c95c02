import { posix } from "node:path";
import { ArmingFailedError } from "#shared/errors.ts";
import { replaceFile } from "../machine/durable.ts";
import type { Armed, ArmingJob, BootLoaderAdapter, ProbeResult, UsableLoader } from "./adapter.ts";
import type { ArmingNeed } from "./arming-need.ts";
import { findEsp, loaderVariable, readVariable, runningLoader, variableBytes } from "./firmware.ts";
import { LinuxBootLoader } from "./linux-boot-loader.ts";
import { type ArmingRule, COMMON_RULES, type CommonFacts, findingsOf } from "./rules.ts";
import type { SavedBootState } from "./saved-state.ts";
import { type StagedImage, stagedPath } from "./staging.ts";
import { readVolumes } from "./volumes.ts";

const FORM = "kernel-and-initrd";
const ENTRY_PREFIX = "0-causeway-";
const ONE_SHOT = loaderVariable("LoaderEntryOneShot");
/** In `LoaderFeatures`: it starts an entry once, and deletes the variable before it does. */
const ONE_SHOT_FEATURE = 1n << 3n;

interface SystemdBootFacts extends CommonFacts {
  loader: string | undefined;
  features: bigint;
  pending: boolean;
  /** An entry of an earlier conversion. */
  left: string | undefined;
  /** Entries and unified kernels besides ours. */
  otherEntries: number;
}

const RULES: readonly ArmingRule<SystemdBootFacts>[] = [
  {
    code: "not-systemd-boot",
    check: ({ loader }) =>
      loader?.startsWith("systemd-boot") ? undefined : "this system was not started by systemd-boot",
    remedy: "Arm the boot loader that starts it.",
  },
  {
    code: "one-shot-unsupported",
    check: ({ loader, features }) =>
      loader?.startsWith("systemd-boot") && (features & ONE_SHOT_FEATURE) === 0n
        ? "this version of systemd-boot does not start entries once"
        : undefined,
    remedy: "Update it with `bootctl update`.",
  },
  {
    code: "variables-read-only",
    check: ({ loader, firmware }) =>
      loader?.startsWith("systemd-boot") && !firmware.variablesWritable
        ? "the firmware's variables cannot be written while the system runs"
        : undefined,
    remedy: "Mount efivarfs writable at /sys/firmware/efi/efivars.",
  },
  {
    code: "one-shot-pending",
    check: ({ pending }) =>
      pending ? "the next start is already to be another one (LoaderEntryOneShot is set)" : undefined,
    remedy: 'Restart the machine, or take it back with `bootctl set-oneshot ""`.',
  },
  {
    code: "entry-left",
    check: ({ left }) => left && `the menu still has the entry of an earlier conversion, ${left}`,
    remedy: "Release that conversion on this machine, or delete the file from loader/entries.",
  },
  {
    code: "no-other-entry",
    check: ({ loader, otherEntries }) =>
      loader?.startsWith("systemd-boot") && otherEntries === 0
        ? "the original system has no entry on the EFI system partition, so ours could become the default"
        : undefined,
    remedy: "Arm BootNext, or keep the system's entries on the EFI system partition.",
  },
];

/**
 * systemd-boot: an entry of its own on the EFI system partition, and the variable that names it for one
 * start. The entry's name puts it last in the menu and in the choice of a default, in all versions.
 */
export class SystemdBoot extends LinuxBootLoader implements BootLoaderAdapter {
  readonly kind = "systemd-boot";

  async probe(need: ArmingNeed): Promise<ProbeResult> {
    const volumes = await readVolumes(this.machine);
    const esp = findEsp(volumes);
    const features = await readVariable(this.machine, loaderVariable("LoaderFeatures"));
    const facts: SystemdBootFacts = {
      ...(await this.commonFacts(need, { form: FORM, parent: esp?.mountPoint, volumes })),
      loader: await runningLoader(this.machine),
      features: features?.length === 8 ? features.readBigUInt64LE(0) : 0n,
      pending: (await readVariable(this.machine, ONE_SHOT)) !== undefined,
      ...(await this.#entriesOf(esp?.mountPoint)),
    };
    const refusals = [...findingsOf(RULES, facts), ...findingsOf(COMMON_RULES, facts)];
    if (refusals.length > 0 || !facts.place) return { usable: false, kind: this.kind, refusals };
    const { folder, freeBytes } = facts.place;
    return { usable: true, kind: this.kind, form: FORM, folder, freeBytes };
  }

  async save(loader: UsableLoader, job: ArmingJob): Promise<SavedBootState> {
    const recorder = await this.recorder();
    const esp = posix.dirname(posix.dirname(loader.folder));
    const entries = posix.join(esp, "loader/entries");
    const entry = entryName(job.jobId);
    const text = await this.#entryText({ ...loader, ...job });
    const items = [
      await recorder.variable(ONE_SHOT, { format: "one-shot", armed: oneShotBytes(entry) }),
      await recorder.file(posix.join(entries, entry), "own", () => Buffer.from(text)),
      ...(await this.stagingItems(recorder, loader)),
      await recorder.folder(entries),
      await recorder.folder(posix.dirname(entries)),
      await recorder.watchedFile(posix.join(esp, "loader/loader.conf")),
    ];
    return this.finish(recorder, { loader, job, items });
  }

  async arm(saved: SavedBootState): Promise<Armed> {
    await this.requireAsSaved(saved);
    const entry = entryName(saved.jobId);
    const { path, bytes } = await this.armedFile(saved, entry);
    for (const folder of [posix.dirname(posix.dirname(path)), posix.dirname(path)]) {
      if (!(await this.machine.status(folder))) await this.machine.makeFolder(folder, 0o755);
    }
    await replaceFile(this.machine, path, bytes, { mode: 0o644 });
    // Last: until here everything starts as always.
    await this.armVariable(saved, ONE_SHOT);
    return { kind: this.kind, entry };
  }

  async #entryText(staged: StagedImage): Promise<string> {
    const volumes = await readVolumes(this.machine);
    const pathOf = (name: string) => {
      const location = volumes.locationOf(stagedPath(staged, name));
      if (!location) throw new ArmingFailedError(staged.folder);
      return location.path;
    };
    return [
      "title Causeway boot environment",
      `linux ${pathOf("vmlinuz")}`,
      `initrd ${pathOf("initrd.zst")}`,
      `initrd ${pathOf("overlay.cpio")}`,
      `options ${staged.commandLine}`,
      "",
    ].join("\n");
  }

  async #entriesOf(esp: string | undefined): Promise<Pick<SystemdBootFacts, "left" | "otherEntries">> {
    if (esp === undefined) return { left: undefined, otherEntries: 0 };
    const entries = await this.machine.list(posix.join(esp, "loader/entries"));
    const kernels = await this.machine.list(posix.join(esp, "EFI/Linux"));
    const isOwn = (name: string) => name.startsWith(ENTRY_PREFIX);
    const others = entries.filter((name) => name.endsWith(".conf") && !isOwn(name));
    return {
      left: entries.find(isOwn),
      otherEntries: others.length + kernels.filter((name) => /\.efi$/i.test(name)).length,
    };
  }
}

/**
 * Names are compared, and the default is one of those that come first (or last in old versions, which list
 * them the other way round).
 */
function entryName(jobId: string): string {
  return `${ENTRY_PREFIX}${jobId}.conf`;
}

function oneShotBytes(entry: string): Buffer {
  return variableBytes(Buffer.from(`${entry}\0`, "utf16le"));
}
