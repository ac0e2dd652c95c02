/** What systemd-boot does while no key is pressed (sd-boot 252 to 257, src/boot/efi/boot.c). */
import { attended, type Judgement, UNATTENDED, unknown } from "./judgement.ts";

export interface SystemdBootFacts {
  /** `loader/loader.conf`; empty where there is none. */
  configuration: string;
  /** Variables of the boot loader interface, by name. */
  variables: Readonly<Partial<Record<SystemdBootVariable, string>>>;
  /** Files in `loader/keys`, by folder and name. */
  keys: readonly string[];
  /** The firmware takes new keys for Secure Boot. */
  setupMode: boolean;
}

export type SystemdBootVariable =
  | "LoaderConfigTimeout"
  | "LoaderConfigTimeoutOneShot"
  | "LoaderEntryDefault"
  | "LoaderEntryLastBooted"
  | "LoaderEntrySelected"
  /** All entries of the menu, separated by zero characters. */
  | "LoaderEntries";

type Wait = number | "hidden" | "force";

const MOST_SECONDS = 0xffff_fffd;
const LONGEST_WAIT_SECONDS = 600;

export function judgeSystemdBootMenu(facts: SystemdBootFacts): Judgement[] {
  const { configuration, variables } = facts;
  const found: Judgement[] = [];
  const configured = waitOf(variables.LoaderConfigTimeout) ?? configuredWait(configuration);
  found.push(...judgeWait(configured, "LoaderConfigTimeout or `timeout` in loader.conf"));
  const once = variables.LoaderConfigTimeoutOneShot;
  const wait = waitOf(once);
  // It shows the menu whatever it says; without seconds, for as long as no key is pressed.
  if (wait === "hidden" || wait === 0 || wait === "force") {
    found.push(
      attended(
        "systemd-boot's next menu waits for a key without end (LoaderConfigTimeoutOneShot)",
        'Take it back with `bootctl set-timeout-oneshot ""`.',
      ),
    );
  } else found.push(...judgeWait(wait ?? configured, "LoaderConfigTimeoutOneShot"));
  found.push(judgeEnrolment(facts), judgeDefault(facts));
  return found;
}

function judgeWait(wait: Wait, where: string): Judgement[] {
  const remedy = "Set a timeout of some seconds with `bootctl set-timeout 5` and in loader.conf.";
  if (wait === "force")
    return [attended(`systemd-boot's menu waits for a key without end (${where})`, remedy)];
  return typeof wait === "number" && wait > LONGEST_WAIT_SECONDS
    ? [attended(`systemd-boot waits ${wait} seconds before it starts anything (${where})`, remedy)]
    : [];
}

/** What a variable says; `undefined` if sd-boot does not take it. */
function waitOf(text: string | undefined): Wait | undefined {
  if (text === "menu-force") return "force";
  if (text === "menu-hidden" || text === "menu-disabled") return "hidden";
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const seconds = Number(text);
  return seconds > MOST_SECONDS ? "force" : seconds;
}

/** The last line that sd-boot takes counts; without one the menu stays hidden. */
function configuredWait(configuration: string): Wait {
  return settings(configuration, "timeout").reduce<Wait>((wait, value) => waitOf(value) ?? wait, "hidden");
}

function settings(configuration: string, key: string): string[] {
  return configuration.split("\n").flatMap((line) => {
    const [, name, value = ""] = /^\s*(\S+)\s+(.*?)\s*$/.exec(line) ?? [];
    return name === key ? [value.replace(/^"(.*)"$/, "$1")] : [];
  });
}

function judgeEnrolment({ configuration, keys, setupMode }: SystemdBootFacts): Judgement {
  const how = settings(configuration, "secure-boot-enroll").at(-1) ?? "if-safe";
  if (how === "off" || how === "manual" || !setupMode || keys.length === 0) return UNATTENDED;
  return unknown(
    "systemd-boot would enrol the keys for Secure Boot in loader/keys, and what starts then is not known",
    "Set `secure-boot-enroll off` in loader.conf for the time of the conversion.",
  );
}

/** Entries that start no system of this machine. */
const NO_SYSTEM = /^auto-(reboot|poweroff|reboot-to-firmware-setup|efi-shell|windows|osx|efi-default)/;

function judgeDefault({ configuration, variables }: SystemdBootFacts): Judgement {
  const remedy = "Make this system the default with `bootctl set-default`.";
  const selected = variables.LoaderEntrySelected;
  if (selected === undefined || selected === "") {
    return unknown("systemd-boot does not say which entry started this system", remedy);
  }
  const wanted = variables.LoaderEntryDefault ?? settings(configuration, "default").at(-1);
  if (wanted === undefined || wanted === "") return UNATTENDED;
  const name = wanted === "@saved" ? (variables.LoaderEntryLastBooted ?? selected) : wanted;
  if (matches(name, selected)) return UNATTENDED;
  const entries = (variables.LoaderEntries ?? "").split("\0").filter(Boolean);
  const others = entries.filter((entry) => matches(name, entry));
  // A default that does not exist is passed over.
  if (entries.length > 0 && others.length === 0) return UNATTENDED;
  const reason = `systemd-boot's default is ${name}, and this system was started by ${selected}`;
  return others.some((entry) => NO_SYSTEM.test(entry)) || NO_SYSTEM.test(name)
    ? attended(reason, remedy)
    : unknown(reason, remedy);
}

/** As fnmatch does, with the count of attempts in an entry's name left out. */
function matches(pattern: string, entry: string): boolean {
  const plain = entry.replace(/\+\d+(-\d+)?(?=\.\w+$)/, "");
  const expression = pattern
    .replaceAll(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".")
    .replaceAll("[!", "[^");
  try {
    const whole = new RegExp(`^${expression}$`, "is");
    return [entry, plain, plain.replace(/\.conf$/, "")].some((each) => whole.test(each));
  } catch {
    return false;
  }
}
