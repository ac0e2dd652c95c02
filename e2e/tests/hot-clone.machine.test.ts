/** A database server through a hot conversion: its root is mounted, and a client outside of it writes. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Conversion } from "#shared/protocol/resources.ts";
import { databaseServer, LEDGER_END, rowsOnConsole } from "../machines/disk/database-server.ts";
import {
  debianMachine,
  ended,
  type MachineSite,
  openMachineSite,
  untilConversion,
} from "../machines/machine-site.ts";
import { clockLead, DatabaseLoad } from "../site/database-load.ts";
import { freePort } from "../site/free-port.ts";
import { judgeLedger } from "../site/ledger.ts";

const POSTGRESQL = 5432;
const CONVERSION_LIMIT_MS = 2_000_000;
const log = (): void => {};
let dir: string;
let site: MachineSite;
let load: DatabaseLoad;
let port: number;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-hot-clone-"));
  const original = await debianMachine({ firmware: "bios", software: databaseServer, log });
  port = await freePort();
  const forward = { host: port, guest: POSTGRESQL };
  site = await openMachineSite({ dir, firmware: "bios", original, forward, log });
  load = new DatabaseLoad(port);
});

afterAll(async () => {
  await load?.stop();
  await site?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

test("the clone of a machine in use boots with the rows of one instant, and its file system is whole", async () => {
  const { installation, sourceId, targetId } = site;
  const words = ["convert", sourceId, "--type", "hot", "--target", targetId, "--format", "raw"];
  const check = ["--boot-check", "--boot-expect", LEDGER_END];
  const { id } = (await installation.json([...words, ...check])) as Conversion;
  const { state, result } = await untilConversion(site, id, ended, CONVERSION_LIMIT_MS);
  expect({ state, result }).toMatchObject({
    state: "completed",
    result: {
      copies: [{ name: "sda", consistency: "file-system" }],
      bootCheck: { verdict: "booted" },
      frozen: { from: expect.any(String) },
    },
  });
  expect(result?.freezeMilliseconds).toBeLessThan(3 * 2000);
  const image = result?.disks[0]?.path ?? "";
  const found = rowsOnConsole(readFileSync(join(image, "../boot-check.log"), "utf8"));
  const frozen = result?.frozen ?? expect.unreachable();
  const { acknowledged, missing, tooLate } = judgeLedger(load.rows, found, frozen, await clockLead(port));
  expect({ missing, tooLate }).toEqual({ missing: [], tooLate: [] });
  expect(acknowledged).toBeGreaterThan(20);
  await requireWholeFileSystem(image);
});

/** Mounts and unmounts the clone's root once, as its first start would, and checks it. */
async function requireWholeFileSystem(image: string): Promise<void> {
  const mountPoint = join(dir, "clone");
  await mkdir(mountPoint);
  const offset = String(site.fileSystems[0]?.offsetBytes);
  const device = execFileSync("losetup", ["--find", "--show", "--offset", offset, image]).toString().trim();
  try {
    execFileSync("unshare", ["--mount", "sh", "-c", `mount ${device} ${mountPoint} && umount ${mountPoint}`]);
    execFileSync("e2fsck", ["-fn", device]);
  } finally {
    execFileSync("losetup", ["--detach", device]);
  }
}
