import type { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { AwsError } from "../core/aws-error.ts";
import type { Certificates } from "./certificates.ts";
import { inTransaction } from "./database.ts";
import { iotArn } from "./ports.ts";

export const ThingName = z.string().regex(/^[a-zA-Z0-9:_-]{1,128}$/);
export const ThingAttributes = z.record(
  z.string().regex(/^[a-zA-Z0-9_.,@/:#-]{1,128}$/),
  z.string().regex(/^[a-zA-Z0-9_.,@/:#=[\]-]{0,800}$/),
);
const MAX_ATTRIBUTES = 3;

export interface Thing {
  name: string;
  id: string;
  attributes: Record<string, string>;
  version: number;
}

const Row = z.object({ name: z.string(), id: z.string(), attributes: z.string(), version: z.number() });

/** The registry of things and the certificates attached to each. */
export class Things {
  readonly #database: DatabaseSync;
  readonly #certificates: Certificates;
  readonly #newId: () => string;

  constructor(options: { database: DatabaseSync; certificates: Certificates; newId: () => string }) {
    this.#database = options.database;
    this.#certificates = options.certificates;
    this.#newId = options.newId;
  }

  /** Creating an existing thing again returns it. Throws if the attributes differ. */
  create(name: string, given: Record<string, string>): Thing {
    const attributes = withoutEmpty(given);
    const existing = this.find(name);
    if (existing) {
      if (JSON.stringify(sorted(existing.attributes)) === JSON.stringify(sorted(attributes))) return existing;
      throw new AwsError("ResourceAlreadyExistsException", `thing ${name} exists with other attributes`, 409);
    }
    const thing = { name, id: this.#newId(), attributes, version: 1 };
    this.#write(thing);
    return thing;
  }

  find(name: string): Thing | undefined {
    const row = this.#database.prepare("SELECT * FROM things WHERE name = ?").get(name);
    return row && toThing(row);
  }

  describe(name: string): Thing {
    const thing = this.find(name);
    if (!thing) throw notFound(name);
    return thing;
  }

  list(): Thing[] {
    return this.#database.prepare("SELECT * FROM things ORDER BY name").all().map(toThing);
  }

  /** Replaces the attributes or merges new ones into them. An empty value removes an attribute. */
  update(
    name: string,
    change: { attributes: Record<string, string>; merge: boolean; expectedVersion?: number },
  ): void {
    const thing = this.describe(name);
    checkVersion(thing, change.expectedVersion);
    const attributes = withoutEmpty({ ...(change.merge ? thing.attributes : {}), ...change.attributes });
    this.#write({ ...thing, attributes, version: thing.version + 1 });
  }

  /** Has no effect on a thing that does not exist, as on AWS. */
  delete(name: string, expectedVersion?: number): void {
    const thing = this.find(name);
    if (!thing) return;
    checkVersion(thing, expectedVersion);
    inTransaction(this.#database, () => {
      if (this.principals(name).length > 0) {
        throw new AwsError("InvalidRequestException", `thing ${name} still has principals attached`);
      }
      this.#database.prepare("DELETE FROM things WHERE name = ?").run(name);
    });
  }

  attach(name: string, certificateId: string): void {
    this.describe(name);
    this.#certificates.describe(certificateId);
    this.#database
      .prepare("INSERT OR IGNORE INTO thing_principals (thing, certificate_id) VALUES (?, ?)")
      .run(name, certificateId);
  }

  detach(name: string, certificateId: string): void {
    this.describe(name);
    this.#database
      .prepare("DELETE FROM thing_principals WHERE thing = ? AND certificate_id = ?")
      .run(name, certificateId);
  }

  isAttached(name: string, certificateId: string): boolean {
    const found = this.#database
      .prepare("SELECT 1 FROM thing_principals WHERE thing = ? AND certificate_id = ?")
      .get(name, certificateId);
    return found !== undefined;
  }

  /** ARNs of the certificates attached to the thing. */
  principals(name: string): string[] {
    return this.#database
      .prepare("SELECT certificate_id AS id FROM thing_principals WHERE thing = ? ORDER BY certificate_id")
      .all(name)
      .map((row) => iotArn("cert", String(row.id)));
  }

  #write(thing: Thing): void {
    if (Object.keys(thing.attributes).length > MAX_ATTRIBUTES) {
      throw new AwsError(
        "InvalidRequestException",
        `a thing without a type has at most ${MAX_ATTRIBUTES} attributes`,
      );
    }
    this.#database
      .prepare("INSERT OR REPLACE INTO things (name, id, attributes, version) VALUES (?, ?, ?, ?)")
      .run(thing.name, thing.id, JSON.stringify(thing.attributes), thing.version);
  }
}

function toThing(row: unknown): Thing {
  const { attributes, ...rest } = Row.parse(row);
  return { ...rest, attributes: ThingAttributes.parse(JSON.parse(attributes)) };
}

function notFound(name: string): AwsError {
  return new AwsError("ResourceNotFoundException", `there is no thing ${name}`, 404);
}

function checkVersion(thing: Thing, expected: number | undefined): void {
  if (expected === undefined || expected === thing.version) return;
  throw new AwsError(
    "VersionConflictException",
    `thing ${thing.name} is at version ${thing.version}, not ${expected}`,
    409,
  );
}

function withoutEmpty(attributes: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== ""));
}

function sorted(attributes: Record<string, string>): [string, string][] {
  return Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1));
}
