import { expect, test } from "vitest";
import { debianUefi } from "../machine/testing/recorded-machine.ts";
import type { HardDrivePartition } from "./device-path.ts";
import { decodeLoadOption, encodeLoadOption, type LoadOption } from "./load-option.ts";

const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

function recorded(name: string): Buffer {
  const hex = debianUefi.binaryFiles?.[`/sys/firmware/efi/efivars/${name}-${GLOBAL}`] ?? "";
  return Buffer.from(hex, "hex").subarray(4);
}

test.each(["Boot0000", "Boot0001"])("%s of a real firmware is read, and written the same", (name) => {
  const option = decodeLoadOption(recorded(name));
  if (!option) throw new Error("not decoded");
  expect(encodeLoadOption(option)).toEqual(recorded(name));
});

test("the firmware's entry for a disk has a label, a path through the controller, and data of its own", () => {
  expect(decodeLoadOption(recorded("Boot0001"))).toMatchObject({
    active: true,
    label: "UEFI QEMU HARDDISK QM00001 ",
    path: [{ type: 2 }, { type: 1 }, { type: 3 }],
    optionalData: Buffer.from("4eac0881119f594d850ee21a522c59b2", "hex"),
  });
});

/** Written out by hand from the UEFI specification: a file on partition 1 of a GPT. */
test("an entry of our own has the bytes that the specification requires", () => {
  const bytes = encodeLoadOption({
    active: true,
    hidden: false,
    otherAttributes: 0,
    label: "Cw",
    path: [
      {
        kind: "hard-drive",
        partition: {
          number: 1,
          startBlock: 2048n,
          blocks: 16384n,
          signature: { format: "gpt", guid: "3f1c2d4e-5a6b-4c7d-8e9f-0a1b2c3d4e5f" },
        },
      },
      { kind: "file", path: "\\a.efi" },
    ],
    optionalData: Buffer.from("x", "utf16le"),
  });
  expect(bytes.toString("hex")).toBe(
    [
      "01000000", // active
      "4000", // 42 + 18 + 4 bytes of device path
      "430077000000", // Cw
      "04012a00", // media, hard drive, 42 bytes
      "01000000", // partition 1
      "0008000000000000", // from block 2048
      "0040000000000000", // 16384 blocks
      "4e2d1c3f6b5a7d4c8e9f0a1b2c3d4e5f", // its GUID
      "0202", // GPT, named by GUID
      "04041200", // media, file path, 18 bytes
      "5c0061002e006500660069000000", // \a.efi
      "7fff0400", // end
      "7800", // x
    ].join(""),
  );
});

test.each<[string, Partial<LoadOption>]>([
  ["a label with a zero character", { label: "a\0b" }],
  ["a path that is too long for one node", { path: [{ kind: "file", path: "a".repeat(0x8000) }] }],
  ["a partition whose GUID is none", { path: [{ kind: "hard-drive", partition: partitionWith("x") }] }],
])("an entry with %s is not encoded", (_, change) => {
  const option = { active: true, hidden: false, otherAttributes: 0, label: "a", path: [] };
  expect(() => encodeLoadOption({ ...option, optionalData: Buffer.alloc(0), ...change })).toThrow(RangeError);
});

function partitionWith(guid: string): HardDrivePartition {
  return { number: 1, startBlock: 1n, blocks: 1n, signature: { format: "gpt", guid } };
}
