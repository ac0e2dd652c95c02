import { TokenRecord } from "#shared/domain/enrolment-token.ts";
import { Aggregates } from "./aggregates.ts";
import type { Table } from "./table.ts";

const keyOf = (hash: string) => ({ pk: `TOKEN#${hash}`, sk: "TOKEN" });

/** An expired token is kept this long, so that the audit distinguishes a late use from a guess. */
const KEEP_SECONDS = 7 * 86_400;

/** Tokens by the SHA-256 of the token that the agent sends. */
export class EnrolmentTokenStore {
  readonly #tokens: Aggregates<TokenRecord>;

  constructor(table: Table) {
    this.#tokens = new Aggregates(table, {
      what: "enrolment token",
      schema: TokenRecord,
      keys: (token) => ({
        ...keyOf(token.hash),
        expiresAt: Math.ceil(Date.parse(token.validUntil) / 1000) + KEEP_SECONDS,
      }),
    });
  }

  add(token: TokenRecord): Promise<TokenRecord> {
    return this.#tokens.save(token);
  }

  /** `change` gets `undefined` for an unknown token. */
  modify(hash: string, change: (token: TokenRecord | undefined) => TokenRecord): Promise<TokenRecord> {
    return this.#tokens.modify(keyOf(hash), change);
  }
}
