import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { DiskNotFoundError, ServiceUnavailableError } from "#shared/errors.ts";
import { createApiClient } from "#shared/protocol/client.ts";
import { TransientStoreError } from "../store/object-store.ts";
import { asUnavailable } from "./unavailable.ts";

/** Nothing listens on port 1. */
const CLOSED_PORT = "http://127.0.0.1:1";

async function errorOf(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  throw new Error("it succeeded");
}

test("a store, an API and a socket that do not answer are unavailable", async () => {
  const errors = [
    new TransientStoreError("PUT packs/1: 503"),
    await errorOf(() => createApiClient({ url: CLOSED_PORT }).listSources({})),
    await errorOf(() => once(connect(1, "127.0.0.1"), "connect")),
  ];
  for (const error of errors) {
    const reported = asUnavailable(error);
    expect(reported).toBeInstanceOf(ServiceUnavailableError);
    expect(reported).toMatchObject({ cause: error, message: expect.stringMatching(/./) });
  }
});

test("an API that refuses is not unavailable; one that fails is", async () => {
  const answering = (status: number) =>
    errorOf(() =>
      createApiClient({
        url: CLOSED_PORT,
        fetch: async () => new Response(JSON.stringify({ message: "no" }), { status }),
      }).listSources({}),
    );
  expect(asUnavailable(await answering(502))).toBeInstanceOf(ServiceUnavailableError);
  const refused = await answering(403);
  expect(asUnavailable(refused)).toBe(refused);
});

test("an error of this machine stays as it is", () => {
  for (const error of [new DiskNotFoundError("vdz"), new TypeError("x"), "text"]) {
    expect(asUnavailable(error)).toBe(error);
  }
});
