import fc from "fast-check";
import { expect, test } from "vitest";
import { Inventory, type NetworkInterface, type NetworkRoute } from "#shared/protocol/inventory.ts";
import { formatNetworkPlan } from "../boot-image/network-plan.ts";
import { networkPlanOf } from "./network-plan-of.ts";

const text = fc.string({ unit: "binary", maxLength: 20 });
const sometimes = <T>(...arbitraries: fc.Arbitrary<T>[]) =>
  fc.option(fc.oneof(...arbitraries), { nil: undefined });
/** Few names, so that interfaces are often stacked on each other. */
const name = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom("eth0", "eth1", "bond0", "br0", "eth0.7", "unknown") },
  { weight: 1, arbitrary: text },
);
const mac = fc.oneof(
  { weight: 4, arbitrary: fc.nat(9).map((last) => `52:54:00:00:00:0${last}`) },
  { weight: 1, arbitrary: text },
);
const ip = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("fe80::1%eth0", "127.0.0.53", "::1"), text);
const natural = fc.oneof(fc.nat(5000), fc.maxSafeNat());

const networkInterface: fc.Arbitrary<NetworkInterface> = fc.record(
  {
    name,
    kind: fc.oneof(
      fc.constant("ethernet" as const),
      fc.constantFrom("vlan" as const, "bond" as const, "bridge" as const),
      fc.constantFrom("wireless" as const, "virtual" as const, "unknown" as const),
    ),
    state: fc.constantFrom("up", "down", "unknown"),
    mtuBytes: natural.map((bytes) => bytes + 1).filter(Number.isSafeInteger),
    addresses: fc.array(
      fc.record({
        family: fc.constantFrom("ipv4", "ipv6"),
        address: ip,
        prefixLength: fc.nat(128),
        dynamic: fc.boolean(),
        origin: fc.constantFrom("lease", "configured", "router", "cluster", "unnamed", undefined),
      }),
      { maxLength: 4 },
    ),
    configuration: fc.constant({ source: "unknown", method: "unknown" }),
    master: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: name }),
    dhcpClientId: sometimes(fc.constantFrom("none", "unknown", "01525400000001")),
    macAddress: sometimes(mac),
    permanentMacAddress: sometimes(mac),
    vlan: sometimes(fc.record({ id: fc.nat(4095), parent: name })),
    bond: sometimes(
      fc.record({ mode: fc.oneof(fc.constant("802.3ad"), text), members: fc.array(name, { maxLength: 4 }) }),
    ),
    bridge: sometimes(fc.record({ members: fc.array(name, { maxLength: 4 }) })),
  },
  { noNullPrototype: true },
);

const route: fc.Arbitrary<NetworkRoute> = fc.record(
  {
    destination: fc.oneof(
      fc.constant("default"),
      ip,
      fc.tuple(ip, fc.nat(128)).map((parts) => parts.join("/")),
    ),
    gateway: sometimes(ip),
    device: name,
    metric: sometimes(natural),
  },
  { noNullPrototype: true },
);

/** With source addresses that often belong to the interfaces. */
function reachOf(interfaces: NetworkInterface[]) {
  const own = interfaces.flatMap((each) =>
    each.addresses.map(({ address }) => ({ device: each.name, address })),
  );
  const source =
    own.length > 0 ? fc.constantFrom(...own) : fc.constant({ device: "eth0", address: "192.0.2.1" });
  const path = fc.record(
    {
      to: text,
      use: fc.constantFrom("control-plane" as const, "name-server" as const),
      address: ip,
      gateway: sometimes(ip),
      destination: fc.oneof(
        fc.constant("default"),
        ip,
        fc.tuple(ip, fc.nat(128)).map((parts) => parts.join("/")),
      ),
      protocol: sometimes(fc.constantFrom("kernel", "static", "dhcp")),
    },
    { noNullPrototype: true, requiredKeys: ["to", "use", "address", "destination"] },
  );
  return fc.record({
    paths: fc.array(
      fc.tuple(path, source).map(([each, { device, address }]) => ({ ...each, device, source: address })),
      { minLength: 1, maxLength: 4 },
    ),
    unreached: fc.constant([]),
    hosts: fc.array(fc.record({ address: ip, name: fc.oneof(fc.domain(), text) }), { maxLength: 2 }),
    canRehearse: fc.boolean(),
    obstacles: fc.constant([]),
  });
}

test("no network that an inventory can describe gives a plan that cannot be written", () => {
  const network = fc.record({
    interfaces: fc.array(networkInterface, { maxLength: 8 }),
    routes: fc.array(route, { maxLength: 8 }),
    dns: fc.record({
      servers: fc.array(ip, { maxLength: 4 }),
      search: fc.array(fc.oneof(fc.domain(), text), { maxLength: 4 }),
    }),
  });
  const withReach = network.chain((told) => reachOf(told.interfaces).map((reach) => ({ ...told, reach })));
  let plans = 0;
  fc.assert(
    fc.property(withReach, (told) => {
      const plan = networkPlanOf({ network: Inventory.shape.network.parse(told) });
      if (!plan) return;
      plans += 1;
      expect(formatNetworkPlan(plan)).toMatch(/^port /);
    }),
    { numRuns: 800 },
  );
  expect(plans).toBeGreaterThan(50);
});
