import * as z from "zod";

/**
 * The scripts that bring up the boot environment's network. They are also available apart from the RAM disk,
 * because a source rehearses with them.
 */
export const NetworkScripts = z.object({ network: z.string(), dhcp: z.string(), functions: z.string() });
export type NetworkScripts = z.infer<typeof NetworkScripts>;
