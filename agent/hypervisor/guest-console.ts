/** How far a guest got, in order. */
export const BOOT_STAGES = ["power-on", "firmware", "boot-loader", "kernel", "user-space", "up"] as const;
export type BootStage = (typeof BOOT_STAGES)[number];

/** For people. */
export const STAGE_NOTES: Readonly<Record<BootStage, string>> = {
  "power-on": "switched on",
  firmware: "firmware started",
  "boot-loader": "boot loader started",
  kernel: "kernel started",
  "user-space": "services are starting",
  up: "up",
};

/** What the text means for the guest: it is up, or will not come up, and by what that is known. */
export type ConsoleVerdict = { kind: "up" | "failed"; reason: string } | { kind: "undecided" };

const STAGE_SIGNS: readonly [BootStage, RegExp][] = [
  ["firmware", /SeaBIOS|UEFI|BdsDxe|Booting from/],
  ["boot-loader", /GRUB|LILO|ISOLINUX|systemd-boot|Loading Linux/],
  ["kernel", /Linux version|EFI stub|Loading initial ramdisk|^\[ {2,}\d+\.\d{6}\]/m],
  [
    "user-space",
    /systemd\[1\]|Welcome to (?! *GRUB)[^\n]{1,300}\n|INIT: version|OpenRC|Run \/\S+ as init process/,
  ],
];

const FAILURE_SIGNS: readonly [RegExp, string][] = [
  // Up to the end of its line: the text arrives in pieces, and the reason is in the last one.
  [/Kernel panic - not syncing: (?:[^\n]{0,300}\n|[^\n]{300})/, "the kernel panicked"],
  [/No bootable device|No bootable option or device was found/i, "the firmware found nothing to boot"],
  [/UEFI Interactive Shell/, "the firmware found nothing to boot and started its shell"],
  // SeaBIOS moves the cursor instead of printing some spaces.
  [/grub *rescue>/, "GRUB did not find its files and stopped at its rescue prompt"],
  [/^grub>/m, "GRUB found no configuration and stopped at its prompt"],
  [/BOOTMGR is missing|Missing operating system|Operating System not found/i, "there is no boot loader"],
  [/\(initramfs\) *$|dracut:\/#/m, "the initial RAM disk did not find the root file system"],
  [
    /You are in (?:emergency|rescue) mode|Entering emergency mode|root account is locked/,
    "the system stopped in emergency mode",
  ],
];

/** Enough for any sign with its surroundings; older text has already been judged. */
const WINDOW_CHARACTERS = 8192;
/** A sign that is split over two pieces is whole in the window of the second. */
const PIECE_CHARACTERS = WINDOW_CHARACTERS / 2;
// Built from its code: a control character in a pattern would look like a mistake.
const ESCAPE = String.fromCharCode(27);
const TERMINAL_CODES = new RegExp(`${ESCAPE}(?:\\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[=>78cM])|\\r|\\0`, "g");
const LOGIN_PROMPT = /login:\s*$/m;

/**
 * Reads a guest's serial console as it arrives, and judges how far the guest got. Pure: text in, verdict out.
 */
export class GuestConsole {
  readonly #expected: string | undefined;
  #raw = "";
  #stage: BootStage = "power-on";
  #verdict: ConsoleVerdict = { kind: "undecided" };

  /** `expected`: a text that proves the system is up; by default a login prompt. */
  constructor(expected?: string) {
    this.#expected = expected;
  }

  get stage(): BootStage {
    return this.#stage;
  }

  get verdict(): ConsoleVerdict {
    return this.#verdict;
  }

  append(text: string): void {
    for (let at = 0; at < text.length; at += PIECE_CHARACTERS) {
      this.#appendPiece(text.slice(at, at + PIECE_CHARACTERS));
    }
  }

  #appendPiece(text: string): void {
    if (this.#verdict.kind !== "undecided") return;
    this.#raw = (this.#raw + text).slice(-WINDOW_CHARACTERS);
    const shown = this.#raw.replace(TERMINAL_CODES, "");
    for (const [stage, sign] of STAGE_SIGNS) {
      if (BOOT_STAGES.indexOf(stage) > BOOT_STAGES.indexOf(this.#stage) && sign.test(shown))
        this.#stage = stage;
    }
    this.#verdict = this.#judge(shown);
    if (this.#verdict.kind === "up") this.#stage = "up";
  }

  #judge(shown: string): ConsoleVerdict {
    for (const [sign, reason] of FAILURE_SIGNS) {
      const match = sign.exec(shown);
      if (match) return { kind: "failed", reason: `${reason}: ${printable(match[0].trim())}` };
    }
    if (this.#expected === undefined)
      return LOGIN_PROMPT.test(shown)
        ? { kind: "up", reason: "the login prompt appeared" }
        : { kind: "undecided" };
    return shown.includes(this.#expected)
      ? { kind: "up", reason: `the console shows "${this.#expected}"` }
      : { kind: "undecided" };
  }
}

/** For an operator's terminal, which must not obey what a guest prints. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}
