/** Cutovers that compare files of the final point with what the boot environment of their source reads. */
import { beforeEach, expect, test } from "vitest";
import { findProofReceiptProblem } from "#shared/domain/proof-receipt.ts";
import { CutoverSite } from "../testing/cutover-site.ts";
import { expectBack } from "../testing/expect-back.ts";

let site: CutoverSite;
const FROZEN = { frozen: { from: "2030-01-01T00:00:01.000Z", until: "2030-01-01T00:00:02.000Z" } };

beforeEach(async () => {
  site = await CutoverSite.start({}, { isRestartable: true });
  site.freeze = FROZEN;
});

const create = (change: object = {}) => site.create({ quiesce: "cold", proveSeconds: 30, ...change });
const shown = async (id: string) => (await site.api("GET /cutovers/{id}", id)).body;
const receiptOf = async (id: string) => (await site.api("GET /cutovers/{id}/receipt", id)).body;
const pointOf = async (id: string) =>
  site.world.store.points.get((await site.cutover(id)).final?.pointId ?? "");

test("files of the final point are compared with what the boot environment reads before its own system is fenced", async () => {
  const id = await create();
  const { proof: rehearsed } = await site.cutover(id);
  expect(rehearsed).toMatchObject({ outcome: "equal" });
  expect(rehearsed?.hashed).not.toHaveProperty("system");
  await site.passUntil("01:02");
  expect(site.commands.slice(site.commands.indexOf("report-boot-state"))).toEqual([
    ...["report-boot-state", "take-recovery-point", "apply-to-standby", "hash-files final"],
    ...["set-fence lasting", "clone-standby", "compare-files final", "define-machine"],
    ...["bring-up-machine", "set-fence lasting", "switch-off", "connect-machine"],
  ]);
  const input = site.inputs["hash-files final"];
  expect(input).toMatchObject({ ownerId: id, disks: ["vda"], budgetSeconds: 30 });
  expect(input).not.toHaveProperty("frozenFrom");
  const { id: pointId, proved } = await pointOf(id);
  const cutover = await shown(id);
  expect(cutover).toMatchObject({
    state: "completed",
    proof: { outcome: "equal", pointId, hashed: { system: "boot-environment" }, compared: { equal: 2 } },
  });
  expect(rehearsed?.pointId).not.toBe(pointId);
  expect(proved).toMatchObject({ ownerId: id, outcome: "equal", files: 2 });
});

test("its receipt is of the final point, and says that the source was in its boot environment", async () => {
  const id = await create();
  await site.passUntil("01:02");
  const { id: pointId } = await pointOf(id);
  const { proofReceipt: receipt } = await site.cutover(id);
  expect(receipt?.content).toMatchObject({
    pointId,
    outcome: "equal",
    hashed: { system: "boot-environment" },
  });
  expect(receipt?.content).not.toHaveProperty("frozenFrom");
  const { certificatePem = "" } = await site.world.store.agents.get("agt_target");
  expect(receipt && findProofReceiptProblem(receipt, certificatePem)).toBeUndefined();
  expect(await receiptOf(id)).toMatchObject({ proof: { state: "made", signed: { receipt } } });
});

test("a target host that signs nothing in the outage leaves no receipt, also not that of the rehearsal", async () => {
  const id = await create();
  expect((await receiptOf(id)).proof).toHaveProperty("signed");
  site.signs = false;
  await site.passUntil("01:02");
  const { proof } = await receiptOf(id);
  expect(proof).toMatchObject({ state: "made", proof: { hashed: { system: "boot-environment" } } });
  expect(proof).not.toHaveProperty("signed");
});

test("a difference in the outage leads back to the source, and is on the record of the point", async () => {
  const id = await create();
  const differences = [{ fileSystem: "aa", path: "/etc/hosts", what: "content" }];
  site.compared = { equal: 1, different: 1, differences };
  await site.passUntil("01:30");
  await expectBack(site, id);
  expect(await shown(id)).toMatchObject({
    ...{ state: "rolled-back", proof: { outcome: "different" } },
    failure: { name: "CopyDiffersError", message: expect.stringContaining("/etc/hosts") },
  });
  expect(await pointOf(id)).toMatchObject({ proved: { outcome: "different" } });
  expect(site.source.system).toBe("original");
  expect(site.commands).not.toContain("define-machine");
});

const dirty = { place: "/dev/sda2", why: "its journal is not empty" };
test.each<[string, Record<string, unknown>, RegExp]>([
  ["a file system that is not mounted", { hashed: { unopened: [dirty] } }, /\/dev\/sda2: its journal/],
  ["a boot environment without proofs", failing("hash-files final", "UnknownCommandError"), /UnknownCommand/],
  ["a target host that cannot compare", failing("compare-files final", "NoBootImageError"), /NoBootImage/],
  ["no file at all", { hashed: { list: undefined, files: 0 } }, /no file/],
])(
  "%s makes the proof of the outage unknown, with the reason; the cutover continues",
  async (_, change, why) => {
    const id = await create();
    expect(await shown(id)).toMatchObject({ proof: { outcome: "equal" } });
    Object.assign(site, change);
    await site.passUntil("01:10");
    expect(await shown(id)).toMatchObject({
      ...{ state: "completed", proof: { outcome: "unknown", reason: expect.stringMatching(why) } },
    });
    expect(await pointOf(id)).toMatchObject({ proved: { outcome: "unknown" } });
  },
);

function failing(command: string, name: string): Record<string, unknown> {
  return { acts: { [command]: [{ fails: name }] } };
}

test("a boot environment that is silent makes the proof unknown, and is not read later", async () => {
  site.acts = { "hash-files final": ["silent"] };
  const id = await create();
  await site.passUntil("01:20");
  expect(await shown(id)).toMatchObject({
    ...{ state: "completed", proof: { outcome: "unknown", reason: expect.stringContaining("AgentSilent") } },
  });
  const { commands } = await site.world.store.owners.withCommands(id);
  expect(commands.find(({ label, kind }) => kind === "hash-files" && label === "final")?.state).toBe(
    "cancelled",
  );
});

test("a target host that is silent while it compares does not keep the source away beyond its window", async () => {
  site.acts = { "compare-files final": ["silent"] };
  const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "01:12", timeZone: "UTC" }];
  const id = await create({ windows });
  await site.passUntil("01:15");
  await expectBack(site, id);
  expect((await site.cutover(id)).failure?.name).toBe("WindowClosedError");
});

test("an operator's rollback while files are hashed brings the source back", async () => {
  site.acts = { "hash-files final": ["silent"] };
  const id = await create();
  await site.passUntil("01:01");
  await site.api("POST /cutovers/{id}/rollback", id);
  await site.passUntil("01:20");
  await expectBack(site, id);
});

test("a source that says of its running system that it is the boot environment proves nothing", async () => {
  site.hashed = { system: "boot-environment" };
  expect(await shown(await create())).toMatchObject({ proof: { outcome: "unknown" } });
});

test("without --prove no file is compared", async () => {
  const id = await create({ proveSeconds: undefined });
  await site.passUntil("01:02");
  expect(await shown(id)).toMatchObject({ state: "completed" });
  expect(site.commands.filter((key) => key.startsWith("hash-files"))).toEqual([]);
});
