/** A machine that has another address than its source: who adapts it, asks it and shows it knows that. */
import { beforeEach, expect, test } from "vitest";
import { CutoverSite } from "../testing/cutover-site.ts";

const eth0 = { interface: "eth0", address: "198.51.100.20", prefixLength: 25, gateway: "198.51.100.1" };
const asked = { adapt: true, addresses: [eth0] };
const at = (host: string) => ({ kind: "tcp", host, port: 5432 });

let site: CutoverSite;

beforeEach(async () => {
  site = await CutoverSite.start();
});

test("it is adapted to its address before the window and in the outage, and asked there before and after the commit", async () => {
  const id = await site.create({ ...asked, check: at("198.51.100.20") });
  const addresses = [{ ...eth0, nameServers: [], instead: { address: "192.0.2.10", prefixLength: 24 } }];
  expect(site.inputs["adapt-machine rehearsal"]).toMatchObject({ wanted: { addresses } });
  const { body } = await site.api("GET /cutovers/{id}", id);
  expect(body).toMatchObject({
    addresses,
    networkChecks: [{ check: "198.51.100.20:5432", beforeCommit: "yes" }],
  });
  await site.passUntil("01:05");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
  expect(site.inputs["adapt-machine"]).toMatchObject({ wanted: { addresses }, dryRun: false });
  expect(site.inputs["define-machine"]).toMatchObject({
    isolatedNetworks: [{ gateway: "198.51.100.1", prefixLength: 25, addresses: ["198.51.100.20"] }],
    formerAddresses: ["192.0.2.10"],
  });
  for (const label of ["isolated", "connected"])
    expect(site.inputs[`bring-up-machine ${label}`]).toMatchObject({ check: at("198.51.100.20") });
});

test("a check by name is asked before the commit only if it leads to the new address", async () => {
  const check = { kind: "http", url: "https://pine.example.org/health" };
  const { body } = await site.api("GET /cutovers/{id}", await site.create({ ...asked, check }));
  expect(body).toMatchObject({
    networkChecks: [{ beforeCommit: "by-name", why: expect.stringContaining("finds 198.51.100.20 by") }],
  });
});

test("a system that keeps its addresses is adapted without any, as an older agent expects it", async () => {
  await site.create({ adapt: true });
  expect(site.inputs["adapt-machine rehearsal"]?.wanted).not.toHaveProperty("addresses");
  await site.passUntil("01:01");
  expect(site.inputs["define-machine"]).not.toHaveProperty("formerAddresses");
});

test.each<[string, object, string]>([
  [
    "an answer at the source's address",
    { check: at("192.0.2.10") },
    "the machine has 198.51.100.20 in its place",
  ],
  ["an address of a system that is not adapted", { adapt: false }, "addresses: a system gets a new one only"],
  [
    "an interface that the source does not have",
    { addresses: [{ ...eth0, interface: "eth7" }] },
    "the source has no interface eth7; it has eth0",
  ],
  [
    "a gateway that would be out of reach",
    { addresses: [{ ...eth0, gateway: undefined }] },
    "eth0 has the default route by 192.0.2.1, which is outside 198.51.100.20/25",
  ],
  ["a gateway outside the prefix", { addresses: [{ ...eth0, gateway: "192.0.2.1" }] }, "say so (on-link)"],
  [
    "an address that is no machine's",
    { addresses: [{ ...eth0, address: "198.51.100.127" }] },
    "broadcast address",
  ],
])("%s is refused, and no cutover is created", async (_, change, why) => {
  await expect(site.create({ ...asked, ...change })).rejects.toThrow(why);
  expect((await site.world.store.cutovers.page({ limit: 10 })).items).toEqual([]);
});
