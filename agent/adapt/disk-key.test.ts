import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isRoot } from "../filesystems/testing/test-image.ts";
import { diskKeysOf } from "./disk-key.ts";

const UUID = "b1a5f0e2-44c7-4f0e-8a57-90d2c3b4a503";

describe.skipIf(!isRoot)("keys of encrypted volumes", () => {
  let folder: string;
  beforeEach(() => {
    // In a folder that only root may write to, up to the root of the file system.
    folder = mkdtempSync("/root/disk-keys-");
    mkdirSync(join(folder, "agt_1"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const put = (source: string, name: string, key: string, mode = 0o400) => {
    mkdirSync(join(folder, source), { recursive: true });
    writeFileSync(join(folder, source, name), key);
    chmodSync(join(folder, source, name), mode);
  };

  test("a source's volumes are unlocked with its own keys, byte by byte, and not with another source's", async () => {
    put("agt_1", UUID, "pass phrase\n");
    put("agt_2", "00000000-44c7-4f0e-8a57-90d2c3b4a503", "other");
    expect(await diskKeysOf(folder, "agt_1")).toEqual([{ uuid: UUID, key: Buffer.from("pass phrase\n") }]);
    expect(await diskKeysOf(folder, "agt_3")).toEqual([]);
    expect(await diskKeysOf(join(folder, "absent"), "agt_1")).toEqual([]);
  });

  test.each([
    ["that others can read", UUID, "key", 0o440],
    ["that others can write", UUID, "key", 0o602],
    ["whose name is no UUID", "sda3", "key", 0o400],
    ["without content", UUID, "", 0o400],
    ["that is too large for a key", UUID, "x".repeat(8193), 0o400],
  ])("a key %s is refused by its path", async (_, name, key, mode) => {
    put("agt_1", name, key, mode);
    await expect(diskKeysOf(folder, "agt_1")).rejects.toMatchObject({
      name: "UntrustedFolderError",
      message: expect.stringContaining(name),
    });
  });

  test("a source's id that is a path leads nowhere", async () => {
    await expect(diskKeysOf(folder, "../agt_1")).rejects.toMatchObject({ name: "UnsafePathError" });
  });
});
