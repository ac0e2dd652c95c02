import type { Adapter } from "../adapter.ts";
import { textOf } from "../captured-system.ts";

const PATH = "/etc/selinux/config";
const MARK = "/.autorelabel";
const NOTE =
  "SELinux labels all files at the first start, which takes minutes, and the machine then starts again";

/** SELinux labels what was added here at the next start; files that existed keep their labels. It is last. */
export const selinux: Adapter = {
  reads: [PATH, MARK],
  adapt(system) {
    if (!/^\s*SELINUX=enforcing\b/m.test(textOf(system, PATH) ?? "")) return {};
    if (system.added.length === 0) return {};
    return {
      edits: [{ path: MARK, after: Buffer.alloc(0), why: "SELinux labels the files that are new" }],
      notes: [NOTE],
    };
  },
};
