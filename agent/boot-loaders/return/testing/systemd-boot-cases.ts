/** For tests: configurations of systemd-boot, and whether it starts something while no key is pressed. */
import type { SystemdBootFacts } from "../systemd-boot-menu.ts";

export interface SystemdBootCase {
  name: string;
  /** `loader/loader.conf`. */
  configuration: string;
  variables?: SystemdBootFacts["variables"];
  starts: boolean;
}

export const SYSTEMD_BOOT_CASES: readonly SystemdBootCase[] = [
  { name: "no configuration", configuration: "", starts: true },
  { name: "two seconds", configuration: "timeout 2\n", starts: true },
  { name: "no seconds", configuration: "timeout 0\n", starts: true },
  { name: "a hidden menu", configuration: "timeout menu-hidden\n", starts: true },
  { name: "a forced menu", configuration: "timeout menu-force\n", starts: false },
  { name: "a forced menu and a later line", configuration: "timeout menu-force\ntimeout 2\n", starts: true },
  { name: "a word that it does not take", configuration: "timeout 2\ntimeout never\n", starts: true },
  {
    name: "a variable that forces the menu",
    configuration: "timeout 2\n",
    variables: { LoaderConfigTimeout: "menu-force" },
    starts: false,
  },
  {
    name: "a variable that wins over a forced menu",
    configuration: "timeout menu-force\n",
    variables: { LoaderConfigTimeout: "2" },
    starts: true,
  },
  {
    name: "a menu of two seconds, once",
    configuration: "timeout menu-force\n",
    variables: { LoaderConfigTimeoutOneShot: "2" },
    starts: true,
  },
  {
    name: "a forced menu, once",
    configuration: "",
    variables: { LoaderConfigTimeoutOneShot: "menu-force" },
    starts: false,
  },
  {
    name: "a menu of no seconds, once",
    configuration: "",
    variables: { LoaderConfigTimeoutOneShot: "0" },
    starts: false,
  },
];
