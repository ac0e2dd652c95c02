import { expect, test } from "vitest";
import { flushMemory, flushMounted } from "./flush-memory.ts";

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

test("if a partition's file system cannot be written out, it is not read", async () => {
  const commands: string[] = [];
  const machineWith = (status: number) => ({
    run: async (...words: string[]) => {
      commands.push(words.join(" "));
      return words[1] === "--help" ? { status: 0, output: "  -f, --file-system" } : { status, output: "EIO" };
    },
  });
  const mounts = [
    { device: "8:1", mountPoint: "/boot" },
    { device: "253:0", mountPoint: "/" },
  ].map((mount) => ({ ...mount, type: "ext4", source: "/dev/sda", isReadOnly: false }));
  await flushMounted(new Set(["8:1", "8:2"]), { mounts }, machineWith(0));
  expect(commands).toEqual(["sync --help", "sync -f /boot"]);
  await expect(flushMounted(new Set(["8:1"]), { mounts }, machineWith(1))).rejects.toMatchObject({
    name: "BootFilesNotFlushedError",
    message: expect.stringContaining("EIO"),
  });
  await flushMounted(new Set(["8:2"]), { mounts }, machineWith(1));
});
