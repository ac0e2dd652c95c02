import type { FileSystem } from "../file-system.ts";
import { describeXfs } from "../signatures/describe.ts";
import { start, text } from "../signatures/signature.ts";
import { markXfsUsed } from "../xfs-usage.ts";

export const xfs: FileSystem = {
  signatures: [{ type: "xfs", at: start(0), magic: text("XFSB"), describe: describeXfs }],
  markUsed: markXfsUsed,
  bootImage: {
    modules: ["xfs"],
    packages: ["xfsprogs", "libinih1"],
    programs: ["/sbin/xfs_repair", "/usr/sbin/xfs_db", "/usr/sbin/xfs_io"],
  },
  // A clone of a file system has the identity of its original, which may be attached as well.
  readOnlyMount: { type: "xfs", options: ["norecovery", "nouuid"] },
  writableMount: { type: "xfs", options: ["nouuid"] },
  provingMount: { type: "xfs", options: ["nouuid"] },
  grubModule: "xfs",
};
