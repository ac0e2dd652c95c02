import {
  ArmingFailedError,
  BootStateChangedError,
  BootStateNotRestoredError,
  BootStateUnreadableError,
} from "#shared/errors.ts";
import type { ProgramOutput } from "../machine/machine.ts";
import type { Armed, ArmingJob, BootLoaderAdapter, ProbeResult, UsableLoader } from "./adapter.ts";
import type { ArmingNeed } from "./arming-need.ts";
import type { Attestation } from "./attest.ts";
import {
  armFirmwareEntry,
  armRamdiskLoader,
  type BcdCommand,
  createFirmwareEntry,
  createRamdiskLoader,
  createRamdiskOptions,
  disarmCommands,
  ENUMERATE,
  restoreCommands,
} from "./bcd-commands.ts";
import {
  type BcdObject,
  canonicalBcd,
  FIRMWARE_BOOT_MANAGER,
  parseBcdEnumeration,
  parseCreatedId,
} from "./bcd-output.ts";
import { type ArmingRule, findingsOf } from "./rules.ts";
import { sha256 } from "./save.ts";
import type { SavedBootState } from "./saved-state.ts";
import { type StagedImage, stagedBytes } from "./staging.ts";

/** What Causeway needs from a Windows machine. */
export interface WindowsMachine {
  /** What a program printed and how it ended; `undefined` if it is not installed. */
  run(command: string, ...args: string[]): Promise<ProgramOutput | undefined>;
  freeBytes(folder: string): Promise<number | undefined>;
  /**
   * Where the EFI system partition is mounted, such as `S:`; `undefined` if it is not, or if there is none.
   */
  espDrive(): Promise<string | undefined>;
  /** Where the export of the boot configuration is kept, for people. */
  exportPath(jobId: string): string;
}

interface BcdFacts {
  objects: readonly BcdObject[] | undefined;
  uefi: boolean;
  /** True only if it is known to be off. */
  secureBootOff: boolean;
  bitLocker: boolean;
  signedForSecureBoot: boolean;
  hasWindowsImage: boolean;
  folder: string | undefined;
  neededBytes: number;
  freeBytes: number;
}

const SYSTEM_DRIVE = "C:";
const BCD = "BCD";

const RULES: readonly ArmingRule<BcdFacts>[] = [
  {
    code: "bcd-unreadable",
    check: ({ objects }) => (objects ? undefined : "bcdedit does not show the boot configuration"),
    remedy: "Run the agent as an administrator.",
  },
  {
    code: "secure-boot",
    check: ({ secureBootOff, signedForSecureBoot }) =>
      !secureBootOff && !signedForSecureBoot
        ? "Secure Boot may be on, and the boot image is not signed with a key that this machine trusts"
        : undefined,
    remedy: "Switch Secure Boot off for the conversion, or use a boot image that is signed for this machine.",
  },
  {
    code: "bitlocker",
    check: ({ bitLocker }) =>
      bitLocker
        ? "BitLocker protects the system drive, and may ask for its recovery key afterwards"
        : undefined,
    remedy: "Suspend it: manage-bde -protectors -disable C: -RebootCount 2",
  },
  {
    code: "no-windows-image",
    check: ({ objects, uefi, hasWindowsImage }) =>
      objects && !uefi && !hasWindowsImage
        ? "on BIOS the Windows boot manager starts only Windows images, and the boot image has none"
        : undefined,
    remedy: "Use a boot image with a Windows PE image.",
  },
  {
    code: "no-place",
    check: ({ objects, folder }) =>
      objects && folder === undefined ? "the EFI system partition is not mounted" : undefined,
    remedy: "Mount it: mountvol S: /S",
  },
  {
    code: "place-too-small",
    check: ({ folder, neededBytes, freeBytes }) =>
      folder !== undefined && freeBytes < neededBytes
        ? `the boot image needs ${neededBytes} bytes in ${folder}, which has ${freeBytes} free`
        : undefined,
    remedy: "Free that much space there.",
  },
  {
    code: "one-shot-pending",
    check: ({ objects }) =>
      objects?.some(({ elements }) => elements.bootsequence)
        ? "another entry is already set for the next start (bootsequence)"
        : undefined,
    remedy: "Restart the machine, or undo it: bcdedit /deletevalue {bootmgr} bootsequence",
  },
];

/**
 * The Windows boot configuration, through `bcdedit`: on UEFI an entry of the firmware for a unified kernel
 * image, on BIOS a Windows PE image in a RAM disk; `bootsequence` selects it for one start. Written from the
 * documentation and tested with outputs in its form and a recorded one, never on a real Windows.
 */
export class Bcd implements BootLoaderAdapter {
  readonly kind = "bcd";
  readonly #machine: WindowsMachine;

  constructor(machine: WindowsMachine) {
    this.#machine = machine;
  }

  async probe(need: ArmingNeed): Promise<ProbeResult> {
    const facts = await this.#facts(need);
    const refusals = findingsOf(RULES, facts);
    const { folder, freeBytes } = facts;
    if (refusals.length > 0 || folder === undefined) return { usable: false, kind: this.kind, refusals };
    const form = facts.uefi ? "unified-kernel" : "windows-ramdisk";
    return { usable: true, kind: this.kind, form, folder, freeBytes };
  }

  async save(loader: UsableLoader, job: ArmingJob): Promise<SavedBootState> {
    const objects = await this.#enumerate();
    const exportPath = this.#machine.exportPath(job.jobId);
    await this.#bcdedit(["/export", exportPath]);
    const text = canonicalBcd(objects);
    const before = { text, sha256: sha256(Buffer.from(text)) };
    return {
      format: 2,
      loader: loader.kind,
      jobId: job.jobId,
      savedAt: job.savedAt.toISOString(),
      volumes: [],
      items: [{ kind: "boot-configuration", name: BCD, exportPath, before }],
    };
  }

  async arm(saved: SavedBootState, staged: StagedImage): Promise<Armed> {
    if ((await this.attest(saved)).outcome !== "equal") throw new BootStateChangedError([BCD]);
    const { jobId, form, folder } = staged;
    if (form === "unified-kernel") {
      const entry = await this.#create(createFirmwareEntry(jobId));
      await this.#all(armFirmwareEntry(entry, `${folder.slice(2)}\\causeway.efi`));
      return this.#armed(entry);
    }
    const options = await this.#create(createRamdiskOptions(jobId));
    const loader = await this.#create(createRamdiskLoader(jobId));
    await this.#all(armRamdiskLoader({ loader, options, folder }));
    return this.#armed(loader);
  }

  async disarm(saved: SavedBootState): Promise<void> {
    await this.#all(disarmCommands(saved.jobId, await this.#enumerate()));
  }

  async restore(saved: SavedBootState): Promise<Attestation> {
    await this.#all(restoreCommands(saved.jobId, await this.#enumerate()));
    const attestation = await this.attest(saved);
    if (attestation.outcome === "different") throw new BootStateNotRestoredError([BCD]);
    return attestation;
  }

  async attest(saved: SavedBootState): Promise<Attestation> {
    const item = saved.items.find(({ kind }) => kind === "boot-configuration");
    if (item?.kind !== "boot-configuration") throw new BootStateUnreadableError(BCD, "it was not saved");
    const objects = await this.#enumerate();
    const now = sha256(Buffer.from(canonicalBcd(objects)));
    const others = restoreCommands(saved.jobId, objects).length === 0 ? "changed-by-others" : "different";
    const outcome = now === item.before.sha256 ? "equal" : others;
    const before = { present: true, sha256: item.before.sha256 } as const;
    const after = { present: true, sha256: now } as const;
    return { outcome, items: [{ kind: item.kind, name: item.name, before, after, outcome }] };
  }

  async #armed(entry: string): Promise<Armed> {
    const objects = await this.#enumerate();
    const isNext = objects.some(({ elements }) => elements.bootsequence?.[0]?.toLowerCase() === entry);
    if (!isNext) throw new ArmingFailedError("bootsequence");
    return { kind: this.kind, entry };
  }

  async #facts(need: ArmingNeed): Promise<BcdFacts> {
    const output = await this.#machine.run("bcdedit", ...ENUMERATE);
    const objects = output?.status === 0 ? parseBcdEnumeration(output.output) : undefined;
    const uefi = objects?.some(({ id }) => id === FIRMWARE_BOOT_MANAGER) ?? false;
    const esp = uefi ? await this.#machine.espDrive() : undefined;
    const drive = uefi ? esp && `${esp}\\EFI` : SYSTEM_DRIVE;
    const form = uefi ? "unified-kernel" : "windows-ramdisk";
    return {
      ...{ objects, uefi, signedForSecureBoot: need.signedForSecureBoot },
      secureBootOff:
        !uefi ||
        /UEFISecureBootEnabled\s+REG_DWORD\s+0x0\b/.test(await this.#output("reg", SECURE_BOOT_QUERY)),
      bitLocker: (await this.#output("powershell", BITLOCKER_QUERY)).trim() === "1",
      hasWindowsImage: need.windowsImageBytes !== undefined,
      folder: drive && `${drive}\\causeway\\${need.jobId}`,
      neededBytes: stagedBytes(form, need),
      freeBytes: (drive && (await this.#machine.freeBytes(drive))) || 0,
    };
  }

  async #output(program: string, args: readonly string[]): Promise<string> {
    return (await this.#machine.run(program, ...args))?.output ?? "";
  }

  async #enumerate(): Promise<BcdObject[]> {
    const objects = parseBcdEnumeration(await this.#bcdedit(ENUMERATE));
    if (!objects) throw new BootStateUnreadableError(BCD, "bcdedit printed an unknown result");
    return objects;
  }

  async #create(command: BcdCommand): Promise<string> {
    const id = parseCreatedId(await this.#bcdedit(command));
    if (!id) throw new ArmingFailedError(BCD);
    return id;
  }

  async #all(commands: readonly BcdCommand[]): Promise<void> {
    for (const command of commands) await this.#bcdedit(command);
  }

  async #bcdedit(command: BcdCommand): Promise<string> {
    const result = await this.#machine.run("bcdedit", ...command);
    if (result?.status !== 0) {
      throw new BootStateUnreadableError(
        BCD,
        `bcdedit ${command.join(" ")}: ${result?.output.trim() ?? "not found"}`,
      );
    }
    return result.output;
  }
}

const SECURE_BOOT_QUERY = [
  "query",
  "HKLM\\SYSTEM\\CurrentControlSet\\Control\\SecureBoot\\State",
  "/v",
  "UEFISecureBootEnabled",
];
/** 1 if protection is on. A number, because words would be in the language of Windows. */
const BITLOCKER_QUERY = [
  "-NoProfile",
  "-Command",
  "(Get-CimInstance -Namespace root/CIMV2/Security/MicrosoftVolumeEncryption -ClassName Win32_EncryptableVolume -Filter \"DriveLetter='C:'\").ProtectionStatus",
];
