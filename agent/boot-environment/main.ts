/** The agent as the boot environment starts it. Its output appears on the machine's screen. */

/**
 * What it is started for. Each has modules of its own, since under emulation all of them together take many
 * seconds to load.
 */
const GUEST_TASKS: Record<string, () => Promise<void>> = {
  adapt: async () => (await import("../adapt/guest/adapt-guest.ts")).adaptAsGuest(),
  browse: async () => (await import("../browse/guest/browse-guest.ts")).browseAsGuest(),
  prove: async () => (await import("../proof/guest/prove-guest.ts")).proveAsGuest(),
};

const guestTask = GUEST_TASKS[process.argv[2] ?? ""];
if (guestTask) {
  await guestTask();
  process.exit(0);
}
const { convertThisMachine } = await import("./convert-this-machine.ts");
process.exit(await convertThisMachine());
