import fc from "fast-check";
import { expect, test } from "vitest";
import { NewAddress, NewAddresses } from "./new-address.ts";

const eth0 = { interface: "eth0", address: "192.0.2.20", prefixLength: 24 };
const v6 = { interface: "eth0", address: "2001:db8::20", prefixLength: 64 };

test.each([
  eth0,
  { ...eth0, gateway: "192.0.2.1", nameServers: ["192.0.2.53", "2001:db8::53", "127.0.0.1"] },
  { ...eth0, gateway: "198.51.100.1", gatewayOnLink: true },
  { ...eth0, address: "192.0.2.0", prefixLength: 31, gateway: "192.0.2.1" },
  { ...eth0, prefixLength: 32, gateway: "169.254.0.1", gatewayOnLink: true },
  { ...v6, gateway: "fe80::1" },
  { ...v6, gateway: "2001:db8::" },
  { ...v6, prefixLength: 128 },
])("an interface can have %j", (address) => {
  expect(NewAddress.parse(address)).toMatchObject(address);
});

test.each<[object, string]>([
  [{ ...eth0, address: "192.0.2.0" }, "network address"],
  [{ ...eth0, address: "192.0.2.255" }, "broadcast address"],
  [{ ...eth0, address: "0.0.0.0" }, "not the address of one machine"],
  [{ ...eth0, address: "224.0.0.5" }, "not the address of one machine"],
  [{ ...eth0, address: "127.0.0.5" }, "loopback"],
  [{ ...eth0, address: "192.0.2.020" }, "not an internet address"],
  [{ ...eth0, address: "pine.example.org" }, "not an internet address"],
  [{ ...eth0, prefixLength: 33 }, "at most 32 bits"],
  [{ ...eth0, prefixLength: 0 }, ""],
  [{ ...eth0, interface: "../eth0" }, ""],
  [{ ...eth0, gateway: "192.0.2.20" }, "own address"],
  [{ ...eth0, gateway: "192.0.2.255" }, "broadcast address"],
  [{ ...eth0, gateway: "198.51.100.1" }, "say so (on-link)"],
  [{ ...eth0, gateway: "2001:db8::1" }, "different families"],
  [{ ...eth0, gatewayOnLink: true }, "there is no gateway"],
  [{ ...eth0, nameServers: ["ff02::1"] }, "not the address of one machine"],
  [{ ...v6, address: "2001:DB8::20" }, "is written as 2001:db8::20"],
  [{ ...v6, address: "2001:db8::" }, "network address"],
  [{ ...v6, address: "fe80::20" }, "link-local"],
  [{ ...v6, address: "fe80::20%eth0" }, "not an internet address"],
  [{ ...v6, address: "::ffff:192.0.2.20" }, "not the address of one machine"],
  [{ ...eth0, metric: 5 }, ""],
])("an interface cannot have %j", (address, why) => {
  const { error } = NewAddress.safeParse(address);
  expect(error?.issues[0]?.message).toContain(why);
});

test("an interface gets one address of each family, and no two get the same one", () => {
  const problems = (...all: object[]) =>
    NewAddresses.safeParse(all).error?.issues.map(({ message }) => message) ?? [];
  expect(problems(eth0, v6, { ...eth0, interface: "eth1", address: "192.0.2.21" })).toEqual([]);
  expect(problems(eth0, { ...eth0, address: "192.0.2.21" })).toEqual([
    "eth0 gets one address of each family",
  ]);
  expect(problems(eth0, { ...eth0, interface: "eth1" })).toEqual(["192.0.2.20 is named twice"]);
});

test("whatever is asked for, an address that is taken has one notation, and is in its own subnet alone", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 129 }), (address, prefixLength) => {
      const read = NewAddress.safeParse({ ...eth0, address, prefixLength });
      if (!read.success) return;
      expect(prefixLength).toBeLessThanOrEqual(address.includes(":") ? 128 : 32);
      expect(address).toBe(address.toLowerCase());
      expect(NewAddress.safeParse({ ...read.data, gateway: address }).success).toBe(false);
    }),
  );
});
