import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import type { CapturedSystem } from "./captured-system.ts";
import { replacementFor } from "./device-name.ts";

/** The only serial port of the machines that are defined, and the rate of every emulated one. */
const SERIAL = "ttyS0";
const CONSOLES = `console=tty0 console=${SERIAL},115200`;
/** Consoles of other hardware and other hypervisors. */
const ABSENT_CONSOLE = /^console=(?!tty\d|ttyS0(,|$))[^\s]+$/;

const DEVICE = /^(root|real_root|resume|cryptdevice)=(\/dev\/[^:\s]+)(.*)$/;

/** Kernel parameters for the new machine. `notes`: what they name and is not known. */
export function adaptedParameters(
  parameters: string,
  system: Pick<CapturedSystem, "volumes" | "disks">,
  { cards }: Pick<WantedMachine, "cards">,
): { parameters: string; notes: string[] } {
  const notes: string[] = [];
  const words = parameters.split(/(\s+)/).map((word) => {
    const [, name, device = "", rest = ""] = DEVICE.exec(word) ?? [];
    if (name !== undefined) {
      const replacement = replacementFor(device, system);
      if (typeof replacement === "object") return `${name}=${replacement.name}${rest}`;
      // Some systems wait for this device without end: https://github.com/systemd/systemd/issues/35180.
      if (replacement === "unknown" && name === "resume") return "noresume";
      if (replacement === "unknown") notes.push(`the kernel gets ${word}, which is not known`);
    }
    if (ABSENT_CONSOLE.test(word)) return `console=${SERIAL},115200`;
    return cards.reduce(
      (text, { address, replaces }) =>
        replaces ? text.replace(new RegExp(`(?<=^ifname=.*:)${replaces.address}$`, "i"), address) : text,
      word,
    );
  });
  return { parameters: withoutRepeated(words).join(""), notes };
}

/** The same with a serial console, unless there is one. */
export function withConsoles(parameters: string): string {
  return parameters.includes(`console=${SERIAL}`)
    ? parameters
    : `${parameters.trimEnd()} ${CONSOLES}`.trimStart();
}

/** Two absent consoles became the same one. `words` are separated by their gaps. */
function withoutRepeated(words: readonly string[]): string[] {
  const isRepeated = (word: string, at: number) =>
    word.startsWith(`console=${SERIAL}`) &&
    words.findIndex((each) => each.startsWith(`console=${SERIAL}`)) < at;
  return words.filter((word, at) => {
    const next = words[at + 1];
    const isGapBefore = /^\s+$/.test(word) && next !== undefined && isRepeated(next, at + 1);
    return !isGapBefore && !isRepeated(word, at);
  });
}
