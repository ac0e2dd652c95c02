import { describe, expect, test } from "vitest";
import { EFI_ATTRIBUTE_BYTES } from "../machine/system.ts";
import { appendGrubEntry, formatGrubEntry } from "./grub-entry.ts";
import { encodeLoadOption, type LoadOption, OWN_LABEL } from "./load-option.ts";
import { withoutOwnPart } from "./own-part.ts";
import { grubEnvironmentBlock } from "./testing/grub-installation.ts";

function entryOf(jobId: string): string {
  const image = { kernelPath: "/vmlinuz", initrdPaths: ["/initrd"], commandLine: "" };
  return formatGrubEntry({ jobId, fileSystemUuid: "1234", modules: [], ...image });
}

describe("custom.cfg", () => {
  const before = Buffer.from("set mine=1\n");
  const armed = appendGrubEntry(before, entryOf("cv-1"));
  const remainder = (now: string) => {
    const result = withoutOwnPart("grub-configuration", { before, armed, now: Buffer.from(now) });
    return result === "unclear" ? result : result.bytes?.toString();
  };

  test.each<[string, string, string]>([
    ["moved to the front", `${entryOf("cv-1")}set mine=1\nset theirs=1\n`, "set mine=1\nset theirs=1\n"],
    ["with the line ends of Windows", `a\r\n${entryOf("cv-1").replaceAll("\n", "\r\n")}b\r\n`, "a\r\nb\r\n"],
    ["twice", `${entryOf("cv-1")}a\n${entryOf("cv-1")}`, "a\n"],
    ["beside that of another conversion", `${entryOf("cv-10")}${entryOf("cv-1")}`, entryOf("cv-10")],
    ["gone", "set theirs=1\n", "set theirs=1\n"],
    ["removed, while another conversion's remains,", `a\n${entryOf("cv-10")}`, `a\n${entryOf("cv-10")}`],
  ])("our entry %s is removed, and nothing else", (_, now, expected) => {
    expect(remainder(now)).toBe(expected);
  });

  test.each<[string, string]>([
    ["without the line before it", entryOf("cv-1").split("\n").slice(1).join("\n")],
    ["without the line behind it", entryOf("cv-1").split("\n").slice(0, -2).join("\n")],
  ])("the end of our entry is unclear %s", (_, now) => {
    expect(remainder(now)).toBe("unclear");
  });
});

describe("grubenv", () => {
  const others = { saved_entry: "x".repeat(380) };
  const before = grubEnvironmentBlock(others);
  const armed = grubEnvironmentBlock({ ...others, next_entry: `causeway-${"0".repeat(32)}` });
  const remainder = (now: Buffer, saved = before) =>
    withoutOwnPart("grub-environment", { before: saved, armed, now });

  test("a write that tore between two sectors is undone whole", () => {
    expect(before.subarray(0, 512)).not.toEqual(armed.subarray(0, 512));
    expect(before.subarray(512)).not.toEqual(armed.subarray(512));
    const torn = Buffer.concat([armed.subarray(0, 512), before.subarray(512)]);
    expect(remainder(torn)).toEqual({ bytes: before });
  });

  test("variables of others stay, and the block keeps its length", () => {
    const now = grubEnvironmentBlock({ saved_entry: "theirs", next_entry: "", boot_success: "1" });
    expect(remainder(now)).toEqual({
      bytes: grubEnvironmentBlock({ saved_entry: "theirs", boot_success: "1" }),
    });
  });

  test("an empty next_entry that was there before is put back", () => {
    const earlier = grubEnvironmentBlock({ ...others, next_entry: "" });
    const now = grubEnvironmentBlock({ saved_entry: "theirs", next_entry: `causeway-${"0".repeat(32)}` });
    const expected = grubEnvironmentBlock({ saved_entry: "theirs", next_entry: "" });
    expect(remainder(now, earlier)).toEqual({ bytes: expected });
  });

  const changed = grubEnvironmentBlock({
    saved_entry: "y".repeat(380),
    next_entry: `causeway-${"0".repeat(32)}`,
  });

  test.each<[string, Buffer]>([
    [
      "whose signature is another",
      Buffer.from(armed.toString("latin1").replace("# GRUB", "# grub"), "latin1"),
    ],
    ["whose last line has no end", Buffer.concat([changed.subarray(0, 512), Buffer.alloc(512, "#")])],
    ["of something else", Buffer.alloc(1024, "?")],
  ])("our part of a block %s is unclear", (_, now) => {
    expect(remainder(now)).toBe("unclear");
  });
});

describe("firmware variables", () => {
  const variable = (...bytes: number[]) => Buffer.from([7, 0, 0, 0, ...bytes]);
  const order = (...now: number[]) =>
    withoutOwnPart("boot-order", {
      before: variable(2, 0, 0, 0),
      armed: variable(2, 0, 0, 0, 1, 0),
      now: variable(...now),
    });

  test("only our number is removed from BootOrder, wherever it is", () => {
    expect(order(1, 0, 7, 0, 0, 0)).toEqual({ bytes: variable(7, 0, 0, 0) });
    expect(order(7, 0, 1, 1)).toEqual({ bytes: variable(7, 0, 1, 1) });
    expect(order(1, 0)).toEqual({ bytes: undefined });
    expect(order(1, 0, 7)).toBe("unclear");
  });

  const optionOf = (change: Partial<LoadOption>) =>
    Buffer.concat([
      Buffer.alloc(EFI_ATTRIBUTE_BYTES, 7),
      encodeLoadOption({
        ...{
          active: true,
          hidden: false,
          otherAttributes: 0,
          label: OWN_LABEL,
          optionalData: Buffer.alloc(0),
        },
        path: [{ kind: "file", path: "\\EFI\\causeway\\cv-1\\causeway.efi" }],
        ...change,
      }),
    ]);

  test.each<[string, Partial<LoadOption>, boolean]>([
    ["that was switched off", { active: false }, true],
    [
      "of another conversion",
      { path: [{ kind: "file", path: "\\EFI\\causeway\\cv-2\\causeway.efi" }] },
      false,
    ],
    ["with another label", { label: "Network" }, false],
  ])("a boot entry %s is removed or kept by its label and file", (_, change, goes) => {
    const now = optionOf(change);
    const versions = { before: undefined, armed: optionOf({}), now };
    expect(withoutOwnPart("load-option", versions)).toEqual({ bytes: goes ? undefined : now });
  });
});
