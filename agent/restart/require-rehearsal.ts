import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { NetworkNotRehearsedError } from "#shared/errors.ts";
import { NETWORK_SCRIPTS_FILE } from "#shared/protocol/boot-image.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import type { RuleName } from "#shared/protocol/rule-names.ts";
import { NetworkScripts } from "../boot-image/network-scripts.ts";
import type { Machine } from "../machine/machine.ts";
import { networkPlanOf } from "./network-plan-of.ts";
import { type Rehearsal, rehearseNetwork } from "./rehearsal.ts";

/**
 * Rehearses with the scripts of the boot image in `imageDir`. Throws `NetworkNotRehearsedError` if the boot
 * environment would not reach the control plane as the source does, or if that is unknown, unless the
 * operator accepted it. A source without a plan has nothing to rehearse: its boot environment tries DHCP.
 */
export async function requireRehearsal(
  machine: Pick<Machine, "run">,
  { network }: Pick<Inventory, "network">,
  { imageDir, accept }: { imageDir: string; accept: readonly RuleName[] },
): Promise<void> {
  if (accept.includes("network-rehearsed") || !networkPlanOf({ network })) return;
  const scripts = await readScripts(imageDir);
  const rehearsal: Rehearsal = scripts
    ? await rehearseNetwork(machine, network, scripts)
    : { unknown: "the boot image has no scripts for it: build and upload a newer one" };
  if ("unknown" in rehearsal)
    throw new NetworkNotRehearsedError([`it could not be rehearsed: ${rehearsal.unknown}`]);
  if (rehearsal.differences.length > 0) throw new NetworkNotRehearsedError(rehearsal.differences);
}

async function readScripts(imageDir: string): Promise<NetworkScripts | undefined> {
  const text = await readFile(join(imageDir, NETWORK_SCRIPTS_FILE), "utf8").catch(() => undefined);
  return text === undefined ? undefined : NetworkScripts.parse(JSON.parse(text));
}
