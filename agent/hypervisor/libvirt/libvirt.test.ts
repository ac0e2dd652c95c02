import { expect, test } from "vitest";
import { keptMachine } from "../testing/kept-machine.ts";
import { MemoryLibvirt } from "../testing/memory-libvirt.ts";
import { Libvirt } from "./libvirt.ts";

const machine = keptMachine();
const { signal } = new AbortController();
const OTHER = "11111111-2222-4333-8444-555555555555";

function world() {
  const virsh = new MemoryLibvirt();
  return { virsh, libvirt: new Libvirt(virsh, { shutdownLimitSeconds: 2, unpluggedMs: 1 }) };
}

const production = { kind: "network", network: "production" } as const;
const sources = (xml = "") => [...xml.matchAll(/<source network="(.*?)"/g)].map(([, name]) => name);

const names = ({ items }: MemoryLibvirt) => Object.values(items).map((all) => all.map(({ name }) => name));

test("a machine is defined, started, stopped and removed with its pool and its isolated network", async () => {
  const { virsh, libvirt } = world();
  await libvirt.define(machine);
  expect(names(virsh)).toEqual([["web1"], ["web1-isolated"], ["web1"]]);
  expect(await libvirt.power(machine)).toBe("off");
  await libvirt.start(machine);
  await libvirt.start(machine);
  expect(await libvirt.power(machine)).toBe("on");
  await libvirt.stop(machine, { atOnce: false, signal });
  await libvirt.undefine(machine);
  await libvirt.undefine(machine);
  expect(names(virsh)).toEqual([[], [], []]);
  expect(virsh.calls.filter((call) => /storage|pool-delete/.test(call))).toEqual([]);
});

test("an agent that is killed after any call to libvirt finishes the same when it is asked again", async () => {
  for (let failAt = 1; ; failAt++) {
    const { virsh, libvirt } = world();
    const all = async () => {
      await libvirt.define(machine);
      await libvirt.start(machine);
      await libvirt.stop(machine, { atOnce: true, signal });
    };
    virsh.failAt = failAt;
    const isInterrupted = await all().then(
      () => false,
      () => true,
    );
    if (!isInterrupted) break;
    // As the agent does: the interrupted command again, which may find its machine on.
    if ((await libvirt.power(machine)) === "on") await libvirt.stop(machine, { atOnce: true, signal });
    await all();
    expect(names(virsh)).toEqual([["web1"], ["web1-isolated"], ["web1"]]);
    virsh.failAt = virsh.calls.length + (failAt % 9) + 1;
    await libvirt.undefine(machine).catch(() => undefined);
    await libvirt.undefine(machine);
    expect(names(virsh)).toEqual([[], [], []]);
  }
});

/** A machine of which one card leads to a network of libvirt, and one is isolated. */
const isolated = keptMachine({
  isolated: true,
  shape: {
    ...machine.shape,
    cards: [{ address: "52:54:00:00:00:02", link: production }, ...machine.shape.cards],
  },
});
const connected = () => {
  const { isolated: _, ...open } = isolated;
  return open;
};

test("an isolated machine reaches nothing until it is connected, and stays connected when it is started again", async () => {
  const { virsh, libvirt } = world();
  await virsh.addNetwork("production");
  await libvirt.define(isolated);
  await libvirt.start(isolated);
  const [domain] = virsh.items[""];
  expect(sources(domain?.live)).toEqual(["web1-isolated", "web1-isolated"]);
  await libvirt.connect(connected());
  await libvirt.connect(connected());
  expect(sources(domain?.live)).toEqual(["production", "web1-isolated"]);
  expect(sources(domain?.xml)).toEqual(["production", "web1-isolated"]);
  const links = virsh.calls.filter((call) => call.startsWith("domif-setlink")).slice(0, 2);
  expect(links.map((call) => call.split(" ").slice(3))).toEqual(
    ["down", "up"].map((state) => ["--interface", "52:54:00:00:00:02", "--state", state]),
  );
  expect(virsh.calls.filter((call) => call.endsWith("--hmp announce_self"))).toHaveLength(2);
  await libvirt.stop(connected(), { atOnce: true, signal });
  await libvirt.start(connected());
  expect(sources(domain?.live)).toEqual(["production", "web1-isolated"]);
});

test("the cables of all cards are out at the same time, so that a machine with several waits once", async () => {
  const { virsh, libvirt } = world();
  await virsh.addNetwork("production");
  const addresses = ["52:54:00:00:00:02", "52:54:00:00:00:03"];
  const cards = addresses.map((address) => ({ address, link: production }));
  const several = keptMachine({ shape: { ...machine.shape, cards } });
  await libvirt.define({ ...several, isolated: true });
  await libvirt.start({ ...several, isolated: true });
  await libvirt.connect(several);
  const links = virsh.calls.flatMap((call) => /^domif-setlink .* --interface (.*)$/.exec(call)?.[1] ?? []);
  expect(links).toEqual(["down", "up"].flatMap((state) => addresses.map((one) => `${one} --state ${state}`)));
});

test("a machine that is off is connected when it is switched on, and no cable is touched before", async () => {
  const { virsh, libvirt } = world();
  await virsh.addNetwork("production");
  await libvirt.define(isolated);
  await libvirt.connect(connected());
  expect(sources(virsh.items[""][0]?.xml)).toEqual(["production", "web1-isolated"]);
  expect(virsh.calls.filter((call) => /^(update-device|domif-setlink)/.test(call))).toEqual([]);
});

test("an agent that is killed while it connects a machine leaves it to the next to plug its cables in", async () => {
  for (let failAt = 1; ; failAt++) {
    const { virsh, libvirt } = world();
    await virsh.addNetwork("production");
    await libvirt.define(isolated);
    await libvirt.start(isolated);
    virsh.failAt = virsh.calls.length + failAt;
    const isInterrupted = await libvirt.connect(connected()).then(
      () => false,
      () => true,
    );
    if (!isInterrupted) break;
    await libvirt.connect(connected());
    const [domain] = virsh.items[""];
    expect(sources(domain?.live)).toEqual(["production", "web1-isolated"]);
    expect(domain?.live?.match(/link="\w+"/g)).toEqual(['link="up"']);
  }
});

const BRIDGE = '<bridge name="virbr7"/>';

test.each([
  ["VLAN 7", BRIDGE, { vlan: 7 }],
  ["the network production", '<forward mode="bridge"><interface dev="eth0"/></forward>', {}],
  ["the network production", `${BRIDGE}<virtualport type="openvswitch"/>`, {}],
  ["the network production", `${BRIDGE}<vlan><tag id="7"/></vlan>`, {}],
])(
  "a machine that libvirt cannot connect to %s while it runs (%s) is refused before anything is defined",
  async (what, parts, more) => {
    const { virsh, libvirt } = world();
    await virsh.addNetwork("production", `<network><name>production</name>${parts}</network>`);
    const cards = [{ address: "52:54:00:00:00:02", link: { ...production, ...more } }];
    const shape = { ...machine.shape, cards };
    const define = libvirt.define(keptMachine({ isolated: true, shape }));
    await expect(define).rejects.toThrow(`libvirt cannot connect a machine that runs to ${what}`);
    expect(names(virsh)[0]).toEqual([]);
    if (!("vlan" in more)) await libvirt.define(keptMachine({ shape }));
  },
);

test.each(["", "net-", "pool-"] as const)(
  "something else of the same name (%s) is not replaced, and nothing is defined",
  async (kind) => {
    const { virsh, libvirt } = world();
    virsh.add(kind, { uuid: OTHER, name: kind === "net-" ? "web1-isolated" : "web1" });
    const before = names(virsh);
    await expect(libvirt.draft(machine)).rejects.toMatchObject({ name: "MachineNotOursError" });
    await expect(libvirt.define(machine)).rejects.toMatchObject({ name: "MachineNotOursError" });
    expect(names(virsh)).toEqual(before);
    await libvirt.undefine(machine);
    expect(names(virsh)).toEqual(before);
  },
);

test("a machine with our uuid that is not marked as this conversion's is neither replaced nor removed", async () => {
  const { virsh, libvirt } = world();
  virsh.add("", { uuid: machine.uuid, name: "web1" });
  await expect(libvirt.define(machine)).rejects.toMatchObject({ name: "MachineNotOursError" });
  await expect(libvirt.undefine(machine)).rejects.toMatchObject({ name: "MachineNotOursError" });
  expect(names(virsh)[0]).toEqual(["web1"]);
});

test("a machine that is on is neither defined again nor removed", async () => {
  const { virsh, libvirt } = world();
  await libvirt.define(machine);
  await libvirt.start(machine);
  await expect(libvirt.define(machine)).rejects.toMatchObject({ name: "MachineRunningError" });
  await expect(libvirt.undefine(machine)).rejects.toMatchObject({ name: "MachineRunningError" });
  expect(names(virsh)[0]).toEqual(["web1"]);
});

test("a machine whose memory the host saved counts as on, and continues when it is started", async () => {
  const { virsh, libvirt } = world();
  await libvirt.define(machine);
  await libvirt.start(machine);
  virsh.restartHost();
  expect(await libvirt.power(machine)).toBe("on");
  await expect(libvirt.define(machine)).rejects.toMatchObject({ name: "MachineRunningError" });
  await libvirt.start(machine);
  expect(virsh.items[""]).toMatchObject([{ active: true, isSaved: false }]);
});

test("a machine whose memory the host saved is ended only at once, and is never started for that", async () => {
  const { virsh, libvirt } = world();
  await libvirt.define(machine);
  await libvirt.start(machine);
  virsh.restartHost();
  const stop = libvirt.stop(machine, { atOnce: false, signal });
  await expect(stop).rejects.toMatchObject({ name: "MachineNotStoppedError" });
  expect(await libvirt.power(machine)).toBe("on");
  await libvirt.stop(machine, { atOnce: true, signal });
  expect(await libvirt.power(machine)).toBe("off");
  expect(virsh.calls.filter((call) => call.startsWith("start "))).toHaveLength(1);
  await libvirt.undefine(machine);
  expect(names(virsh)[0]).toEqual([]);
});

test("an isolated machine is asked at the bridge of its isolated network", async () => {
  const virsh = new MemoryLibvirt();
  await virsh.addNetwork("production");
  const libvirt = new Libvirt(virsh);
  await libvirt.define(isolated);
  expect(await libvirt.isolatedBridge(isolated)).toBe("virbr9");
  await virsh.run(["net-destroy", isolated.uuid]);
  await expect(libvirt.isolatedBridge(isolated)).rejects.toMatchObject({ name: "HypervisorFailedError" });
});

test("an isolated machine whose memory the host saved forgets it when it is connected, with the cards that lead nowhere", async () => {
  const { virsh, libvirt } = world();
  await virsh.addNetwork("production");
  await libvirt.define(isolated);
  await libvirt.start(isolated);
  virsh.restartHost();
  await libvirt.connect(connected());
  expect(await libvirt.power(connected())).toBe("off");
  await libvirt.start(connected());
  expect(sources(virsh.items[""][0]?.live)).toEqual(["production", "web1-isolated"]);
});

test("a system that does not obey its power button is left on, and is switched off only if asked", async () => {
  const { virsh, libvirt } = world();
  await libvirt.define(machine);
  await libvirt.start(machine);
  virsh.obeys = false;
  const stop = libvirt.stop(machine, { atOnce: false, signal });
  await expect(stop).rejects.toMatchObject({ name: "MachineNotStoppedError" });
  expect(await libvirt.power(machine)).toBe("on");
  await libvirt.stop(machine, { atOnce: true, signal });
  expect(await libvirt.power(machine)).toBe("off");
});

test.each([
  [{ kind: "bridge", bridge: "nobridge0" }, "there is no such link"],
  [{ kind: "bridge", bridge: "lo" }, "it is a link of another kind"],
  [{ kind: "network", network: "absent" }, "libvirt has no network absent"],
  [{ kind: "network", network: "asleep" }, "is not active"],
] as const)("a card at %j is refused before anything is defined", async (link, why) => {
  const { virsh, libvirt } = world();
  virsh.add("net-", { uuid: OTHER, name: "asleep" });
  const shape = { ...machine.shape, cards: [{ address: "52:54:00:00:00:01", link }] };
  const define = libvirt.define(keptMachine({ shape }));
  await expect(define).rejects.toMatchObject({
    name: "MachineUnsupportedError",
    message: expect.stringContaining(why),
  });
  expect(names(virsh)).toEqual([[], ["asleep"], []]);
});
