/** What the agent and its asker say to each other. */
import * as z from "zod";
import { SingleCheck } from "#shared/protocol/answer-check.ts";
import { IsolatedNetworks, MachineAddress } from "#shared/protocol/isolated-network.ts";

export const ToAsker = z.discriminatedUnion("kind", [
  /** Take the place of the gateways of these networks, by the cable that is there now. */
  z.strictObject({ kind: z.literal("enter"), networks: IsolatedNetworks }),
  /** Ask once, at this address, whichever name the check has. */
  z.strictObject({
    kind: z.literal("ask"),
    check: SingleCheck,
    address: MachineAddress,
    limits: z.strictObject({ connectLimitMs: z.number(), requestLimitMs: z.number() }),
  }),
]);
export type ToAsker = z.infer<typeof ToAsker>;

export const FromAsker = z.discriminatedUnion("kind", [
  /** It runs, in its own network namespace. */
  z.strictObject({ kind: z.literal("started") }),
  z.strictObject({ kind: z.literal("entered") }),
  /** `why`: why the check has not succeeded; absent if it has. */
  z.strictObject({ kind: z.literal("asked"), why: z.string().optional() }),
  z.strictObject({ kind: z.literal("failed"), why: z.string() }),
]);
export type FromAsker = z.infer<typeof FromAsker>;
