/** Recovery points of a mounted disk while the object store is slow, does not answer, or refuses. */
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { tool } from "../../filesystems/testing/test-image.ts";
import { StoreRefusedError, TransientStoreError } from "../../store/object-store.ts";
import { whyUntestable } from "../../tracking/testing/tracked-disk.ts";
import { LiveMachine, type StoreRequest, underLoad } from "../testing/live-machine.ts";

const reason = whyUntestable();
const SLOW_MS = 100;

type Around = LiveMachine["store"]["around"];
const asUsual: Around = (_, work) => work();

function change({ mountPoint }: LiveMachine["disk"], file: string): void {
  tool("sh", "-c", `head -c 300000 /dev/urandom > ${mountPoint}/${file}; sync -f ${mountPoint}`);
}

/** From the given request on, `fails` runs them. */
function from(failing: number, fails: Around): Around {
  let requests = 0;
  return (request, work) => (++requests < failing ? work() : fails(request, work));
}

describe.skipIf(reason !== undefined)(`a disk in use ${reason ? `(${reason})` : ""}`, () => {
  test("is frozen only while no request to a slow store is under way", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 8 });
    const requests: (StoreRequest & { began: number; ended: number })[] = [];
    machine.store.around = async (request, work) => {
      const began = Date.now();
      await wait(SLOW_MS);
      const result = await work();
      requests.push({ ...request, began, ended: Date.now() });
      return result;
    };
    await underLoad(machine, 21, async () => {
      for (const pointId of ["rp_1", "rp_2"]) {
        const { disks, frozen } = await machine.take(pointId);
        expect(disks).toMatchObject([{ consistency: "file-system", trackerDisagreements: 0 }]);
        const [thawed, froze] = [Date.parse(frozen?.until ?? ""), Date.parse(frozen?.from ?? "")];
        expect(froze).toBeLessThan(thawed);
        expect(requests.filter(({ began, ended }) => began < thawed && ended > froze)).toEqual([]);
        expect(requests.some(({ began }) => began > thawed)).toBe(true);
        expect(await machine.differing(await machine.restored(pointId))).toEqual([]);
      }
    });
  });

  test.each<[string, string, Around]>([
    [
      "refuses",
      "StoreRefusedError",
      () => Promise.reject(new StoreRefusedError("AccessDenied", "Access Denied")),
    ],
    [
      "loses its answers",
      "TransientStoreError",
      async (_, work) => {
        await work();
        throw new TransientStoreError("the answer broke off");
      },
    ],
  ])(
    "loses no change, and shows no half of a point, whichever request is the first that the store %s",
    async (_, name, fails) => {
      await using machine = await LiveMachine.start({ sizeMiB: 8 });
      await machine.take("rp_10");
      let failing = 1;
      for (; ; failing++) {
        const [cut, next] = [`rp_${failing + 10}a`, `rp_${failing + 10}b`];
        const before = await machine.points();
        change(machine.disk, "seen-by-the-first");
        machine.store.around = from(failing, fails);
        const failure = await machine.take(cut).then(
          () => undefined,
          (error: Error) => error.name,
        );
        machine.store.around = asUsual;
        if (failure === undefined) break;
        expect(failure).toBe(name);
        const isVisible = (await machine.points()).includes(cut);
        expect(await machine.points()).toEqual([...before, ...(isVisible ? [cut] : [])].sort());
        // Of its own freeze.
        if (isVisible) expect((await machine.restored(cut)).equals(await machine.frozen()), cut).toBe(true);
        change(machine.disk, "seen-by-the-next");
        // The workflow repeats a command, and a plan's next run has another point.
        const taken = await machine.take(!isVisible && failing % 2 === 0 ? cut : next);
        expect(taken.disks[0]?.modeReason, `request ${failing}`).toBeUndefined();
        expect(taken.disks, `request ${failing}`).toMatchObject([
          { mode: "tracked", consistency: "file-system", trackerDisagreements: 0 },
        ]);
        const restored = await machine.restored(taken.pointId);
        expect(restored.equals(await machine.frozen()), `request ${failing}`).toBe(true);
      }
      // The list of points, the newest of them, a pack of data, one of the map, and the point.
      expect(failing).toBeGreaterThan(4);
    },
  );
});
