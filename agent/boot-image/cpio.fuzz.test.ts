import fc from "fast-check";
import { expect, test } from "vitest";
import { type ArchiveEntry, writeArchive } from "./cpio.ts";

test("the order in which entries are found does not change an archive", () => {
  const paths = fc.uniqueArray(fc.stringMatching(/^[a-z/]{1,12}$/), { maxLength: 20 });
  fc.assert(
    fc.property(paths, fc.infiniteStream(fc.nat()), (names, order) => {
      const entries = names.map(
        (path): ArchiveEntry => ({ kind: "file", path, mode: 0o600, data: Buffer.from(path) }),
      );
      const ranks = new Map(entries.map((entry) => [entry, order.next().value]));
      const shuffled = entries.toSorted((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0));
      expect(writeArchive(shuffled, 5).equals(writeArchive(entries, 5))).toBe(true);
    }),
  );
});
