/** Whether the boot environment can reproduce the source's network. */
import { type Inventory, type NetworkInterface, UNKNOWN } from "../../protocol/inventory.ts";
import { FIRMWARE_REMEDY, firmwareLackOf, lackOf, ofImage } from "./image-checks.ts";
import { reachRules } from "./reach-rules.ts";
import { type PreflightRule, Unknown } from "./rule.ts";

const NETWORK_UNKNOWN = new Unknown("how the source is connected to the network is not known");

export const networkRules: readonly PreflightRule[] = [
  {
    id: "network-drivers",
    severity: "fail",
    holds: "the boot image has the driver of the network adapter",
    check: ofImage((image, { source }) => {
      const ports = pathOf(source.inventory).filter(({ kind }) => kind === "ethernet");
      const lacks = ports.map(({ name, driver }) =>
        driver ? lackOf([driver], image) : new Unknown(`which driver ${name} needs is not known`),
      );
      // One working port is enough to reach the control plane.
      if (lacks.length === 0) return NETWORK_UNKNOWN;
      return lacks.includes(undefined)
        ? undefined
        : (lacks.find((lack) => lack instanceof Unknown) ?? lacks[0]);
    }),
    remedy: "Use a boot image with this driver, or another network adapter.",
  },
  {
    id: "network-firmware",
    severity: "fail",
    holds: "the boot image has the firmware that the network adapter's driver loads",
    check: ofImage((image, { source }) => {
      const drivers = pathOf(source.inventory).flatMap(({ kind, driver }) =>
        kind === "ethernet" && driver ? [driver] : [],
      );
      return firmwareLackOf(drivers, image);
    }),
    remedy: `${FIRMWARE_REMEDY} or use another network adapter.`,
  },
  {
    id: "network-wired",
    severity: "fail",
    holds: "the source is connected by cable",
    check: ({ source }) => {
      const path = pathOf(source.inventory);
      if (path.length === 0) return NETWORK_UNKNOWN;
      const wrong = path.find(({ kind }) => kind === "wireless" || kind === "virtual");
      if (wrong) return `the source reaches the network over ${wrong.name}, which is ${wrong.kind}`;
      return path.some(({ kind }) => kind === UNKNOWN) ? NETWORK_UNKNOWN : undefined;
    },
    remedy: "Connect the machine by cable, and make its default route use the cable.",
  },
  ...reachRules,
  {
    id: "network-settings",
    severity: "warn",
    holds: "the network settings can be reproduced",
    check: ({ source }) => {
      const path = pathOf(source.inventory);
      if (path.length === 0) return NETWORK_UNKNOWN;
      const [uplink] = path;
      if (uplink && (uplink.configuration.method === UNKNOWN || uplink.configuration.method === "none"))
        return `how ${uplink.name} gets its address is not known: the boot environment uses the current address`;
      if (path.some(({ bond }) => bond?.mode === UNKNOWN)) return "the mode of the bond is not known";
      return path.some(({ kind }) => kind === "bridge")
        ? "the source's address is on a bridge: the boot environment uses the address without the bridge"
        : undefined;
    },
    remedy: "Check that the network lets the boot environment use the address that the machine has now.",
  },
];

/** The interfaces by which the source reaches the control plane, and those that they run over. */
function pathOf(inventory: Inventory | undefined): NetworkInterface[] {
  const { interfaces = [], reach } = inventory?.network ?? {};
  const start = reach?.paths.map(({ device }) => device) ?? [];
  const path = new Map<string, NetworkInterface>();
  const follow = (name: string): void => {
    const found = interfaces.find((one) => one.name === name);
    if (!found || path.has(name)) return;
    path.set(name, found);
    const below = [
      ...(found.vlan ? [found.vlan.parent] : []),
      ...(found.bond?.members ?? []),
      ...(found.bridge?.members ?? []),
    ];
    for (const member of below) follow(member);
  };
  for (const name of start) follow(name);
  return [...path.values()];
}
