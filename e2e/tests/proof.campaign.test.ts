/** Proofs on a real control plane, whose agents and functions fail meanwhile; no guest reads a clone here. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Drill } from "#shared/protocol/drill.ts";
import type { Recovery } from "#shared/protocol/recovery.ts";
import type { RecoveryPoint } from "#shared/protocol/resources.ts";
import { MountedDisks } from "../testing/mounted-disks.ts";
import { Site } from "../testing/site.ts";
import { until } from "../testing/until.ts";

/** Longer than the agent's margin before a freeze. */
const SETTLE_MS = 6500;

let folder: string;
let source: MountedDisks;
let mounted: string;
let site: Site;
let pointId: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "causeway-proof-"));
  source = new MountedDisks(folder);
  mounted = await source.add("ext4", 64);
  await mkdir(join(mounted, "etc"));
  for (let number = 0; number < 200; number++)
    await writeFile(join(mounted, `etc/${number}`), `file ${number}`);
  site = await Site.start({ disks: {}, otherDisks: { vda: source.disks[0]?.path ?? "" } });
  await wait(SETTLE_MS);
  const { recoveryPointId = "" } = await site.ended(await site.convert("vda"));
  pointId = recoveryPointId;
  await writeFile(join(mounted, "etc/7"), "changed after the freeze");
});
afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const words = () => ["recover", site.sourceId, "--target", site.targetId, "--test-network"];
const recover = async (...more: string[]) =>
  (await site.installation.json([...words(), "--hypervisor", "qemu", "--prove", ...more])) as Recovery;
const proofOf = (id: string) =>
  until(
    `the proof of ${id}`,
    async () => (await site.api.getRecovery({ parameters: { id } }).catch(() => undefined))?.proof,
    240,
  );

test("the source's files are listed, and a target host that has no boot image makes the proof unknown", async () => {
  const { id } = await recover();
  expect(await proofOf(id)).toMatchObject({
    ...{ pointId, outcome: "unknown", reason: expect.stringContaining("NoBootImageError") },
    hashed: { files: 199, found: 200, foundAll: true, changed: 1, unreadable: 0, list: expect.any(String) },
  });
  const { items } = (await site.installation.json(["points", site.sourceId])) as { items: RecoveryPoint[] };
  expect(items).toMatchObject([
    { frozen: { from: expect.any(String) }, proved: { ownerId: id, outcome: "unknown", files: 0 } },
  ]);
  expect(await site.installation.json(["repo", "check", site.sourceId])).toMatchObject({ ok: true });
});

test("a source and a control plane that are killed while the clone is made list the files when they are back", async () => {
  const { id } = await recover();
  await site.kill("source");
  await site.kill("cloud");
  await site.restart("cloud");
  await site.restart("source");
  expect(await proofOf(id)).toMatchObject({ outcome: "unknown", hashed: { files: 199 } });
  expect(site.count("succeeded", id, "hash-files")).toBe(1);
});

test("a drill is proved, too, although both its agents are killed while its clone is made", async () => {
  const drill = ["drill", pointId, "--target", site.targetId, "--prove", "--boot-timeout", "10"];
  const { id } = (await site.installation.json(drill)) as Drill;
  for (const agent of ["source", "target"] as const) {
    await site.kill(agent);
    await site.restart(agent);
  }
  const ended = async () => {
    const one = await site.api.getDrill({ parameters: { id } }).catch(() => undefined);
    return one?.endedAt ? one : undefined;
  };
  expect(await until("the drill to end", ended, 240)).toMatchObject({
    ...{ state: "completed", result: { verdict: expect.stringMatching(/^(not-booted|unknown)$/) } },
    proof: {
      outcome: "unknown",
      reason: expect.stringContaining("NoBootImageError"),
      hashed: { files: 199 },
    },
  });
  const point = await site.api.getRecoveryPoint({ parameters: { id: pointId } });
  expect(point).toMatchObject({ proved: { ownerId: id }, bootTested: { drillId: id } });
  expect(await site.images(id)).toEqual([]);
});

test("a proof of a source that is away, or in production, is refused before anything begins", async () => {
  await site.kill("source");
  await until("the source to be away", async () => {
    const { presence } = await site.api.getSource({ parameters: { id: site.sourceId } });
    return presence === "disconnected" || undefined;
  });
  await expect(recover()).rejects.toThrow("is not connected");
  await site.restart("source");
});
