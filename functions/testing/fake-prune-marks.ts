import type { PruneMarks } from "../ports.ts";
import type { Outage } from "./outage.ts";

/** Keeps each mark once, as S3 does. */
export class FakePruneMarks implements PruneMarks {
  readonly marked: string[] = [];
  readonly #outage: Outage;

  constructor(outage: Outage) {
    this.#outage = outage;
  }

  async mark(sourceId: string, pointId: string): Promise<void> {
    this.#outage.check("mark");
    const key = `${sourceId} ${pointId}`;
    if (!this.marked.includes(key)) this.marked.push(key);
  }
}
