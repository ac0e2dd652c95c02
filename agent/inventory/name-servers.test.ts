import { expect, test } from "vitest";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { collectDns } from "./name-servers.ts";

const resolv = (...servers: string[]) => servers.map((server) => `nameserver ${server}\n`).join("");
const serversOf = async (files: Record<string, string>, own: string[] = []) =>
  (await collectDns(new RecordedMachine({ files }), own)).servers;

// rear#2015, systemd#5745, and what other resolvers keep.
test.each<[string, Record<string, string>]>([
  [
    "systemd's stub",
    { "/etc/resolv.conf": resolv("127.0.0.53"), "/run/systemd/resolve/resolv.conf": resolv("192.0.2.53") },
  ],
  [
    "systemd's other stub",
    { "/etc/resolv.conf": resolv("127.0.0.54"), "/run/systemd/resolve/resolv.conf": resolv("192.0.2.53") },
  ],
  [
    "systemd's resolver without its stub",
    {
      "/etc/resolv.conf": resolv("203.0.113.1"),
      "/etc/nsswitch.conf": "hosts: files resolve [!UNAVAIL=return] dns\n",
      "/run/systemd/resolve/resolv.conf": resolv("192.0.2.53"),
    },
  ],
  [
    "NetworkManager's dnsmasq",
    {
      "/etc/resolv.conf": resolv("127.0.0.1"),
      "/run/NetworkManager/no-stub-resolv.conf": resolv("192.0.2.53"),
    },
  ],
  [
    "dnsmasq with servers",
    {
      "/etc/resolv.conf": resolv("127.0.0.1"),
      "/etc/dnsmasq.conf": "#server=203.0.113.9\nserver=/corp.example/203.0.113.8\n",
      "/etc/dnsmasq.d/up.conf": "server=192.0.2.53\n",
    },
  ],
  [
    "dnsmasq with a file",
    {
      "/etc/resolv.conf": resolv("::1"),
      "/etc/dnsmasq.conf": "resolv-file=/etc/resolv.dnsmasq\n",
      "/etc/resolv.dnsmasq": resolv("192.0.2.53"),
    },
  ],
  [
    "dnsmasq with resolvconf",
    { "/etc/resolv.conf": resolv("127.0.0.1"), "/run/dnsmasq/resolv.conf": resolv("192.0.2.53") },
  ],
  [
    "Unbound that forwards",
    {
      "/etc/resolv.conf": resolv("127.0.0.1"),
      "/etc/unbound/unbound.conf":
        'server:\n  interface: 127.0.0.1\nforward-zone:\n  name: "corp.example."\n  forward-addr: 203.0.113.8\nforward-zone:\n  name: "."\n  forward-addr: 192.0.2.53@53\n',
    },
  ],
  [
    "BIND that forwards",
    {
      "/etc/resolv.conf": resolv("127.0.0.1"),
      "/etc/bind/named.conf.options": "options {\n  forwarders { 192.0.2.53; };\n};\n",
    },
  ],
  [
    "an empty file, which means this machine",
    { "/etc/resolv.conf": "# none\n", "/run/dnsmasq/resolv.conf": resolv("192.0.2.53") },
  ],
])("behind %s the servers that it asks are found", async (_, files) => {
  expect(await serversOf(files)).toEqual(["192.0.2.53"]);
});

test("a resolver at the machine's own address counts as one on the machine", async () => {
  const files = {
    "/etc/resolv.conf": resolv("192.0.2.10"),
    "/run/dnsmasq/resolv.conf": resolv("192.0.2.53"),
  };
  expect(await serversOf(files, ["192.0.2.10"])).toEqual(["192.0.2.53"]);
  expect(await serversOf(files)).toEqual(["192.0.2.10"]);
});

test("if the servers that a resolver asks are unknown, the resolver itself is kept", async () => {
  expect(await serversOf({ "/etc/resolv.conf": resolv("127.0.0.1") })).toEqual(["127.0.0.1"]);
  const loop = {
    "/etc/resolv.conf": resolv("127.0.0.53"),
    "/run/systemd/resolve/resolv.conf": resolv("127.0.0.1"),
  };
  expect(await serversOf(loop)).toEqual(["127.0.0.53"]);
});
