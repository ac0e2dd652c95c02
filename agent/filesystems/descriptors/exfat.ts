import { markExfatUsed } from "../exfat-usage.ts";
import type { FileSystem } from "../file-system.ts";
import { start, text } from "../signatures/signature.ts";

/** Large sticks and cards, and data that Windows and others share. */
export const exfat: FileSystem = {
  signatures: [{ type: "exfat", at: start(0), magicAt: 3, magic: text("EXFAT   ") }],
  markUsed: markExfatUsed,
  bootImage: { modules: ["exfat"] },
  readOnlyMount: { type: "exfat", options: [] },
};
