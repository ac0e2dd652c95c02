/** A configuration that the agent cannot follow to its end: GRUB is not armed, and nothing is written. */
import { rm } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Grub } from "../grub.ts";
import { NEED } from "../testing/cold-clone.ts";
import { createFakeMachine, type RootedMachine } from "../testing/fake-machine.ts";
import { GRUB_CONFIGURATION, installGrub } from "../testing/grub-installation.ts";
import { withoutWriting } from "../testing/untouched.ts";
import { GrubSyntaxError, parseGrubScript } from "./syntax.ts";

const CONFIGURATION = "/boot/grub/grub.cfg";
let machine: RootedMachine;
beforeAll(async () => {
  machine = await createFakeMachine({ firmware: "bios" });
  await installGrub(machine);
});
afterAll(() => rm(machine.root, { recursive: true, force: true }));

async function refusalsWith(script: string): Promise<string[]> {
  await machine.put(CONFIGURATION, `${GRUB_CONFIGURATION}${script}\n`, 0o444);
  const result = await withoutWriting(machine, () => new Grub(machine).probe(NEED));
  return result.usable ? [] : result.refusals.map(({ code }) => code);
}

test("a configuration that can be followed is no reason to refuse", async () => {
  expect(await refusalsWith("true")).toEqual([]);
});

const deep = `${"if true; then\n".repeat(2000)}${"fi\n".repeat(2000)}`;
test.each<[string, string]>([
  ["a quotation mark is not closed", "echo 'a"],
  ["a quotation mark is not closed", 'echo "a'],
  ["a dollar sign names no variable", "echo $ a"],
  ["something is closed that was not opened", "}"],
  ["commands are nested too deeply", deep],
  ["a word follows a block", "menuentry a { true; } b"],
  ["{ is not expected", "{"],
  ["a loop names no variable", "for 'a' in b; do true; done"],
  ["a function has no name", "function 'f' { true; }"],
  ["{ is missing", "function f"],
  ["} is missing", "menuentry a {"],
  ["then is missing", "if true; fi"],
])("a configuration in which %s is not followed, and GRUB is not armed with it", async (why, script) => {
  expect(() => parseGrubScript(script)).toThrow(new GrubSyntaxError(why));
  expect(await refusalsWith(script)).toEqual(["grub-without-next-entry", "grub-without-custom"]);
});

const digits = "0 1 2 3 4 5 6 7 8 9";
test.each<[string, string]>([
  ["calls itself", "function again { again; }\nagain"],
  ["reads itself", "source $prefix/grub.cfg"],
  [
    "has too many commands",
    `${["a", "b", "c", "d", "e", "f"].map((name) => `for ${name} in ${digits}; do `).join("")} true; ${"done;".repeat(6)}`,
  ],
])("a configuration that %s is not followed, and GRUB is not armed with it", async (_, script) => {
  expect(await refusalsWith(script)).toEqual(["grub-folder"]);
});
