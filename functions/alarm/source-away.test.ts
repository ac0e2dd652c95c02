import { expect, test } from "vitest";
import { cancelConversion } from "../conversion/cancel.ts";
import { aReceipt } from "../testing/device.ts";
import {
  abandonWith,
  asks,
  attested,
  away,
  BOOT,
  connect,
  conversionId,
  device,
  ORIGINAL,
  restarting,
  world,
} from "../testing/restarted-source.ts";

const alarm = () => world.store.alarms.find({ kind: "source-away", subject: conversionId });
const notices = () => world.topic.notices.map((notice) => notice.split(" ")[0]);

test("a conversion that ends while its source is away raises an alarm that says where it was last seen", async () => {
  await away();
  await abandonWith("OriginalSystemSilentError");
  const { lastSeenAt } = await world.store.agents.get("agt_source");
  expect(await alarm()).toMatchObject({ state: "open", sourceId: "agt_source" });
  expect((await alarm())?.cause).toContain(`last seen in its boot environment at ${lastSeenAt}`);
  expect((await alarm())?.cause).toContain("OriginalSystemSilentError");
  expect((await alarm())?.action).toContain("switch it off and on: it starts its original system");
});

test("a machine that may still start its boot environment has another action", async () => {
  await restarting();
  await abandonWith("BootEnvironmentSilentError");
  expect((await alarm())?.action).toContain("may start the boot environment once");
});

test("no alarm is raised for a source that stayed in its original system", async () => {
  await asks.stage();
  await abandonWith("NoSpaceError");
  expect(await alarm()).toBeUndefined();
  expect(world.topic.published).toEqual([]);
});

test("coming back clears the alarm of a machine whose boot state was restored", async () => {
  await away();
  await abandonWith("OriginalSystemSilentError");
  await connect(ORIGINAL, "boot-3");
  await connect(ORIGINAL, "boot-3");
  expect(notices()).toEqual(["raised", "cleared"]);
  expect(await alarm()).toMatchObject({ state: "cleared", clearedBy: "causeway" });
});

const state = { present: true as const, sha256: "a".repeat(64), sizeBytes: 1024 };

test.each(["equal", "different"] as const)(
  "the alarm of a machine that was last known as armed stays until its receipt, which says %s",
  async (outcome) => {
    await restarting();
    await abandonWith("BootEnvironmentSilentError");
    await connect(ORIGINAL, "boot-3");
    expect(notices()).toEqual(["raised"]);
    const receipt = aReceipt(device, {
      outcome,
      items: [{ kind: "file", name: "/boot/grub/grubenv", before: state, after: state, outcome }],
    });
    await attested(receipt);
    await attested(receipt);
    expect(notices()).toEqual(["raised", "cleared"]);
  },
);

test("ending it again, after a crash at any moment, sends no second notice", async () => {
  await away();
  for (let times = 0; times < 3; times++) await abandonWith("OriginalSystemSilentError");
  expect(notices()).toEqual(["raised"]);
});

test("the alarm is raised by the next try if the topic failed, and the conversion has ended all the same", async () => {
  await away();
  world.outage.strike("publish");
  await expect(abandonWith("OriginalSystemSilentError")).rejects.toThrow("outage of publish");
  expect((await world.store.conversions.get(conversionId)).state).toBe("failed");
  await abandonWith("OriginalSystemSilentError");
  expect(notices()).toEqual(["raised"]);
});

test("a source that comes back between the end and the alarm leaves none open", async () => {
  await away();
  const raise = world.store.alarms.modify.bind(world.store.alarms);
  world.store.alarms.modify = async (...args) => {
    world.store.alarms.modify = raise;
    await connect(ORIGINAL, "boot-3");
    await attested();
    return raise(...args);
  };
  await abandonWith("OriginalSystemSilentError");
  expect(await alarm()).toMatchObject({ state: "cleared" });
});

test("cancelling a conversion whose workflow is gone raises it, too", async () => {
  await away();
  await world.workflow.stop(conversionId);
  await cancelConversion(conversionId, "ada", world);
  expect((await alarm())?.cause).toContain(`Conversion ${conversionId} cancelled, and`);
  await connect(BOOT, "boot-2");
  expect(notices()).toEqual(["raised"]);
});

test("the agent's next contact sends a notice that an outage left", async () => {
  await away();
  await abandonWith("OriginalSystemSilentError");
  world.outage.strike("publish");
  await expect(connect(ORIGINAL, "boot-3")).rejects.toThrow("outage of publish");
  expect(notices()).toEqual(["raised"]);
  for (const _ of [1, 2]) await connect(ORIGINAL, "boot-4");
  expect(notices()).toEqual(["raised", "cleared"]);
});

test("the agent's next contact clears the alarm if the function that saw the machine come back was killed", async () => {
  await away();
  await abandonWith("OriginalSystemSilentError");
  const modifyExisting = world.store.alarms.modifyExisting.bind(world.store.alarms);
  world.store.alarms.modifyExisting = () => Promise.reject(new Error("killed"));
  await expect(connect(ORIGINAL, "boot-3")).rejects.toThrow("killed");
  world.store.alarms.modifyExisting = modifyExisting;
  await world.store.agents.modify("agt_source", ({ heldBy: _, ...source }) => source);
  await connect(ORIGINAL, "boot-4");
  expect(await alarm()).toMatchObject({ state: "cleared" });
});
