import * as z from "zod";
import { CutoverId } from "#shared/protocol/ids.ts";
import { buildCutovers } from "../cutover/build.ts";
import type { CutoverDeps } from "../cutover/deps.ts";
import { wakeCutover } from "../cutover/wake-cutover.ts";
import { eventHandler } from "../middleware/event-handler.ts";
import { validate } from "../middleware/validate.ts";

const Input = z.object({ cutoverId: CutoverId });

export const handler = eventHandler({ name: "schedule/wake-cutover", build: buildCutovers, run });

/** A cutover's timer has fired. */
export async function run(event: unknown, deps: CutoverDeps): Promise<void> {
  await wakeCutover(validate(Input, event).cutoverId, deps);
}
