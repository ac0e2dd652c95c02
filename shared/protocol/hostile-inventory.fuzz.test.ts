/** Inventories of machines that were set up to break their agent or the control plane. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { anInventory } from "../domain/testing/records.ts";
import { fitInventory, MAX_INVENTORY_BYTES } from "./fit-inventory.ts";
import { Inventory } from "./inventory.ts";
import { jsonBytes } from "./message-size.ts";
import { mutated } from "./testing/mutations.ts";

test("whatever one value is replaced by, an inventory is read within the schema or refused", () => {
  fc.assert(
    fc.property(mutated(anInventory()), (document) => {
      const read = Inventory.safeParse(document);
      if (read.success) expect(Inventory.safeParse(JSON.parse(JSON.stringify(read.data))).success).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("however long a machine's lists and texts are, the inventory that is sent fits and is valid", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.nat(3000).map((length) => "é".repeat(length)),
  );
  const count = fc.oneof(fc.nat(20), fc.nat(3000));
  const machine = fc.record({ text, flags: count, routes: count, tools: count, servers: count });
  fc.assert(
    fc.property(machine, ({ text: word, flags, routes, tools, servers }) => {
      const many = <T>(length: number, make: (at: number) => T) =>
        Array.from({ length }, (_, at) => make(at));
      const fitted = fitInventory(
        anInventory({
          hostname: word,
          fencedServices: ["db.service"],
          checkScripts: ["web"],
          cpu: { count: 1, model: word, flags: many(flags, (at) => `${word}${at}`) },
          missingTools: many(tools, (at) => ({ tool: `${word}${at}`, package: word })),
          network: {
            interfaces: [],
            routes: many(routes, (at) => ({ destination: `${word}${at}`, device: word })),
            dns: { servers: many(servers, () => word), search: many(servers, () => word) },
          },
        }),
      );
      expect(jsonBytes(fitted)).toBeLessThanOrEqual(MAX_INVENTORY_BYTES);
      expect(Inventory.safeParse(fitted).error).toBeUndefined();
      // An empty list would say that nothing is fenced.
      expect(fitted.fencedServices).toEqual(["db.service"]);
      expect(fitted.checkScripts).toEqual(["web"]);
    }),
    { numRuns: 60 },
  );
});
