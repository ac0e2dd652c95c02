/** A cold clone of a source, which measures how long its restart into the boot environment takes. */
import { plan, succeeded } from "#shared/domain/command.ts";
import { aConversion } from "#shared/domain/testing/records.ts";
import { untouchedWhereabouts } from "#shared/domain/whereabouts.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import type { Store } from "../store/store.ts";

const START = Date.parse("2030-01-01T00:00:00.000Z");

/** Records one of `agt_source` that has completed; its boot environment reported after these seconds. */
export async function measuredColdClone(
  store: Pick<Store, "conversions" | "commands">,
  seconds = 40,
): Promise<void> {
  const at = (ms: number) => new Date(START + ms).toISOString();
  const whereabouts = { ...untouchedWhereabouts(at(0)), bootState: "confirmed" as const };
  await store.conversions.add(aConversion({ id: "cnv_measured", state: "completed", whereabouts }));
  const steps: [CommandKind, number, number][] = [
    ["arm-boot", 0, 10],
    ["report-boot-state", 12, seconds],
  ];
  for (const [kind, from, to] of steps) {
    const request = {
      ownerId: "cnv_measured",
      agentId: "agt_source",
      kind,
      input: {},
      round: 1,
      requestedBy: "ada",
    };
    const { command } = plan(request, [], at(from * 1000));
    await store.commands.save(succeeded(command, {}, at(to * 1000)));
  }
}
