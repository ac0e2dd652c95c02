import { afterAll, beforeAll, expect, test } from "vitest";
import { isCertificateRefused } from "#agent/link/credentials.ts";
import { Link } from "#agent/link/link.ts";
import { CertificateRevokedError } from "#shared/errors.ts";
import { jsonLog } from "#shared/log.ts";
import { ControlPlane } from "../testing/control-plane.ts";

let plane: ControlPlane;

beforeAll(async () => {
  plane = await ControlPlane.start();
});
afterAll(() => plane?.close());

test("an agent whose certificate was revoked stops connecting, and says why", async () => {
  const identity = await plane.enrol("source", "epsilon");
  const log = jsonLog({ write: () => {}, now: Date.now });
  const { promise: connected, resolve } = Promise.withResolvers<void>();
  const link = new Link({
    identity,
    log,
    random: () => 0,
    onConnected: resolve,
    onMessage: () => {},
    isRevoked: () => isCertificateRefused(identity),
  });
  const ended = link.run();
  await connected;
  await Promise.all([
    expect(ended).rejects.toThrow(CertificateRevokedError),
    plane.api.revokeAgent({ parameters: { id: identity.enrolment.agentId } }),
  ]);
});
