import type { Clock } from "../ports.ts";
import type { Store } from "./store.ts";

/** The dependencies of code that reads and changes records. */
export interface StoreDeps {
  store: Store;
  clock: Clock;
}
