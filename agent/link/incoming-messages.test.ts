import { beforeEach, expect, test } from "vitest";
import type { Command, ToAgent } from "#shared/protocol/commands.ts";
import { TestCommandKey } from "#shared/protocol/testing/command-key.ts";
import { CloudClock } from "../cloud/cloud-clock.ts";
import type { Identity } from "../identity/identity.ts";
import { IncomingMessages } from "./incoming-messages.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const AGENT = "agt_source";
const controlPlane = new TestCommandKey();

const reboot: Command = {
  type: "command",
  commandId: "cnv_1.reboot.original.1",
  kind: "reboot",
  input: { conversionId: "cnv_1", into: "original" },
  requestedBy: "ada",
  issuedAt: "2030-01-01T00:00:00.000Z",
};
const cancel: ToAgent = { type: "cancel", commandId: reboot.commandId };

/** An agent on a machine whose clock is off, with a cloud that gives the time. */
class World {
  readonly passedOn: ToAgent[] = [];
  readonly outOfTime: string[] = [];
  readonly logged: string[] = [];
  asked = 0;
  heard = 0;
  trueMs = Date.UTC(2030, 0, 1, 12);
  offMs = 0;
  cloudIsAway = false;
  readonly #clock = new CloudClock(() => this.trueMs + this.offMs);
  readonly #log = (message: string, facts?: Record<string, unknown>) =>
    this.logged.push(`${message}: ${facts?.problem ?? facts?.error}`);
  readonly incoming = new IncomingMessages({
    identity: { enrolment: { agentId: AGENT, commandKeyPem: controlPlane.publicKeyPem } } as Identity,
    cloud: {
      now: this.#clock.now,
      askTime: async () => {
        this.asked++;
        if (this.cloudIsAway) throw new Error("away");
        this.#clock.take(new Date(this.trueMs));
        return true;
      },
    },
    elapsedMs: () => this.trueMs,
    log: { info() {}, warn: this.#log, error: this.#log },
    onMessage: (message) => this.passedOn.push(message),
    onOutOfTime: ({ commandId }, problem) => this.outOfTime.push(`${commandId}: ${problem}`),
    onTime: () => this.heard++,
  });

  /** Signed by the control plane `agoMs` ago. */
  sent(message: ToAgent, agoMs = 0, agentId = AGENT) {
    return controlPlane.message(message, agentId, this.trueMs - agoMs);
  }

  async receive(...payloads: unknown[]): Promise<void> {
    for (const payload of payloads) this.incoming.receive(JSON.parse(JSON.stringify(payload)));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

let world: World;
beforeEach(() => {
  world = new World();
  world.incoming.connected();
});

test("what the control plane signed for this agent is passed on, in order", async () => {
  await world.receive(await world.sent(reboot), await world.sent(cancel));
  expect(world.passedOn).toEqual([reboot, cancel]);
  expect(world.logged).toEqual([]);
});

test("a message that is unsigned, signed by another key, or for another agent is logged and has no effect", async () => {
  const forged = await new TestCommandKey().message(reboot, AGENT, world.trueMs);
  const { signatureBase64: _, ...unsigned } = await world.sent(reboot);
  const others = await world.sent(reboot, 0, "agt_other");
  await world.receive(reboot, unsigned, forged, others, null);
  expect(world.logged).toEqual([
    "message refused: it is not signed",
    "message refused: it is not signed",
    expect.stringContaining("signature does not match"),
    "message refused: it is for the agent agt_other",
    "message refused: it is not signed",
  ]);
  expect([world.passedOn, world.outOfTime]).toEqual([[], []]);
});

test("a recorded command is refused a quarter of an hour later", async () => {
  await world.receive(await world.sent(reboot, 15 * MINUTE), await world.sent(cancel, HOUR));
  expect(world.passedOn).toEqual([]);
  expect(world.logged).toHaveLength(2);
  expect(world.outOfTime).toEqual([`${reboot.commandId}: it expired at 2030-01-01T12:00:00.000Z`]);
});

test.each([
  ["ahead", 9 * HOUR],
  ["behind", -9 * HOUR],
])("on a machine whose clock is hours %s, the cloud's time decides", async (_, offMs) => {
  world.offMs = offMs;
  const recorded = await world.sent(reboot, Math.abs(offMs));
  await world.receive(await world.sent(cancel), recorded);
  expect(world.passedOn).toEqual([cancel]);
  expect(world.outOfTime).toHaveLength(1);
});

test.each([
  ["forward", 9 * HOUR],
  ["back", -9 * HOUR],
])("a clock that is set %s while the agent runs costs no command", async (_, offMs) => {
  await world.receive(await world.sent(reboot));
  world.offMs = offMs;
  world.trueMs += 2 * MINUTE;
  await world.receive(await world.sent(cancel));
  expect(world.passedOn).toEqual([reboot, cancel]);
});

test("a recorded command is refused on a machine whose clock is set back to the time of recording", async () => {
  const recorded = await world.sent(reboot);
  await world.receive(await world.sent(cancel));
  world.trueMs += 2 * HOUR;
  world.offMs = -2 * HOUR;
  await world.receive(recorded);
  expect(world.passedOn).toEqual([cancel]);
  expect(world.outOfTime).toHaveLength(1);
});

test("messages out of time do not make the agent ask for the time again and again", async () => {
  const old = await world.sent(reboot, HOUR);
  await world.receive(...Array(50).fill(old));
  world.trueMs += 2 * MINUTE;
  await world.receive(...Array(50).fill(old));
  // At the connect, and once more two minutes later.
  expect(world.asked).toBe(2);
});

test("if the cloud does not answer, this machine's clock decides, and no old command is forgotten", async () => {
  world = new World();
  world.cloudIsAway = true;
  world.incoming.connected();
  await world.receive(await world.sent(reboot), await world.sent(reboot, HOUR));
  expect(world.passedOn).toEqual([reboot]);
  expect(world.heard).toBe(0);
  expect(world.logged).toContain("could not get the cloud's time: Error: away");
});

test("after it is closed, it passes on no message", async () => {
  world = new World();
  world.incoming.connected();
  const message = await world.sent(reboot);
  world.incoming.receive(message);
  world.incoming.close();
  await world.receive(message);
  expect(world.passedOn).toEqual([]);
});

test("an identity whose key cannot have signed anything is refused at once", () => {
  const identity = { enrolment: { agentId: AGENT, commandKeyPem: "no key" } } as Identity;
  expect(() => new IncomingMessages({ identity } as never)).toThrow();
});
