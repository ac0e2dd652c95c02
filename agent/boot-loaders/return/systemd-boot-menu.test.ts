import { expect, test } from "vitest";
import { worstOf } from "./judgement.ts";
import { judgeSystemdBootMenu, type SystemdBootFacts } from "./systemd-boot-menu.ts";

type Given = Partial<Omit<SystemdBootFacts, "variables">> & SystemdBootFacts["variables"];

function verdictOf({ configuration = "", keys = [], setupMode = false, ...variables }: Given): string {
  const facts = {
    configuration,
    keys,
    setupMode,
    variables,
  };
  return worstOf(judgeSystemdBootMenu(facts)).verdict;
}

test.each<[string, Given, string]>([
  ["no configuration", {}, "unattended"],
  ["some seconds", { configuration: "timeout 3\n" }, "unattended"],
  ["no seconds", { configuration: "timeout 0\n" }, "unattended"],
  ["a hidden menu", { configuration: "timeout menu-hidden\n" }, "unattended"],
  ["a forced menu", { configuration: "timeout menu-force\n" }, "attended"],
  ["a forced menu between spaces", { configuration: "  timeout\tmenu-force  \n" }, "attended"],
  ["a comment", { configuration: "#timeout menu-force\n" }, "unattended"],
  ["a later line that counts", { configuration: "timeout menu-force\ntimeout 3\n" }, "unattended"],
  ["a word that sd-boot does not accept", { configuration: "timeout 3\ntimeout never\n" }, "unattended"],
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
  ["keys for a firmware that accepts them", { keys: ["auto"], setupMode: true }, "unknown"],
  [
    "keys that are not enrolled",
    { keys: ["auto"], setupMode: true, configuration: "secure-boot-enroll off\n" },
    "unattended",
  ],
  ["keys, and a firmware that has some", { keys: ["auto"] }, "unattended"],
  [
    "a number that no timeout is, in a variable: that is cut to the largest",
    { LoaderConfigTimeout: "4294967296" },
    "attended",
  ],
  ["a number that no timeout is", { configuration: "timeout 3\ntimeout 4294967296\n" }, "unattended"],
  [
    "a forced menu, and a word that only newer versions take",
    { configuration: "timeout menu-force\ntimeout menu-disabled\n" },
    "attended",
  ],
  ["a menu that newer versions never show", { configuration: "timeout menu-disabled\n" }, "unattended"],
])("systemd-boot with %s", (_, given, expected) => {
  expect(verdictOf(given)).toBe(expected);
});
