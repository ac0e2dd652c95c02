/** Any damage to the job that the boot environment is handed: it is read, or refused with a typed error. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { JobUnreadableError } from "#shared/errors.ts";
import { mutated } from "#shared/protocol/testing/mutations.ts";
import { Job, readJob } from "./job.ts";

const SECRET = "-----BEGIN PRIVATE KEY-----";
const job: Job = {
  conversionId: "cnv_1",
  requestedBy: "ada",
  identity: {
    role: "source",
    keyPem: SECRET,
    enrolment: {
      ...{ agentId: "agt_1", mqttEndpoint: "mqtt.example.com", credentialsEndpoint: "c.example.com" },
      ...{ roleAlias: "source", region: "eu-central-1", bucket: "bucket", kmsKeyId: "key" },
      ...{ commandKeyPem: "public key", apiUrl: "https://api.example.com", certificatePem: "certificate" },
    },
  },
  saved: {
    ...{ format: 2, loader: "grub", jobId: "cnv-1", savedAt: "2030-01-01T00:00:00.000Z" },
    volumes: [{ uuid: "1234-ABCD", type: "vfat", mountPoint: "/boot/efi", root: "/" }],
    items: [{ kind: "watched-file", location: { volume: "1234-ABCD", path: "/EFI/debian/grub.cfg" } }],
  },
  disks: [{ name: "sda", sizeBytes: 2 ** 30 }] as Job["disks"],
  deadlineSeconds: 600,
  agentVersion: "1.0.0",
};

test("the job that was written is read", () => {
  expect(readJob(JSON.stringify(job))).toMatchObject({ conversionId: "cnv_1", deadlineSeconds: 600 });
});

test("any file is read as a job or refused, and no error shows the agent's key", () => {
  const text = JSON.stringify(job);
  const cut = fc.nat(text.length - 1).map((end) => text.slice(0, end));
  const document = mutated(job).map((value) => JSON.stringify(value) ?? "");
  fc.assert(
    fc.property(fc.oneof(document, cut, fc.json(), fc.string()), (json) => {
      try {
        expect(Job.safeParse(readJob(json)).success).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(JobUnreadableError);
        const { message, hint } = error as JobUnreadableError;
        expect(`${message} ${hint}`).not.toContain(SECRET);
        expect(hint).toContain("Restart the machine");
      }
    }),
    { numRuns: 300 },
  );
});
