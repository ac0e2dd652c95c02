import { expect, test } from "vitest";
import { controlPlaneHosts } from "../identity/control-plane-hosts.ts";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { addressesIn } from "./address-origin.ts";
import { collectReach } from "./control-plane-reach.ts";
import { findDhcpClientId } from "./dhcp-client.ts";
import { proxyOf } from "./network-obstacles.ts";

type Recording = ConstructorParameters<typeof RecordedMachine>[0];

const HOST = "mqtt.example.com";
const way = (address: string) => ({
  [`ip -json route get ${address}`]: `[{"dst":"${address}","gateway":"192.0.2.1","dev":"eth0","prefsrc":"192.0.2.10"}]`,
});

const reachOf = (
  { files = {}, commands = {}, links = {} }: Recording,
  {
    servers = ["192.0.2.53"],
    programs = {},
    environment = {},
  }: { servers?: string[]; programs?: Record<string, string[]>; environment?: Record<string, string> } = {},
) =>
  collectReach(
    new RecordedMachine({
      files,
      links,
      commands: {
        [`getent ahosts ${HOST}`]: `198.51.100.7 STREAM ${HOST}\n198.51.100.7 DGRAM \n`,
        ...way("198.51.100.7"),
        ...way("192.0.2.53"),
        ...commands,
      },
    }),
    {
      hosts: [HOST],
      dns: { servers, search: [] },
      ports: ["eth0"],
      surroundings: { programs: new Map(Object.entries(programs)), environment },
    },
  );

test("an agent's hosts are all those that a conversion needs, each once", () => {
  const aws = {
    agentId: "agt_1",
    certificatePem: "",
    mqttEndpoint: "abc-ats.iot.eu-central-1.amazonaws.com",
    credentialsEndpoint: "abc.credentials.iot.eu-central-1.amazonaws.com",
    roleAlias: "",
    region: "eu-central-1",
    bucket: "bucket",
    kmsKeyId: "",
    commandKeyPem: "",
    apiUrl: "https://api.example.com/v1",
  };
  expect(controlPlaneHosts(aws)).toEqual([
    ...["abc-ats.iot.eu-central-1.amazonaws.com", "abc.credentials.iot.eu-central-1.amazonaws.com"],
    ...["api.example.com", "bucket.s3.eu-central-1.amazonaws.com", "kms.eu-central-1.amazonaws.com"],
  ]);
  const own = "[2001:db8::1]:8443";
  const embedded = { ...aws, mqttEndpoint: own, credentialsEndpoint: own, apiUrl: `https://${own}` };
  expect(controlPlaneHosts({ ...embedded, awsEndpoint: `https://${own}` })).toEqual(["2001:db8::1"]);
});

test("a kernel that does not report which route matched gives a path for the address alone", async () => {
  expect((await reachOf({})).paths).toMatchObject([
    {
      to: HOST,
      use: "control-plane",
      gateway: "192.0.2.1",
      source: "192.0.2.10",
      destination: "198.51.100.7",
    },
    { to: "192.0.2.53", use: "name-server" },
  ]);
});

test("names that /etc/hosts resolves are carried, and need no name server", async () => {
  const files = { "/etc/hosts": `127.0.0.1 localhost\n198.51.100.7 cloud ${HOST} # the cloud\n` };
  const reach = await reachOf({ files }, { servers: ["127.0.0.1"] });
  expect(reach.hosts).toEqual([{ address: "198.51.100.7", name: HOST }]);
  expect(reach.resolverProblem).toBeUndefined();
});

test("a resolver on the machine itself, or none, is a problem if a name must be resolved", async () => {
  expect((await reachOf({}, { servers: ["127.0.0.1"] })).resolverProblem).toContain(
    "127.0.0.1 on this machine",
  );
  expect((await reachOf({}, { servers: [] })).resolverProblem).toContain("no name server");
});

test("a failed query and a name that does not resolve are reported as such", async () => {
  const nothing = { commands: { [`getent ahosts ${HOST}`]: "" } };
  expect((await reachOf(nothing)).unreached).toEqual([`${HOST}: its name does not resolve`]);
  const lost = { commands: { "ip -json route get 198.51.100.7": "" } };
  expect((await reachOf(lost)).unreached).toEqual([`${HOST} (198.51.100.7): there is no route to it`]);
});

const UUID = "7a3f";
const nm = (text: string) => ({
  "/run/NetworkManager/devices/2": `[device]\nconnection-uuid=${UUID}\n`,
  "/etc/NetworkManager/system-connections/wired.nmconnection": `[connection]\nuuid=${UUID}\ninterface-name=eth0\n${text}`,
});

test.each<[string, Recording, Record<string, string[]>, Record<string, string>, string]>([
  [
    "wpa_supplicant for the port",
    {},
    { wpa_supplicant: ["/sbin/wpa_supplicant -Dwired -i eth0 -c /x"] },
    {},
    "login",
  ],
  ["the same in one word", {}, { wpa_supplicant: ["wpa_supplicant -c/x -ieth0 -Dwired"] }, {}, "login"],
  ["wpa_supplicant's socket", { files: { "/run/wpa_supplicant/eth0": "" } }, {}, {}, "login"],
  ["NetworkManager's 802.1X", { files: nm("[802-1x]\neap=tls\n") }, {}, {}, "login"],
  [
    "ifcfg's 802.1X",
    { files: { "/etc/sysconfig/network-scripts/ifcfg-eth0": "KEY_MGMT=IEEE8021X" } },
    {},
    {},
    "login",
  ],
  [
    "a network namespace",
    { links: { "/proc/1/ns/net": "net:[1]", "/proc/self/ns/net": "net:[2]" } },
    {},
    {},
    "namespace",
  ],
  ["a VRF", { files: { "/proc/self/cgroup": "0::/user.slice/vrf/blue\n" } }, {}, {}, "vrf"],
  ["a proxy", {}, {}, { NODE_USE_ENV_PROXY: "1", HTTPS_PROXY: "http://user:secret@proxy:3128" }, "proxy"],
])(
  "%s is an obstacle between the machine and the control plane",
  async (_, recording, programs, environment, kind) => {
    const { obstacles } = await reachOf(recording, { programs, environment });
    expect(obstacles.map((each) => each.kind)).toEqual([kind]);
    expect(JSON.stringify(obstacles)).not.toContain("secret");
  },
);

test("a wireless supplicant, another port's login and an unused connection are no obstacles", async () => {
  const files = {
    ...nm(""),
    "/etc/NetworkManager/system-connections/other.nmconnection": "[connection]\nuuid=9\n[802-1x]\n",
  };
  const programs = { wpa_supplicant: ["wpa_supplicant -u -s", "wpa_supplicant -Dwired -i eth1"] };
  expect((await reachOf({ files }, { programs })).obstacles).toEqual([]);
});

test("proxy variables that Node ignores are no obstacles", () => {
  expect(proxyOf({ HTTPS_PROXY: "http://proxy:3128" })).toBeUndefined();
  expect(proxyOf({ NODE_OPTIONS: "--use-env-proxy", https_proxy: "http://proxy" })).toBe("https_proxy");
});

// netplan#16, snapd#9471, nmstate#733.
test.each<[string, Recording, string[], string, string]>([
  [
    "systemd-networkd",
    { files: { "/run/systemd/netif/leases/2": "CLIENTID=ff00112233\n" } },
    [],
    "systemd-networkd",
    "ff00112233",
  ],
  [
    "systemd-networkd without one",
    { files: { "/run/systemd/netif/leases/2": "ADDRESS=1\n" } },
    [],
    "systemd-networkd",
    "none",
  ],
  [
    "NetworkManager",
    {
      commands: {
        "nmcli -t -f DHCP4 device show eth0":
          "DHCP4.OPTION[1]:dhcp_client_identifier = 01\\:52\\:54\\:00\\:00\\:00\\:01\nDHCP4.OPTION[2]:ip_address = 192.0.2.10\n",
      },
    },
    [],
    "network-manager",
    "01525400000001",
  ],
  ["NetworkManager without nmcli", {}, [], "network-manager", "unknown"],
  ["dhclient", {}, ["dhclient"], "ifupdown", "none"],
  [
    "dhclient with a text",
    { files: { "/etc/dhcp/dhclient.conf": 'send dhcp-client-identifier "ab";' } },
    ["dhclient"],
    "ifupdown",
    "6162",
  ],
  [
    "dhclient with bytes",
    { files: { "/etc/dhcp/dhclient.conf": "send dhcp-client-identifier = 1:52:54:0:0:1:2;" } },
    ["dhclient"],
    "ifupdown",
    "01525400000102",
  ],
  [
    "dhclient with its hardware",
    { files: { "/etc/dhclient.conf": "send dhcp-client-identifier hardware;" } },
    ["dhclient"],
    "ifupdown",
    "01525400000001",
  ],
  [
    "dhclient that computes one",
    { files: { "/etc/dhclient.conf": "send dhcp-client-identifier = concat(1, x);" } },
    ["dhclient"],
    "ifupdown",
    "unknown",
  ],
  [
    "wicked",
    {
      files: {
        "/var/lib/wicked/lease-eth0-dhcp-ipv4.xml": "<lease><client-id>ff:00:ab:01</client-id></lease>",
      },
    },
    [],
    "unknown",
    "ff00ab01",
  ],
  ["udhcpc", {}, ["udhcpc"], "ifupdown", "01525400000001"],
  ["dhcpcd", {}, ["dhcpcd"], "ifupdown", "unknown"],
  ["no known client", {}, [], "unknown", "unknown"],
])("the identity that %s uses is found, or unknown", async (_, recording, programs, source, expected) => {
  const port = { name: "eth0", index: 2, macAddress: "52:54:00:00:00:01", source: source as "ifupdown" };
  const running = new Map(programs.map((name) => [name, []]));
  expect(await findDhcpClientId(new RecordedMachine(recording ?? {}), port, running)).toBe(expected);
});

test("addresses are found in every kind of configuration, whole and normalised, and not in comments", () => {
  const text = [
    ...[
      "address1=192.0.2.10/24,192.0.2.1",
      "  - '2001:0DB8::0010/64'",
      "ip=192.0.2.11::192.0.2.1:255.255.255.0:h:eth0:off",
    ],
    ...["# 192.0.2.99", "; 192.0.2.98", 'IPADDR="192.0.2.12"', "version 1.2.3", "address 192.0.2.100"],
  ].join("\n");
  const found = addressesIn(text);
  for (const address of ["192.0.2.10", "2001:db8::10", "192.0.2.11", "192.0.2.12", "192.0.2.100"])
    expect(found).toContain(address);
  expect(found.join()).not.toMatch(/192\.0\.2\.9/);
});
