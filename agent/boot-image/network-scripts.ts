import { z } from "zod";

/**
 * The scripts by which the boot environment brings up its network, apart from the RAM disk that holds them,
 * too: a source rehearses with them.
 */
export const NetworkScripts = z.object({ network: z.string(), dhcp: z.string(), functions: z.string() });
export type NetworkScripts = z.infer<typeof NetworkScripts>;
