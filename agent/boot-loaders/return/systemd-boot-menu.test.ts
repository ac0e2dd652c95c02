import { expect, test } from "vitest";
import { worstOf } from "./judgement.ts";
import { judgeSystemdBootMenu, type SystemdBootFacts } from "./systemd-boot-menu.ts";
import { SYSTEMD_BOOT_CASES } from "./testing/systemd-boot-cases.ts";

test.each(SYSTEMD_BOOT_CASES.map((each) => [each.name, each] as const))(
  "systemd-boot, by its source, with %s",
  (_, { configuration, variables, starts }) => {
    // Of a variable for one start the judgement also sees what holds after it.
    const isForcedLater = variables?.LoaderConfigTimeoutOneShot === "2";
    const verdict = verdictOf({ configuration, ...variables });
    expect(verdict).toBe(starts && !isForcedLater ? "unattended" : "attended");
  },
);

type Given = Partial<Omit<SystemdBootFacts, "variables">> & SystemdBootFacts["variables"];

function verdictOf({ configuration = "", keys = [], setupMode = false, ...variables }: Given): string {
  const facts = {
    configuration,
    keys,
    setupMode,
    variables: { LoaderEntrySelected: "debian.conf", ...variables },
  };
  return worstOf(judgeSystemdBootMenu(facts)).verdict;
}

const OTHERS = "debian.conf\0windows.conf\0auto-windows\0auto-reboot-to-firmware-setup\0";

test.each<[string, Given, string]>([
  ["no configuration", {}, "unattended"],
  ["some seconds", { configuration: "timeout 3\n" }, "unattended"],
  ["no seconds", { configuration: "timeout 0\n" }, "unattended"],
  ["a hidden menu", { configuration: "timeout menu-hidden\n" }, "unattended"],
  ["a forced menu", { configuration: "timeout menu-force\n" }, "attended"],
  ["a forced menu between spaces", { configuration: "  timeout\tmenu-force  \n" }, "attended"],
  ["a comment", { configuration: "#timeout menu-force\n" }, "unattended"],
  ["a later line that counts", { configuration: "timeout menu-force\ntimeout 3\n" }, "unattended"],
  ["a word that sd-boot does not take", { configuration: "timeout 3\ntimeout never\n" }, "unattended"],
  ["an hour", { configuration: "timeout 3600\n" }, "attended"],
  [
    "a variable that forces the menu",
    { configuration: "timeout 3\n", LoaderConfigTimeout: "menu-force" },
    "attended",
  ],
  ["a variable that wins", { configuration: "timeout menu-force\n", LoaderConfigTimeout: "5" }, "unattended"],
  ["a number that stands for a forced menu", { LoaderConfigTimeout: "4294967295" }, "attended"],
  ["one menu of some seconds", { LoaderConfigTimeoutOneShot: "5" }, "unattended"],
  ["one forced menu", { LoaderConfigTimeoutOneShot: "menu-force" }, "attended"],
  ["one menu of no seconds, which stays", { LoaderConfigTimeoutOneShot: "0" }, "attended"],
  ["keys for a firmware that takes them", { keys: ["auto"], setupMode: true }, "unknown"],
  [
    "keys that are not enrolled",
    { keys: ["auto"], setupMode: true, configuration: "secure-boot-enroll off\n" },
    "unattended",
  ],
  ["keys, and a firmware that has some", { keys: ["auto"] }, "unattended"],
  ["a default that is this system", { configuration: "default deb*\n" }, "unattended"],
  ["a default by name without its suffix", { configuration: "default debian\n" }, "unattended"],
  [
    "a default that is another",
    { configuration: "default windows.conf\n", LoaderEntries: OTHERS },
    "unknown",
  ],
  ["a default that is Windows", { LoaderEntryDefault: "auto-windows", LoaderEntries: OTHERS }, "attended"],
  [
    "a default that does not exist",
    { configuration: "default gone.conf\n", LoaderEntries: OTHERS },
    "unattended",
  ],
  [
    "the last one started",
    { configuration: "default @saved\n", LoaderEntryLastBooted: "debian.conf" },
    "unattended",
  ],
  [
    "another one started last",
    { configuration: "default @saved\n", LoaderEntryLastBooted: "windows.conf", LoaderEntries: OTHERS },
    "unknown",
  ],
  [
    "an entry whose attempts are counted",
    { LoaderEntrySelected: "debian+3-1.conf", configuration: "default debian.conf\n" },
    "unattended",
  ],
  ["no word of which entry was started", { LoaderEntrySelected: "" }, "unknown"],
])("systemd-boot with %s", (_, given, expected) => {
  expect(verdictOf(given)).toBe(expected);
});
