import { readdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { collectNetwork } from "../inventory/network.ts";
import { type Laboratory, machineInLaboratory } from "../inventory/testing/network-laboratory.ts";
import { LocalMachine } from "../machine/machine.ts";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { rehearseNetwork } from "./rehearsal.ts";

const CLOUD = "198.51.100.7";
const FILES = join(import.meta.dirname, "../boot-image-builder/files");
const scripts = {
  network: readFileSync(join(FILES, "network"), "utf8"),
  dhcp: readFileSync(join(FILES, "dhcp"), "utf8"),
  functions: readFileSync(join(FILES, "functions"), "utf8"),
};
/** Namespaces with mounts require root. */
const isRoot = process.getuid?.() === 0;

async function networkOf(lab: Omit<Laboratory, "targets">, hosts = [CLOUD]): Promise<Inventory["network"]> {
  const machine = machineInLaboratory({ ...lab, targets: hosts });
  return (await collectNetwork(machine, { hosts, environment: {} })).network;
}

const named = (...addresses: string[]) => ({ "/etc/network/interfaces": addresses.join("\n") });

test.runIf(isRoot).each<[string, Omit<Laboratory, "targets">, string[]?]>([
  [
    "a static address",
    {
      setup: "address add 192.0.2.10/24 dev eth0\nroute add default via 192.0.2.1",
      files: { ...named("192.0.2.10"), "/etc/resolv.conf": "nameserver 192.0.2.53\n" },
    },
  ],
  [
    "an IPv6 router for IPv4",
    {
      setup: "address add 192.0.2.10/32 dev eth0\n-4 route add default via inet6 fe80::1 dev eth0 onlink",
      files: named("192.0.2.10"),
    },
  ],
  [
    "a lease with static routes beside it",
    {
      setup: `address add 192.0.2.10/24 dev eth0 valid_lft 3600 preferred_lft 3600
        route add default via 192.0.2.1 proto dhcp
        route add 10.0.0.0/8 via 192.0.2.2 proto static`,
    },
    [CLOUD, "10.1.2.3"],
  ],
  [
    "a lease whose router is not used",
    {
      setup: `address add 192.0.2.10/24 dev eth0 valid_lft 3600 preferred_lft 3600
        route add default via 192.0.2.3 proto static`,
    },
  ],
  [
    "policies with two routers",
    {
      setup: `address add 192.0.2.10/24 dev eth0
        route add default via 192.0.2.1
        route add default via 192.0.2.2 table 100
        rule add to 203.0.113.9 lookup 100 priority 100`,
      files: named("192.0.2.10"),
    },
    [CLOUD, "203.0.113.9"],
  ],
  [
    "IPv6",
    {
      setup: "address add 2001:db8::10/64 dev eth0\nroute add default via fe80::1 dev eth0",
      files: named("2001:db8::10"),
    },
    ["2001:db8:1::7"],
  ],
  [
    "two ports, two source addresses and a hardware address of a bridge",
    {
      ports: { eth0: "52:54:00:00:00:01", eth1: "52:54:00:00:00:02" },
      setup: `link add br0 address 52:54:00:00:00:99 type bridge
        link set eth0 master br0
        link set br0 up
        address add 192.0.2.10/24 dev br0
        address add 203.0.113.10/24 dev eth1
        route add default via 192.0.2.1
        route add 10.0.0.0/8 via 203.0.113.1 dev eth1 src 203.0.113.10`,
      files: named("192.0.2.10", "203.0.113.10"),
    },
    [CLOUD, "10.1.2.3"],
  ],
])("%s is rehearsed, and matches what the source uses", async (_, lab, hosts) => {
  const network = await networkOf(lab, hosts);
  expect(network.reach?.unreached).toEqual([]);
  expect(await rehearseNetwork(new LocalMachine(), network, scripts)).toEqual({ differences: [] });
});

const simple = {
  setup: "address add 192.0.2.10/24 dev eth0\nroute add default via 192.0.2.1",
  files: { ...named("192.0.2.10"), "/etc/resolv.conf": "nameserver 192.0.2.53\n" },
};

test.runIf(isRoot).each<[string, string, string, RegExp]>([
  [
    "drops routes",
    "route) try ip",
    "route) : ip",
    /198.51.100.7 would not be reached at all; the source reaches it over eth0 by/,
  ],
  ["drops addresses", "address) try ip", "address) : ip", /eth0 192.0.2.10\/24 is missing/],
  [
    "drops name servers",
    "nameserver) echo",
    "nameserver) : echo",
    /the name servers would be none, not 192.0.2.53/,
  ],
  [
    "takes another address, too",
    "mtu) try",
    'mtu) ip addr add 192.0.2.99/24 dev "$1"; try',
    /192.0.2.99\/24 is not/,
  ],
  ["fails", "exit 0", "exit 3", /brought up no address/],
  ["is not a script", "find_port() {", "find_port( {", /brought up no address/],
])("a boot environment whose script %s is detected", async (_, from, to, expected) => {
  const network = await networkOf(simple);
  const broken = { ...scripts, network: scripts.network.replaceAll(from, to) };
  expect(broken.network).not.toBe(scripts.network);
  const rehearsal = await rehearseNetwork(new LocalMachine(), network, broken);
  expect("differences" in rehearsal && rehearsal.differences.join("\n")).toMatch(expected);
});

test.runIf(isRoot)("a rehearsal leaves nothing on the machine, even if it is killed", async () => {
  const seen = () => ({
    ports: readdirSync("/sys/class/net"),
    addresses: networkInterfaces(),
    mounts: mountsAt("/tmp", "/sys"),
    temporary: readdirSync("/tmp").filter((name) => ["library", "plan", "said", "state"].includes(name)),
    namespaces: readdirSync("/run").includes("netns"),
  });
  const network = await networkOf(simple);
  const before = seen();
  await rehearseNetwork(new LocalMachine(), network, scripts);
  expect(seen()).toEqual(before);
  const mark = `1000000.${process.pid}`;
  const endless = { ...scripts, network: `sleep ${mark} & sleep ${mark}` };
  const killed = await rehearseNetwork(new LocalMachine({ answerLimitMs: 300 }), network, endless);
  expect(killed).toEqual({ unknown: expect.stringContaining("did not end in time") });
  expect(seen()).toEqual(before);
  await expect.poll(() => processesWith(mark), { timeout: 30_000 }).toEqual([]);
});

/** What is mounted there. Other tests mount elsewhere meanwhile. */
function mountsAt(...places: string[]): string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return mounts.filter((line) => places.includes(line.split(" ")[4] ?? ""));
}

/** The machine's processes that were started with this word. */
function processesWith(word: string): string[] {
  return readdirSync("/proc").filter((id) => {
    try {
      return /^\d+$/.test(id) && readFileSync(`/proc/${id}/cmdline`, "utf8").split("\0").includes(word);
    } catch {
      return false; // It has ended meanwhile.
    }
  });
}

test("if no namespace can be created the outcome is unknown, with what to do", async () => {
  const network = await networkOf(simple);
  expect(await rehearseNetwork(new RecordedMachine({}), network, scripts)).toEqual({
    unknown: expect.stringContaining("util-linux"),
  });
  const withoutVeth = { run: async () => ({ status: 3, output: "no-ports\n" }) };
  expect(await rehearseNetwork(withoutVeth, network, scripts)).toEqual({
    unknown: expect.stringContaining("veth"),
  });
  const refusing = { run: async () => ({ status: 1, output: "" }) };
  expect(await rehearseNetwork(refusing, network, scripts)).toEqual({
    unknown: expect.stringContaining("namespaces"),
  });
});
