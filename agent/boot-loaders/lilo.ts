import { readText } from "../machine/machine.ts";
import type { LinuxLoader } from "./linux-loader.ts";

export const LILO_FILE = "/etc/lilo.conf";

/** LILO, which cannot start an entry once. Its configuration often outlives it. */
export const lilo: LinuxLoader = {
  async describe({ machine }) {
    if ((await readText(machine, LILO_FILE)) === undefined) return undefined;
    return { evidence: "traces", description: { kind: "lilo", configPath: LILO_FILE } };
  },
};
