import { outcomesAbove } from "#shared/domain/proof.ts";
import { NotFoundError } from "#shared/errors.ts";
import { Timestamp } from "#shared/protocol/common.ts";
import type { BootTest } from "#shared/protocol/drill.ts";
import type { PointProof } from "#shared/protocol/proof.ts";
import type { PointCheck } from "#shared/protocol/repository-check.ts";
import { RecoveryPoint } from "#shared/protocol/resources.ts";
import type { Table, TablePage } from "./table.ts";

const keyOf = (id: string) => ({ pk: `POINT#${id}`, sk: "POINT" });
const PrunedPoint = RecoveryPoint.extend({ markedAt: Timestamp.optional() });
const ofSource = (sourceId: string) => `SOURCE#${sourceId}`;

/** Recovery points, written once. Only their pruning, the newest drill and check, and a proof are added. */
export class RecoveryPointStore {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Resolves with whether it is new. */
  add(point: RecoveryPoint): Promise<boolean> {
    return this.#table.putNew({
      ...keyOf(point.id),
      gsi1pk: ofSource(point.sourceId),
      gsi1sk: point.id,
      ...point,
    });
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<RecoveryPoint> {
    const item = await this.#table.get(keyOf(id));
    if (!item) throw new NotFoundError("recovery point", id);
    return RecoveryPoint.parse(item);
  }

  /** All of a source, with `markedAt` if the repository has its mark for pruning. Eventually consistent. */
  async ofSource(sourceId: string): Promise<(RecoveryPoint & { markedAt?: string | undefined })[]> {
    const items = await this.#table.allInIndex(ofSource(sourceId));
    return items.map((item) => PrunedPoint.parse(item));
  }

  /** Notes the decision to prune it. The first time stays. */
  async prune(id: string, at: string): Promise<void> {
    await this.#table.setOnce(keyOf(id), "prunedAt", at);
  }

  /** Notes that the repository has its mark. Resolves with whether that was new. */
  noteMark(id: string, at: string): Promise<boolean> {
    return this.#table.setOnce(keyOf(id), "markedAt", at);
  }

  /** Notes what a drill found. The result of a newer drill stays. */
  noteBootTest(id: string, test: BootTest): Promise<void> {
    return this.#table.setLatest(keyOf(id), "bootTested", test);
  }

  /**
   * Notes what a check found. The result of a newer check stays, and so does damage, until all of the point
   * was read: a sample can miss it.
   */
  noteCheck(id: string, check: PointCheck): Promise<void> {
    const values = check.method === "sample" && check.verdict === "sound" ? (["damaged"] as const) : [];
    return this.#table.setLatest(keyOf(id), "checked", check, { field: "verdict", values });
  }

  /** Notes what a proof found. What says more stays, and otherwise the newer one. */
  noteProof(id: string, proof: PointProof): Promise<void> {
    const values = outcomesAbove(proof.outcome);
    return this.#table.setLatest(keyOf(id), "proved", proof, { field: "outcome", values });
  }

  /** Newest first. */
  async page(
    sourceId: string,
    query: { limit: number; cursor?: string | undefined },
  ): Promise<TablePage<RecoveryPoint>> {
    const page = await this.#table.page({ partition: ofSource(sourceId), index: true, ...query });
    return { ...page, items: page.items.map((item) => RecoveryPoint.parse(item)) };
  }
}
