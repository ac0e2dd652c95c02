import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { FolderFileDamagedError, OfAnotherMachineError } from "#shared/errors.ts";
import { type SetupOptions, setUpAgent } from "./installed-agent.ts";
import { markerString } from "./machine/machine-marker.ts";
import { RecordedMachine } from "./machine/testing/recorded-machine.ts";

const enrolment = {
  agentId: "agt_1",
  certificatePem: "certificate",
  mqttEndpoint: "mqtt.example.com",
  credentialsEndpoint: "credentials.example.com",
  roleAlias: "alias",
  region: "eu-central-1",
  bucket: "bucket",
  kmsKeyId: "key",
  apiUrl: "https://api.example.com",
};

/** A machine without a marker. */
const MACHINE = new RecordedMachine();

/** A machine that a target host made for this owner. */
function madeFor(ownerId: string): RecordedMachine {
  const table = Buffer.concat([Buffer.from([11, 5, 0, 1, 1]), Buffer.from(`${markerString(ownerId)}\0\0`)]);
  return new RecordedMachine({ binaryFiles: { "/sys/firmware/dmi/tables/DMI": table.toString("hex") } });
}

test.each([
  ["has no command key", JSON.stringify({ role: "source", keyPem: "key", enrolment })],
  [
    "has something else in place of the command key",
    JSON.stringify({ role: "source", keyPem: "key", enrolment: { ...enrolment, commandKeyPem: "no key" } }),
  ],
  ["is not JSON", '{"role":'],
])("an identity that %s is refused with what to do, and no token is used", async (_, text) => {
  const dataDir = await mkdtemp(join(tmpdir(), "causeway-identity-"));
  await writeFile(join(dataDir, "identity.json"), text);
  const refused = await setUpAgent({
    dataDir,
    machine: MACHINE,
    settings: {},
    firstStart: () => expect.unreachable("must not enrol"),
    onRetry: () => {},
    random: () => 0,
  }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(FolderFileDamagedError);
  expect((refused as FolderFileDamagedError).hint).toContain("enrol again");
});

/** A control plane that enrols every agent, and counts how many. */
async function enrollingControlPlane() {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const commandKeyPem = publicKey.export({ type: "spki", format: "pem" }).toString();
  const enrolled: string[] = [];
  const server = createServer(async (request, response) => {
    enrolled.push(JSON.parse(await text(request)).role);
    const agentId = `agt_${enrolled.length}`;
    response.writeHead(201, { "content-type": "application/json" });
    response.end(JSON.stringify({ ...enrolment, commandKeyPem, agentId }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    enrolled,
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const start = (
  dataDir: string,
  url: string,
  machine: RecordedMachine,
  role: "source" | "target" = "source",
) =>
  setUpAgent({
    ...{ dataDir, machine, settings: {}, random: () => 0, onRetry: () => {} },
    firstStart: () => ({ url, token: "token", role }),
  } satisfies SetupOptions);

const newFolder = () => mkdtemp(join(tmpdir(), "causeway-identity-"));

test.each([
  [
    "a source on its own hardware",
    "source",
    MACHINE,
    madeFor("rcv_1"),
    "the machine that Causeway made for rcv_1",
  ],
  [
    "a target host on its own hardware",
    "target",
    MACHINE,
    madeFor("drl_1"),
    "the machine that Causeway made for drl_1",
  ],
  [
    "a machine that Causeway made",
    "source",
    madeFor("rcv_1"),
    madeFor("rcv_2"),
    "the machine that Causeway made for rcv_2",
  ],
  ["a machine that Causeway made", "source", madeFor("rcv_1"), MACHINE, "a machine without a marker"],
] as const)(
  "the identity of %s (%s) does not start in its copy, which changes nothing and contacts no one",
  async (_, role, original, copy, found) => {
    await using controlPlane = await enrollingControlPlane();
    const dataDir = await newFolder();
    await start(dataDir, controlPlane.url, original, role);
    const before = await readdir(dataDir);
    const refused = await start(dataDir, controlPlane.url, copy, role).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(OfAnotherMachineError);
    expect((refused as OfAnotherMachineError).message).toContain(`this is ${found}`);
    expect((refused as OfAnotherMachineError).hint).toContain("a new --data folder");
    expect(await readdir(dataDir)).toEqual(before);
    expect(controlPlane.enrolled).toEqual([role]);
    expect((await start(dataDir, controlPlane.url, original, role)).enrolled).toBe(false);
  },
);

test("a machine that Causeway made enrols as a source of its own in a new folder, and starts again there", async () => {
  await using controlPlane = await enrollingControlPlane();
  const [copied, own] = [await newFolder(), await newFolder()];
  await start(copied, controlPlane.url, MACHINE);
  const machine = madeFor("rcv_1");
  await expect(start(copied, controlPlane.url, machine)).rejects.toBeInstanceOf(OfAnotherMachineError);
  const first = await start(own, controlPlane.url, machine);
  expect(first).toMatchObject({ enrolled: true, identity: { enrolment: { agentId: "agt_2" } } });
  expect(await start(own, controlPlane.url, machine)).toEqual({
    ...first,
    enrolled: false,
    imageTrust: expect.anything(),
  });
});
