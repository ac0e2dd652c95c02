import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { terminalPicture } from "./terminal-picture.ts";

const images = join(import.meta.dirname, "../../docs/images");
const linesOf = (picture: string) => [...picture.matchAll(/<text [^>]*>([^<]*)</g)].map(([, line]) => line);

test("each picture of a terminal is what its recorded output draws: `npm run pictures` draws it again", () => {
  const names = globSync("*.txt", { cwd: images });
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    const path = join(images, name);
    const picture = readFileSync(path.replace(/txt$/, "svg"), "utf8");
    expect(picture, name).toBe(terminalPicture(readFileSync(path, "utf8")));
  }
});

test("what was typed has another color, and marks of the picture's own language are shown as they are", () => {
  const picture = terminalPicture("$ causeway <this> & that\n  done\n");
  expect(linesOf(picture)).toEqual(["$ causeway &lt;this&gt; &amp; that", "done"]);
  expect(picture.match(/<text [^>]* fill=/g)).toHaveLength(1);
});

test("a line that is too long continues below, at a space if it has one", () => {
  expect(linesOf(terminalPicture(`  ${"word ".repeat(30)}end`)).length).toBe(2);
  expect(linesOf(terminalPicture("x".repeat(300))).map((line) => line?.length)).toEqual([110, 108, 82]);
});
