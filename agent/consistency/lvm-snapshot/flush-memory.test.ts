import { expect, test } from "vitest";
import { flushMemory } from "./flush-memory.ts";

test("memory counts as written out only if that ended well in time", async () => {
  const commands: string[][] = [];
  const machineWith = (status: number | undefined) => ({
    run: async (...words: string[]) => {
      commands.push(words);
      return { status, output: "" };
    },
  });
  expect(await flushMemory(machineWith(0))).toBe(true);
  expect(commands).toEqual([["sync"]]);
  expect(await flushMemory(machineWith(1))).toBe(false);
  expect(await flushMemory(machineWith(undefined))).toBe(false);
  expect(await flushMemory({ run: async () => undefined })).toBe(false);
});
