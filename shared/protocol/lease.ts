/** The right to run of a source or its machine, as the API shows it; see `shared/domain/lease.ts`. */
import * as z from "zod";
import { Timestamp } from "./common.ts";
import { AgentId, OwnerId } from "./ids.ts";
import type { Route } from "./route.ts";

/** `none`: the source has the right. `ending`: it gets it back once the machine is surely off or paused. */
export const LeaseState = z.enum(["none", "fencing", "held", "ending", "permanent"]);
export type LeaseState = z.infer<typeof LeaseState>;

/** How it is known that the source does not run: its agent has fenced it, or an operator says so. */
export const SourceOff = z.enum(["fenced", "stated"]);
export type SourceOff = z.infer<typeof SourceOff>;

export const Lease = z.object({
  sourceId: AgentId,
  /** Counts the leases of this source. */
  term: z.int().nonnegative(),
  state: LeaseState,
  ownerId: OwnerId.optional(),
  targetId: AgentId.optional(),
  sourceOff: SourceOff.optional(),
  /** From then on the machine does not run, unless the lease is renewed. */
  expiresAt: Timestamp.optional(),
});
export type Lease = z.infer<typeof Lease>;

export const leaseRoutes = {
  getLease: {
    method: "GET",
    path: "/sources/{id}/lease",
    handler: "leases",
    auth: "user",
    summary: "Shows who has the right to run: the source itself, or a machine on a target host.",
    response: Lease,
    status: 200,
  },
  renewLease: {
    method: "POST",
    path: "/owners/{id}/lease",
    handler: "leases",
    auth: "agent",
    summary: "Lets the machine of a recovery run for another minute, asked for by its target host.",
    body: z.strictObject({ term: z.int().positive() }),
    response: z.object({ isPermanent: z.boolean() }),
    status: 200,
  },
} as const satisfies Record<string, Route>;
