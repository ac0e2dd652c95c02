import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { keptMachine } from "../../testing/kept-machine.ts";
import { serviceFiles, unitMark } from "./files.ts";
import { shellWord, unitPath, unitProse } from "./quoting.ts";

const hostile = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 40 }).filter((text) => !text.includes("\0")),
  fc.constantFrom(
    "'; reboot; '",
    "$(reboot)",
    "`reboot`",
    "a\nb",
    "\\",
    "-n",
    "",
    "'\"'",
    "!!",
    "*",
    "%n $HOME",
  ),
);

test("whatever a word is, bash reads it as it was", () => {
  fc.assert(
    fc.property(fc.array(hostile, { minLength: 1, maxLength: 60 }), (words) => {
      const script = `printf '%s\\0' ${words.map(shellWord).join(" ")}`;
      const read = execFileSync("bash", ["-c", script]).toString().split("\0").slice(0, -1);
      expect(read).toEqual(words);
    }),
    { numRuns: 25 },
  );
  expect(() => shellWord("a\0b")).toThrow(RangeError);
});

/** As systemd reads a quoted path. */
const unitRead = (word: string) => word.slice(1, -1).replace(/\\(.)/gs, "$1").replaceAll("%%", "%");

test("whatever a path is, systemd reads it as it was, and a line break is refused", () => {
  fc.assert(
    fc.property(hostile, (text) => {
      if (/[\n\r]/.test(text)) {
        expect(() => unitPath(text)).toThrow(RangeError);
        return;
      }
      const word = unitPath(text);
      expect(word).toMatch(/^"([^"\\]|\\["\\])*"$/s);
      expect(word.replaceAll("%%", "")).not.toContain("%");
      expect(unitRead(word)).toBe(text);
    }),
  );
});

test("whatever the source is called, the unit has the same settings, each on its own line", () => {
  const host = { kvm: false, uefi: undefined };
  const unitOf = (title: string) =>
    serviceFiles(keptMachine({ title }), { folder: "/scripts/cnv_1", unit: "/units/x.service", host }).at(-1)
      ?.text;
  const settings = (text = "") => text.split("\n").map((line) => line.replace(/^Description=.*/, ""));
  fc.assert(
    fc.property(hostile, (title) => {
      expect(settings(unitOf(title))).toEqual(settings(unitOf("plain")));
      expect(unitProse(title)).toMatch(/^([\x20-\x24\x26-\x5b\x5d-\x7e]|%%)*$/);
    }),
  );
  expect(unitOf("plain")?.startsWith(`${unitMark(keptMachine())}\n`)).toBe(true);
});
