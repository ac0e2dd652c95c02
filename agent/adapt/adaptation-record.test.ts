import { expect, test } from "vitest";
import { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import { type AdaptationRecord, addInputs } from "./adaptation-record.ts";
import { aWantedMachine } from "./testing/a-system.ts";

const SHA256 = "0".repeat(64);

test("inputs are taken as the guest names them, whatever their names are", () => {
  const record: Pick<AdaptationRecord, "inputs"> = { inputs: {} };
  addInputs(record, [["/etc/fstab", SHA256]]);
  addInputs(record, [["__proto__", SHA256]]);
  expect(Object.entries(record.inputs)).toEqual([
    ["/etc/fstab", SHA256],
    ["__proto__", SHA256],
  ]);
});

test("a guest that names inputs without end, or one twice, is not believed", () => {
  const record: Pick<AdaptationRecord, "inputs"> = { inputs: {} };
  const many = Array.from({ length: 20_000 }, (_, at) => [`/etc/${at}`, SHA256] as const);
  addInputs(record, many);
  expect(() => addInputs(record, [["/etc/one-more", SHA256]])).toThrow("more inputs than a system has");
  expect(() => addInputs({ inputs: {} }, [...many.slice(0, 1), ...many.slice(0, 1)])).toThrow("twice");
});

test.each(["eth0/../../x", "eth 0", "a-name-of-16-long", ""])(
  "a port cannot be called %j, which becomes the name of a file",
  (name) => {
    const address = "52:54:00:12:34:56";
    const wanted = aWantedMachine({ cards: [{ address, replaces: { name, address } }] });
    expect(WantedMachine.safeParse(wanted).success).toBe(false);
  },
);
