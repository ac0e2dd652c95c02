import { requireServing } from "#shared/domain/agent.ts";
import { newConversion } from "#shared/domain/conversion.ts";
import { preflightRules } from "#shared/domain/preflight.ts";
import { NewConversion } from "#shared/protocol/resources.ts";
import { bootImageFor, usableBootImage } from "../conversion/boot-image.ts";
import { timestamp } from "../conversion/deps.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import { buildStore } from "../store/build.ts";
import type { StoreDeps } from "../store/deps.ts";

export const handler = apiHandler({
  name: "api/preflight",
  build: buildStore,
  operations: { checkPreflight },
});

/** The id of a conversion that does not exist yet. */
const PROPOSED = "proposed";

/** Checks the same rules as the workflow, for the conversion that the request would start. */
export async function checkPreflight(
  { path, body, actor }: Call<"checkPreflight">,
  { store, clock }: StoreDeps,
): Promise<Answer<"checkPreflight">> {
  const { type, targetId, disks, bootCheck, accept } = body;
  const source = requireServing(await store.agents.find(path.id), "source", path.id);
  const target = targetId && requireServing(await store.agents.find(targetId), "target", targetId);
  const bootImageId = await bootImageFor(body, store);
  const conversion = newConversion(
    NewConversion.parse({
      type,
      sourceId: path.id,
      targetId: targetId ?? PROPOSED,
      disks,
      bootCheck,
      accept,
    }),
    {
      id: PROPOSED,
      pointId: PROPOSED,
      source,
      bootImageId,
      requestedBy: actorName(actor),
      now: timestamp(clock),
    },
  );
  const rules = preflightRules({
    conversion,
    // If no conversion holds the source, the proposed one would.
    source: { ...source, heldBy: source.heldBy ?? PROPOSED },
    target: target || undefined,
    bootImage: await usableBootImage(conversion, store),
  });
  return { ok: rules.every(({ outcome }) => outcome !== "fail"), rules };
}
