import { expect, test, vi } from "vitest";
import { allowOnlyToOriginal } from "./restart-rules.ts";
import { Restarter, type RestarterOptions } from "./restarter.ts";

const context = { commandId: "c1", signal: new AbortController().signal, progress: () => {} };

function world(restartAfterMs: number, refusal: RestarterOptions["refusal"] = async () => undefined) {
  let restarts = 0;
  const restarter = new Restarter({
    bootId: "boot-1",
    refusal,
    restart: async () => {
      restarts++;
    },
    restartAfterMs,
    onError: (error) => {
      throw error;
    },
  });
  return { restarter, restarts: () => restarts };
}

test("the machine restarts once its answer is acknowledged, and not before", async () => {
  const { restarter, restarts } = world(60_000);
  await restarter.executor({ conversionId: "cnv_1", into: "boot-environment", bootId: "boot-1" }, context);
  restarter.acknowledged("another");
  expect(restarts()).toBe(0);
  restarter.acknowledged("c1");
  restarter.acknowledged("c1");
  expect(restarts()).toBe(1);
});

test("a missing acknowledgement does not keep the machine from restarting", async () => {
  const { restarter, restarts } = world(1);
  await restarter.executor({ conversionId: "cnv_1", into: "original" }, context);
  await vi.waitFor(() => expect(restarts()).toBe(1));
});

test("a cancelled restart does not happen, neither by itself nor after a late acknowledgement", async () => {
  vi.useFakeTimers();
  try {
    const { restarter, restarts } = world(1000);
    await restarter.executor({ conversionId: "cnv_1", into: "boot-environment" }, context);
    restarter.cancelled("another");
    restarter.cancelled("c1");
    restarter.acknowledged("c1");
    await vi.advanceTimersByTimeAsync(2000);
    expect(restarts()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("a restart that is cancelled while the agent judges it does not happen", async () => {
  const abort = new AbortController();
  const { restarter, restarts } = world(1, async () => {
    restarter.cancelled("c1");
    abort.abort();
    return undefined;
  });
  const wanted = { conversionId: "cnv_1", into: "boot-environment" } as const;
  await expect(restarter.executor(wanted, { ...context, signal: abort.signal })).rejects.toThrow();
  restarter.acknowledged("c1");
  expect(restarts()).toBe(0);
});

test("a command from an earlier boot does nothing: the restart has already happened", async () => {
  const { restarter, restarts } = world(1);
  await restarter.executor({ conversionId: "cnv_1", into: "original", bootId: "boot-0" }, context);
  restarter.acknowledged("c1");
  expect(restarts()).toBe(0);
});

test("a restart that is refused does not happen", async () => {
  const { restarter, restarts } = world(1, async ({ conversionId }) => `${conversionId} has not armed it`);
  await expect(
    restarter.executor({ conversionId: "cnv_1", into: "boot-environment" }, context),
  ).rejects.toMatchObject({ name: "RestartRefusedError", message: expect.stringContaining("cnv_1 has not") });
  restarter.acknowledged("c1");
  expect(restarts()).toBe(0);
});

test("the boot environment restarts only into the original system, for any conversion", async () => {
  expect(await allowOnlyToOriginal({ conversionId: "cnv_2", into: "original" })).toBeUndefined();
  expect(await allowOnlyToOriginal({ conversionId: "cnv_2", into: "boot-environment" })).toBe(
    "it runs the boot environment",
  );
});
