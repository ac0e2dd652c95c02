import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatNetworkPlan, type NetworkPlan } from "../boot-image/network-plan.ts";

const ETH0 = { name: "eth0", macAddress: "52:54:00:00:00:00" };
const ETH1 = { name: "eth1", macAddress: "52:54:00:00:00:01" };

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "network-script-"));
});

afterEach(() => rm(dir, { recursive: true }));

/**
 * Replaces the boot environment's functions: records what would be run, and fails like `ip` for a missing
 * device.
 */
const FUNCTIONS = `
ip() {
  case "$*" in
    '-4 -o addr show scope global') grep 'addr replace' DIR/ran; return 0 ;;
    *'dev  '* | *'dev ') return 1 ;;
  esac
  case "$*" in *REFUSED*) return 2 ;; esac
  echo "ip $*" >>DIR/ran
}
say() { echo "$1" >>DIR/said; }
sleep() { echo x >>DIR/waited; }
modprobe() { :; }
load_drivers() { :; }
addresses() { :; }
is_port() { [ -e "$1/device" ] && [ ! -e "$1/master" ]; }
write_resolver() { cat DIR/state/resolv/plan >DIR/resolv.conf; }
LIBRARY=DIR STATE=DIR/state ETC=DIR
udhcpc() { echo "udhcpc $3" >>DIR/ran; }
`;

/**
 * Runs the script as on a machine that has the ports: their hardware addresses by the names that the kernel
 * gave them.
 */
async function bringUp(plan: NetworkPlan, ports: Record<string, string>, refused = "nothing") {
  const network = join(dir, "net");
  for (const [name, macAddress] of Object.entries(ports)) {
    await mkdir(join(network, name, "device"), { recursive: true });
    await writeFile(join(network, name, "address"), `${macAddress}\n`);
  }
  await mkdir(network, { recursive: true });
  await writeFile(join(dir, "functions"), FUNCTIONS.replaceAll("DIR", dir).replaceAll("REFUSED", refused));
  await writeFile(join(dir, "plan"), formatNetworkPlan(plan));
  for (const file of ["ran", "said", "waited"]) await writeFile(join(dir, file), "");
  const script = (await readFile(join(import.meta.dirname, "files/network"), "utf8")).replaceAll(
    "/sys/class/net",
    network,
  );
  const env = { ...process.env, CAUSEWAY_LIBRARY: dir, CAUSEWAY_PLAN: join(dir, "plan") };
  let status = 0;
  try {
    execFileSync("sh", ["-c", script], { stdio: "ignore", env });
  } catch (error) {
    status = (error as { status: number }).status;
  }
  const linesOf = async (file: string) => (await readFile(join(dir, file), "utf8")).split("\n").slice(0, -1);
  return {
    status,
    ran: await linesOf("ran"),
    said: await linesOf("said"),
    secondsWaited: (await linesOf("waited")).length,
    resolver: await readFile(join(dir, "resolv.conf"), "utf8"),
  };
}

test("ports are found by their hardware address, and a route keeps its metric", async () => {
  const { status, ran, said, secondsWaited, resolver } = await bringUp(
    {
      ports: [
        {
          ...ETH0,
          addresses: ["192.0.2.10/24"],
          routes: [
            { to: "default", via: "192.0.2.1" },
            { to: "default", via: "192.0.2.2", metric: 200 },
          ],
        },
      ],
      nameservers: ["192.0.2.53"],
    },
    { enp3s0: ETH0.macAddress },
  );
  expect(ran).toEqual([
    "ip link set dev enp3s0 up",
    "ip addr replace 192.0.2.10/24 dev enp3s0",
    "ip -4 route replace default dev enp3s0 via 192.0.2.1 onlink",
    "ip -4 route replace default dev enp3s0 via 192.0.2.2 onlink metric 200",
  ]);
  expect({ status, said, secondsWaited, resolver }).toEqual({
    status: 0,
    said: [],
    secondsWaited: 0,
    resolver: "nameserver 192.0.2.53\n",
  });
});

test("the script waits for all missing ports together, reports them, and continues without them", async () => {
  const { status, ran, said, secondsWaited } = await bringUp(
    {
      ports: [
        { name: "eth2", macAddress: "52:54:00:00:00:02", addresses: ["198.51.100.2/24"] },
        { name: "eth3", macAddress: "52:54:00:00:00:03", dhcp: { routes: true } },
        { ...ETH0, addresses: ["192.0.2.10/24"] },
      ],
    },
    // Has a name of the source, but is another port.
    { eth0: ETH0.macAddress, eth2: "52:54:00:00:00:09" },
  );
  expect(ran).toEqual(["ip link set dev eth0 up", "ip addr replace 192.0.2.10/24 dev eth0"]);
  expect(said).toEqual([
    "There is no network port eth2 (52:54:00:00:00:02): continuing without it.",
    "There is no network port eth3 (52:54:00:00:00:03): continuing without it.",
  ]);
  expect({ status, secondsWaited }).toEqual({ status: 0, secondsWaited: 30 });
});

test("a bond is made of the ports that exist", async () => {
  const { status, ran } = await bringUp(
    {
      ports: [ETH0, ETH1],
      bonds: [{ name: "bond0", mode: "802.3ad", ports: ["eth0", "eth1"], addresses: ["192.0.2.10/24"] }],
    },
    { eth1: ETH1.macAddress },
  );
  expect(ran.slice(1)).toEqual([
    "ip link add name bond0 type bond mode 802.3ad miimon 100",
    "ip link set dev eth1 down",
    "ip link set dev eth1 master bond0",
    "ip link set dev eth1 up",
    "ip link set dev bond0 up",
    "ip addr replace 192.0.2.10/24 dev bond0",
  ]);
  expect(status).toBe(0);
});

test("a bond without a port, and a VLAN on it, bring up no address, so the network is not up", async () => {
  const { status, ran } = await bringUp(
    {
      ports: [ETH0],
      bonds: [{ name: "bond0", mode: "802.3ad", ports: ["eth0"] }],
      vlans: [{ name: "bond0.7", link: "bond0", id: 7, addresses: ["192.0.2.10/24"] }],
    },
    {},
  );
  expect(ran).toEqual([]);
  expect(status).toBe(1);
});

test("a command that the kernel refuses is reported, and the others are run", async () => {
  const { status, ran, said } = await bringUp(
    { ports: [{ ...ETH0, mtuBytes: 9000, addresses: ["192.0.2.10/24"] }] },
    { eth0: ETH0.macAddress },
    "mtu",
  );
  expect(ran).toContain("ip addr replace 192.0.2.10/24 dev eth0");
  expect(said).toEqual(["This command failed: ip link set dev eth0 mtu 9000"]);
  expect(status).toBe(0);
});
