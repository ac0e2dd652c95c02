import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FolderFileDamagedError } from "#shared/errors.ts";
import { setUpAgent } from "./installed-agent.ts";

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
    settings: {},
    firstStart: () => expect.unreachable("must not enrol"),
    onRetry: () => {},
    random: () => 0,
  }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(FolderFileDamagedError);
  expect((refused as FolderFileDamagedError).hint).toContain("enrol again");
});
