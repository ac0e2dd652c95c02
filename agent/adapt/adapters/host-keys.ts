import type { Adapter } from "../adapter.ts";
import { filesMatching } from "../captured-system.ts";

const KEYS = "/etc/ssh/ssh_host_*";

/** New host keys for SSH, made by the system's own program: Debian makes none at its start. */
export const hostKeys: Adapter = {
  reads: [KEYS],
  adapt(system, { hostKeys: wanted }) {
    if (wanted === "kept") return {};
    const edits = filesMatching(system, [KEYS]).map(({ path }) => ({
      path,
      why: "a machine that runs beside its source proves itself by keys of its own",
    }));
    if (edits.length === 0) return {};
    if (!system.programs.has("/usr/bin/ssh-keygen"))
      return { edits, notes: ["there is no ssh-keygen to make new host keys"] };
    return { edits, run: [["ssh-keygen", "-A"]] };
  },
};
