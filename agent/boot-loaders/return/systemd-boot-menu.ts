/** Whether systemd-boot starts anything while no key is pressed (252 to 257, src/boot/boot.c). */
import { lastOf, type Setting, settingsOf } from "../systemd-boot-menu/settings.ts";
import { attended, type Judgement, UNATTENDED, unknown } from "./judgement.ts";

export interface SystemdBootFacts {
  /** `loader/loader.conf`; empty if there is none. */
  configuration: string;
  /** Variables of the boot loader interface, by name. */
  variables: Readonly<Partial<Record<SystemdBootVariable, string>>>;
  /** Files in `loader/keys`, by folder and name. */
  keys: readonly string[];
  /** The firmware accepts new keys for Secure Boot. */
  setupMode: boolean;
}

export type SystemdBootVariable = "LoaderConfigTimeout" | "LoaderConfigTimeoutOneShot";

type Wait = number | "hidden" | "force";

const MOST_SECONDS = 0xffff_fffd;
const LARGEST = { configuration: 2 ** 32 - 1, variable: 2 ** 64 - 1 };
const LONGEST_WAIT_SECONDS = 600;

export function judgeSystemdBootMenu(facts: SystemdBootFacts): Judgement[] {
  const settings = settingsOf(facts.configuration);
  // Older versions do not take the word `menu-disabled`, and the next start may be that of a newer one.
  const waits = [true, false].flatMap((canDisable) => judgeWaits(settings, facts.variables, canDisable));
  return [...waits, judgeEnrolment(settings, facts)];
}

function judgeWaits(
  settings: readonly Setting[],
  variables: SystemdBootFacts["variables"],
  canDisable: boolean,
): Judgement[] {
  const taken = settings.flatMap(([key, value]) =>
    key === "timeout" ? (waitOf(value, LARGEST.configuration, canDisable) ?? []) : [],
  );
  // The last line that is taken counts; without one the menu stays hidden.
  const configured =
    waitOf(variables.LoaderConfigTimeout, LARGEST.variable, canDisable) ?? taken.at(-1) ?? "hidden";
  const found = judgeWait(configured, "LoaderConfigTimeout or `timeout` in loader.conf");
  const once = waitOf(variables.LoaderConfigTimeoutOneShot, LARGEST.variable, canDisable);
  // It always shows the menu; without seconds, until a key is pressed.
  if (once === "hidden" || once === 0 || once === "force") {
    const reason = "systemd-boot's next menu waits for a key without end (LoaderConfigTimeoutOneShot)";
    return [...found, attended(reason, 'Undo it with `bootctl set-timeout-oneshot ""`.')];
  }
  return [...found, ...judgeWait(once ?? configured, "LoaderConfigTimeoutOneShot")];
}

function judgeWait(wait: Wait, where: string): Judgement[] {
  const remedy = "Set a timeout of some seconds with `bootctl set-timeout 5` and in loader.conf.";
  if (wait === "force")
    return [attended(`systemd-boot's menu waits for a key without end (${where})`, remedy)];
  return typeof wait === "number" && wait > LONGEST_WAIT_SECONDS
    ? [attended(`systemd-boot waits ${wait} seconds before it starts anything (${where})`, remedy)]
    : [];
}

/** `undefined` for what systemd-boot does not take. */
function waitOf(text: string | undefined, largest: number, canDisable: boolean): Wait | undefined {
  if (text === "menu-force") return "force";
  if (text === "menu-hidden" || (text === "menu-disabled" && canDisable)) return "hidden";
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const seconds = Number(text);
  if (seconds > largest) return undefined;
  return seconds > MOST_SECONDS ? "force" : seconds;
}

function judgeEnrolment(settings: readonly Setting[], { keys, setupMode }: SystemdBootFacts): Judgement {
  const how = lastOf(settings, "secure-boot-enroll") ?? "if-safe";
  if (how === "off" || how === "manual" || !setupMode || keys.length === 0) return UNATTENDED;
  return unknown(
    "systemd-boot would enrol the keys for Secure Boot in loader/keys, and it is not known what starts then",
    "Set `secure-boot-enroll off` in loader.conf for the time of the conversion.",
  );
}
