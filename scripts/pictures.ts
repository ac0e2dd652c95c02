/** Draws the recorded output of commands (`docs/images/*.txt`) as pictures beside it: `npm run pictures`. */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { terminalPicture } from "./pictures/terminal-picture.ts";

const images = join(import.meta.dirname, "../docs/images");

for (const name of globSync("*.txt", { cwd: images })) {
  const path = join(images, name);
  writeFileSync(path.replace(/txt$/, "svg"), terminalPicture(readFileSync(path, "utf8")));
}
