import { expect, test, vi } from "vitest";
import { EnrolmentRefusedError } from "#shared/errors.ts";
import { type ApiClient, ApiUnreachableError } from "#shared/protocol/client.ts";
import { enrol } from "./enrol.ts";

const enrolment = {
  agentId: "agt_1",
  certificatePem: "certificate",
  mqttEndpoint: "mqtt.example.com",
  credentialsEndpoint: "credentials.example.com",
  roleAlias: "alias",
  region: "eu-central-1",
  bucket: "bucket",
  kmsKeyId: "key",
  commandKeyPem: "public key",
  apiUrl: "https://api.example.com",
};

function asking(...answers: unknown[]) {
  const ask = vi.fn(async (_request: { body: { csr: string } }) => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  });
  const onRetry = vi.fn();
  const enrolling = enrol({
    api: { enrol: ask } as unknown as ApiClient,
    url: enrolment.apiUrl,
    token: "token",
    role: "source",
    name: "pine",
    random: () => 0,
    onRetry,
  });
  return { ask, onRetry, enrolling };
}

test("a control plane that is away is asked again with the same key, for which the token stays valid", async () => {
  const away = new ApiUnreachableError("cannot reach it");
  const { ask, onRetry, enrolling } = asking(away, away, enrolment);
  expect(await enrolling).toMatchObject({ role: "source", enrolment });
  expect(new Set(ask.mock.calls.map(([{ body }]) => body.csr)).size).toBe(1);
  expect(onRetry.mock.calls).toEqual([
    [away, 500],
    [away, 1000],
  ]);
});

test("a refusal is not retried", async () => {
  const { ask, enrolling } = asking(new EnrolmentRefusedError(), enrolment);
  await expect(enrolling).rejects.toThrow(EnrolmentRefusedError);
  expect(ask).toHaveBeenCalledTimes(1);
});
