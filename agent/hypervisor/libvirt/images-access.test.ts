import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { requireReachable } from "./images-access.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "causeway-access-"));
  mkdirSync(join(dir, "images"), { mode: 0o711 });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("a folder below one that QEMU's user may not pass through is refused, with that one's name", async () => {
  chmodSync(dir, 0o700);
  await expect(requireReachable(join(dir, "images"), "daemon")).rejects.toMatchObject({
    name: "MachineUnsupportedError",
    message: expect.stringContaining(`may not pass through ${dir} `),
    hint: expect.stringContaining(`setfacl -m u:daemon:x ${dir}`),
  });
});

test("a folder that others may pass through, and any folder if QEMU runs as root, is accepted", async () => {
  chmodSync(dir, 0o711);
  await requireReachable(join(dir, "images"), "daemon");
  chmodSync(dir, 0o700);
  await requireReachable(join(dir, "images"), "root");
});
