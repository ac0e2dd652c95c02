/** For kills.ts: applies the points after the first two arguments in turns, until it is killed. */
import { readPoint } from "../../repository/points.ts";
import { DirectoryStore } from "../../store/testing/directory-store.ts";
import { applyPoint } from "../apply.ts";
import { DATA_KEY, PLAN, SOURCE, standbysIn } from "./standby-world.ts";

const [dir = "", store = "", ...points] = process.argv.slice(2);
const repository = { sourceId: SOURCE, store: new DirectoryStore(store), dataKey: DATA_KEY };
const standbys = standbysIn(dir);
const sampling = { fraction: 0.3, maxBytes: 2 ** 30, random: Math.random };
process.send?.("ready");
for (;;) {
  for (const pointId of points) {
    const point = await readPoint(repository, pointId);
    await applyPoint({ standbys, planId: PLAN, repository, point, sampling });
  }
}
