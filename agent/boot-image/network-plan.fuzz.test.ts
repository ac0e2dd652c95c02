import fc from "fast-check";
import { expect, test } from "vitest";
import { formatNetworkPlan, type NetworkPlan } from "./network-plan.ts";

const PORT = { name: "eno1", macAddress: "52:54:00:12:34:56" };

test("no text of an inventory can add a word or a line to a plan", () => {
  const text = fc.string({ unit: "binary", maxLength: 15 });
  fc.assert(
    fc.property(text, text, text, (name, server, domain) => {
      const plan: NetworkPlan = {
        ports: [{ ...PORT, name }],
        nameservers: [server],
        searchDomains: [domain],
      };
      let lines: string[];
      try {
        lines = formatNetworkPlan(plan).split("\n");
      } catch {
        return;
      }
      expect(lines.map((line) => line.split(/\s/).length)).toEqual([3, 2, 2, 1]);
    }),
  );
});
