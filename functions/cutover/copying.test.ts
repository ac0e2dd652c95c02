import { expect, test } from "vitest";
import { run as ingest } from "../ingest/agent-events.ts";
import { CutoverSite } from "../testing/cutover-site.ts";

const progress = {
  ...{ bytesDone: 30, bytesTotal: 100, rateBytesPerSecond: 10, remainingSeconds: 7, bottleneck: "read" },
};

test.each([
  ["take-recovery-point", "agt_source", "capture"],
  ["apply-to-standby", "agt_target", "apply"],
])("while an agent carries out %s, the cutover has how far it is", async (kind, agentId, part) => {
  const site = await CutoverSite.start();
  // The baseline is the first of them.
  site.acts = { [kind]: ["done", "silent"] };
  const id = await site.create();
  await site.passUntil("01:00");
  const shown = async () => (await site.api("GET /cutovers/{id}", id)).body;
  expect(await shown()).toMatchObject({ state: "pre-sync" });
  expect(await shown()).not.toHaveProperty("copying");
  const run = (await site.cutover(id)).runs.at(-1)?.id ?? "";
  const { commands } = await site.world.store.runs.withCommands(run);
  const commandId = commands.find((command) => command.kind === kind)?.id;
  const at = new Date(site.now).toISOString();
  await ingest({ agentId, event: { type: "command-progressed", commandId, at, progress } }, site.deps);
  expect(await shown()).toMatchObject({ copying: { part, progress } });
});
