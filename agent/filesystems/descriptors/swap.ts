import type { FileSystem } from "../file-system.ts";
import { describeSwap } from "../signatures/describe.ts";
import { hex, KIB, start } from "../signatures/signature.ts";

const PAGE_SIZES = [4, 8, 16, 32, 64].map((kib) => kib * KIB);

export const swap: FileSystem = {
  signatures: [
    {
      type: "swap",
      at: start(0),
      length: 64 * KIB,
      check: (head) => PAGE_SIZES.some((page) => ["SWAPSPACE2", "SWAP-SPACE"].includes(pageEnd(head, page))),
      describe: describeSwap,
    },
    {
      // An image of the memory was written where swap was: by the kernel, uswsusp, or TuxOnIce.
      type: "swsuspend",
      at: start(0),
      length: 64 * KIB,
      check: (head) =>
        PAGE_SIZES.some((page) => /^(?:S[12]|UL)SUSPEND|^LINHIB0001/.test(pageEnd(head, page))),
    },
    { type: "swsuspend", at: start(0), magic: hex("edc302e99856e50c") },
  ],
};

/** The ten bytes at the end of the first page, where swap has its magic. */
function pageEnd(head: Buffer, pageBytes: number): string {
  return head.toString("latin1", pageBytes - 10, pageBytes);
}
