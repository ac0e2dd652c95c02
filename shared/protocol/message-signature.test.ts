import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Command } from "./commands.ts";
import { commandKeyOf, openMessage, timeProblem } from "./message-signature.ts";
import { type SignedMessage, signedBytes } from "./signed-message.ts";
import { TestCommandKey } from "./testing/command-key.ts";

const AGENT = "agt_source";
const NOW = Date.parse("2030-01-01T12:00:00.000Z");
const MINUTE = 60_000;
const controlPlane = new TestCommandKey();
const trust = { agentId: AGENT, key: commandKeyOf(controlPlane.publicKeyPem) };

const command: Command = {
  type: "command",
  commandId: "cnv_1.reboot.original.1",
  kind: "reboot",
  input: { conversionId: "cnv_1", into: "original", bootId: "boot-1" },
  environment: "boot-environment",
  requestedBy: "ada",
  issuedAt: "2030-01-01T11:00:00.000Z",
};
const sent = () => controlPlane.message(command, AGENT, NOW);
const travelled = (message: unknown): unknown => JSON.parse(JSON.stringify(message));

// --- What is signed ----------------------------------------------------------------------------------------------

const signed = fc.record({
  agentId: fc.string(),
  signedAt: fc.string(),
  expiresAt: fc.string(),
  message: fc.jsonValue(),
});

test("the order of members does not change the signed bytes", () => {
  fc.assert(
    fc.property(signed, (message) => {
      expect(signedBytes(backwards(message) as typeof message)).toEqual(signedBytes(message));
    }),
  );
});

test("no two different messages have the same signed bytes, however little they differ", () => {
  fc.assert(
    fc.property(signed, signed, fc.integer(), (message, other, chosen) => {
      const texts = Object.keys(message) as (keyof typeof message)[];
      const name = texts[Math.abs(chosen) % texts.length] ?? "message";
      // One field from another message, and one text moved from a field to its neighbour.
      const mixed = { ...message, [name]: other[name] };
      const shifted = { ...message, agentId: message.agentId + message.signedAt, signedAt: "" };
      for (const changed of [mixed, shifted]) {
        if (!equal(changed, message)) expect(signedBytes(changed)).not.toEqual(signedBytes(message));
      }
    }),
  );
});

function backwards(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(backwards);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).reverse();
  return Object.fromEntries(members.map(([name, member]) => [name, backwards(member)]));
}

/** As JSON values: the order of members and the sign of zero do not count. */
function equal(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, sorted(member)]);
}

// --- What an agent believes --------------------------------------------------------------------------------------

test("the agent that a message was signed for accepts it after a transfer", async () => {
  const opened = openMessage(travelled(await sent()), trust);
  expect(opened).toEqual({
    message: command,
    signedAt: "2030-01-01T12:00:00.000Z",
    expiresAt: "2030-01-01T12:15:00.000Z",
  });
});

test.each<[string, (message: SignedMessage & { message: Command }) => unknown]>([
  ["another agent", (message) => ({ ...message, agentId: "agt_other" })],
  ["a later expiry", (message) => ({ ...message, expiresAt: "2031-01-01T12:00:00.000Z" })],
  ["a later signing", (message) => ({ ...message, signedAt: "2030-01-01T12:10:00.000Z" })],
  ...Object.keys(command).map((name): [string, (message: SignedMessage) => unknown] => [
    `another ${name}`,
    (message) => ({ ...message, message: { ...message.message, [name]: "else" } }),
  ]),
  [
    "another input inside",
    ({ message, ...rest }) => ({
      ...rest,
      message: { ...message, input: { ...(message.input as object), into: "boot-environment" } },
    }),
  ],
  [
    "one member more",
    ({ message, ...rest }) => ({
      ...rest,
      message: { ...message, input: { ...(message.input as object), x: 1 } },
    }),
  ],
  [
    "a number that JSON cannot express",
    ({ message, ...rest }) => ({ ...rest, message: { ...message, input: Infinity } }),
  ],
  [
    "no environment",
    ({ message, ...rest }) => ({ ...rest, message: { ...message, environment: undefined } }),
  ],
  ["no signature of its form", (message) => ({ ...message, signatureBase64: "AAAA" })],
])("a signed message with %s is not believed", async (_, change) => {
  const opened = openMessage(change((await sent()) as SignedMessage & { message: Command }), trust);
  expect(opened).toEqual({
    problem: "its signature does not match the key that this agent knows from its enrolment",
  });
});

test("a message signed with another key is refused", async () => {
  const forged = await new TestCommandKey().message(command, AGENT, NOW);
  expect(openMessage(forged, trust)).toMatchObject({ problem: expect.stringContaining("signature") });
});

test("a message that is not signed is refused, whatever it looks like", async () => {
  const { signatureBase64: _, ...unsigned } = await sent();
  const deep: unknown = JSON.parse("[".repeat(60_000) + "]".repeat(60_000));
  for (const payload of [command, unsigned, { ...unsigned, signatureBase64: "x" }, null, 1, [], deep])
    expect(openMessage(payload, trust)).toEqual({ problem: "it is not signed" });
  expect(openMessage({ ...(await sent()), message: deep }, trust)).toHaveProperty("problem");
});

test("invented bytes are refused, and none makes the reader throw", () => {
  const field = { agentId: fc.constantFrom(AGENT, "agt_other"), signatureBase64: fc.base64String() };
  const time = {
    signedAt: fc.constant("2030-01-01T12:00:00Z"),
    expiresAt: fc.constant("2030-01-01T12:15:00Z"),
  };
  const madeUp = fc.record({ ...field, ...time, message: fc.oneof(fc.constant(command), fc.jsonValue()) });
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), madeUp), (payload) => {
      expect(openMessage(payload, trust)).toEqual({ problem: expect.stringMatching(/not signed|signature/) });
    }),
  );
});

test("a signed message with one changed character anywhere is refused", async () => {
  const genuine = JSON.stringify(await sent());
  fc.assert(
    fc.property(fc.nat(genuine.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
      const payload = parsed(genuine.slice(0, at) + character + genuine.slice(at + 1));
      if (payload === undefined || equal(payload, JSON.parse(genuine))) return;
      expect(openMessage(payload, trust)).toHaveProperty("problem");
    }),
    { numRuns: 500 },
  );
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

test("an agent refuses a message for another agent, although its signature is good", async () => {
  const other = await controlPlane.message(command, "agt_other", NOW);
  expect(openMessage(other, trust)).toEqual({ problem: "it is for the agent agt_other" });
});

test("a message with members that this version does not know is accepted", async () => {
  const newer = await controlPlane.message({ ...command, colour: "blue" } as Command, AGENT, NOW);
  expect(openMessage({ ...newer, form: 7 }, trust)).toMatchObject({ message: command });
});

test("a signed message of a type that this version does not know cannot be read", async () => {
  const newer = await controlPlane.message({ type: "sing" } as never, AGENT, NOW);
  expect(openMessage(newer, trust)).toEqual({ problem: expect.stringContaining("cannot be read") });
});

test("a message is valid for 15 minutes, and already some minutes before on a clock that is behind", async () => {
  const message = await sent();
  expect(timeProblem(message, NOW - 6 * MINUTE)).toContain("for the future");
  expect(timeProblem(message, NOW - 4 * MINUTE)).toBeUndefined();
  expect(timeProblem(message, NOW + 15 * MINUTE - 1)).toBeUndefined();
  expect(timeProblem(message, NOW + 15 * MINUTE)).toBe("it expired at 2030-01-01T12:15:00.000Z");
});

test("a key of another kind is not pinned", () => {
  const others = [generateKeyPairSync("ed25519"), generateKeyPairSync("ec", { namedCurve: "P-384" })];
  for (const { publicKey } of others) {
    const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
    expect(() => commandKeyOf(pem)).toThrow("P-256");
  }
});
