import type { Adapter } from "../adapter.ts";
import { textOf } from "../captured-system.ts";

const PATH = "/etc/selinux/config";
const MARK = "/.autorelabel";

/** SELinux labels what was added here at the next start; files that existed keep their labels. */
export const selinux: Adapter = {
  reads: [PATH, MARK],
  adapt(system) {
    if (!/^\s*SELINUX=enforcing\b/m.test(textOf(system, PATH) ?? "")) return {};
    return { edits: [{ path: MARK, after: Buffer.alloc(0), why: "SELinux labels the files that are new" }] };
  },
};
