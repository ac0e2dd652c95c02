/** The asker, with a real bridge, and a network namespace in place of the machine. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { SingleCheck } from "#shared/protocol/answer-check.ts";
import { keptMachine } from "../hypervisor/testing/kept-machine.ts";
import { Asker, askerProblem } from "./asker.ts";
import { firstAnswer } from "./first-answer.ts";
import { attachHttpNeighbour } from "./testing/http-neighbour.ts";
import { loopbackReach } from "./testing/loopback-reach.ts";
import { PlainKeeper } from "./testing/plain-keeper.ts";

const BRIDGE = `cwt${process.pid % 100_000}`;
const NETWORKS = [
  { gateway: "198.51.100.1", prefixLength: 24, addresses: ["198.51.100.7", "198.51.100.9"] },
  { gateway: "2001:db8:7::1", prefixLength: 64, addresses: ["2001:db8:7::7"] },
];
const LIMITS = { connectLimitMs: 2000, requestLimitMs: 2000 };
const run = (...words: string[]) => execFileSync(words[0] ?? "", words.slice(1), { encoding: "utf8" });
const ourEnds = () => run("ip", "-o", "link", "show", "master", BRIDGE).match(/cw\d+/g) ?? [];
/** The kernel takes its time for that. */
const nothingIsLeft = () => expect.poll(ourEnds, { timeout: 20_000 }).toEqual([]);
const http = (url: string): SingleCheck => ({ kind: "http", url, certificate: "verified" });
const tcp = (host: string, port: number): SingleCheck => ({ kind: "tcp", host, port });
const canMakeNetworks =
  process.getuid?.() === 0 &&
  spawnSync("unshare", ["--net", "ip", "link", "add", "bridge0", "type", "bridge"]).status === 0;

test.each([
  [undefined, "unshare is not installed"],
  [{ status: 127, output: "" }, "ip is not installed"],
  [{ status: 1, output: "" }, "it needs root"],
  [{ status: undefined, output: "" }, "it needs root"],
])("a host on which unshare ends as %j says what it lacks", async (ended, problem) => {
  expect(await askerProblem({ run: async () => ended })).toContain(problem);
});

describe.runIf(canMakeNetworks)("an isolated machine", () => {
  let machine: Awaited<ReturnType<typeof attachHttpNeighbour>>;
  beforeAll(async () => {
    run("ip", "link", "add", BRIDGE, "type", "bridge");
    run("ip", "link", "set", BRIDGE, "up");
    machine = await attachHttpNeighbour(BRIDGE);
  });
  afterAll(() => {
    machine[Symbol.dispose]();
    spawnSync("ip", ["link", "delete", BRIDGE]);
  });

  const { signal } = new AbortController();
  const start = () => Asker.start(BRIDGE, NETWORKS, signal);

  test("is asked by who has its gateway's addresses, and nothing is left of the way to it", async () => {
    expect(await askerProblem()).toBeUndefined();
    {
      await using asker = await start();
      const ask = (check: SingleCheck, address = "198.51.100.7") =>
        asker.refusal(check, address, LIMITS, signal);
      expect(await ask(http("http://198.51.100.7/from/::ffff:198.51.100.1"))).toBeUndefined();
      expect(await ask(http("http://[2001:db8:7::7]/from/2001:db8:7::1"), "2001:db8:7::7")).toBeUndefined();
      expect(await ask(http("http://pine.example/200"))).toBeUndefined();
      expect(await ask(http("http://198.51.100.7/503"))).toBe("status 503");
      expect(await ask(http("http://198.51.100.7/302"))).toContain("redirects are not followed");
      expect(await ask(tcp("198.51.100.7", 80))).toBeUndefined();
      expect(await ask(tcp("pine.example", 81))).toBe("ECONNREFUSED");
      expect(await ask(tcp("198.51.100.9", 80), "198.51.100.9")).toMatch(/no answer|EHOSTUNREACH/);
      // Only the address that was named is ever asked.
      expect(await ask(tcp("198.51.100.7", 80), "198.51.100.9")).toContain("is not asked here");
    }
    await nothingIsLeft();
  });

  test("cannot harm what asks it, whatever it answers, and can be asked again", async () => {
    await using asker = await start();
    const ask = (path: string) =>
      asker.refusal(http(`http://198.51.100.7${path}`), "198.51.100.7", LIMITS, signal);
    expect(await ask("/garbage")).toBe("no HTTP: HPE_INVALID_CONSTANT");
    expect(await ask("/flood")).toBe("no HTTP: HPE_HEADER_OVERFLOW");
    expect(await ask("/never")).toBe("no answer in time");
    expect(await ask("/200")).toBeUndefined();
  });

  test("does not reach this host through what asks it", async () => {
    const server = createServer((socket) => socket.destroy());
    await once(server.listen(0, "0.0.0.0"), "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const [own] = Object.values(networkInterfaces()).flatMap(
      (all) => all?.filter((one) => !one.internal) ?? [],
    );
    const within = (...words: string[]) =>
      spawnSync("nsenter", [`--net=/proc/${machine.pid}/ns/net`, "timeout", "3", ...words]).status;
    const reaches = (host: string | undefined) =>
      within("bash", "-c", `echo >/dev/tcp/${host}/${port}`) === 0;
    await using _ = await start();
    expect(within("ip", "route", "replace", "default", "via", "198.51.100.1")).toBe(0);
    expect([reaches("198.51.100.1"), reaches(own?.address)]).toEqual([false, false]);
  });

  test("has no way to it left once what asks it was killed, and the failure says so", async () => {
    await using asker = await start();
    const asked = asker.refusal(http("http://198.51.100.7/never"), "198.51.100.7", LIMITS, signal);
    process.kill(Number(ourEnds()[0]?.slice(2)), "SIGKILL");
    await expect(asked).rejects.toMatchObject({ name: "HypervisorFailedError" });
    await nothingIsLeft();
    const again = asker.refusal(http("http://198.51.100.7/200"), "198.51.100.7", LIMITS, signal);
    await expect(again).rejects.toMatchObject({ name: "HypervisorFailedError" });
  });

  test("has no way to it left once the agent that asks it was killed in the middle", async () => {
    const agent = spawn(process.execPath, ["--input-type=module", "-e", AGENT], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(agent.stdout, "data");
    await expect.poll(ourEnds).toHaveLength(1);
    agent.kill("SIGKILL");
    await nothingIsLeft();
  });

  test("cannot be asked at a bridge that has disappeared, and the failure has the tool's words", async () => {
    await expect(Asker.start("cwnone", NETWORKS, signal)).rejects.toMatchObject({
      name: "HypervisorFailedError",
      message: expect.stringContaining("cwnone"),
    });
  });

  /** Asks a machine that is isolated until it has answered, or has not once. */
  async function answerOf(url: string, { leavesOut = false, leadsTo = ["198.51.100.7"] } = {}) {
    const keeper = new PlainKeeper();
    keeper.bridge = BRIDGE;
    const given = new AbortController();
    const seen = { answers: [] as string[], leftOut: [] as object[], notes: [] as string[] };
    const found = leadsTo.map((address) => ({ address, family: isIP(address) }));
    const reach = loopbackReach({ ...LIMITS, lookup: (_, __, done) => done(null, found) });
    const subject = {
      keeper: keeper.asKeeper(),
      machine: keptMachine({ isolatedNetworks: NETWORKS }),
      reach,
    };
    await firstAnswer(subject, http(url), {
      signal: given.signal,
      note: (text) => {
        seen.notes.push(text);
        given.abort();
      },
      onAnswer: (text) => seen.answers.push(text),
      onLeftOut: leavesOut ? (one) => seen.leftOut.push(one) : undefined,
    }).catch((error) => expect(error).toMatchObject({ name: "AbortError" }));
    return seen;
  }

  test("is asked at its own address by a name that leads there on this host", async () => {
    expect(await answerOf("http://pine.example/200")).toMatchObject({
      answers: ["http://pine.example/200 answers in the isolated network"],
    });
    expect(await answerOf("http://pine.example/503")).toMatchObject({
      ...{ answers: [], notes: ["http://pine.example/503: status 503"] },
    });
    await nothingIsLeft();
  });

  // https://github.com/raintank/raintank-probe/issues/42
  test("is asked at its own address by a name that leads elsewhere, too, in whichever order", async () => {
    for (const leadsTo of [
      ["2001:db8:9::1", "198.51.100.7"],
      ["198.51.100.7", "203.0.113.9"],
    ])
      expect(await answerOf("http://pine.example/200", { leadsTo })).toMatchObject({
        leftOut: [],
        notes: [],
      });
  });

  test("is not asked by a name that leads elsewhere, which is said, and has not answered unless it may be left out", async () => {
    const url = "http://shop.example/200";
    const why = "shop.example leads to 203.0.113.9, which is no address of the isolated machine";
    const leadsTo = ["203.0.113.9"];
    expect(await answerOf(url, { leadsTo })).toMatchObject({ answers: [], notes: [`${url}: ${why}`] });
    expect(await answerOf(url, { leadsTo, leavesOut: true })).toEqual({
      ...{ notes: [], leftOut: [{ check: url, why }] },
      answers: [`${url} was not asked in the isolated network: ${why}`],
    });
  });
});

const AGENT = `
  const { Asker } = await import(${JSON.stringify(new URL("./asker.ts", import.meta.url).href)});
  const { signal } = new AbortController();
  const asker = await Asker.start(${JSON.stringify(BRIDGE)}, ${JSON.stringify(NETWORKS)}, signal);
  console.log("asking");
  const check = { kind: "http", url: "http://198.51.100.7/never", certificate: "verified" };
  await asker.refusal(check, "198.51.100.7", { connectLimitMs: 60000, requestLimitMs: 60000 }, signal);
`;
