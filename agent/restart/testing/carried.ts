/** For tests: what of a network, made in a namespace, is carried into the boot environment. */
import { bootEnvironmentNetworkOf } from "#shared/domain/boot-environment-network.ts";
import { formatNetworkPlan } from "../../boot-image/network-plan.ts";
import { collectNetwork } from "../../inventory/network.ts";
import { type Laboratory, machineInLaboratory } from "../../inventory/testing/network-laboratory.ts";
import { networkPlanOf } from "../network-plan-of.ts";

/** The control plane, from networks for documentation (RFC 5737, RFC 3849). */
export const CLOUD = "198.51.100.7";
export const CLOUD6 = "2001:db8:1::7";
export const PORT = "port eth0 52:54:00:00:00:01";
export const MTU = "mtu eth0 1500";
export const interfaces = (...addresses: string[]) => ({
  "/etc/network/interfaces": `iface eth0 inet static\n${addresses.map((each) => `  address ${each}`).join("\n")}`,
});
export const leased = (address: string) =>
  `address add ${address} dev eth0 valid_lft 3600 preferred_lft 3600`;

export async function carried(
  lab: Omit<Laboratory, "targets">,
  { hosts = [CLOUD], also = [] }: { hosts?: string[]; also?: string[] } = {},
) {
  const machine = machineInLaboratory({ ...lab, targets: [...hosts, ...also] });
  const { network } = await collectNetwork(machine, { hosts, environment: {} });
  const plan = networkPlanOf({ network });
  return {
    network,
    plan: plan ? formatNetworkPlan(plan).trimEnd().split("\n") : [],
    lost: bootEnvironmentNetworkOf(network).lost,
    unreached: network.reach?.unreached ?? [],
  };
}
