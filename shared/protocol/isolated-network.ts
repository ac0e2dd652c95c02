/** How a machine is asked while it is isolated. */
import * as z from "zod";

/** An internet address, in any notation of one. */
export const MachineAddress = z.union([z.ipv4(), z.ipv6()]);

/** How many of them one machine has at most that is asked, and addresses in each. */
export const MOST_NETWORKS = 16;
export const MOST_ADDRESSES = 64;

/** A network of an isolated machine, in which the target host takes the place of the gateway. */
export const IsolatedNetwork = z.strictObject({
  gateway: MachineAddress,
  prefixLength: z.int().min(1).max(128),
  /** The machine's own that can be asked there. */
  addresses: z.array(MachineAddress).min(1).max(MOST_ADDRESSES),
});
export type IsolatedNetwork = z.infer<typeof IsolatedNetwork>;

export const IsolatedNetworks = z.array(IsolatedNetwork).min(1).max(MOST_NETWORKS);

/** A check that was not asked while the machine was isolated, and why. */
export const LeftOutCheck = z.object({ check: z.string().max(400), why: z.string().max(500) });
export type LeftOutCheck = z.infer<typeof LeftOutCheck>;
