import { execFileSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";

const FUNCTIONS = join(import.meta.dirname, "files/functions");

/** What the boot environment shows for this text on an 80-column screen. */
function shown(text: string): string[] {
  const script = '. "$1"; screen_lines "$2"';
  const output = execFileSync("sh", ["-c", script, "sh", FUNCTIONS, text], { encoding: "utf8" });
  expect(output).toMatch(/\r\n$/);
  return output.split("\r\n").slice(0, -1);
}

test("a text that is wider than the screen is divided between words", () => {
  const id = "agt_01jd3v8q6m4x2k7zt5w9h0n1yb";
  expect(shown(`${"word ".repeat(12)}${id}`)).toEqual(["word ".repeat(12), id]);
  expect(shown("")).toEqual([""]);
  expect(shown("        BCDF-GHJK")).toEqual(["        BCDF-GHJK"]);
});

test("no text makes a line wider than 80 columns, and none of its characters is lost", () => {
  const text = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(text, (written) => {
      const lines = shown(written);
      expect(lines.join("")).toBe(written);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    }),
    { numRuns: 30 },
  );
});
