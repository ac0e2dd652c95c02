import { EnrolmentRequestRecord } from "#shared/domain/enrolment-request.ts";
import { Aggregates } from "./aggregates.ts";
import type { Table, TablePage } from "./table.ts";

const keyOf = (id: string) => ({ pk: `ENROLMENTREQUEST#${id}`, sk: "ENROLMENTREQUEST" });
const codeKey = (codeHash: string) => ({ pk: `ENROLMENTCODE#${codeHash}`, sk: "ENROLMENTCODE" });
const PENDING = "ENROLMENTREQUESTS";

/** An expired request is kept this long, so that a late use of its code differs from a guess. */
const KEEP_SECONDS = 7 * 86_400;

/** Requests of machines that were started by hand, by id and by the hash of their code. */
export class EnrolmentRequestStore {
  readonly #table: Table;
  readonly #requests: Aggregates<EnrolmentRequestRecord>;

  constructor(table: Table) {
    this.#table = table;
    this.#requests = new Aggregates(table, {
      what: "enrolment request",
      schema: EnrolmentRequestRecord,
      keys: (request) => ({
        ...keyOf(request.id),
        ...(request.approval ? {} : { gsi1pk: PENDING, gsi1sk: request.id }),
        expiresAt: expiryOf(request),
      }),
    });
  }

  /** Adds it unless its code is taken. Resolves with whether it was added. */
  async add(request: EnrolmentRequestRecord): Promise<boolean> {
    const code = { ...codeKey(request.codeHash), requestId: request.id, expiresAt: expiryOf(request) };
    if (!(await this.#table.putNew(code))) return false;
    await this.#requests.save(request);
    return true;
  }

  async findByCode(codeHash: string): Promise<EnrolmentRequestRecord | undefined> {
    const item = await this.#table.get(codeKey(codeHash));
    return typeof item?.requestId === "string" ? this.#requests.find(keyOf(item.requestId)) : undefined;
  }

  /** `change` gets `undefined` for an unknown request. */
  modify(
    id: string,
    change: (request: EnrolmentRequestRecord | undefined) => EnrolmentRequestRecord,
  ): Promise<EnrolmentRequestRecord> {
    return this.#requests.modify(keyOf(id), change);
  }

  /** The requests without an approval, newest first; expired ones are at the end. */
  page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<EnrolmentRequestRecord>> {
    return this.#requests.page({ partition: PENDING, index: true, ...query });
  }
}

function expiryOf({ validUntil }: EnrolmentRequestRecord): number {
  return Math.ceil(Date.parse(validUntil) / 1000) + KEEP_SECONDS;
}
