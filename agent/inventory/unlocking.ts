import { type Inventory, UNKNOWN } from "#shared/protocol/inventory.ts";
import { type Machine, readText } from "../machine/machine.ts";

type Unlocking = Exclude<Inventory["unlocking"], undefined>;

/** Options of `crypttab` that name what opens the volume instead of a person. */
const OPENERS = /^(keyscript|tpm2-device|fido2-device|pkcs11-uri)=/;

/** Whether encrypted volumes are opened at the start of this system, and by whom. */
export async function collectUnlocking(machine: Machine): Promise<Unlocking> {
  const table = await readText(machine, "/etc/crypttab");
  const commandLine = await readText(machine, "/proc/cmdline");
  if (commandLine === undefined) return UNKNOWN;
  const unlocking = unlockingOf(table ?? "", commandLine);
  // Clevis opens over the network or by the TPM what `crypttab` says to ask for; of which volumes only their headers tell.
  const helper = unlocking === "by-hand" && (await machine.list("/usr/bin")).includes("clevis");
  return helper ? UNKNOWN : unlocking;
}

/** What `/etc/crypttab` and the kernel's command line say together. */
export function unlockingOf(crypttab: string, commandLine: string): Unlocking {
  const volumes = crypttab
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(/\s+/))
    .map(([, , key = "none", options = ""]) => ({ key, options: options.split(",") }))
    .filter(({ options }) => !options.includes("noauto"));
  const isAsked = volumes.some(
    ({ key, options }) => (key === "none" || key === "-") && !options.some((one) => OPENERS.test(one)),
  );
  if (isAsked) return "by-hand";
  if (volumes.length > 0) return "by-itself";
  // What the initial RAM disk opens need not be in the table.
  if (!/(^|\s)(rd\.luks\.(uuid|name)|cryptdevice)=/.test(commandLine)) return "none";
  return /(^|\s)(rd\.luks\.(key|options)|cryptkey)=/.test(commandLine) ? "by-itself" : "by-hand";
}
