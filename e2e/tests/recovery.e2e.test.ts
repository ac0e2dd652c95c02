import { afterAll, beforeAll, expect, test } from "vitest";
import type { Recovery } from "#shared/protocol/recovery.ts";
import { Site } from "../testing/site.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;
let site: Site;
let pointId: string;

beforeAll(async () => {
  site = await Site.start({ disks: { sda: 8 * MiB, sdb: 8 * MiB } });
  const { recoveryPointId = "" } = await site.ended(await site.convert("sda", { disks: ["sda", "sdb"] }));
  pointId = recoveryPointId;
});
afterAll(() => site?.[Symbol.asyncDispose]());

const recoverWords = (...more: string[]) => [
  ...["recover", site.sourceId, "--target", site.targetId, "--test-network", "--hypervisor", "libvirt"],
  ...more,
];

test("a recovery whose machine cannot be defined keeps its verified disks in the format that was asked for, which are removed on demand", async () => {
  const { code, stdout } = await site.installation.cli(recoverWords("--format", "raw", "--wait", "--json"));
  // Neither disk has a system, so no one can know which of the two boots.
  expect(code).toBe(1);
  const recovery = JSON.parse(stdout) as Recovery;
  expect(recovery).toMatchObject({
    ...{ pointId, state: "failed", network: "test", failure: { name: "BootDiskUnknownError" } },
    disks: ["sda", "sdb"].map((name) => ({ name, format: "raw" })),
  });
  expect((await site.images(recovery.id)).sort()).toEqual(["sda.raw", "sdb.raw"]);
  for (const kind of ["materialise", "verify", "define-machine"] as const)
    expect(site.count("started", recovery.id, kind), kind).toBe(1);
  await site.installation.json(["machine", "remove", recovery.id, "--disks"]);
  expect(await site.images(recovery.id)).toEqual([]);
  const { items } = (await site.installation.json(["recoveries"])) as { items: Recovery[] };
  expect(items.map(({ id }) => id)).toEqual([recovery.id]);
  expect(await site.installation.json(["lease", site.sourceId])).toMatchObject({ state: "none", term: 0 });
});

test("a recovery that is cancelled leaves nothing on the target host", async () => {
  // By the API: before two commands had started as processes, the machine would be defined, and stay.
  const { sourceId: id, targetId } = site;
  const body = { targetId, network: "test", machine: { hypervisor: "libvirt" } } as const;
  const started = await site.api.startRecovery({ parameters: { id }, body });
  await site.api.cancelRecovery({ parameters: { id: started.id } });
  const ended = await until("the recovery to end", async () => {
    const recovery = await site.api.getRecovery({ parameters: { id: started.id } });
    return recovery.endedAt ? recovery : undefined;
  });
  expect(ended.state).toBe("cancelled");
  await until("the disks to be removed", async () =>
    (await site.images(started.id)).length === 0 ? true : undefined,
  );
});

test("production is refused without the word that the source is off, which still serves", async () => {
  const words = recoverWords("--nic", "bridge:br0").map((word) =>
    word === "--test-network" ? "--production" : word,
  );
  const { code, stderr } = await site.installation.cli(words);
  expect(code).toBe(2);
  expect(stderr).toContain("--source-is-off");
});
