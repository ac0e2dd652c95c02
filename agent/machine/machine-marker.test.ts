import fc from "fast-check";
import { expect, test } from "vitest";
import { markerString, readMachineMarker } from "./machine-marker.ts";
import { RecordedMachine } from "./testing/recorded-machine.ts";

const TABLE = "/sys/firmware/dmi/tables/DMI";

/** A structure as the firmware lays it out: header, further bytes, texts, and two zeros at the end. */
function structure(type: number, texts: readonly string[], body: readonly number[] = [texts.length]): Buffer {
  const header = [type, 4 + body.length, 0, 1];
  const set = texts.length === 0 ? "\0\0" : `${texts.join("\0")}\0\0`;
  return Buffer.concat([Buffer.from([...header, ...body]), Buffer.from(set, "latin1")]);
}
const END = structure(127, [], []);
const SYSTEM = structure(1, ["QEMU", "Standard PC"], [1, 2, 0, 0]);

const withTable = (table: Buffer) => new RecordedMachine({ binaryFiles: { [TABLE]: table.toString("hex") } });

test("the marker is found behind other structures and other OEM strings", async () => {
  const strings = structure(11, ["rack 7", markerString("rcv_1"), "more"]);
  expect(await readMachineMarker(withTable(Buffer.concat([SYSTEM, strings, END])))).toBe("rcv_1");
});

test("without the whole table, the marker is found in the structures of type 11", async () => {
  const machine = new RecordedMachine({
    binaryFiles: {
      "/sys/firmware/dmi/entries/1-0/raw": structure(1, [markerString("cnv_wrong")]).toString("hex"),
      "/sys/firmware/dmi/entries/11-0/raw": structure(11, ["rack 7"]).toString("hex"),
      "/sys/firmware/dmi/entries/11-1/raw": structure(11, [markerString("cnv_1")]).toString("hex"),
    },
  });
  expect(await readMachineMarker(machine)).toBe("cnv_1");
});

test.each([
  ["has no table", new RecordedMachine()],
  ["has no OEM strings", withTable(Buffer.concat([SYSTEM, END]))],
  ["has an empty set of OEM strings", withTable(Buffer.concat([structure(11, []), END]))],
  ["has other OEM strings", withTable(structure(11, ["rack 7", "not-causeway-machine=cnv_1"]))],
  ["has the text in another structure", withTable(structure(1, [markerString("cnv_1")], [0x0b, 0]))],
])("a machine whose firmware %s has no marker", async (_, machine) => {
  expect(await readMachineMarker(machine)).toBeUndefined();
});

test("a marker of any text counts, and is printable and short", async () => {
  const strings = structure(11, [markerString(`new_\u001b[2J${"x".repeat(150)}`)]);
  expect(await readMachineMarker(withTable(strings))).toBe(`new_?[2J${"x".repeat(92)}`);
});

const text = fc.oneof(
  fc.stringMatching(/^[ -~]{1,60}$/),
  fc.stringMatching(/^[a-z]{3}_[0-9a-z]{1,40}$/).map(markerString),
);
const body = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 80 });
const types = fc.oneof(fc.constant(11), fc.integer({ min: 0, max: 126 }));
const structures = fc.array(fc.record({ type: types, texts: fc.array(text), body }), { maxLength: 12 });

test("the first marker of every table is found, whatever its other strings and bytes are", async () => {
  await fc.assert(
    fc.asyncProperty(structures, async (all) => {
      const table = Buffer.concat(all.map((each) => structure(each.type, each.texts, each.body)));
      const oemStrings = all.filter(({ type }) => type === 11).flatMap(({ texts }) => texts);
      const marker = oemStrings.find((each) => each.startsWith(markerString("")));
      const found = await readMachineMarker(withTable(Buffer.concat([table, END])));
      expect(found).toBe(marker?.slice(markerString("").length));
    }),
  );
});

test("a table that is cut shows its marker whole or not at all", async () => {
  const whole = Buffer.concat([SYSTEM, structure(11, [markerString("rcv_1")]), END]);
  for (let length = 0; length <= whole.length; length++) {
    const found = await readMachineMarker(withTable(whole.subarray(0, length)));
    expect(found).toBe(length >= whole.length - END.length ? "rcv_1" : undefined);
  }
});

test("of a table of any bytes, reading ends", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const marker = await readMachineMarker(withTable(Buffer.from(bytes)));
      expect(marker === undefined || /^[ -~]*$/.test(marker)).toBe(true);
    }),
  );
});
