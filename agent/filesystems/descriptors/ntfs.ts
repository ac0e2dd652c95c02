import type { FileSystem } from "../file-system.ts";
import { markNtfsUsed } from "../ntfs-usage.ts";
import { describeNtfs } from "../signatures/describe.ts";
import { anyOf, end, start, text } from "../signatures/signature.ts";

export const ntfs: FileSystem = {
  signatures: [
    {
      type: "ntfs",
      at: anyOf(start(0), end(512)),
      magicAt: 3,
      magic: text("NTFS    "),
      describe: describeNtfs,
    },
  ],
  markUsed: markNtfsUsed,
  bootImage: {
    // Debian 12's kernel has no driver of its own; ntfs-3g mounts through FUSE.
    modules: ["fuse"],
    packages: ["ntfs-3g", "libntfs-3g89"],
    programs: ["/bin/ntfs-3g", "/bin/ntfsfix", "/bin/ntfsinfo", "/sbin/ntfsresize"],
    links: { "usr/sbin/mount.ntfs-3g": "../bin/ntfs-3g" },
  },
  readOnlyMount: { type: "ntfs-3g", options: ["norecover"] },
};
