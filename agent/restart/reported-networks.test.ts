/** Networks of public reports, which other tools could not set up. */
import { expect, test } from "vitest";
import { CLOUD6, carried, interfaces, leased, MTU, PORT } from "./testing/carried.ts";

// cloud-init#5523 (Scaleway), #4996: a lease of one address, whose router is outside of it.
test("a /32 lease with a router outside of it is asked for again with its routes", async () => {
  const { plan, lost } = await carried({
    setup: `${leased("192.0.2.10/32")}
      route add 203.0.113.1 dev eth0 scope link proto dhcp metric 100
      route add default via 203.0.113.1 dev eth0 proto dhcp metric 100 src 192.0.2.10`,
  });
  expect({ plan, lost }).toEqual({ plan: [PORT, MTU, "dhcp eth0 routes own-id"], lost: [] });
});

// cloud-init#4060: an IPv6 router that is not in the address's own network.
test("an IPv6 router outside of the subnet is carried as on the link", async () => {
  const { plan, lost } = await carried(
    {
      setup: `address add 2001:db8:cafe::10/64 dev eth0
        route add default via 2001:db8:ffff::1 dev eth0 onlink`,
      files: interfaces("2001:db8:cafe::10"),
    },
    { hosts: [CLOUD6] },
  );
  expect(lost).toEqual([]);
  expect(plan).toContain("route eth0 6 default via 2001:db8:ffff::1 onlink");
});

// hetzneronline/installimage#123: even the own subnet is reached by the router.
test("a provider's route that hides the machine's neighbours does not keep the router from being carried", async () => {
  const { plan, lost } = await carried({
    setup: `address add 192.0.2.74/26 dev eth0
      route add default via 192.0.2.65 dev eth0
      route replace 192.0.2.64/26 via 192.0.2.65 dev eth0`,
    files: interfaces("192.0.2.74"),
  });
  expect(lost).toEqual([]);
  expect(plan).toContain("address eth0 192.0.2.74/26");
  expect(plan).toContain("route eth0 4 default via 192.0.2.65 onlink");
});

// Jumbo frames, and providers' tunnels: cloud-init#5523's machines among them.
test.each([1280, 1400, 9000])("an MTU of %d bytes is carried", async (bytes) => {
  const { plan } = await carried({
    setup: `link set eth0 mtu ${bytes}
      address add 192.0.2.10/24 dev eth0
      route add default via 192.0.2.1`,
    files: interfaces("192.0.2.10"),
  });
  expect(plan.slice(0, 2)).toEqual([PORT, `mtu eth0 ${bytes}`]);
});

// systemd#7009, #18761: two uplinks with leases, and NetworkManager's or networkd's metrics between them.
test("of two leased uplinks the one with the lower metric is the only one carried", async () => {
  const { plan } = await carried({
    ports: { eth0: "52:54:00:00:00:01", eth1: "52:54:00:00:00:02" },
    setup: `${leased("192.0.2.10/24")}
      address add 203.0.113.5/24 dev eth1 valid_lft 3600 preferred_lft 3600
      route add default via 203.0.113.1 dev eth1 proto dhcp metric 600
      route add default via 192.0.2.1 dev eth0 proto dhcp metric 100`,
  });
  expect(plan).toEqual([PORT, MTU, "dhcp eth0 routes own-id"]);
});
