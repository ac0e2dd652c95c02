import { posix } from "node:path";
import { ArmingFailedError } from "#shared/errors.ts";
import { replaceFile } from "../machine/durable.ts";
import type { Armed, ArmingJob, BootLoaderAdapter, ProbeResult, UsableLoader } from "./adapter.ts";
import type { ArmingNeed } from "./arming-need.ts";
import { findEsp, loaderVariable, readVariable, runningLoader, variableBytes } from "./firmware.ts";
import { LinuxBootLoader } from "./linux-boot-loader.ts";
import type { LinuxLoader } from "./linux-loader.ts";
import { type ArmingRule, COMMON_RULES, type CommonFacts, findingsOf } from "./rules.ts";
import type { SavedBootState } from "./saved-state.ts";
import { type StagedImage, stagedPath } from "./staging.ts";
import { chosenEntry } from "./systemd-boot-menu/choice.ts";
import { NAMINGS } from "./systemd-boot-menu/entry.ts";
import { FEATURES, readFeatures, readMenu, readWishes } from "./systemd-boot-menu/read-menu.ts";
import { type MountedVolume, readVolumes, type VolumeMap } from "./volumes.ts";

const FORM = "kernel-and-initrd";
/**
 * systemd-boot orders names as versions, the newest first, and drops the underscore: what is left begins with
 * a dash, which is older than every letter and digit.
 */
const ENTRY_PREFIX = "_-causeway-";
const ONE_SHOT = loaderVariable("LoaderEntryOneShot");

interface SystemdBootFacts extends CommonFacts {
  loader: string | undefined;
  features: bigint;
  pending: boolean;
  /** An entry of an earlier conversion. */
  left: string | undefined;
  /** What systemd-boot reads and the agent does not, in words. */
  unread: string | undefined;
  /** With our entry in the menu, and when nothing names it any more, systemd-boot starts another one. */
  isDefaultKept: boolean;
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
      loader?.startsWith("systemd-boot") && (features & FEATURES.oneShot) === 0n
        ? "this version of systemd-boot cannot start an entry once"
        : undefined,
    remedy: "Update it with `bootctl update`.",
  },
  {
    code: "menu-order-unknown",
    check: ({ loader, features }) =>
      loader?.startsWith("systemd-boot") && (features & FEATURES.sortKey) === 0n
        ? "this version of systemd-boot orders its menu as older ones do: our entry could become the default"
        : undefined,
    remedy: "Update it with `bootctl update` to 251 or newer.",
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
      pending ? "another entry is already set for the next start (LoaderEntryOneShot)" : undefined,
    remedy: 'Restart the machine, or undo it with `bootctl set-oneshot ""`.',
  },
  {
    code: "entry-left",
    check: ({ left }) => left && `the menu still has the entry of an earlier conversion, ${left}`,
    remedy: "Release that conversion on this machine, or delete the file from loader/entries.",
  },
  {
    code: "menu-unread",
    check: ({ loader, unread }) =>
      loader?.startsWith("systemd-boot") && unread ? `systemd-boot reads ${unread}` : undefined,
    remedy: "Mount what systemd-boot reads, or arm BootNext.",
  },
  {
    code: "default-would-change",
    check: ({ loader, isDefaultKept }) =>
      loader?.startsWith("systemd-boot") && !isDefaultKept
        ? "systemd-boot would have our entry as its default: no other entry comes before it in its menu, or fits the default that is set"
        : undefined,
    remedy: "Arm BootNext, or make the original system's entry the default with `bootctl set-default`.",
  },
];

/**
 * systemd-boot: an entry of its own on the EFI system partition, and the variable that names it for one
 * start. The entry's name puts it last in the menu, so that it is never the default.
 */
export class SystemdBoot extends LinuxBootLoader implements BootLoaderAdapter {
  readonly kind = "systemd-boot";

  async probe(need: ArmingNeed): Promise<ProbeResult> {
    const volumes = await readVolumes(this.machine);
    const esp = findEsp(volumes.volumes);
    const facts: SystemdBootFacts = {
      ...(await this.commonFacts(need, { form: FORM, parent: esp?.mountPoint, volumes })),
      loader: await runningLoader(this.machine),
      features: await readFeatures(this.machine),
      pending: (await readVariable(this.machine, ONE_SHOT)) !== undefined,
      ...(await this.#menuWith(entryName(need.jobId), volumes, esp)),
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
    // Last: until now every start is as always.
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

  async #menuWith(
    own: string,
    volumes: VolumeMap,
    esp: MountedVolume | undefined,
  ): Promise<Pick<SystemdBootFacts, "left" | "unread" | "isDefaultKept">> {
    if (!esp) return { left: undefined, unread: undefined, isDefaultKept: false };
    const { entries, automatic, unread } = await readMenu(this.machine, volumes, esp);
    const wishes = { ...(await readWishes(this.machine, esp)), oneShot: undefined };
    const menu = { entries: [...entries, { file: own }], automatic };
    const choices = NAMINGS.map((naming) => chosenEntry(menu, wishes, naming));
    return {
      left: entries.find(({ file }) => file.startsWith(ENTRY_PREFIX))?.file,
      unread,
      isDefaultKept: choices.every(
        (choice) => choice.kind !== "entry" || !choice.entry.file.startsWith(ENTRY_PREFIX),
      ),
    };
  }
}

function entryName(jobId: string): string {
  return `${ENTRY_PREFIX}${jobId}.conf`;
}

function oneShotBytes(entry: string): Buffer {
  return variableBytes(Buffer.from(`${entry}\0`, "utf16le"));
}

export const systemdBoot: LinuxLoader = {
  adapter: (machine) => new SystemdBoot(machine),
  async describe({ machine, espPath, running }) {
    if (espPath === undefined) return undefined;
    const files = await machine.list(`${espPath}/EFI/systemd`);
    if (!files.some((name) => /^systemd-boot.*\.efi$/i.test(name))) return undefined;
    const description = { kind: "systemd-boot", configPath: `${espPath}/loader/loader.conf` };
    return { evidence: running?.startsWith("systemd-boot") ? "started" : "traces", description };
  },
};
