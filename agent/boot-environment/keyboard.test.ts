import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { runTool } from "../boot-image-builder/tool.ts";
import { Keyboard } from "./keyboard.ts";

test("lines from all terminals arrive, and a missing terminal does not matter", async () => {
  const dir = await mkdtemp(join(tmpdir(), "keyboard-"));
  const [screen, serial] = [join(dir, "tty0"), join(dir, "ttyS0")];
  await writeFile(screen, "https://api.example.com\n");
  await runTool("mkfifo", [serial]);
  const heard: string[] = [];
  const keyboard = new Keyboard([screen, serial, join(dir, "nothing")], (line) => heard.push(line));
  try {
    await appendFile(serial, "restart\n");
    await vi.waitFor(() => expect(heard.sort()).toEqual(["https://api.example.com", "restart"]));
  } finally {
    keyboard.close();
    await rm(dir, { recursive: true });
  }
});
