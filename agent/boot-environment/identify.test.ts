import { expect, test, vi } from "vitest";
import type { MachineDescription } from "#shared/protocol/enrolment-request.ts";
import { identify } from "./identify.ts";
import { ScreenInput } from "./screen-input.ts";

const machine: MachineDescription = { name: "pine", macAddresses: [], disks: [] };
const enrolment = {
  agentId: "agt_1",
  certificatePem: "certificate",
  mqttEndpoint: "localhost:8883",
  credentialsEndpoint: "localhost:8443",
  roleAlias: "alias",
  region: "local-1",
  bucket: "bucket",
  kmsKeyId: "key",
  commandKeyPem: "public key",
  apiUrl: "http://127.0.0.1:8080",
  awsEndpoint: "http://127.0.0.1:8080",
};

const problem = (status: number, name: string) => ({
  ...{ type: "about:blank", title: name, status, detail: name, name, hint: "Do something." },
});
const offer = (code: string) => ({
  ...{ id: `enr_${code}`, code, secret: `secret of ${code}`, pollSeconds: 5 },
  expiresAt: "2030-01-01T00:15:00.000Z",
});

/** A control plane that gives these answers in order; `away` stands for no answer. */
function start(url: string | undefined, ...answers: (object | "away")[]) {
  const screen: string[] = [];
  const asked: string[] = [];
  const typed = new ScreenInput((line) => screen.push(`not an address: ${line}`));
  const answering = async (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
    asked.push(`${String(input)} ${String(init?.body).replace(/-----BEGIN.*?-----END[^"]*/s, "CSR")}`);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === "away" || answer === undefined) throw new TypeError("fetch failed");
    return Response.json(answer, { status: "status" in answer ? Number(answer.status) : 200 });
  };
  const identity = identify({
    ...{ url, machine, typed, fetch: answering, pollMs: 1 },
    say: (line) => screen.push(line),
    now: () => new Date("2030-01-01T00:00:00Z"),
  });
  return { screen, asked, typed, identity };
}

const claimed = { state: "claimed", enrolment };
const pending = { state: "pending", pollSeconds: 5 };

test("the screen shows the code and what to type, and the approved machine reaches everything where it knows the control plane", async () => {
  const { screen, asked, identity } = start(
    "http://10.0.2.2:8080",
    offer("BCDF-GHJK"),
    pending,
    pending,
    claimed,
  );
  expect(await identity).toMatchObject({
    role: "source",
    keyPem: expect.stringContaining("PRIVATE KEY"),
    enrolment: { agentId: "agt_1", apiUrl: "http://10.0.2.2:8080", mqttEndpoint: "10.0.2.2:8883" },
  });
  expect(screen).toContain("        BCDF-GHJK");
  expect(screen).toContain("        causeway approve BCDF-GHJK");
  expect(screen.join(" ")).toContain("Nothing protects this connection");
  expect(asked.slice(1).every((one) => one.includes("enr_BCDF-GHJK/claim"))).toBe(true);
  expect(asked.at(-1)).toContain("secret of BCDF-GHJK");
});

test("a code that has expired is followed by another one", async () => {
  const expired = problem(409, "WrongStateError");
  const { screen, identity } = start(
    "https://api.example.com",
    offer("BCDF-GHJK"),
    expired,
    offer("LMNP-QRST"),
    claimed,
  );
  await identity;
  expect(screen.filter((line) => line.includes("approve"))).toEqual([
    "        causeway approve BCDF-GHJK",
    "        causeway approve LMNP-QRST",
  ]);
});

test("a control plane that is away or busy is asked again, and the screen says so once", async () => {
  const busy = problem(429, "TooManyEnrolmentRequestsError");
  const { screen, identity } = start(
    "https://api.example.com",
    "away",
    "away",
    busy,
    offer("BCDF-GHJK"),
    "away",
    claimed,
  );
  await identity;
  expect(screen.filter((line) => line.includes("cannot reach"))).toHaveLength(2);
  expect(screen.filter((line) => line.includes("TooMany"))).toHaveLength(1);
});

test("without an address the screen asks for one, and a wrong one can be replaced by typing another", async () => {
  const { screen, asked, typed, identity } = start(undefined, "away", offer("BCDF-GHJK"), claimed);
  await vi.waitFor(() => expect(screen.at(-1)).toContain("Type the address"));
  typed.take("what is this");
  expect(screen.at(-1)).toBe("not an address: what is this");
  typed.take("wrong.example.com");
  await vi.waitFor(() => expect(asked).not.toEqual([]));
  expect(asked[0]).toContain("https://wrong.example.com/enrolment-requests");
  await identity;
});

test("another address ends the wait for an approval under the first one", async () => {
  const { screen, asked, typed, identity } = start("https://one.example.com", offer("BCDF-GHJK"), pending);
  await vi.waitFor(() => expect(asked.length).toBeGreaterThan(2));
  typed.take("https://two.example.com");
  await vi.waitFor(() => expect(asked.at(-1)).toContain("https://two.example.com"));
  expect(screen).toContain("Control plane: https://two.example.com");
  const after = asked.findIndex((one) => one.includes("two.example.com"));
  expect(asked.slice(after + 1).filter((one) => one.includes("one.example.com"))).toEqual([]);
  // The first one would never end: its answer is not a code.
  identity.catch(() => undefined);
});

test("a control plane that refuses what the machine sends is named, and another one can be typed", async () => {
  const refused = problem(404, "NotFoundError");
  const { screen, typed, identity } = start("https://old.example.com", refused, offer("BCDF-GHJK"), claimed);
  await vi.waitFor(() => expect(screen.at(-1)).toContain("Type the address"));
  expect(screen.join("\n")).toContain("NotFoundError. Do something.");
  typed.take("https://new.example.com");
  expect((await identity).enrolment.agentId).toBe("agt_1");
});

test("the word restart works before and after an approval", async () => {
  const { typed } = start("https://api.example.com", "away");
  typed.take(" Restart ");
  await typed.restart;
});
